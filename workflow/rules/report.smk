rule report:
    input:
        manifest=RESULTS.manifest,
        failures=RESULTS.failures,
        summary=RESULTS.summary,
    output:
        report(RESULTS.report, caption="../report/report.rst"),
    log:
        "logs/report.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        request=request(settings=changed_keys()),
    shell:
        '"$DP_PYTHON" -I -S "$DP_SCRIPTS"/run_job.py report.py --output '
        + FOLDER_OF_RESULTS
        + " --request {params.request:q} > {log:q} 2>&1"


rule verdict:
    input:
        failures=RESULTS.failures,
        table=INDEX.table,
        excluded_files=INDEX.excluded_files,
    output:
        RESULTS.verdict,
    log:
        "logs/verdict.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        request=request(strict=CONFIG.strict),
    shell:
        '"$DP_PYTHON" -I -S "$DP_SCRIPTS"/run_job.py verdict.py --output '
        + FOLDER_OF_RESULTS
        + " --request {params.request:q} 2> {log:q}"
