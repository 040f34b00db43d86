"""The direct Python API: from DICOM files or buffers to arrays."""
