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
    shell:
        '"$DP_PYTHON" "$DP_SCRIPTS"/report.py --report {output:q} > {log:q} 2>&1'
