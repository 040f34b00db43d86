from snakemake.utils import min_version

min_version("9.27")


configfile: workflow.source_path("config/config.yaml")


include: "workflow/rules/common.smk"


wildcard_constraints:
    study=UID_PATTERN,


if CONFIG.shard:

    include: "workflow/rules/stages.smk"
    include: "workflow/rules/shard.smk"

elif CONFIG.gather:

    include: "workflow/rules/collect.smk"
    include: "workflow/rules/report.smk"

else:

    include: "workflow/rules/index.smk"
    include: "workflow/rules/stages.smk"
    include: "workflow/rules/manifest.smk"
    include: "workflow/rules/report.smk"
    include: "workflow/rules/tiff_benchmark.smk"


rule all:
    default_target: True
    input:
        # Plain, so that they are rebuilt when deleted: the others wait for the checkpoint.
        INDEX.table,
        INDEX.excluded_files,
        all_targets,
