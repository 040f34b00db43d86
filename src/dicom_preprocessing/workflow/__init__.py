"""What a run of Snakemake needs besides its jobs: shards, its lock, the fork server, patches.

The Snakefile imports it: standard library only at import.
"""
