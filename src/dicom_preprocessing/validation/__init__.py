"""Validation: whether a DICOM file can become an image, and what would be assumed of it."""
