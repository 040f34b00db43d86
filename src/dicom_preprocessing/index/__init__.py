"""What is in the source, in which state, and what each study consists of.

Headers and tables only, no pixels; the Snakefile imports parts of it, so nothing heavy at import
of state, table and walk.
"""
