"""Decoders of encapsulated pixel data, plugins as pydicom has them: imagecodecs before pylibjpeg.

pylibjpeg is asked for RLE and JPEG 2000 only: its JPEG and JPEG-LS decoder fills up broken streams
without a word.

A plugin gives stored values in the dtype that the header states, so that it does not matter which
one decoded a frame. Where header and stream disagree:

- Samples have the stream's precision. A signed header makes a sign of the highest bit, an unsigned
  one takes the bits as they are.
- A precision above Bits Stored: bits above Bits Stored are masked if the stream is lossless, as in
  native data; values of a lossy stream are clipped to the range of Bits Stored, since what overshot
  must not wrap around.
- A precision above Bits Allocated, or other rows, columns or samples, is an error.
- Three components of a JPEG stream are what its Adobe marker says, else YCbCr if it has a JFIF
  marker, else RGB if they are named so, else YCbCr if they are sampled differently, else what
  Photometric Interpretation says.
- A JPEG 2000 stream with a component transform is RGB when decoded, whatever the header says.
- A stream without its end marker is decoded if nothing else is missing.
"""

from __future__ import annotations

import sys
import threading
import zlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.decoders import pylibjpeg
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
    RLELossless,
)

from dicom_preprocessing.decode.colour import YBR_FULL, to_rgb
from dicom_preprocessing.decode.streams import (
    END,
    StreamError,
    StreamInfo,
    codestream_of,
    may_lack_its_end,
    read_jpeg,
    read_jpeg_2000,
    require_rle_segments,
)
from dicom_preprocessing.decode.tables import BYTE_BITS
from dicom_preprocessing.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFLATED_IMAGE_FRAME: Final = UID("1.2.840.10008.1.2.8.1")

# Retired processes of T.81 that libjpeg-turbo reads: arithmetic coding, spectral selection, full
# progression (PS3.5 2001, Annex A.4.1).
RETIRED_JPEG: Final = tuple(UID(f"1.2.840.10008.1.2.4.{n}") for n in (52, 53, 54, 55, 56))
JPEG_XL: Final = tuple(UID(f"1.2.840.10008.1.2.4.{n}") for n in (110, 111, 112))
JPEG_XL_LOSSLESS: Final = JPEG_XL[0]

JPEG: Final = (
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    *RETIRED_JPEG,
)
HTJ2K_REVERSIBLE: Final = (HTJ2KLossless, HTJ2KLosslessRPCL)
JPEG_2000: Final = (JPEG2000Lossless, JPEG2000, *HTJ2K_REVERSIBLE, HTJ2K)
NATIVE: Final = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)

SECOND_CHOICE: Final = (*JPEG_2000, RLELossless)
"""What pylibjpeg is asked for where imagecodecs fails."""

STATED_PHOTOMETRIC: Final = "stated_photometric_interpretation"
"""Option of a runner: Photometric Interpretation as the header has it."""

UNLIKELY: Final = b"\x55" * 64
"""Bytes that no decoder fills up with."""

RESOLUTION_LEVEL: Final = "resolution_level"
"""Option of a runner: halvings of width and height at which to decode (JPEG 2000 and HTJ2K)."""

OVERSHOOT: Final = 1.6
"""How far beyond their range samples of a reduced resolution may be; more is something else."""

MESSAGE_LIMIT: Final = 500

Codec = Callable[[], NDArray[Any]]
Plugin = Callable[[bytes, DecodeRunner], NDArray[Any]]

ENCAPSULATED: Final = frozenset(
    (*JPEG, *JPEGLSTransferSyntaxes, *JPEG_2000, *JPEG_XL, RLELossless, DEFLATED_IMAGE_FRAME)
)
"""Transfer syntaxes of which frames can be decoded here."""


class _LaterTransferSyntax(UID):
    """A transfer syntax that is younger than pydicom's dictionary."""

    @property
    def is_transfer_syntax(self) -> bool:
        return True


def plugins_of(syntax: UID) -> dict[str, Plugin]:
    """The decoders of a transfer syntax, in the order in which they are tried.

    Not those that other installed packages add to pydicom's: results depend on the packages that
    this project requires, and on no others.
    """
    if syntax not in ENCAPSULATED:
        return {}
    plugins: dict[str, Plugin] = {"imagecodecs": decode_frame}
    if syntax in SECOND_CHOICE and pylibjpeg.is_available(syntax):
        plugins["pylibjpeg"] = decode_frame_with_pylibjpeg
    return plugins


