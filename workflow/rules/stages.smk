for stage in STAGES:
    # Each stage is two rules that differ in the wildcards of a study.
    for suffix, wildcards_of_study, constraints in WILDCARDS:

        rule:
            name:
                stage + suffix
            input:
                inputs_of(stage),
            output:
                images=directory(RUN.images(stage, wildcards_of_study)),
                receipt=RUN.receipt(stage, wildcards_of_study),
            log:
                RUN.log(stage, wildcards_of_study),
            wildcard_constraints:
                **constraints,
            conda:
                ENVIRONMENT
            threads: threads_of_study
            resources:
                mem_mb=mem_mb_of_study,
                runtime=runtime_of_study,
            params:
                # Snakemake records only params that are str. Of these, receipts are the record.
                stage=NotRecorded(stage),
                study=wildcards_of_study,
                kept=NotRecorded(RUN.kept_stage_before(stage)),
                recipe=NotRecorded(RUN.recipe_digests[stage]),
            shell:
                f"{RUN_JOB} {{params.stage:q}} --output {RUN.output_in_shell} "
                "--input {input:q} --images {output.images:q} --receipt {output.receipt:q} "
                "--study {params.study:q} --kept {params.kept:q} --recipe {params.recipe:q} "
                "--threads {threads} > {log:q} 2>&1"
