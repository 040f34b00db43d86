rule manifest:
    input:
        INDEX.table,
        INDEX.excluded_files,
        written_studies,
    output:
        manifest=report(RESULTS.manifest, caption="../report/manifest.rst"),
        parquet=RESULTS.manifest_parquet,
        failures=report(RESULTS.failures, caption="../report/failures.rst"),
        retry=RESULTS.retry_list,
        orphans=RESULTS.orphans,
        summary=RESULTS.summary,
    log:
        "logs/manifest.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        request=request_of_manifest(),
    shell:
        # {input} is not named: with many studies it would be longer than a command line may be.
        '"$DP_PYTHON" -I -S "$DP_SCRIPTS"/run_job.py manifest.py --output '
        + FOLDER_OF_RESULTS
        + " --request {params.request:q} > {log:q} 2>&1"
