"""Stored pixels: from the pixel data element to frames, checked against the header first."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import RLELossless

from dicom_preprocessing.decode.codecs.registry import MESSAGE_LIMIT, decode_stream
from dicom_preprocessing.decode.codecs.runner import RESOLUTION_LEVEL, STATED_PHOTOMETRIC
from dicom_preprocessing.decode.colour import (
    ALREADY_RGB,
    FULL_RANGE,
    PALETTE,
    PARTIAL_RANGE,
    Palette,
    read_palette,
    to_rgb,
)
from dicom_preprocessing.decode.fragments import frames_of
from dicom_preprocessing.decode.resolution import at_level, reducible_levels
from dicom_preprocessing.decode.streams.info import StreamError
from dicom_preprocessing.decode.streams.jpeg_2000 import codestream_of, read_jpeg_2000
from dicom_preprocessing.decode.tables import BYTE_BITS
from dicom_preprocessing.decode.transfer_syntaxes import (
    BIT_FOR_BIT,
    ENCAPSULATED,
    JPEG_2000,
    NATIVE,
)
from dicom_preprocessing.dicom.reading import (
    integer_of,
    text_of,
    transfer_syntax_of,
    value_of,
)
from dicom_preprocessing.errors import (
    DecodeError,
    MissingAttributeError,
    ShortPixelDataError,
    UnsupportedPixelsError,
    UnsupportedTransferSyntaxError,
)
from dicom_preprocessing.imaging.frames import LazyFrames
from dicom_preprocessing.imaging.geometry import Size, halved

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

    from dicom_preprocessing.dicom.pixel_data import PixelData

MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
BITS_ALLOCATED = (1, 8, 16, 32)
FLOAT_BITS_ALLOCATED = (32, 64)
COLOUR = (*ALREADY_RGB, *FULL_RANGE, *PARTIAL_RANGE)
COLOUR_BITS_ALLOCATED = (8, 16)
SUBSAMPLED = ("YBR_FULL_422", "YBR_PARTIAL_422")


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


def pixel_format(data_set: Dataset, pixel_data: PixelData) -> PixelFormat:
    """Read and check the Image Pixel Module.

    Raises
    ------
    MissingAttributeError
        A required attribute is absent, empty or out of range.
    UnsupportedPixelsError
        The combination is none that is handled.
    """
    keyword = pixel_data.keyword
    rows = _required(data_set, "Rows")
    columns = _required(data_set, "Columns")
    allocated = _required(data_set, "BitsAllocated")
    samples = _required(data_set, "SamplesPerPixel")
    photometric = text_of(data_set, "PhotometricInterpretation")
    if not photometric:
        raise MissingAttributeError("(0028,0004) Photometric Interpretation is missing")
    is_float = keyword != "PixelData"
    if allocated not in (FLOAT_BITS_ALLOCATED if is_float else BITS_ALLOCATED):
        raise UnsupportedPixelsError(f"{allocated} bits allocated in {keyword} are not supported")
    require_known_samples(data_set, photometric, samples, allocated, is_float=is_float)
    stored = allocated if is_float else _required(data_set, "BitsStored")
    if stored > allocated:
        raise MissingAttributeError(f"{stored} bits stored do not fit {allocated} bits allocated")
    high_bit = integer_of(data_set, "HighBit", stored - 1)
    if not is_float and value_of(data_set, "PixelRepresentation") not in (0, 1):
        raise MissingAttributeError("(0028,0103) Pixel Representation is missing or not 0 or 1")
    return PixelFormat(
        keyword=keyword,
        rows=rows,
        columns=columns,
        samples_per_pixel=samples,
        number_of_frames=_number_of_frames(data_set),
        photometric_interpretation=photometric,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high_bit if stored - 1 <= high_bit < allocated else stored - 1,
        # A single bit has no sign.
        is_signed=integer_of(data_set, "PixelRepresentation") == 1 and not is_float and stored > 1,
    )


def require_known_samples(
    data_set: Dataset, photometric: str, samples: int, allocated: int, *, is_float: bool
) -> None:
    """Refuse combinations of Photometric Interpretation, samples and bits without a meaning.

    Raises
    ------
    UnsupportedPixelsError
    MissingAttributeError
        Planar Configuration is neither 0 nor 1.
    """
    signed = "signed " if integer_of(data_set, "PixelRepresentation") else ""
    found = f"{photometric} with {samples} {signed}samples of {allocated} bits"
    if photometric in (*MONOCHROME, PALETTE):
        if samples != 1:
            raise UnsupportedPixelsError(f"{found} is not supported")
        return
    is_colour = photometric in COLOUR and samples == len("RGB") and not (is_float or signed)
    if not is_colour or allocated not in COLOUR_BITS_ALLOCATED:
        raise UnsupportedPixelsError(f"{found} is not supported")
    if integer_of(data_set, "PlanarConfiguration") not in (0, 1):
        raise MissingAttributeError("(0028,0006) Planar Configuration is not 0 or 1")
    if photometric == "YBR_PARTIAL_420" and transfer_syntax_of(data_set) in NATIVE:
        raise UnsupportedPixelsError(f"{photometric} is defined for compressed pixel data only")


def _number_of_frames(data_set: Dataset) -> int:
    """1 where it is absent or empty; what is no positive number is no reason to guess."""
    element = data_set.get_item("NumberOfFrames")
    if element is None or element.value in (None, b"", ""):
        return 1
    number = integer_of(data_set, "NumberOfFrames", -1)
    if number < 1:
        raise MissingAttributeError("(0028,0008) Number of Frames is no positive integer")
    return number


def _required(data_set: Dataset, keyword: str) -> int:
    value = integer_of(data_set, keyword)
    if value < 1:
        raise MissingAttributeError(f"{keyword} is missing, empty or not above 0")
    return value


def stored_frames(
    data_set: Dataset, layout: PixelFormat, pixel_data: PixelData, level: int = 0
) -> LazyFrames:
    """Frames that are decoded when they are asked for.

    Parameters
    ----------
    data_set : Dataset
    layout : PixelFormat
    pixel_data : PixelData
    level : int
        Halvings of width and height, at most ``reducible_to``.

    Returns
    -------
    (n_frames, rows, columns, samples)
        Grey: stored values in the dtype of Bits Allocated, bits outside Bits Stored masked.
        Colour and palette: RGB, uint8 or uint16. Asking for one raises a DecodeError if it does
        not decode.

    Raises
    ------
    UnsupportedTransferSyntaxError, UnsupportedPixelsError, ShortPixelDataError, DecodeError
    """
    syntax = transfer_syntax_of(data_set)
    if not pixel_data.value.length:
        raise ShortPixelDataError("the pixel data element is empty")
    size = halved(Size(layout.columns, layout.rows), level)
    options = decoder_options(data_set, layout, pixel_data)
    options |= {"rows": size.height, "columns": size.width, RESOLUTION_LEVEL: level}
    if syntax in NATIVE:
        decode = _native(layout, pixel_data, syntax, options)
    else:
        decode = _encapsulated(data_set, layout, pixel_data, syntax, options)
    palette = None
    if layout.photometric_interpretation == PALETTE:
        palette = read_palette(data_set, layout.bits_stored, signed=layout.is_signed)

    def frame(number: int) -> NDArray[Any]:
        samples, photometric = decode(number)
        samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
        if syntax in (*NATIVE, *BIT_FOR_BIT) and layout.bits_stored < layout.bits_allocated:
            samples = _take_stored_bits(samples, layout)
        return samples if layout.is_monochrome else _rgb(samples, layout, photometric, palette)

    samples = layout.samples_per_pixel if palette is None else len("RGB")
    shape = (layout.number_of_frames, size.height, size.width, samples)
    is_cheap = syntax in NATIVE and layout.is_monochrome
    return LazyFrames(shape, layout.dtype, frame, is_cheap)


def reducible_to(data_set: Dataset, layout: PixelFormat, pixel_data: PixelData) -> int:
    """How often width and height of all frames can be halved by decoding a part of the stream.

    Only of JPEG 2000 and HTJ2K, and not where values are no brightness: palettes, single bits.
    """
    syntax = transfer_syntax_of(data_set)
    is_bright = layout.photometric_interpretation != PALETTE and layout.bits_stored > 1
    if syntax not in JPEG_2000 or not is_bright:
        return 0
    frames = frames_of(pixel_data, data_set, layout.number_of_frames, is_rle=False)
    levels = 0
    with suppress(StreamError):  # decoding tells what is wrong
        levels = min(_levels_of(pixel_data.stream(frame), layout) for frame in frames)
    return levels


def _levels_of(stream: bytes, layout: PixelFormat) -> int:
    """Of one frame; 0 where the header gives samples another sign: no mean survives that."""
    codestream = codestream_of(stream)
    if read_jpeg_2000(codestream).is_signed != layout.is_signed:
        return 0
    return reducible_levels(codestream)


def _rgb(
    samples: NDArray[Any], layout: PixelFormat, photometric: str, palette: Palette | None
) -> NDArray[Any]:
    if palette is not None:
        return palette(samples)
    if layout.photometric_interpretation in PARTIAL_RANGE and photometric != "RGB":
        photometric = layout.photometric_interpretation
    return to_rgb(samples.astype(layout.dtype, copy=False), photometric, layout.bits_stored)


Decode = Callable[[int], tuple[NDArray[Any], str]]
"""From the number of a frame to (rows, columns, samples) and their Photometric Interpretation."""


def _native(
    layout: PixelFormat, pixel_data: PixelData, syntax: UID, options: dict[str, Any]
) -> Decode:
    """Frames of uncompressed pixel data, by pydicom's reader."""
    if pixel_data.items is not None:
        raise DecodeError(f"fragments of compressed pixel data, but the syntax is {syntax.name}")
    _require_bytes(pixel_data.value.length, layout)
    decoder = get_decoder(syntax)

    def decode(number: int) -> tuple[NDArray[Any], str]:
        try:
            values, properties = decoder.as_array(
                cast("BinaryIO", pixel_data.as_file()), index=number, raw=True, **options
            )
        except Exception as error:
            raise _decode_error(error) from error
        samples = values.reshape(layout.rows, layout.columns, layout.samples_per_pixel)
        return samples, str(properties["photometric_interpretation"])

    return decode


