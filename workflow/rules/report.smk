rule report:
    input:
        manifest=f"{OUTPUT}/manifest.csv",
        failures=f"{OUTPUT}/failures.csv",
        summary=f"{OUTPUT}/receipts/summary.json",
    output:
        report(f"{OUTPUT}/report.html", caption="../report/report.rst"),
    log:
        "logs/report.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        output=folder_of_results,
        request=request(settings=changed_keys()),
    shell:
        '"$DP_PYTHON" -I -S "$DP_SCRIPTS"/warm.py report.py --output {params.output:q} '
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
        output=folder_of_results,
        request=request(strict=CONFIG.strict),
    shell:
        '"$DP_PYTHON" -I -S "$DP_SCRIPTS"/warm.py verdict.py --output {params.output:q} --request {params.request:q} '
        "2> {log:q}"
