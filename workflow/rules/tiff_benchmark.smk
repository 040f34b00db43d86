rule tiff_benchmark:
    input:
        RESULTS.manifest,
    output:
        page=RESULTS.tiff_benchmark / "report.html",
        sizes=RESULTS.tiff_benchmark / "sizes.csv",
        reading=RESULTS.tiff_benchmark / "reading.csv",
        runs=RESULTS.tiff_benchmark / "runs.csv",
        summary=RESULTS.tiff_benchmark / "summary.txt",
    log:
        RUN.log("tiff_benchmark"),
    conda:
        ENVIRONMENT
    threads: CORES  # nothing may run beside what is measured
    params:
        folder=subpath(output.page, parent=True),
    shell:
        # In a process of its own, since forked ones share memory with others.
        '"$DP_PYTHON" "$DP_SCRIPTS"/job.py tiff-benchmark {input:q} {params.folder:q} '
        "> {output.summary:q} 2> {log:q}"
