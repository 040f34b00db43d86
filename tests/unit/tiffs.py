"""Frames, and files of them that other programs might have written."""

import struct

import numpy as np
import tifffile

from tests.unit.tiff.images import BYTE, FLOAT, LONG


def sample_frames(dtype="uint16", *, n=3, samples=1):
    """Frames with runs and noise, all values below 2000."""
    frames = np.random.default_rng(5).integers(0, 2000, (n, 37, 41, samples))
    frames[:, 5:20] = np.arange(n).reshape(n, 1, 1, 1) + 7
    return (frames % 250 if dtype == "uint8" else frames).astype(dtype)


def foreign(path, frames, **settings):
    """Write frames page by page through tifffile."""
    big = settings.pop("bigtiff", False)
    with tifffile.TiffWriter(path, byteorder=settings.pop("byteorder", "<"), bigtiff=big) as file:
        for frame in frames:
            kind = "rgb" if frame.shape[-1] == 3 else "minisblack"
            shown = frame if frame.shape[-1] == 3 else frame[..., 0]
            options = {"photometric": kind, "metadata": None, "contiguous": False} | settings
            file.write(shown, **options)
    return path


def reference_file(path, *, software=b"dicom-preprocessing==0.1.2", pages=1, extra=()):
    """A TIFF like those of the reference program.

    Crop 7 x 4 at (3, 2), doubled to 14 x 8, padded by 1, 2, 2, 1 to 17 x 11.
    """
    geometry = [
        (50718, FLOAT, 2, (2.0, 2.0), False),
        (50719, LONG, 2, (3 + 7 // 2, 2 + 4 // 2), False),  # the centre of the box
        (50720, LONG, 2, (7, 4), False),
        (50829, LONG, 4, (1, 2, 2, 1), False),  # amounts of padding
    ]
    with tifffile.TiffWriter(path) as file:
        for number in range(pages):
            file.write(
                np.full((11, 17), number, np.uint16),
                photometric="minisblack",
                compression="packbits",
                software=False,
                metadata=None,
                contiguous=False,
                extratags=[(305, BYTE, len(software), software, False), *geometry, *extra],
            )
    return path


def single_strip(columns, rows, strip, compression, *, pages=1, tags=()):
    """Bytes of a TIFF of grey bytes, whose pages share one strip; ``tags`` replace others."""
    entries = {256: columns, 257: rows, 258: 8, 259: compression, 262: 1, 273: 8, 277: 1}
    entries |= {278: rows, 279: len(strip)} | dict(tags)
    content = bytearray(b"II*\0" + bytes(4) + strip)
    link = 4
    for _ in range(pages):
        struct.pack_into("<L", content, link, len(content))
        content += struct.pack("<H", len(entries))
        for tag, value in sorted(entries.items()):
            content += struct.pack("<HHLL", tag, 4, 1, value)
        link = len(content)
        content += bytes(4)
    return bytes(content)
