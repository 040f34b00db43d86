"""What is in the source, in which state, and what each study consists of.

Headers and tables only, no pixels. The Snakefile imports state, table and walk, which therefore
import nothing heavy.
"""
