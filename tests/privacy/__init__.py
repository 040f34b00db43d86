"""Secrets in every place of a source, and a search for them in whatever a run leaves behind."""
