"""Stored pixels: from the pixel data element to an array, checked against the header first."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments, parse_basic_offsets, parse_fragments
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import JPEGLSTransferSyntaxes, JPEGTransferSyntaxes, RLELossless

from dicom_preprocessing.dicom_file import (
    integer_of,
    is_little_endian,
    text_of,
    transfer_syntax_of,
    value_of,
)
from dicom_preprocessing.errors import (
    DecodeError,
    FileError,
    MissingAttributeError,
    ShortPixelDataError,
    UnsupportedPixelsError,
    UnsupportedTransferSyntaxError,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.uid import UID

PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
PALETTE = "PALETTE COLOR"
BITS_ALLOCATED = (1, 8, 16, 32)
FLOAT_BITS_ALLOCATED = (32, 64)
BYTE_BITS = 8
MESSAGE_LIMIT = 500
END_MARKED = (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes)
END_OF_IMAGE = b"\xff\xd9"


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
    def native_bytes(self) -> int:
        """Bytes of uncompressed pixel data, without padding."""
        samples = self.samples_per_pixel
        bits = self.rows * self.columns * self.number_of_frames * self.bits_allocated
        if self.photometric_interpretation == "YBR_FULL_422":
            return bits * 2 // 8  # two chroma samples for two pixels (PS3.3 C.7.6.3.1.2)
        return (bits * samples + 7) // 8


def pixel_format(data_set: Dataset) -> PixelFormat:
    """Read and check the Image Pixel Module.

    Raises
    ------
    MissingAttributeError
        A required attribute is absent, empty or out of range.
    UnsupportedPixelsError
        The combination is none that is handled.
    """
    keyword = next((k for k in PIXEL_KEYWORDS if k in data_set), "PixelData")
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
        number_of_frames=max(1, integer_of(data_set, "NumberOfFrames", 1)),
        photometric_interpretation=photometric,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high_bit if stored - 1 <= high_bit < allocated else stored - 1,
        is_signed=integer_of(data_set, "PixelRepresentation") == 1 and not is_float,
    )


def _required(data_set: Dataset, keyword: str) -> int:
    value = integer_of(data_set, keyword)
    if value < 1:
        raise MissingAttributeError(f"{keyword} is missing, empty or not above 0")
    return value


def stored_pixels(data_set: Dataset, layout: PixelFormat) -> NDArray[Any]:
    """Decode every frame.

    Returns
    -------
    (n_frames, rows, columns, samples)
        Grey: stored values in the dtype of Bits Allocated, bits outside Bits Stored masked.
        Colour and palette: RGB, uint8 or uint16.

    Raises
    ------
    UnsupportedTransferSyntaxError, UnsupportedPixelsError, ShortPixelDataError, DecodeError
    """
    syntax = transfer_syntax_of(data_set)
    data = value_of(data_set, layout.keyword)
    if not data:
        raise ShortPixelDataError("the pixel data element is empty")
    decoder = _decoder(syntax)
    _require_all_frames(data, layout, syntax)
    # These hold every allocated bit; the other codecs hold Bits Stored, whatever High Bit says.
    holds_all_bits = not syntax.is_encapsulated or syntax == RLELossless
    shifted = holds_all_bits and 1 < layout.bits_stored < layout.bits_allocated
    try:
        pixels, properties = decoder.as_array(
            data_set,
            allow_excess_frames=False,
            correct_unused_bits=not shifted,
        )
    except (MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except StopIteration as error:
        raise ShortPixelDataError("the stream ends before the last frame") from error
    except BaseException as error:  # decoder plugins raise anything on a bad stream, even a panic
        raise _decode_error(error) from error
    shape = (layout.number_of_frames, layout.rows, layout.columns, -1)
    samples: NDArray[Any] = pixels.reshape(shape)
    if shifted:
        samples = _take_stored_bits(samples, layout)
    photometric = str(properties["photometric_interpretation"])
    if photometric == PALETTE:
        return _palette_to_rgb(data_set, samples, layout)
    if not layout.is_monochrome:
        return _rgb(samples, photometric, layout)
    if samples.shape[3] != 1:
        raise UnsupportedPixelsError(f"{samples.shape[3]} samples a pixel in a grey image")
    return samples


def _decoder(syntax: UID) -> Any:  # noqa: ANN401  # pydicom's Decoder
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        decoder = None
    if decoder is None or not decoder.is_available:
        raise UnsupportedTransferSyntaxError(f"no decoder for transfer syntax {syntax.name}")
    return decoder


def _is_cut(buffer: BytesIO) -> bool:
    """Whether the last fragment does not end in an end of image marker and padding."""
    *_, last = generate_fragments(buffer)
    return not last.rstrip(b"\0\xff").endswith(END_OF_IMAGE)


def _require_all_frames(data: bytes, layout: PixelFormat, syntax: UID) -> None:
    """Refuse pixel data with fewer bytes or fragments than the header's frames need.

    Also a JPEG or JPEG-LS stream without its end marker: decoders fill up what was cut off.
    """
    if not syntax.is_encapsulated:
        if len(data) < layout.native_bytes:
            raise ShortPixelDataError(
                f"{len(data)} of {layout.native_bytes} bytes of pixel data are there"
            )
        return
    buffer = BytesIO(data)
    try:
        parse_basic_offsets(buffer)
        fragments, _ = parse_fragments(buffer)
    except Exception as error:  # a stream cut anywhere
        raise _decode_error(error) from error
    if fragments < layout.number_of_frames:
        raise ShortPixelDataError(
            f"{fragments} fragments cannot hold {layout.number_of_frames} frames"
        )
    if syntax in END_MARKED and _is_cut(buffer):
        raise DecodeError("the last stream has no end of image marker: it was cut")


def _decode_error(error: BaseException) -> FileError:
    # pydicom repeats the message of each plugin on a line of its own.
    lines = [line.strip() for line in str(error).splitlines()]
    return DecodeError(f"{type(error).__name__}: {' '.join(filter(None, lines))}"[:MESSAGE_LIMIT])


def _take_stored_bits(pixels: NDArray[Any], layout: PixelFormat) -> NDArray[Any]:
    """Bits up to High Bit, moved down to bit 0, sign extended; the others masked (PS3.5 8.1.1)."""
    up = layout.bits_allocated - 1 - layout.high_bit
    down = layout.bits_allocated - layout.bits_stored
    shifted: NDArray[Any] = np.right_shift(np.left_shift(pixels, up), down)
    return shifted


def _palette_to_rgb(data_set: Dataset, pixels: NDArray[Any], layout: PixelFormat) -> NDArray[Any]:
    """Palette Color Lookup Table (PS3.3 C.7.9), in the dtype of the index's Bits Stored."""
    try:
        rgb: NDArray[Any] = apply_color_lut(pixels[..., 0], _palette(data_set))[..., :3]
    except Exception as error:  # missing or broken tables
        raise UnsupportedPixelsError(f"the palette cannot be used: {error}") from error
    if layout.bits_stored <= BYTE_BITS:
        return rgb if rgb.dtype == np.uint8 else (rgb >> 8).astype(np.uint8)
    return rgb.astype(np.uint16) * 257 if rgb.dtype == np.uint8 else rgb


