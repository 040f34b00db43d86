"""The direct Python API: from DICOM files or buffers to arrays.

It is thin: settings in, the stages of the workflow on values in memory, arrays out.
"""
