"""Reading DICOM files: detection, header, location of the pixel data, description of the image.

A file is read once into its description. Where attributes contradict each other, this folder
decides which counts. It decodes no pixels and knows nothing of studies and outputs; outside of it,
pydicom's data set is not used.
"""
