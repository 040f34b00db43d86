rule report:
    input:
        manifest=f"{OUTPUT}/manifest.csv",
        failures=f"{OUTPUT}/failures.csv",
    output:
        report(f"{OUTPUT}/report.html", caption="../report/report.rst"),
    log:
        "logs/report.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        request=request(settings=changed_keys()),
    shell:
        '"$DP_PYTHON" -I -S "$DP_SCRIPTS"/warm.py report.py --report {output:q} '
        "--request {params.request:q} > {log:q} 2>&1"
