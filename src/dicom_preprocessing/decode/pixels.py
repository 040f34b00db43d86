"""Stored values: from the pixel data element to frames, compared with the header first."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, RLELossless

from dicom_preprocessing.decode.bits import BYTE_BITS
from dicom_preprocessing.decode.codecs.components import components_by_header
from dicom_preprocessing.decode.codecs.registry import decode_stream
from dicom_preprocessing.decode.codecs.runner import (
    HIGH_BIT,
    IMAGE_WARNINGS,
    RESOLUTION_LEVEL,
    STATED_PHOTOMETRIC,
    UPPER_BITS,
    WIDE_PADDING,
    warn_of_second_stream,
)
from dicom_preprocessing.decode.codecs.samples import UpperBits
from dicom_preprocessing.decode.colour import PALETTE, Palette, read_palette, to_rgb
from dicom_preprocessing.decode.encapsulation import (
    Streams,
    find_stream_syntax,
    find_streams,
    make_unknown_stream_error,
)
from dicom_preprocessing.decode.facts import warn_of_infinite_values, warn_of_signed_values
from dicom_preprocessing.decode.fragments import is_in_parts, read_head
from dicom_preprocessing.decode.native import NativeReader, find_layout
from dicom_preprocessing.decode.padding import pixel_padding, restore_padding
from dicom_preprocessing.decode.pixel_format import SUBSAMPLED
from dicom_preprocessing.decode.reduced_resolution import reduce_codestream, reducible_levels
from dicom_preprocessing.decode.streams.info import StreamError
from dicom_preprocessing.decode.streams.jpeg_2000 import codestream_of, read_jpeg_2000
from dicom_preprocessing.decode.streams.second_stream import find_second_stream
from dicom_preprocessing.dicom.contradictions import decide
from dicom_preprocessing.dicom.transfer_syntaxes import (
    BIT_FOR_BIT,
    DEFLATED_IMAGE_FRAME,
    ENCAPSULATED_UNCOMPRESSED,
    JPEG_2000,
    NATIVE,
)
from dicom_preprocessing.errors import (
    ShortPixelDataError,
    UnsupportedPixelsError,
)
from dicom_preprocessing.image_warnings import ImageWarnings
from dicom_preprocessing.imaging.frames import LazyFrames
from dicom_preprocessing.imaging.geometry import Size
from dicom_preprocessing.imaging.sampling import halve

if TYPE_CHECKING:
    from pydicom.uid import UID

    from dicom_preprocessing.decode.padding import StoredPadding
    from dicom_preprocessing.decode.pixel_format import PixelFormat
    from dicom_preprocessing.dicom.description import Description
    from dicom_preprocessing.dicom.pixel_data import PixelData


EVERY_BIT: Final = (*NATIVE, *BIT_FOR_BIT)
"""Syntaxes that give every allocated bit; codecs of the others have masked or clipped samples by
the precision of their stream."""


def stored_frames(
    description: Description,
    pixel_format: PixelFormat,
    pixel_data: PixelData,
    warnings: ImageWarnings,
    level: int = 0,
) -> LazyFrames:
    """Return frames that are decoded when they are asked for.

    Parameters
    ----------
    description : Description
    pixel_format : PixelFormat
    pixel_data : PixelData
    warnings : ImageWarnings
        Takes those about streams, some only when a frame is asked for.
    level : int
        Halvings of width and height, at most ``count_reducible_levels``.

    Returns
    -------
    (n_frames, rows, columns, samples)
        Grey: stored values in the dtype of Bits Allocated, bits outside Bits Stored masked but
        for padding that has some.
        Colour and palette: RGB, uint8 or uint16. A frame that cannot be decoded raises a
        DecodeError when it is asked for.

    Raises
    ------
    UnsupportedTransferSyntaxError
        No decoder reads the transfer syntax.
    UnsupportedPixelsError
        The palette or the chroma cannot be used.
    ShortPixelDataError
        Bytes or fragments are fewer than the frames need.
    DecodeError
        Fragments do not follow each other, or contradict the transfer syntax.
    """
    if not pixel_data.value.length:
        raise ShortPixelDataError("the pixel data element is empty")
    size = halve(Size(pixel_format.columns, pixel_format.rows), level)
    streams = find_streams(description, pixel_format, pixel_data, warnings)
    padding = pixel_padding(description, pixel_format)
    wide = padding if padding is not None and padding.is_wide(pixel_format) else None
    upper_bits = UpperBits()
    if streams is None:
        decode = _make_native_decoder(description, pixel_format, pixel_data, warnings)
    else:
        options = decoder_options(description, pixel_format)
        options |= {"rows": size.height, "columns": size.width, RESOLUTION_LEVEL: level}
        options |= {IMAGE_WARNINGS: warnings, UPPER_BITS: upper_bits, WIDE_PADDING: wide}
        if padding is not None and not padding.can_occur(pixel_format):
            padding = None
        decode = _make_stream_decoder(streams, pixel_data, options, warnings, padding)
    palette = None
    if pixel_format.photometric_interpretation == PALETTE:
        bits, signed = pixel_format.bits_stored, pixel_format.is_signed
        palette = read_palette(description, bits, warnings, signed=signed)

    def make_frame(index: int) -> NDArray[Any]:
        samples, photometric, syntax = decode(index)
        samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
        # Masks come before colour, whose arithmetic would carry bits of an overlay into all three
        # samples.
        if pixel_format.bits_stored < pixel_format.bits_held and syntax in EVERY_BIT:
            samples = _take_stored_bits(samples, pixel_format, upper_bits, warnings, wide)
        if pixel_format.is_float and not np.isfinite(samples).all():
            warn_of_infinite_values(warnings)
        warn_of_signed_values(samples, pixel_format, warnings)
        return (
            samples
            if pixel_format.is_monochrome
            else _convert_to_rgb(samples, pixel_format, photometric, palette, warnings)
        )

    samples = pixel_format.samples_per_pixel if palette is None else len("RGB")
    shape = (pixel_format.number_of_frames, size.height, size.width, samples)
    # Frames that are needed twice are then read again, and not written to a temporary file.
    is_cheap = streams is None and _is_as_stored(description, pixel_format)
    return LazyFrames(shape, pixel_format.dtype, make_frame, is_cheap)


def _is_as_stored(description: Description, pixel_format: PixelFormat) -> bool:
    """Whether the pixels of a native frame need no conversion of colour or order."""
    if pixel_format.is_monochrome:
        return True
    is_rgb = pixel_format.photometric_interpretation == "RGB"
    return is_rgb and choose_planes(description, pixel_format) == 0


def count_reducible_levels(
    description: Description, pixel_format: PixelFormat, pixel_data: PixelData
) -> int:
    """Return how often width and height of all frames can be halved by decoding fewer levels.

    0 unless the transfer syntax is JPEG 2000 or HTJ2K.
    """
    syntax = description.transfer_syntax_uid
    # A reduced level has means of neighbours. A mean of two palette indices is the index of another
    # colour, and a single bit has no mean.
    has_means = pixel_format.photometric_interpretation != PALETTE and pixel_format.bits_stored > 1
    if syntax not in JPEG_2000 or not has_means:
        return 0
    streams = find_streams(description, pixel_format, pixel_data, ImageWarnings())
    frames = () if streams is None else streams.frames
    levels = 0
    with suppress(StreamError):  # decoding raises it again, with the frame
        levels = min(
            (_levels_of(pixel_data.stream(frame), pixel_format) for frame in frames), default=0
        )
    return levels


def _levels_of(stream: bytes, pixel_format: PixelFormat) -> int:
    """Return the levels that can be left out of one frame."""
    codestream = codestream_of(stream)
    # With another sign in the header 32767 and 32768 of the stream are 32767 and -32768, and the
    # mean of the first two, which a lower level has, is not that of the others.
    if read_jpeg_2000(codestream).is_signed != pixel_format.is_signed:
        return 0
    return reducible_levels(codestream)


def _convert_to_rgb(
    samples: NDArray[Any],
    pixel_format: PixelFormat,
    photometric: str,
    palette: Palette | None,
    warnings: ImageWarnings,
) -> NDArray[Any]:
    """Convert a frame to RGB from the Photometric Interpretation that its decoder gave."""
    if palette is not None:
        return palette(samples)
    # Codecs whose streams define colours have converted them.
    if photometric != "RGB":
        photometric = components_by_header(pixel_format.photometric_interpretation, warnings)
    return to_rgb(
        samples.astype(pixel_format.dtype, copy=False), photometric, pixel_format.bits_stored
    )


Decode = Callable[[int], tuple[NDArray[Any], str, "UID"]]
"""From a frame index to (rows, columns, samples), their Photometric Interpretation, and the
transfer syntax by which they were decoded."""


def _make_native_decoder(
    description: Description,
    pixel_format: PixelFormat,
    pixel_data: PixelData,
    warnings: ImageWarnings,
) -> Decode:
    """Make a decoder of uncompressed pixel data."""
    _require_bytes(pixel_data.value.length, pixel_format)
    syntax = description.transfer_syntax_uid
    if syntax not in NATIVE:
        is_little_endian = description.is_little_endian
        syntax = ExplicitVRLittleEndian if is_little_endian else ExplicitVRBigEndian
    is_little_endian = syntax != ExplicitVRBigEndian
    layout, fault = find_layout(pixel_format, pixel_data, is_little_endian=is_little_endian)
    if fault:
        message = f"the pixel data has the length of {fault}, not of Bits Allocated"
        warnings.add("bits_contradict_pixels", message)
    else:
        warn_of_excess_frames(pixel_format, pixel_data, warnings)
    has_planes = pixel_format.samples_per_pixel > 1
    reader = NativeReader(
        pixel_data,
        pixel_format,
        layout,
        is_little_endian=is_little_endian,
        is_planar=has_planes and choose_planes(description, pixel_format) == 1,
    )
    photometric = pixel_format.photometric_interpretation
    return lambda index: (reader.read_frame(index), photometric, syntax)


def _make_stream_decoder(
    streams: Streams,
    pixel_data: PixelData,
    options: dict[str, Any],
    warnings: ImageWarnings,
    padding: StoredPadding | None,
) -> Decode:
    """Make a decoder of encapsulated pixel data, by the codec of each stream."""
    frames = streams.frames
    length = sum(fragment.length for fragment in frames[0])
    first = find_stream_syntax(read_head(pixel_data, frames[0][0]), length, streams.syntax, options)
    if first is None:
        raise make_unknown_stream_error(streams.syntax)
    if first == RLELossless and is_in_parts(frames):
        warnings.add("rle_fragments", "a frame of RLE is in several fragments")

    def decode(index: int) -> tuple[NDArray[Any], str, UID]:
        stream = pixel_data.stream(frames[index])
        syntax = find_stream_syntax(stream, len(stream), streams.syntax, options)
        if syntax is None:
            raise make_unknown_stream_error(streams.syntax)
        streams.warn_of_kind(syntax, warnings)
        # Deflated and native frames have no signature; their decoders know their length.
        second = None
        if syntax not in (DEFLATED_IMAGE_FRAME, ENCAPSULATED_UNCOMPRESSED):
            second = find_second_stream(stream, options["samples_per_pixel"])
        if second is not None:
            warn_of_second_stream(warnings)
            stream = stream[:second]
        # Not by an option of the decoder: that came after the last imagecodecs for Python 3.11.
        if options[RESOLUTION_LEVEL]:
            stream = reduce_codestream(codestream_of(stream), options[RESOLUTION_LEVEL])
        samples, photometric = decode_stream(stream, syntax, options)
        # PS3.5 A.4.11 is little endian; native pixels that have fragments are in their own order.
        if streams.syntax == ExplicitVRBigEndian and syntax == ENCAPSULATED_UNCOMPRESSED:
            samples = samples.byteswap()
        if padding is not None:
            samples = restore_padding(samples, stream, syntax, padding, warnings)
        return samples, photometric, syntax

    return decode


def choose_planes(description: Description, pixel_format: PixelFormat) -> int | None:
    """Return Planar Configuration of native samples."""
    photometric = pixel_format.photometric_interpretation
    by_source = {
        "subsampled chroma": 0 if photometric in SUBSAMPLED else None,
        "PlanarConfiguration": description.pixel.planar_configuration.integer(),
    }
    return decide("planes", by_source).value


def decoder_options(description: Description, pixel_format: PixelFormat) -> dict[str, Any]:
    """Return the header, which is checked already, as options of pydicom's decoders."""
    photometric = pixel_format.photometric_interpretation
    return {
        "rows": pixel_format.rows,
        "columns": pixel_format.columns,
        "samples_per_pixel": pixel_format.samples_per_pixel,
        "number_of_frames": pixel_format.number_of_frames,
        # No codec packs samples of 12 bits.
        "bits_allocated": 1 if pixel_format.bits_allocated == 1 else pixel_format.bits_held,
        "bits_stored": pixel_format.bits_stored,
        HIGH_BIT: pixel_format.high_bit,
        "pixel_representation": int(pixel_format.is_signed),
        "planar_configuration": choose_planes(description, pixel_format),
        # pydicom has no partial range. The layout is the same: two chroma samples for two pixels.
        "photometric_interpretation": photometric.replace("PARTIAL_422", "FULL_422"),
        STATED_PHOTOMETRIC: photometric,
        "pixel_keyword": pixel_format.keyword,
        # No corrections by pydicom: this package has its own for sign (codecs.samples), the same
        # for every codec.
        "apply_j2k_sign_correction": False,
        "apply_jls_sign_correction": False,
    }


