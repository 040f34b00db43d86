"""The format of an image's pixels: the Image Pixel Module, checked before decoding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dicom_preprocessing.decode.bits import BYTE_BITS, find_range
from dicom_preprocessing.decode.colour import PALETTE
from dicom_preprocessing.decode.photometric import COLOUR, DEFINED, MONOCHROME, read_photometric
from dicom_preprocessing.dicom.contradictions import decide
from dicom_preprocessing.dicom.transfer_syntaxes import NATIVE
from dicom_preprocessing.errors import MissingAttributeError, UnsupportedPixelsError
from dicom_preprocessing.text import hide_text, make_printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_preprocessing.dicom.attribute import Attribute
    from dicom_preprocessing.dicom.description import Description
    from dicom_preprocessing.dicom.pixel_data import PixelData
    from dicom_preprocessing.image_warnings import ImageWarnings

BITS_ALLOCATED: Final = (1, 8, 12, 16, 32)
FLOAT_BITS: Final = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
FLOAT_BITS_ALLOCATED: Final = (32, 64)
COLOUR_BITS_ALLOCATED: Final = (8, 16)
SUBSAMPLED: Final = ("YBR_FULL_422", "YBR_PARTIAL_422")
AT_LEAST_ONE: Final = "allowed are whole numbers of at least 1"


@dataclass(frozen=True)
class PixelFormat:
    """The Image Pixel Module of an object (PS3.3 C.7.6.3), complete and within range.

    Slices with a common header share one, and so what is computed of it.
    """

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

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of decoded frames: by Bits Allocated if grey, by Bits Stored if colour."""
        if self.is_float:
            return np.dtype(f"f{self.bits_allocated // BYTE_BITS}")
        if self.is_monochrome:
            return self.stored_dtype
        return np.dtype(np.uint8 if self.bits_stored <= BYTE_BITS else np.uint16)

    @cached_property
    def stored_range(self) -> tuple[int, int]:
        """The lowest and highest integer of Bits Stored."""
        return find_range(self.bits_stored, signed=self.is_signed)

    @cached_property
    def bits_held(self) -> int:
        """Bits of a sample in memory, whole bytes."""
        return 1 << (max(BYTE_BITS, self.bits_allocated) - 1).bit_length()

    @cached_property
    def stored_dtype(self) -> np.dtype[Any]:
        """The dtype of samples as they are stored."""
        kind = "f" if self.is_float else "i" if self.is_signed else "u"
        return np.dtype(f"{kind}{self.bits_held // BYTE_BITS}")

    @cached_property
    def stored_samples(self) -> int:
        """Samples of a frame in native pixel data."""
        pixels = self.rows * self.columns
        # Two luma and two chroma samples for two pixels (PS3.3 C.7.6.3.1.2).
        subsampled = self.photometric_interpretation in SUBSAMPLED
        return pixels * 2 if subsampled else pixels * self.samples_per_pixel

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame that is not compressed, in fragments of its own."""
        # Single bits are packed, and frames begin at bytes then; no codec packs 12 bits.
        bits = 1 if self.bits_allocated == 1 else self.bits_held
        return -(-self.stored_samples * bits // BYTE_BITS)

    @cached_property
    def native_bytes(self) -> int:
        """Bytes of uncompressed pixel data, without padding."""
        # Single bits are packed without gaps between frames (PS3.5 8.1.1).
        return -(-self.stored_samples * self.number_of_frames * self.bits_allocated // BYTE_BITS)


def read_pixel_format(
    description: Description,
    keyword: str,
    warnings: ImageWarnings,
    pixel_data: PixelData | None = None,
) -> PixelFormat:
    """Read and check the Image Pixel Module.

    Parameters
    ----------
    description : Description
    keyword : str
        Of the pixel data element: PixelData, FloatPixelData or DoubleFloatPixelData.
    warnings : ImageWarnings
        Takes what is assumed.
    pixel_data : PixelData or None
        Whose first frame tells the colour if the header does not.

    Raises
    ------
    MissingAttributeError
        A required attribute is absent, empty or out of range.
    UnsupportedPixelsError
        The combination of values is not supported.
    """
    # Before decoding: a wrong guess of sign or bits would be a wrong image, and no error.
    pixel = description.pixel
    rows = _require_positive(pixel.rows, "Rows")
    columns = _require_positive(pixel.columns, "Columns")
    allocated = _require_positive(pixel.bits_allocated, "BitsAllocated")
    samples = _require_positive(pixel.samples_per_pixel, "SamplesPerPixel")
    photometric = read_photometric(description, pixel_data, warnings)
    if not photometric:
        raise MissingAttributeError("(0028,0004) Photometric Interpretation is missing")
    is_float = keyword != "PixelData"
    if allocated not in (FLOAT_BITS_ALLOCATED if is_float else BITS_ALLOCATED):
        raise UnsupportedPixelsError(
            f"(0028,0100) Bits Allocated is {allocated}; {keyword} is read with "
            f"{_list_allowed(FLOAT_BITS_ALLOCATED if is_float else BITS_ALLOCATED)}"
        )
    if is_float:
        allocated = _choose_float_bits(keyword, allocated, warnings)
    require_known_samples(description, photometric, samples, allocated, is_float=is_float)
    stored = allocated if is_float else _require_positive(pixel.bits_stored, "BitsStored")
    if stored > allocated:
        raise MissingAttributeError(f"{stored} bits stored do not fit {allocated} bits allocated")
    representation = pixel.pixel_representation
    if not is_float and (representation.has_several or representation.integer(-1) not in (0, 1)):
        raise MissingAttributeError(
            f"(0028,0103) Pixel Representation {_describe(representation)}; allowed are 0 and 1"
        )
    # PS3.5 8.1.1. A High Bit below Bits Stored - 1 leaves no room for the stored bits, and one
    # above the allocated bits does not exist: the low bits are taken.
    high_bit = pixel.high_bit.integer(-1)
    by_source = {
        "HighBit": high_bit if stored - 1 <= high_bit < allocated else None,
        "BitsStored": stored - 1,
    }
    decided = decide("high_bit", by_source)
    if decided.source == "BitsStored" and not is_float:
        message = f"High Bit {_describe(pixel.high_bit)}; {stored - 1} is taken"
        warnings.add("high_bit_unusable", message)
    number_of_frames = description.number_of_frames()
    if number_of_frames is None:
        raise MissingAttributeError(
            f"(0028,0008) Number of Frames {_describe(pixel.number_of_frames)}; {AT_LEAST_ONE}"
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
        high_bit=decided.value or 0,
        # A single bit has no sign: it would be 0 and -1.
        is_signed=representation.integer() == 1 and not is_float and stored > 1,
    )


def _choose_float_bits(keyword: str, stated: int, warnings: ImageWarnings) -> int:
    """Return the bits of floating point samples, which their element decides (PS3.3 C.7.6.24)."""
    bits = FLOAT_BITS[keyword]
    if stated != bits:
        message = f"Bits Allocated is {stated}, and {keyword} has samples of {bits} bits"
        warnings.add("bits_contradict_pixels", message)
    return bits


def require_known_samples(
    description: Description, photometric: str, samples: int, allocated: int, *, is_float: bool
) -> None:
    """Check that Photometric Interpretation, samples and bits are a supported combination.

    Raises
    ------
    UnsupportedPixelsError
        They are not.
    MissingAttributeError
        Planar Configuration is neither 0 nor 1.
    """
    pixel = description.pixel
    signed = "signed " if pixel.pixel_representation.integer() else ""
    shown = hide_text(photometric, DEFINED)
    combination = f"{shown} with {samples} {signed}samples of {allocated} bits"
    if photometric in (*MONOCHROME, PALETTE):
        if samples != 1:
            raise UnsupportedPixelsError(f"{combination} is not supported; supported is 1 sample")
        return
    is_colour = photometric in COLOUR and samples == len("RGB") and not (is_float or signed)
    if not is_colour or allocated not in COLOUR_BITS_ALLOCATED:
        raise UnsupportedPixelsError(
            f"{combination} is not supported; supported are 3 unsigned samples of "
            f"{_list_allowed(COLOUR_BITS_ALLOCATED)} bits in {_list_allowed(COLOUR)}, "
            "and greyscale"
        )
    planar = pixel.planar_configuration
    if planar.integer() not in (0, 1):
        raise MissingAttributeError(
            f"(0028,0006) Planar Configuration {_describe(planar)}; allowed are 0 and 1"
        )
    # PS3.3 C.7.6.3.1.2 has 4:2:0 for compressed streams, and defines no native layout.
    if photometric == "YBR_PARTIAL_420" and description.transfer_syntax_uid in NATIVE:
        raise UnsupportedPixelsError(f"{photometric} is defined for compressed pixel data only")


def _require_positive(attribute: Attribute, keyword: str) -> int:
    """Return the positive integer of an attribute, or raise MissingAttributeError."""
    value = attribute.integer()
    if value < 1:
        raise MissingAttributeError(f"{keyword} {_describe(attribute)}; {AT_LEAST_ONE}")
    return value


def _describe(attribute: Attribute) -> str:
    """Describe the value of an attribute, for messages about allowed values."""
    if attribute.is_empty:
        return "is empty" if attribute.is_present else "is missing"
    return f"is {make_printable(attribute.describe_for_message())}"


def _list_allowed(allowed: Sequence[object]) -> str:
    """Join values as in "8 or 16"."""
    *first, last = map(str, allowed)
    return f"{', '.join(first)} or {last}"
