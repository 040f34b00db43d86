"""From what a codec gives to stored values: integers of Bits Allocated, as the header has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dicom_preprocessing.decode.codecs.runner import RESOLUTION_LEVEL, shape_of
from dicom_preprocessing.decode.lookup_tables import BYTE_BITS
from dicom_preprocessing.decode.streams.info import StreamError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.pixels.decoders.base import DecodeRunner

OVERSHOOT: Final = 1.6
"""How far beyond their range samples of a reduced resolution may be; more is something else."""


def stored_values(
    values: NDArray[Any],
    runner: DecodeRunner,
    *,
    precision: int,
    is_signed: bool = False,
    is_lossless: bool,
) -> NDArray[Any]:
    """Samples of a stream as the header means them.

    Parameters
    ----------
    values : any shape, any integer dtype
        As decoded.
    runner : DecodeRunner
    precision : int
        Bits of a sample in the stream.
    is_signed : bool
        The stream says that its samples have a sign. Most kinds cannot tell.
    is_lossless : bool

    Returns
    -------
    Same shape; unsigned or signed integers of Bits Allocated, at least 8

    Raises
    ------
    StreamError
        The precision is above Bits Allocated.
    """
    bits = max(BYTE_BITS, runner.bits_allocated)
    if precision > bits:
        raise StreamError(f"the stream has {precision} bits a sample, the header allocates {bits}")
    has_sign = runner.pixel_representation == 1
    samples = values.astype(f"u{bits // BYTE_BITS}", copy=False)  # negative ones wrap around
    if has_sign:
        samples = samples.view(f"i{bits // BYTE_BITS}")
    if has_sign or is_signed:  # also where the header has no sign: the bits as they are
        samples = _low_bits(samples, precision, bits)
    if precision <= runner.bits_stored:
        return samples
    return _within_bits_stored(samples, runner, is_lossless=is_lossless)


def _within_bits_stored(
    samples: NDArray[Any], runner: DecodeRunner, *, is_lossless: bool
) -> NDArray[Any]:
    """Samples of more bits than the header says: masked or clipped where they use them."""
    stored = runner.bits_stored
    low = -(1 << stored - 1) if runner.pixel_representation == 1 else 0
    high = low + (1 << stored) - 1
    if samples.min() >= low and samples.max() <= high:
        return samples
    if runner.get_option(RESOLUTION_LEVEL):
        # What is left of an image without its finest levels overshoots a little at edges, also in a
        # lossless stream. Overlay bits are worth more, and leave nothing that could be masked.
        if samples.max() > OVERSHOOT * high or samples.min() < OVERSHOOT * low - high:
            raise StreamError("bits above Bits Stored are set: not with fast_decode")
    elif is_lossless:  # the writer's own bits, such as an old overlay, as in native data
        return _low_bits(samples, stored, max(BYTE_BITS, runner.bits_allocated))
    clipped: NDArray[Any] = np.clip(samples, low, high)
    return clipped


def _low_bits(samples: NDArray[Any], count: int, bits: int) -> NDArray[Any]:
    """The low ``count`` of ``bits`` bits, the highest of them the sign of signed samples."""
    if count == bits:
        return samples
    low: NDArray[Any] = samples << (bits - count)
    low >>= bits - count
    return low


def unpack_allocated_bits(data: bytes | bytearray, runner: DecodeRunner) -> NDArray[Any]:
    """Every allocated bit, as native data has them; single bits spread to a byte each.

    Parameters
    ----------
    data : bytes
        A frame, with at most one byte of padding behind it.
    runner : DecodeRunner
        Its Planar Configuration is that of ``data``.

    Returns
    -------
    (rows, columns, samples), integers of Bits Allocated, at least 8

    Raises
    ------
    StreamError
        The frame is shorter or longer.
    """
    expected = int(runner.frame_length("bytes"))
    if not expected <= len(data) <= expected + 1:
        raise StreamError(f"the stream holds {len(data)} bytes, the header says {expected}")
    if runner.bits_allocated == 1:  # packed from the lowest bit of a byte on (PS3.5 8.1.1)
        content = np.frombuffer(data, np.uint8, expected)
        pixels = int(runner.frame_length("pixels"))
        return np.unpackbits(content, bitorder="little", count=pixels).reshape(shape_of(runner))
    itemsize = runner.bits_allocated // BYTE_BITS
    samples = np.frombuffer(data, runner.pixel_dtype, expected // itemsize)
    if runner.samples_per_pixel > 1 and runner.planar_configuration == 1:
        rows, columns, n = shape_of(runner)
        return np.ascontiguousarray(samples.reshape(n, rows, columns).transpose(1, 2, 0))
    return samples.reshape(shape_of(runner))
