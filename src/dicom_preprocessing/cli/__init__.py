"""Commands and the jobs of the workflow.

Arguments in, one call of the package, an exit code out; no logic of its own.
"""