def _palette(data_set: Dataset) -> Dataset:
    """The palette as pydicom takes it: little endian, without the padding of an odd length."""
    palette = Dataset()
    palette.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    for colour in ("Red", "Green", "Blue"):
        keyword = f"{colour}PaletteColorLookupTable"
        descriptor = value_of(data_set, f"{keyword}Descriptor")
        setattr(palette, f"{keyword}Descriptor", descriptor)
        for name in (f"{keyword}Data", f"Segmented{keyword}Data"):
            data = value_of(data_set, name)
            if data is None:
                continue
            if descriptor[2] > BYTE_BITS and not is_little_endian(data_set):
                data = np.frombuffer(data, ">u2").astype("<u2").tobytes()
            if descriptor[2] <= BYTE_BITS and len(data) == descriptor[0] + 1:
                data = data[:-1]
            setattr(palette, name, data)
    return palette


def _rgb(pixels: NDArray[Any], photometric: str, layout: PixelFormat) -> NDArray[Any]:
    if photometric not in ("RGB", "YBR_RCT", "YBR_ICT") or pixels.shape[3] != len("RGB"):
        raise UnsupportedPixelsError(f"{photometric} with {pixels.shape[3]} samples a pixel")
    if layout.bits_allocated > 2 * BYTE_BITS or layout.is_signed:
        raise UnsupportedPixelsError("colour of more than 16 bits or signed colour")
    if layout.bits_stored <= BYTE_BITS:
        return pixels.astype(np.uint8, copy=False)
    return pixels.astype(np.uint16, copy=False)
