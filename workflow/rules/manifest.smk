rule manifest:
    input:
        INDEX.table,
        INDEX.excluded_files,
        answer(RUN.written_images),
    output:
        manifest=report(RESULTS.manifest, caption="../report/manifest.rst"),
        parquet=RESULTS.manifest_parquet,
        failures=report(RESULTS.failures, caption="../report/failures.rst"),
        warnings=report(RESULTS.warnings, caption="../report/warnings.rst"),
        retry=RESULTS.retry_list,
        orphans=RESULTS.orphans,
        summary=RESULTS.summary,
    log:
        RUN.log("manifest"),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        settings=RUN.collection_settings(),
    shell:
        # Without {input}, which with many studies would be longer than a command line may be.
        f"{RUN_JOB} manifest --output {RUN.output_in_shell} "
        "--settings {params.settings:q} > {log:q} 2>&1"
