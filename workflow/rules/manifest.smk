rule manifest:
    input:
        INDEX.table,
        INDEX.left_out,
        written_studies,
    output:
        manifest=report(f"{OUTPUT}/manifest.csv", caption="../report/manifest.rst"),
        parquet=f"{OUTPUT}/manifest.parquet",
        failures=report(f"{OUTPUT}/failures.csv", caption="../report/failures.rst"),
        retry=f"{OUTPUT}/retry.txt",
        orphans=f"{OUTPUT}/orphans.txt",
        summary=f"{OUTPUT}/receipts/summary.json",
    log:
        "logs/manifest.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        output=folder_of_results,
        request=request_of_manifest(),
    shell:
        # {input} is not named: with many studies it would be longer than a command line may be.
        '"$DP_PYTHON" -I -S "$DP_SCRIPTS"/warm.py manifest.py --output {params.output:q} '
        "--request {params.request:q} > {log:q} 2>&1"
