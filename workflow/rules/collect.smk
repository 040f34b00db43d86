rule collect:
    input:
        INDEX.table,
        INDEX.excluded_files,
        answer(RUN.parts_to_collect),
    output:
        manifest=report(RESULTS.manifest, caption="../report/manifest.rst"),
        parquet=RESULTS.manifest_parquet,
        failures=report(RESULTS.failures, caption="../report/failures.rst"),
        warnings=report(RESULTS.warnings, caption="../report/warnings.rst"),
        retry=RESULTS.retry_list,
        orphans=RESULTS.orphans,
        summary=RESULTS.summary,
    log:
        RUN.log("collect"),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        settings=RUN.collection_settings(shards=CONFIG.gather),
    shell:
        f"{RUN_JOB} collect --output {RUN.output_in_shell} "
        "--settings {params.settings:q} > {log:q} 2>&1"