def _require_bytes(length: int, pixel_format: PixelFormat) -> None:
    """Raise an error unless native pixel data of this length can hold the frames."""
    if length < pixel_format.native_bytes:
        message = f"{length} of {pixel_format.native_bytes} bytes of pixel data are there"
        raise ShortPixelDataError(message)
    if pixel_format.photometric_interpretation in SUBSAMPLED:
        # PS3.3 C.7.6.3.1.2: chroma is sampled for pairs of pixels in a row.
        if pixel_format.columns % 2:
            raise UnsupportedPixelsError("subsampled chroma needs an even number of columns")
        # Some writers state 4:2:2 and write three samples for each pixel. Nothing says which of the
        # two is wrong.
        if length >= pixel_format.native_bytes // 2 * 3:
            raise UnsupportedPixelsError(
                f"{pixel_format.photometric_interpretation} with the bytes of three whole samples "
                "a pixel"
            )


def warn_of_excess_frames(
    pixel_format: PixelFormat, pixel_data: PixelData, warnings: ImageWarnings
) -> None:
    """Add a warning if native pixel data has more bytes than the frames of the header need."""
    # PS3.5 8.1.1: a byte of padding at the end of the value, not of each frame.
    needed = pixel_format.native_bytes + pixel_format.native_bytes % 2
    if pixel_data.value.length <= needed:
        return
    bits = pixel_format.stored_samples * pixel_format.bits_allocated
    frames = pixel_data.value.length * BYTE_BITS // bits
    stated = pixel_format.number_of_frames
    if frames > stated:
        message = f"there are {frames} frames, and Number of Frames is {stated}: others are ignored"
        warnings.add("excess_frames", message)
        return
    # Rows or Columns that are too low, with which the image is cut or sheared, show only here.
    needed = pixel_format.native_bytes
    message = f"the pixel data has {pixel_data.value.length} bytes, and the image needs {needed}"
    warnings.add("trailing_bytes", message)


