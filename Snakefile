from snakemake.utils import min_version

min_version("9.27")


configfile: workflow.source_path("config/config.yaml")


include: "workflow/rules/common.smk"


if RUN.part:

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


onstart:
    compatibility.end_gracefully_in_thread()


onsuccess:
    outcome.print_last(outcome.describe_results(RESULTS, RUN.log_of_pruning))


onerror:
    outcome.print_last(outcome.explain_failed_jobs(FAILED_JOBS.jobs))


rule all:
    default_target: True
    input:
        # By name, so that they are rebuilt when deleted: the others wait for the checkpoint.
        INDEX.table,
        INDEX.excluded_files,
        answer(RUN.targets),
