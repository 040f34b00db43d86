for stage in STAGES:

    rule:
        name:
            stage
        input:
            inputs_of(stage),
        output:
            images=directory(RUN.images(stage, "{study}")),
            receipt=RUN.receipt(stage, "{study}"),
        log:
            RUN.log(stage, "{study}"),
        conda:
            ENVIRONMENT
        threads: threads_of_study
        resources:
            mem_mb=mem_mb_of_study,
            runtime=runtime_of_study,
        params:
            # The shell text is made when a job starts, after the loop: it cannot name the variable.
            stage=stage,
            kept=RUN.kept_stage_before(stage),
            recipe=RUN.recipe_digest(stage),
        shell:
            f"{RUN_JOB} {{params.stage}} --output {RUN.output_in_shell} "
            "--input {input:q} --images {output.images:q} --receipt {output.receipt:q} "
            "--study {wildcards.study:q} --kept {params.kept:q} --recipe {params.recipe:q} "
            "--threads {threads} > {log:q} 2>&1"
