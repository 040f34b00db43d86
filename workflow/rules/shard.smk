workdir: RUN.part_folder


rule part:
    input:
        answer(RUN.written_images),
    output:
        manifest=str(RUN.part.manifest),
        failures=str(RUN.part.failures),
        slices=str(RUN.part.slices),
        warnings=str(RUN.part.warnings),
        summary=str(RUN.part.summary),
    log:
        RUN.log("part"),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        settings=to_json(
            recipe=RUN.recipe_digests["write"],
            keep=CONFIG.keep,
            columns=CONFIG.columns,
            shard=CONFIG.shard,
        ),
    shell:
        f"{RUN_JOB} part --output {RUN.output_in_shell} "
        "--settings {params.settings:q} > {log:q} 2>&1"
