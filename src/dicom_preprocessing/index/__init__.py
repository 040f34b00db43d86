"""Index: what is in the source, in which state, and what each study consists of."""
