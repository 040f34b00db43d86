checkpoint index:
    output:
        table=INDEX.table,
        excluded_files=INDEX.excluded_files,
    log:
        "logs/index.log",
    localrule: True
    conda:
        ENVIRONMENT
    threads: cores_of_run()
    params:
        request=request(
            source=CONFIG.source,
            duplicates=CONFIG.duplicates,
            limits=as_mapping(CONFIG)["limits"],
            modalities=CONFIG.modalities,
        ),
        state=state_of_source,
    shell:
        '"$DP_PYTHON" -I -S "$DP_SCRIPTS"/run_job.py index.py --request {params.request:q} --output '
        + FOLDER_OF_RESULTS
        + " --workers {threads} > {log:q} 2>&1"
