workdir: SHARD_FOLDER


rule part:
    input:
        written_studies,
    output:
        manifest=str(PART.manifest),
        failures=str(PART.failures),
        summary=str(PART.summary),
    log:
        "logs/part.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        request=request(
            recipe=digest_of_recipe("write"),
            keep=CONFIG.keep,
            shard=CONFIG.shard,
        ),
    shell:
        '"$DP_PYTHON" -I -S "$DP_SCRIPTS"/run_job.py part.py --output '
        + FOLDER_OF_RESULTS
        + " --request {params.request:q} > {log:q} 2>&1"