def _take_stored_bits(
    pixels: NDArray[Any],
    pixel_format: PixelFormat,
    upper_bits: UpperBits,
    warnings: ImageWarnings,
    padding: StoredPadding | None = None,
) -> NDArray[Any]:
    """Take the Bits Stored bits up to High Bit, move them to bit 0, extend the sign, mask others.

    PS3.5 8.1.1. ``padding`` that has bits above Bits Stored stays as it is.
    """
    # Nearly every image has nothing in the other bits. Two reductions, 3 of the 31 ms of a native
    # mammogram, are cheaper than a masked copy.
    high_bit, stored = pixel_format.high_bit, pixel_format.bits_stored
    signed = pixel_format.is_signed
    low, high = int(pixels.min()) if signed else 0, int(pixels.max())
    if upper_bits.are_set(low, high, high_bit + 1, signed=signed):
        limit, value = ("Bits Stored", stored) if high_bit == stored - 1 else ("High Bit", high_bit)
        kept = "" if padding is None else ", but for padding"
        message = f"bits above {limit} {value} are set, and were masked{kept}"
        warnings.add("values_above_bits_stored", message)
    lowest, highest = pixel_format.stored_range
    if high_bit == stored - 1 and lowest <= low and high <= highest:
        return pixels
    _warn_of_low_bits(pixels, pixel_format, warnings)
    # The first shift drops what is above High Bit, the second what is below the stored bits, and
    # fills with the sign in signed dtypes.
    up = pixel_format.bits_held - 1 - high_bit
    down = pixel_format.bits_held - stored
    shifted: NDArray[Any] = np.right_shift(np.left_shift(pixels, up), down)
    if padding is None:
        return shifted
    return padding.keep_wide(pixels, shifted, pixel_format.bits_stored)


def _warn_of_low_bits(
    pixels: NDArray[Any], pixel_format: PixelFormat, warnings: ImageWarnings
) -> None:
    """Add a warning if bits below the stored bits are set."""
    high_bit, stored = pixel_format.high_bit, pixel_format.bits_stored
    # Of samples in the low bits, High Bit would take the highest only.
    if (pixels & ((1 << high_bit + 1 - stored) - 1)).any():
        message = f"bits below the {stored} up to High Bit {high_bit} are set, and were left out"
        warnings.add("bits_below_stored", message)
