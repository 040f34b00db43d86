"""The job of a study: from files to images and receipts, with bad files isolated.

Which studies a run has does not concern this folder.
"""
