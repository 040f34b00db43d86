"""What a run of Snakemake needs besides its jobs: shards, resources, lock, fork server, patches.

The Snakefile imports these: what they import is the standard library, and Snakemake in
``compatibility``. ``warm_up`` needs the libraries of jobs, and only the fork server imports it.
"""
