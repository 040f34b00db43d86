checkpoint index:
    output:
        table=INDEX.table,
        excluded_files=INDEX.excluded_files,
    log:
        RUN.log("index"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: CORES
    params:
        settings=answer(RUN.index_settings),
        state=answer(state_of_source),
    shell:
        f"{RUN_JOB} index --output {RUN.output_in_shell} "
        "--settings {params.settings:q} --workers {threads} > {log:q} 2>&1"
