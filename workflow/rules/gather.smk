rule gather:
    input:
        INDEX.table,
        INDEX.left_out,
        parts,
    output:
        manifest=report(f"{OUTPUT}/manifest.csv", caption="../report/manifest.rst"),
        parquet=f"{OUTPUT}/manifest.parquet",
        failures=report(f"{OUTPUT}/failures.csv", caption="../report/failures.rst"),
        retry=f"{OUTPUT}/retry.txt",
        orphans=f"{OUTPUT}/orphans.txt",
        summary=f"{OUTPUT}/receipts/summary.json",
    log:
        "logs/gather.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        output=folder_of_results,
        request=request_of_manifest(shards=CONFIG.gather),
    shell:
        '"$DP_PYTHON" -I -S "$DP_SCRIPTS"/warm.py gather.py --output {params.output:q} '
        "--request {params.request:q} > {log:q} 2>&1"
