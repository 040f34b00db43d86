"""Whether a DICOM file can become an image, and what would be assumed of it.

Checks that only read and report; what a finding changes is decided in dicom and decode.
"""