def _encapsulated(
    data_set: Dataset,
    layout: PixelFormat,
    pixel_data: PixelData,
    syntax: UID,
    options: dict[str, Any],
) -> Decode:
    """Frames of fragments, by the codec of the transfer syntax."""
    if syntax not in ENCAPSULATED:
        raise UnsupportedTransferSyntaxError(f"no decoder for transfer syntax {syntax.name}")
    frames = frames_of(pixel_data, data_set, layout.number_of_frames, is_rle=syntax == RLELossless)

    def decode(number: int) -> tuple[NDArray[Any], str]:
        stream = pixel_data.stream(frames[number])
        if options[RESOLUTION_LEVEL]:
            stream = at_level(codestream_of(stream), options[RESOLUTION_LEVEL])
        return decode_stream(stream, syntax, options)

    return decode


def decoder_options(
    data_set: Dataset, layout: PixelFormat, pixel_data: PixelData
) -> dict[str, Any]:
    """The header as pydicom's decoders take it, checked before."""
    photometric = layout.photometric_interpretation
    # Subsampled pixels are never in planes, whatever Planar Configuration says.
    is_subsampled = photometric in SUBSAMPLED
    return {
        "rows": layout.rows,
        "columns": layout.columns,
        "samples_per_pixel": layout.samples_per_pixel,
        "number_of_frames": layout.number_of_frames,
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "pixel_representation": int(layout.is_signed),
        "planar_configuration": 0 if is_subsampled else integer_of(data_set, "PlanarConfiguration"),
        # Both are two chroma samples for two pixels.
        "photometric_interpretation": photometric.replace("PARTIAL_422", "FULL_422"),
        STATED_PHOTOMETRIC: photometric,
        "pixel_keyword": layout.keyword,
        "pixel_vr": pixel_data.vr,
        "allow_excess_frames": False,
        "view_only": True,
        "correct_unused_bits": False,
        "apply_j2k_sign_correction": False,
        "apply_jls_sign_correction": False,
    }


