"""Colour: from YCbCr and palettes to RGB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dicom_preprocessing.decode.bits import BYTE_BITS, WORD_BITS, find_range
from dicom_preprocessing.decode.lookup_tables import PALETTE_LUT, LookupTable, lookup_tables
from dicom_preprocessing.dicom.contradictions import decide
from dicom_preprocessing.dicom.description import LutAttributes
from dicom_preprocessing.errors import UnsupportedPixelsError
from dicom_preprocessing.imaging.image import DisplayLut

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dicom_preprocessing.dicom.description import Description
    from dicom_preprocessing.image_warnings import ImageWarnings

PALETTE: Final = "PALETTE COLOR"
YBR_FULL: Final = "YBR_FULL"
FULL_RANGE: Final = (YBR_FULL, "YBR_FULL_422")
PARTIAL_RANGE: Final = ("YBR_PARTIAL_422", "YBR_PARTIAL_420")
YCBCR: Final = (*FULL_RANGE, *PARTIAL_RANGE)
STREAM_TRANSFORMS: Final = ("YBR_RCT", "YBR_ICT", "XYB")
"""Transforms that JPEG 2000 and JPEG XL streams have, and that their decoders undo."""

# Of ITU-R BT.601; PS3.3 C.7.6.3.1.2 has the same.
RED, GREEN, BLUE = 0.299, 0.587, 0.114
CR_TO_RED, CB_TO_BLUE = 2 * (1 - RED), 2 * (1 - BLUE)

PARTIAL_LUMA: Final = (16, 235)
PARTIAL_CHROMA: Final = (16, 240)
"""Lowest and highest value of partial range in 8 bits (BT.601)."""


def to_rgb(pixels: NDArray[Any], coded: str, bits: int) -> NDArray[Any]:
    """Convert pixels of three samples to RGB.

    Parameters
    ----------
    pixels : (..., 3), uint8 or uint16
    coded : str
        Photometric Interpretation of ``pixels``.
    bits : int
        Bits Stored.

    Returns
    -------
    (..., 3), dtype of ``pixels``

    Raises
    ------
    UnsupportedPixelsError
        There is no conversion from ``coded`` to RGB.
    """
    if coded == "RGB":
        return pixels
    if coded not in YCBCR:
        raise UnsupportedPixelsError(f"{coded} with {pixels.shape[-1]} samples a pixel")
    return ybr_to_rgb(pixels, bits, partial=coded in PARTIAL_RANGE)


def ybr_to_rgb(ybr: NDArray[Any], bits: int, *, partial: bool = False) -> NDArray[Any]:
    """Convert YCbCr to RGB, rounded and clipped (PS3.3 C.7.6.3.1.2).

    Parameters
    ----------
    ybr : (..., 3), uint8 or uint16
    bits : int
        Bits Stored.
    partial : bool
        Luma is 16 to 235 and chroma 16 to 240 in 8 bits, as of YBR_PARTIAL_422.

    Returns
    -------
    (..., 3), dtype of ``ybr``
    """
    # Chroma 0 is the middle of Bits Stored, not of the dtype: with the wrong one all colours shift.
    top, middle = (1 << bits) - 1, 1 << (bits - 1)
    values = ybr.astype(np.float32)
    y, cb, cr = values[..., 0], values[..., 1] - middle, values[..., 2] - middle
    # The limits are scaled to Bits Stored by a shift: black of 10 bits is 64.
    if partial:
        step = 1 << (bits - BYTE_BITS)
        low, high = PARTIAL_LUMA
        y = (y - low * step) * (top / ((high - low) * step))
        low, high = PARTIAL_CHROMA
        cb, cr = cb * (top / ((high - low) * step)), cr * (top / ((high - low) * step))
    rgb = np.empty_like(values)
    rgb[..., 0] = y + CR_TO_RED * cr
    rgb[..., 1] = y - (RED * CR_TO_RED / GREEN) * cr - (BLUE * CB_TO_BLUE / GREEN) * cb
    rgb[..., 2] = y + CB_TO_BLUE * cb
    rounded: NDArray[Any] = np.clip(np.floor(rgb + 0.5), 0, top).astype(ybr.dtype)
    return rounded


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """Red, green and blue by index, converted to ``dtype``."""

    tables: tuple[LookupTable, ...]
    dtype: type[np.uint8 | np.uint16]

    def __call__(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Look up the colours of indices.

        Parameters
        ----------
        pixels : (..., 1)

        Returns
        -------
        (..., 3), uint8 or uint16
        """
        rgb = np.empty((*pixels.shape[:-1], len(self.tables)), self.dtype)
        # Only indices that occur: a table of all of 32 bits would not fit into memory.
        low, high = int(pixels.min()), int(pixels.max())
        for i, table in enumerate(self.tables):
            # The dtype follows the bits of the index, and entries are scaled to it: of 16 bits the
            # high byte counts, and of 8 bits 255 becomes 65535.
            entries = table(np.arange(low, high + 1, dtype=np.float64)).astype(np.int64)
            bits = max(BYTE_BITS, table.bits)
            if self.dtype == np.uint8:
                entries >>= bits - BYTE_BITS
            else:
                entries = entries * ((1 << WORD_BITS) - 1) // ((1 << bits) - 1)
            rgb[..., i] = DisplayLut(entries.astype(self.dtype), low)(pixels)[..., 0]
        return rgb


def read_palette(
    description: Description, bits_stored: int, warnings: ImageWarnings, *, signed: bool
) -> Palette:
    """Read the Palette Color Lookup Tables, segmented or not (PS3.3 C.7.9, C.7.6.3.1.5 and 6).

    Parameters
    ----------
    description : Description
    bits_stored : int
        Of the indices; colours are uint8 if it is at most 8, else uint16.
    warnings : ImageWarnings
        Takes what is irregular in the tables.
    signed : bool
        Whether indices, and so the first one mapped, may be negative.

    Raises
    ------
    UnsupportedPixelsError
        A table is missing or cannot be used.
    """
    # Not by pydicom's apply_color_lut, which takes entries of 8 bits in words for bytes, wraps
    # indices around at 256, and ignores the first values of green and blue.
    chosen = []
    for colour, stored in zip(("red", "green", "blue"), description.palette, strict=True):
        if not (stored.data.values or (stored.segmented.values and stored.descriptor.values)):
            raise UnsupportedPixelsError(f"the palette for {colour} is missing")
        by_source = {
            "palette data": LutAttributes(stored.descriptor, data=stored.data)
            if stored.data.values
            else None,
            "segmented palette data": LutAttributes(stored.descriptor, segmented=stored.segmented)
            if stored.segmented.values
            else None,
        }
        decided = decide("palette_data", by_source)
        if decided.overruled:
            message = f"the palette for {colour} is there whole and in segments: the whole counts"
            warnings.add("transforms_contradict", message)
        chosen.append(decided.value or stored)
    tables = lookup_tables(
        PALETTE_LUT,
        chosen,
        warnings,
        values=find_range(bits_stored, signed=signed),
        little_endian=description.is_little_endian,
    )
    return Palette(tables, np.uint8 if bits_stored <= BYTE_BITS else np.uint16)
