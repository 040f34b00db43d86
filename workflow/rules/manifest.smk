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
    log:
        "logs/manifest.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        request=request(
            keep=CONFIG.keep,
            # The bundled examples are not what the results of earlier runs came from.
            prune=CONFIG.prune and CONFIG.source is not None,
        ),
    shell:
        # {input} is not named: with many studies it would be longer than a command line may be.
        '"$DP_PYTHON" -I -S "$DP_SCRIPTS"/warm.py manifest.py --manifest {output.manifest:q} '
        "--request {params.request:q} > {log:q} 2>&1"


rule verdict:
    input:
        failures=f"{OUTPUT}/failures.csv",
        table=INDEX.table,
        left_out=INDEX.left_out,
    output:
        f"{OUTPUT}/verdict.txt",
    log:
        "logs/verdict.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        request=request(strict=CONFIG.strict),
    shell:
        '"$DP_PYTHON" -I -S "$DP_SCRIPTS"/warm.py verdict.py --verdict {output:q} --request {params.request:q} '
        "2> {log:q}"
