"""Reading DICOM files: whether one is one, its header, its attributes, where its pixel data lies.

Nothing that decodes pixels, and nothing that knows of studies or outputs.
"""
