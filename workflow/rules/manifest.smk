rule manifest:
    input:
        INDEX.table,
        INDEX.excluded_files,
        answer(RUN.written_images),
    output:
        manifest=report(
            compatibility.stay(RESULTS.manifest), caption="../report/manifest.rst"
        ),
        parquet=compatibility.stay(RESULTS.manifest_parquet),
        failures=report(
            compatibility.stay(RESULTS.failures), caption="../report/failures.rst"
        ),
        slices=compatibility.stay(RESULTS.slices),
        warnings=report(
            compatibility.stay(RESULTS.warnings), caption="../report/warnings.rst"
        ),
        retry=compatibility.stay(RESULTS.retry_list),
        orphans=compatibility.stay(RESULTS.orphans),
        summary=RESULTS.summary,  # missing after a failure, so the next run makes all again
    log:
        RUN.log("manifest"),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        settings=RUN.collection_settings(),
    shell:
        # Without {input}, which with many studies would be longer than a command line may be.
        f"{RUN_JOB} manifest --output {RUN.output_in_shell} "
        "--settings {params.settings:q} > {log:q} 2>&1"
