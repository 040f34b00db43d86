rule collect:
    input:
        INDEX.table,
        INDEX.excluded_files,
        parts,
    output:
        manifest=report(RESULTS.manifest, caption="../report/manifest.rst"),
        parquet=RESULTS.manifest_parquet,
        failures=report(RESULTS.failures, caption="../report/failures.rst"),
        retry=RESULTS.retry_list,
        orphans=RESULTS.orphans,
        summary=RESULTS.summary,
    log:
        "logs/collect.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        request=request_of_manifest(shards=CONFIG.gather),
    shell:
        '"$DP_PYTHON" -I -S "$DP_SCRIPTS"/run_job.py collect.py --output '
        + FOLDER_OF_RESULTS
        + " --request {params.request:q} > {log:q} 2>&1"
