"""Coordinates: from the DICOM image to the output and back."""
