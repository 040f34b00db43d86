"""Other programs that read DICOM, and what they make of a file."""
