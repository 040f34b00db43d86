"""The format of an image's pixels: what the Image Pixel Module says, checked before decoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dicom_preprocessing.decode.colour import ALREADY_RGB, FULL_RANGE, PALETTE, PARTIAL_RANGE
from dicom_preprocessing.decode.lookup_tables import BYTE_BITS
from dicom_preprocessing.decode.transfer_syntaxes import NATIVE
from dicom_preprocessing.dicom.contradictions import decide
from dicom_preprocessing.errors import MissingAttributeError, UnsupportedPixelsError
from dicom_preprocessing.text import make_printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_preprocessing.dicom.attribute import Attribute
    from dicom_preprocessing.dicom.description import Description

MONOCHROME: Final = ("MONOCHROME1", "MONOCHROME2")
BITS_ALLOCATED: Final = (1, 8, 16, 32)
FLOAT_BITS_ALLOCATED: Final = (32, 64)
COLOUR: Final = (*ALREADY_RGB, *FULL_RANGE, *PARTIAL_RANGE)
COLOUR_BITS_ALLOCATED: Final = (8, 16)
SUBSAMPLED: Final = ("YBR_FULL_422", "YBR_PARTIAL_422")
AT_LEAST_ONE: Final = "allowed are whole numbers of at least 1"


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """The Image Pixel Module of an object (PS3.3 C.7.6.3), complete and within range."""

    keyword: str
    rows: int
    columns: int
    samples_per_pixel: int
    number_of_frames: int
    photometric_interpretation: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool

    @property
    def is_float(self) -> bool:
        """Whether the samples are floating point numbers."""
        return self.keyword != "PixelData"

    @property
    def is_monochrome(self) -> bool:
        """Whether the samples are grey values."""
        return self.photometric_interpretation in MONOCHROME

    @property
    def is_inverted(self) -> bool:
        """Whether the lowest grey value is the brightest."""
        return self.photometric_interpretation == "MONOCHROME1"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of decoded frames, that of Bits Allocated for grey values."""
        if self.is_float:
            return np.dtype(f"f{self.bits_allocated // BYTE_BITS}")
        if self.is_monochrome:
            kind = "i" if self.is_signed else "u"
            return np.dtype(f"{kind}{max(BYTE_BITS, self.bits_allocated) // BYTE_BITS}")
        return np.dtype(np.uint8 if self.bits_stored <= BYTE_BITS else np.uint16)

    @property
    def native_bytes(self) -> int:
        """Bytes of uncompressed pixel data, without padding."""
        samples = self.samples_per_pixel
        bits = self.rows * self.columns * self.number_of_frames * self.bits_allocated
        if self.photometric_interpretation in SUBSAMPLED:
            return bits * 2 // 8  # two chroma samples for two pixels (PS3.3 C.7.6.3.1.2)
        return (bits * samples + 7) // 8


def read_pixel_format(description: Description, keyword: str) -> PixelFormat:
    """Check the Image Pixel Module.

    Parameters
    ----------
    description : Description
    keyword : str
        Of the pixel data element: PixelData, FloatPixelData or DoubleFloatPixelData.

    Raises
    ------
    MissingAttributeError
        A required attribute is absent, empty or out of range.
    UnsupportedPixelsError
        The combination is none that is handled.
    """
    pixel = description.pixel
    rows = _required(pixel.rows, "Rows")
    columns = _required(pixel.columns, "Columns")
    allocated = _required(pixel.bits_allocated, "BitsAllocated")
    samples = _required(pixel.samples_per_pixel, "SamplesPerPixel")
    photometric = pixel.photometric_interpretation.text()
    if not photometric:
        raise MissingAttributeError("(0028,0004) Photometric Interpretation is missing")
    is_float = keyword != "PixelData"
    if allocated not in (FLOAT_BITS_ALLOCATED if is_float else BITS_ALLOCATED):
        raise UnsupportedPixelsError(
            f"(0028,0100) Bits Allocated is {allocated}; {keyword} is read with "
            f"{_either(FLOAT_BITS_ALLOCATED if is_float else BITS_ALLOCATED)}"
        )
    require_known_samples(description, photometric, samples, allocated, is_float=is_float)
    stored = allocated if is_float else _required(pixel.bits_stored, "BitsStored")
    if stored > allocated:
        raise MissingAttributeError(f"{stored} bits stored do not fit {allocated} bits allocated")
    representation = pixel.pixel_representation
    if not is_float and (representation.has_several or representation.integer(-1) not in (0, 1)):
        raise MissingAttributeError(
            f"(0028,0103) Pixel Representation {_found(representation)}; allowed are 0 and 1"
        )
    high_bit = pixel.high_bit.integer(stored - 1)
    by_source = {
        "HighBit": high_bit if stored - 1 <= high_bit < allocated else None,
        "BitsStored": stored - 1,
    }
    number_of_frames = description.number_of_frames()
    if number_of_frames is None:
        raise MissingAttributeError(
            f"(0028,0008) Number of Frames {_found(pixel.number_of_frames)}; {AT_LEAST_ONE}"
        )
    return PixelFormat(
        keyword=keyword,
        rows=rows,
        columns=columns,
        samples_per_pixel=samples,
        number_of_frames=number_of_frames,
        photometric_interpretation=photometric,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=decide("high_bit", by_source).value or 0,
        # A single bit has no sign.
        is_signed=representation.integer() == 1 and not is_float and stored > 1,
    )


def require_known_samples(
    description: Description, photometric: str, samples: int, allocated: int, *, is_float: bool
) -> None:
    """Refuse combinations of Photometric Interpretation, samples and bits without a meaning.

    Raises
    ------
    UnsupportedPixelsError
    MissingAttributeError
        Planar Configuration is neither 0 nor 1.
    """
    pixel = description.pixel
    signed = "signed " if pixel.pixel_representation.integer() else ""
    found = f"{photometric} with {samples} {signed}samples of {allocated} bits"
    if photometric in (*MONOCHROME, PALETTE):
        if samples != 1:
            raise UnsupportedPixelsError(f"{found} is not supported; supported is 1 sample")
        return
    is_colour = photometric in COLOUR and samples == len("RGB") and not (is_float or signed)
    if not is_colour or allocated not in COLOUR_BITS_ALLOCATED:
        raise UnsupportedPixelsError(
            f"{found} is not supported; supported are 3 unsigned samples of "
            f"{_either(COLOUR_BITS_ALLOCATED)} bits in {_either(COLOUR)}, and greyscale"
        )
    planar = pixel.planar_configuration
    if planar.integer() not in (0, 1):
        raise MissingAttributeError(
            f"(0028,0006) Planar Configuration {_found(planar)}; allowed are 0 and 1"
        )
    if photometric == "YBR_PARTIAL_420" and description.transfer_syntax_uid in NATIVE:
        raise UnsupportedPixelsError(f"{photometric} is defined for compressed pixel data only")


def _required(attribute: Attribute, keyword: str) -> int:
    value = attribute.integer()
    if value < 1:
        raise MissingAttributeError(f"{keyword} {_found(attribute)}; {AT_LEAST_ONE}")
    return value


def _found(attribute: Attribute) -> str:
    """What was found, for messages about what is allowed."""
    if attribute.is_empty:
        return "is empty" if attribute.is_present else "is missing"
    return f"is {make_printable(attribute.shorten_for_message() or '')}"


def _either(allowed: Sequence[object]) -> str:
    """``8 or 16``."""
    *first, last = map(str, allowed)
    return f"{', '.join(first)} or {last}"
