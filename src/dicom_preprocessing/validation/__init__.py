"""Check whether a DICOM file can become an image, and what would be assumed about it.

Checks only read and report; dicom and decode decide what a finding changes.
"""