def decode_stream(
    stream: bytes, syntax: UID, options: Mapping[str, Any]
) -> tuple[NDArray[Any], str]:
    """Decode a frame with the first decoder that can.

    Parameters
    ----------
    stream : bytes
    syntax : UID
        One of ``ENCAPSULATED``.
    options : mapping
        The header, as pydicom's decoders take it.

    Returns
    -------
    (rows, columns, samples)
        Stored values.
    str
        Photometric Interpretation of the result.

    Raises
    ------
    DecodeError
        No decoder could.
    """
    messages = []
    for name, plugin in plugins_of(syntax).items():
        runner = runner_of(syntax, options)
        try:
            values = plugin(stream, runner)
        except (MemoryError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  # codecs raise anything, even a panic
            messages.append(f"{name}: {type(error).__name__}: {error}")
        else:
            return values, str(runner.photometric_interpretation)
    raise DecodeError("; ".join(messages)[:MESSAGE_LIMIT])


def runner_of(syntax: UID, options: Mapping[str, Any]) -> DecodeRunner:
    """What pydicom hands to plugins: the header, which they may correct."""
    runner = DecodeRunner(_LaterTransferSyntax(syntax))
    runner.set_options(**options)
    return runner


def decode_frame(source: bytes, runner: DecodeRunner) -> NDArray[Any]:
    """Decode a frame with imagecodecs.

    Parameters
    ----------
    source : bytes
        The stream of one frame.
    runner : DecodeRunner
        Knows the header. Its Photometric Interpretation is set to that of the result.

    Returns
    -------
    (rows, columns, samples), integers of Bits Allocated
        Stored values.

    Raises
    ------
    Exception
        Whatever a codec raises on a bad stream.
    """
    syntax = runner.transfer_syntax
    if syntax in BIT_FOR_BIT:
        return _bit_for_bit(BIT_FOR_BIT[syntax](source, runner), runner)
    info, decode = _prepare(source, runner)
    values = np.asarray(decode())
    _require_shape(values.shape, runner)
    return stored_values(values.reshape(_shape(runner)), info, runner)


def decode_frame_with_pylibjpeg(source: bytes, runner: DecodeRunner) -> NDArray[Any]:
    """Decode a frame with pylibjpeg, see ``decode_frame``."""
    syntax = runner.transfer_syntax
    if syntax in BIT_FOR_BIT:
        frame = pylibjpeg._decode_frame(source, runner)  # noqa: SLF001  # pydicom's plugin
        return _bit_for_bit(bytes(frame), runner)
    allocated = runner.bits_allocated
    info, _ = _prepare(source, runner)
    runner.set_option("j2k_precision", info.precision)
    frame = pylibjpeg._decode_frame(source, runner)  # noqa: SLF001  # pydicom's plugin
    values = np.frombuffer(frame, runner.pixel_dtype)
    runner.set_option("bits_allocated", allocated)
    return stored_values(values.reshape(_shape(runner)), info, runner)


def stored_values(values: NDArray[Any], info: StreamInfo, runner: DecodeRunner) -> NDArray[Any]:
    """Samples of a stream as the header means them; the rules are at the top of this module.

    Parameters
    ----------
    values : any shape, any integer dtype
        As decoded.

    Returns
    -------
    Same shape; unsigned or signed integers of Bits Allocated, at least 8

    Raises
    ------
    StreamError
        The precision is above Bits Allocated.
    """
    bits = max(BYTE_BITS, runner.bits_allocated)
    stored, precision = runner.bits_stored, info.precision
    is_signed = runner.pixel_representation == 1
    if precision > bits:
        raise StreamError(f"the stream has {precision} bits a sample, the header allocates {bits}")
    samples = values.astype(f"u{bits // BYTE_BITS}", copy=False)  # negative ones wrap around
    if is_signed:
        samples = samples.view(f"i{bits // BYTE_BITS}")
    if is_signed or info.is_signed:
        samples = _low_bits(samples, precision, bits)
    if precision <= stored:
        return samples
    low = -(1 << stored - 1) if is_signed else 0
    high = low + (1 << stored) - 1
    if samples.min() >= low and samples.max() <= high:
        return samples
    if runner.get_option(RESOLUTION_LEVEL):
        if samples.max() > OVERSHOOT * high or samples.min() < OVERSHOOT * low - high:
            raise StreamError("bits above Bits Stored are set: not with fast_decode")
    elif info.is_lossless:
        return _low_bits(samples, stored, bits)
    clipped: NDArray[Any] = np.clip(samples, low, high)
    return clipped


def _low_bits(samples: NDArray[Any], count: int, bits: int) -> NDArray[Any]:
    """The low ``count`` of ``bits`` bits, the highest of them the sign of signed samples."""
    if count == bits:
        return samples
    low: NDArray[Any] = samples << (bits - count)
    low >>= bits - count
    return low


def _shape(runner: DecodeRunner) -> tuple[int, int, int]:
    return runner.rows, runner.columns, runner.samples_per_pixel


def _prepare(source: bytes, runner: DecodeRunner) -> tuple[StreamInfo, Codec]:
    """Read a stream's markers, see that it is whole, and choose the codec."""
    syntax = runner.transfer_syntax
    if syntax in JPEG_2000:
        return _prepare_jpeg_2000(source, runner)
    if syntax in JPEG_XL:
        return _prepare_jpeg_xl(source, runner)
    info = read_jpeg(source)
    _require_shape((info.rows, info.columns, info.components), runner)
    if syntax in JPEGLSTransferSyntaxes:
        return info, partial(imagecodecs.jpegls_decode, source if info.is_ended else source + END)
    return info, partial(
        _decode_jpeg, source if info.is_ended else _ended_jpeg(source), info, runner
    )


def _require_shape(shape: tuple[int, ...], runner: DecodeRunner) -> None:
    """Compare rows, columns and samples, before a decoder is asked for what nobody wants."""
    rows, columns, samples = (*shape, 1)[:3]
    stated = (runner.rows, runner.columns, runner.samples_per_pixel)
    if (rows, columns, samples) != stated:
        found, wanted = f"{rows} x {columns} x {samples}", " x ".join(map(str, stated))
        raise StreamError(f"the stream holds {found}, the header says {wanted}")


def _prepare_jpeg_2000(source: bytes, runner: DecodeRunner) -> tuple[StreamInfo, Codec]:
    codestream = codestream_of(source)
    info = read_jpeg_2000(codestream)
    _require_shape((info.rows, info.columns, info.components), runner)
    if info.colour is not None and info.components > 1:
        runner.set_option("photometric_interpretation", info.colour)
    if not info.is_ended:
        codestream += END
    # OpenJPH lets values of irreversible streams that overshoot wrap around; OpenJPEG clips them.
    is_reversible = runner.transfer_syntax in HTJ2K_REVERSIBLE and info.is_lossless
    if runner.get_option(RESOLUTION_LEVEL):  # neither do they in reversible ones then
        is_reversible = False
    if is_reversible and info.is_measured and not info.is_signed:
        return info, partial(_decode_htj2k, codestream)
    return info, partial(imagecodecs.jpeg2k_decode, codestream, numthreads=1)


IGNORED = threading.local()
"""What ``_note_ignored`` noted in this thread while it was ``watching``."""

PRINT_IGNORED = sys.unraisablehook


def _note_ignored(args: sys.UnraisableHookArgs) -> None:
    """Note an exception that Python would print and forget."""
    if getattr(IGNORED, "watching", False):
        IGNORED.error = args.exc_value
    else:
        PRINT_IGNORED(args)


def _decode_htj2k(codestream: bytes) -> NDArray[Any]:
    """Decode with OpenJPH; its errors reach Python as ignored exceptions, with a blank image."""
    sys.unraisablehook = _note_ignored
    IGNORED.watching, IGNORED.error = True, None
    try:
        values = np.asarray(imagecodecs.htj2k_decode(codestream))
    finally:
        IGNORED.watching = False
    if IGNORED.error is not None:
        raise StreamError(f"the HTJ2K codestream is damaged: {IGNORED.error}")
    return values


def _prepare_jpeg_xl(source: bytes, runner: DecodeRunner) -> tuple[StreamInfo, Codec]:
    """Samples have the stream's own depth, and are RGB in all but lossless streams."""
    is_lossless = runner.transfer_syntax == JPEG_XL_LOSSLESS
    if runner.samples_per_pixel > 1 and not is_lossless:
        runner.set_option("photometric_interpretation", "RGB")
    info = StreamInfo(
        rows=runner.rows,
        columns=runner.columns,
        components=runner.samples_per_pixel,
        precision=max(BYTE_BITS, runner.bits_allocated),
        is_signed=None,
        is_lossless=is_lossless,
        colour=None,
        is_ended=True,  # the codec sees to that
    )
    return info, partial(imagecodecs.jpegxl_decode, source, numthreads=1)


def _ended_jpeg(source: bytes) -> bytes:
    """The stream with an end marker, if nothing else is missing.

    A decoder that reaches the end early fills up; then it matters what follows the stream.
    """
    ended, decode = source + END, imagecodecs.jpeg8_decode
    if may_lack_its_end(source) and np.array_equal(decode(ended), decode(source + UNLIKELY + END)):
        return ended
    raise StreamError("the stream has no end marker: it was cut")


def _decode_jpeg(source: bytes, info: StreamInfo, runner: DecodeRunner) -> NDArray[Any]:
    """Grey values, or RGB whatever the stream holds."""
    if runner.samples_per_pixel == 1:
        return np.asarray(imagecodecs.jpeg8_decode(source))
    stated = str(runner.get_option(STATED_PHOTOMETRIC) or runner.photometric_interpretation)
    coded = info.colour or stated
    runner.set_option("photometric_interpretation", "RGB")
    if coded == YBR_FULL and not info.is_lossless:  # libjpeg's own conversion is faster
        return np.asarray(imagecodecs.jpeg8_decode(source, colorspace="YCBCR", outcolorspace="RGB"))
    raw = np.asarray(imagecodecs.jpeg8_decode(source, colorspace="RGB", outcolorspace="RGB"))
    return to_rgb(raw, coded, info.precision)


def _bit_for_bit(data: bytes | bytearray, runner: DecodeRunner) -> NDArray[Any]:
    """Every allocated bit, as native data has them; single bits spread to a byte each."""
    expected = int(runner.frame_length("bytes"))
    if not expected <= len(data) <= expected + 1:  # a byte of padding
        raise StreamError(f"the stream holds {len(data)} bytes, the header says {expected}")
    if runner.bits_allocated == 1:
        content = np.frombuffer(data, np.uint8, expected)
        pixels = int(runner.frame_length("pixels"))
        return np.unpackbits(content, bitorder="little", count=pixels).reshape(_shape(runner))
    itemsize = runner.bits_allocated // BYTE_BITS
    samples = np.frombuffer(data, runner.pixel_dtype, expected // itemsize)
    if runner.samples_per_pixel > 1 and runner.planar_configuration == 1:
        rows, columns, n = _shape(runner)
        return np.ascontiguousarray(samples.reshape(n, rows, columns).transpose(1, 2, 0))
    return samples.reshape(_shape(runner))


def _unpack_rle(source: bytes, runner: DecodeRunner) -> bytes | bytearray:
    """RLE (PS3.5 Annex G), whose segments are planes of bytes, the highest first."""
    runner.set_option("planar_configuration", 1)
    itemsize = max(BYTE_BITS, runner.bits_allocated) // BYTE_BITS
    require_rle_segments(source, itemsize * runner.samples_per_pixel)
    dtype = f"<u{itemsize}"
    return imagecodecs.dicomrle_decode(source, dtype)


def _inflate(source: bytes, runner: DecodeRunner) -> bytes:
    """Deflated Image Frame Compression (PS3.5 A.4.13)."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    data = inflater.decompress(source, int(runner.frame_length("bytes")) + 2)
    if not inflater.eof and inflater.unconsumed_tail == b"":
        raise StreamError("the deflated frame is cut")
    return data


BIT_FOR_BIT: Final = {RLELossless: _unpack_rle, DEFLATED_IMAGE_FRAME: _inflate}
"""Codecs that know nothing of pixels."""
