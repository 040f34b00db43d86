"""Reading DICOM files: detection, header, where the pixel data lies, the description of an image.

A file is read once into its description, and here it is decided who wins where it says two things.
What enters reads a file or says what stands in it; nothing decodes pixels or knows of studies and
outputs, and behind this folder nobody asks pydicom's data set.
"""
