"""Palettes of tables written by hand."""

import struct

import numpy as np

from dicom_preprocessing.decode.colour import read_palette
from dicom_preprocessing.dicom.description import LutAttributes
from dicom_preprocessing.image_warnings import ImageWarnings
from tests.unit.descriptions import attribute, description_of


def packed(entries, *, bits=8, first=0, order="<"):
    """A table whose entries are bytes or words."""
    content = struct.pack(f"{order}{len(entries)}{'B' if bits == 8 else 'H'}", *entries)
    return LutAttributes(
        attribute("Descriptor", len(entries), first, bits),
        attribute("Data", content + b"\0" * (len(content) % 2)),
    )


def colours(*indices, tables, bits_stored=8, signed=False, dtype=np.uint8, little_endian=True):
    description = description_of(palette=tuple(tables), is_little_endian=little_endian)
    palette = read_palette(description, bits_stored, ImageWarnings(), signed=signed)
    found = palette(np.array([[i] for i in indices], dtype))
    return str(found.dtype), found.tolist()


WORDS = ([0x01FF, 0x0200], [0xFF00, 0x00FF], [0x1234, 0xFFFF])
