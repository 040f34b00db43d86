rule storage_study:
    input:
        RESULTS.manifest,
    output:
        page=RESULTS.storage_study / "report.html",
        sizes=RESULTS.storage_study / "sizes.csv",
        reading=RESULTS.storage_study / "reading.csv",
        runs=RESULTS.storage_study / "runs.csv",
        summary=RESULTS.storage_study / "summary.txt",
    log:
        "logs/storage_study.log",
    conda:
        ENVIRONMENT
    threads: cores_of_run()  # nothing runs beside what is measured
    params:
        folder=subpath(output.page, parent=True),
    shell:
        # In a process of its own, since forked ones share memory with others.
        '"$DP_PYTHON" "$DP_SCRIPTS"/storage_study.py {input:q} {params.folder:q} '
        "> {output.summary:q} 2> {log:q}"
