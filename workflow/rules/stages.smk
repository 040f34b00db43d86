rule decode:
    input:
        nearest_kept("decode"),
    output:
        images=directory(images_of("decode", "{study}")),
        receipt=receipt_of("decode", "{study}"),
    log:
        "logs/decode/{study}.log",
    conda:
        ENVIRONMENT
    threads: threads_of_study
    resources:
        mem_mb=study_mem_mb,
        runtime=study_runtime,
    params:
        kept=kept_before("decode"),
        recipe=recipe_of("decode"),
    shell:
        '"$DP_PYTHON" -I -S "$DP_SCRIPTS"/run_job.py decode.py --input {input:q} --images {output.images:q} '
        "--receipt {output.receipt:q} --output "
        + FOLDER_OF_RESULTS
        + " --study {wildcards.study:q} "
        "--kept {params.kept:q} --recipe {params.recipe:q} --threads {threads} > {log:q} 2>&1"


rule crop:
    input:
        nearest_kept("crop"),
    output:
        images=directory(images_of("crop", "{study}")),
        receipt=receipt_of("crop", "{study}"),
    log:
        "logs/crop/{study}.log",
    conda:
        ENVIRONMENT
    threads: threads_of_study
    resources:
        mem_mb=study_mem_mb,
        runtime=study_runtime,
    params:
        kept=kept_before("crop"),
        recipe=recipe_of("crop"),
    shell:
        '"$DP_PYTHON" -I -S "$DP_SCRIPTS"/run_job.py crop.py --input {input:q} --images {output.images:q} '
        "--receipt {output.receipt:q} --output "
        + FOLDER_OF_RESULTS
        + " --study {wildcards.study:q} "
        "--kept {params.kept:q} --recipe {params.recipe:q} --threads {threads} > {log:q} 2>&1"


rule resize:
    input:
        nearest_kept("resize"),
    output:
        images=directory(images_of("resize", "{study}")),
        receipt=receipt_of("resize", "{study}"),
    log:
        "logs/resize/{study}.log",
    conda:
        ENVIRONMENT
    threads: threads_of_study
    resources:
        mem_mb=study_mem_mb,
        runtime=study_runtime,
    params:
        kept=kept_before("resize"),
        recipe=recipe_of("resize"),
    shell:
        '"$DP_PYTHON" -I -S "$DP_SCRIPTS"/run_job.py resize.py --input {input:q} --images {output.images:q} '
        "--receipt {output.receipt:q} --output "
        + FOLDER_OF_RESULTS
        + " --study {wildcards.study:q} "
        "--kept {params.kept:q} --recipe {params.recipe:q} --threads {threads} > {log:q} 2>&1"


rule pad:
    input:
        nearest_kept("pad"),
    output:
        images=directory(images_of("pad", "{study}")),
        receipt=receipt_of("pad", "{study}"),
    log:
        "logs/pad/{study}.log",
    conda:
        ENVIRONMENT
    threads: threads_of_study
    resources:
        mem_mb=study_mem_mb,
        runtime=study_runtime,
    params:
        kept=kept_before("pad"),
        recipe=recipe_of("pad"),
    shell:
        '"$DP_PYTHON" -I -S "$DP_SCRIPTS"/run_job.py pad.py --input {input:q} --images {output.images:q} '
        "--receipt {output.receipt:q} --output "
        + FOLDER_OF_RESULTS
        + " --study {wildcards.study:q} "
        "--kept {params.kept:q} --recipe {params.recipe:q} --threads {threads} > {log:q} 2>&1"


rule write:
    input:
        nearest_kept("write"),
    output:
        images=directory(images_of("write", "{study}")),
        receipt=receipt_of("write", "{study}"),
    log:
        "logs/write/{study}.log",
    conda:
        ENVIRONMENT
    threads: threads_of_study
    resources:
        mem_mb=study_mem_mb,
        runtime=study_runtime,
    params:
        kept=kept_before("write"),
        recipe=recipe_of("write"),
    shell:
        '"$DP_PYTHON" -I -S "$DP_SCRIPTS"/run_job.py write.py --input {input:q} --images {output.images:q} '
        "--receipt {output.receipt:q} --output "
        + FOLDER_OF_RESULTS
        + " --study {wildcards.study:q} "
        "--kept {params.kept:q} --recipe {params.recipe:q} --threads {threads} > {log:q} 2>&1"
