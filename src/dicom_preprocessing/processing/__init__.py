"""The job of a study: from files to images and receipts, with bad files kept apart.

Whatever runs the stages of one study; nothing about which studies a run has.
"""
