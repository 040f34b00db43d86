"""TIFFs of a few pages to be counted."""

import numpy as np
import tifffile

from dicom_preprocessing.tools.statistics import PixelSelection, Statistics, tally_file

PAGES = np.array([[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 65535]]], np.uint16)


def save(path, pages, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as tiff:
        for page in pages:
            tiff.write(page, contiguous=False, metadata=None, **options)
    return path


def record_of(*paths, bins=4, **choice):
    found = Statistics()
    for path in paths:
        found.add(tally_file(path, PixelSelection(**choice)))
    return found.as_dict(bins)


def only(record):
    (kind,) = record["kinds"]
    (channel,) = kind["by_channel"]
    return channel
