"""What a run of Snakemake needs besides its jobs: the run, settings, shards, lock, fork server.

The Snakefile imports these: what they import is the standard library, and Snakemake in
``compatibility``. ``warm_up`` needs the libraries of jobs, and only the fork server imports it.
"""
