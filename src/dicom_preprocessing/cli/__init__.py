"""Commands and the jobs of the workflow."""