def _require_bytes(length: int, layout: PixelFormat) -> None:
    if length < layout.native_bytes:
        message = f"{length} of {layout.native_bytes} bytes of pixel data are there"
        raise ShortPixelDataError(message)
    if layout.photometric_interpretation in SUBSAMPLED:
        if layout.columns % 2:
            raise UnsupportedPixelsError("subsampled chroma needs an even number of columns")
        if length >= layout.native_bytes // 2 * 3:
            raise UnsupportedPixelsError(
                f"{layout.photometric_interpretation} with the bytes of three whole samples a pixel"
            )


def excess_frames(data_set: Dataset, layout: PixelFormat, pixel_data: PixelData) -> str | None:
    """A warning where native pixel data has room for more frames than the header says."""
    if transfer_syntax_of(data_set) not in NATIVE:
        return None
    padding = layout.native_bytes % 2
    there = pixel_data.value.length - padding
    frames = there * layout.number_of_frames // layout.native_bytes
    if frames <= layout.number_of_frames:
        return None
    return f"pixel data for {frames} frames, of which the header says {layout.number_of_frames}"


def _decode_error(error: Exception) -> DecodeError:
    return DecodeError(f"{type(error).__name__}: {error}"[:MESSAGE_LIMIT])


def _take_stored_bits(pixels: NDArray[Any], layout: PixelFormat) -> NDArray[Any]:
    """Bits up to High Bit, moved down to bit 0, sign extended; the others masked (PS3.5 8.1.1)."""
    if layout.high_bit == layout.bits_stored - 1:
        lowest = -(1 << layout.bits_stored - 1) if layout.is_signed else 0
        highest = lowest + (1 << layout.bits_stored) - 1
        if pixels.max() <= highest and (not layout.is_signed or pixels.min() >= lowest):
            return pixels  # the usual case: nothing is in the other bits
    up = layout.bits_allocated - 1 - layout.high_bit
    down = layout.bits_allocated - layout.bits_stored
    shifted: NDArray[Any] = np.right_shift(np.left_shift(pixels, up), down)
    return shifted
