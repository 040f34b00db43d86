rule report:
    input:
        manifest=RESULTS.manifest,
        failures=RESULTS.failures,
        summary=RESULTS.summary,
    output:
        report(RESULTS.report, caption="../report/report.rst"),
    log:
        RUN.log("report"),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        settings=answer(RUN.report_settings),
    shell:
        f"{RUN_JOB} report --output {RUN.output_in_shell} "
        "--settings {params.settings:q} > {log:q} 2>&1"


rule verdict:
    input:
        failures=RESULTS.failures,
        summary=RESULTS.summary,
        table=INDEX.table,
        excluded_files=INDEX.excluded_files,
    output:
        RESULTS.verdict,
    log:
        RUN.log("verdict"),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        settings=to_json(strict=CONFIG.strict),
    shell:
        f"{RUN_JOB} verdict --output {RUN.output_in_shell} "
        "--settings {params.settings:q} > {log:q} 2>&1"
