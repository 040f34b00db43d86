"""Turn DICOM studies into training-ready multi-frame TIFFs.

Importing the package imports nothing heavy, because the Snakefile does.
"""

from dicom_preprocessing.version import __version__

__all__ = ["__version__"]
