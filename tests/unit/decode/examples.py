"""Frames, and the streams of them in each kind of code."""

import imagecodecs
import numpy as np
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    JPEG2000,
    UID,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
)

from dicom_preprocessing.decode.codecs.runner import IMAGE_WARNINGS, STATED_PHOTOMETRIC, runner_of
from dicom_preprocessing.decode.streams.info import END
from dicom_preprocessing.dicom.transfer_syntaxes import JPEG_XL
from dicom_preprocessing.image_warnings import ImageWarnings
from tests.unit.datasets import stored_pixels

ROWS, COLUMNS = 24, 40
Y, X = np.mgrid[:ROWS, :COLUMNS]
NOISE = np.random.default_rng(5).integers(0, 64, (ROWS, COLUMNS))
GREY_12 = ((np.sin(X / 5) + np.cos(Y / 4) + 2) * 1000 + NOISE).astype(np.uint16)
GREY_8 = (GREY_12 >> 4).astype(np.uint8)
COLOUR = np.stack([GREY_8, 255 - GREY_8, GREY_8[::-1]], axis=-1)


def jpeg(pixels, **options):
    return bytes(imagecodecs.jpeg8_encode(pixels, **options))


def j2k(pixels, **options):
    return bytes(imagecodecs.jpeg2k_encode(pixels, codecformat="J2K", **options))


STREAMS = {
    "JPEG baseline": (JPEGBaseline8Bit, GREY_8, jpeg(GREY_8, level=95)),
    "JPEG extended": (JPEGExtended12Bit, GREY_12, jpeg(GREY_12, level=95, bitspersample=12)),
    "JPEG lossless": (JPEGLosslessSV1, GREY_12, jpeg(GREY_12, lossless=True, bitspersample=16)),
    "JPEG-LS": (JPEGLSLossless, GREY_12, bytes(imagecodecs.jpegls_encode(GREY_12))),
    "JPEG 2000": (JPEG2000Lossless, GREY_12, j2k(GREY_12, reversible=True)),
    "JPEG 2000 lossy": (JPEG2000, GREY_12, j2k(GREY_12, level=60)),
    "HTJ2K": (HTJ2KLossless, GREY_12, bytes(imagecodecs.htj2k_encode(GREY_12))),
    "JPEG XL": (JPEG_XL[0], GREY_12, bytes(imagecodecs.jpegxl_encode(GREY_12, lossless=True))),
}
LOSSLESS = [n for n in STREAMS if n not in ("JPEG baseline", "JPEG extended", "JPEG 2000 lossy")]
ENDED = [name for name, (_, _, stream) in STREAMS.items() if stream.endswith(END)]

SINGLE_BITS = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}
BITS = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 0]], np.uint8)


def stored_of(data_set, syntax):
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = UID(syntax)
    return stored_pixels(data_set)


def runner_for(syntax, pixels, **changes):
    """A runner with the header of ``pixels``, as ``decode_stream`` hands it to a decoder."""
    rows, columns, samples = (*pixels.shape, 1)[:3]
    colour = "RGB" if samples > 1 else "MONOCHROME2"
    options = {
        "rows": rows,
        "columns": columns,
        "samples_per_pixel": samples,
        "bits_allocated": pixels.dtype.itemsize * 8,
        "bits_stored": pixels.dtype.itemsize * 8,
        "pixel_representation": int(pixels.dtype.kind == "i"),
        "planar_configuration": 0,
        "number_of_frames": 1,
        "photometric_interpretation": colour,
        STATED_PHOTOMETRIC: changes.get("photometric_interpretation", colour),
        IMAGE_WARNINGS: ImageWarnings(),
        "pixel_keyword": "PixelData",
    }
    return runner_of(UID(syntax), options | changes)


ENCODE = {
    JPEG2000Lossless: lambda pixels: imagecodecs.jpeg2k_encode(
        pixels, level=0, codecformat="j2k", reversible=True
    ),
    HTJ2KLossless: lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True),
    JPEGLSLossless: imagecodecs.jpegls_encode,
}
