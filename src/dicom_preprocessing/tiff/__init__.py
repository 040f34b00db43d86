"""TIFFs: writing pages and tags, reading them back.

The format alone; where files lie and what is recorded of them is in results.
"""
