"""From decoded samples to stored values: integers of Bits Allocated with the header's sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dicom_preprocessing.decode.bits import BYTE_BITS, find_range
from dicom_preprocessing.decode.codecs.runner import (
    HIGH_BIT,
    RESOLUTION_LEVEL,
    UPPER_BITS,
    WIDE_PADDING,
    shape_of,
    warnings_of,
)
from dicom_preprocessing.decode.planes import interleave
from dicom_preprocessing.decode.streams.info import StreamError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.pixels.decoders.base import DecodeRunner

    from dicom_preprocessing.decode.padding import StoredPadding

CLIPPED_PART: Final = 8
"""Part of the range by which values of a lossy stream may exceed it: more is no overshoot."""

OVERSHOOT: Final = 1.6
"""Factor by which samples of a reduced resolution may exceed their range; above are other bits."""


@dataclass(slots=True)
class UpperBits:
    """What the samples of an image have in the allocated bits above those that are stored.

    A negative value of 12 bits in 16 may have copies of its sign in the four others, or zeros, but
    not one value this and another that: 3071 beside -1000 is no value of 12 bits.

    Parameters
    ----------
    has_copies : bool
        Whether there are negative values with copies of the sign.
    has_zeros : bool
        Whether there are values that are negative if zeros are above their sign.
    """

    has_copies: bool = False
    has_zeros: bool = False

    def are_set(self, low: int, high: int, stored: int, *, signed: bool) -> bool:
        """Whether bits above the stored ones are set, which are not copies of the sign.

        Parameters
        ----------
        low, high : int
            Lowest and highest sample of a frame, of all allocated bits.
        stored : int
        signed : bool
        """
        if not signed:
            return high >= 1 << stored
        half = 1 << stored - 1
        # Other threads have other frames. The last one that sets a flag sees both.
        if low < 0:
            self.has_copies = True
        if high >= half:
            self.has_zeros = True
        return high >= 2 * half or low < -half or (self.has_copies and self.has_zeros)


def stored_values(
    values: NDArray[Any],
    runner: DecodeRunner,
    *,
    precision: int,
    is_signed: bool = False,
    is_lossless: bool,
) -> NDArray[Any]:
    """Convert the samples of a stream to stored values.

    Parameters
    ----------
    values : any shape, any integer dtype
        As decoded.
    runner : DecodeRunner
    precision : int
        Bits of a sample in the stream.
    is_signed : bool
        Whether the stream says that samples have a sign; only JPEG 2000 can.
    is_lossless : bool
        Whether higher values than Bits Stored allows are masked, not clipped.

    Returns
    -------
    Same shape; unsigned or signed integers of Bits Allocated, at least 8

    Raises
    ------
    StreamError
        The precision is above Bits Allocated.
    """
    bits = max(BYTE_BITS, runner.bits_allocated)
    # Values may not fit: to cut them would give a wrong image, and no error.
    if precision > bits:
        raise StreamError(f"the stream has {precision} bits a sample, the header allocates {bits}")
    has_sign = runner.pixel_representation == 1
    # Two's complement (PS3.5 8.1.1), in which a negative value is its bits as an unsigned one.
    samples = values.astype(f"u{bits // BYTE_BITS}", copy=False)
    if has_sign:
        samples = samples.view(f"i{bits // BYTE_BITS}")
    # The sign is the highest bit of the precision, not of Bits Allocated: -1 in 12 bits is 4095
    # from a decoder of unsigned samples. Under an unsigned header the bits above are cleared.
    if has_sign or is_signed:
        samples = _take_low_bits(samples, precision, bits)
    if precision < runner.bits_stored:
        _warn_of_precision(samples, runner, precision, is_signed=is_signed)
    if precision <= runner.bits_stored:
        return samples
    # PS3.5 8.1.1: stored bits that end at High Bit, in a stream that has all bits up to it.
    high_bit = runner.get_option(HIGH_BIT, runner.bits_stored - 1)
    if runner.bits_stored <= high_bit < precision:
        samples = samples >> (high_bit + 1 - runner.bits_stored)
    return _limit_to_bits_stored(samples, runner, is_lossless=is_lossless)


def _warn_of_precision(
    samples: NDArray[Any], runner: DecodeRunner, precision: int, *, is_signed: bool
) -> None:
    """Warn of samples with fewer bits than Bits Stored, where these change what they mean.

    The sign may be the highest bit of the precision or of Bits Stored, unless the stream says so
    (PS3.5 8.1.1); and white is the highest value of the precision, while colour is written in the
    range of Bits Stored. Grey values without a sign are the same in more bits.
    """
    stored = runner.bits_stored
    is_colour = runner.samples_per_pixel > 1
    gets_sign = runner.pixel_representation == 1 and not is_signed and samples.min() < 0
    if not (is_colour or gets_sign):
        return
    message = f"the stream has {precision} bits a sample, Bits Stored is {stored}: "
    message += "the highest of the fewer is the sign" if gets_sign else "values stay as they are"
    warnings_of(runner).add("precision_below_bits_stored", message)


def _limit_to_bits_stored(
    samples: NDArray[Any], runner: DecodeRunner, *, is_lossless: bool
) -> NDArray[Any]:
    """Mask or clip samples of a stream with a precision above Bits Stored."""
    stored, has_sign = runner.bits_stored, runner.pixel_representation == 1
    low, high = find_range(stored, signed=has_sign)
    # Unsigned ones are not searched for values below 0, which takes a millisecond for a mammogram.
    lowest, highest = int(samples.min()) if has_sign else 0, int(samples.max())
    is_exact = is_lossless and not runner.get_option(RESOLUTION_LEVEL)
    if is_exact and _upper_bits_of(runner).are_set(lowest, highest, stored, signed=has_sign):
        kept = "" if runner.get_option(WIDE_PADDING) is None else ", but for padding"
        message = f"bits above Bits Stored {stored} are set, and were masked{kept}"
        warnings_of(runner).add("values_above_bits_stored", message)
    # Nearly every image: to mask it would be a copy for nothing.
    if low <= lowest and highest <= high:
        return samples
    if runner.get_option(RESOLUTION_LEVEL):
        # An image without its finest levels overshoots a little at edges, also from a lossless
        # stream, and is clipped. Overlay bits are worth more than the range, and are mixed into
        # their neighbours, so that no mask removes them.
        if highest > OVERSHOOT * high or lowest < OVERSHOOT * low - high:
            raise StreamError("bits above Bits Stored are set, which fast_decode does not read")
    # Bits above Bits Stored may be an overlay, as in native data (retired, PS3.5 8.1.2 of 2004).
    elif is_lossless:
        masked = _take_low_bits(samples, stored, max(BYTE_BITS, runner.bits_allocated))
        padding: StoredPadding | None = runner.get_option(WIDE_PADDING)
        return masked if padding is None else padding.keep_wide(samples, masked, stored)
    else:
        _warn_of_clipped(samples, low, high, runner)
    clipped: NDArray[Any] = np.clip(samples, low, high)
    return clipped


def _warn_of_clipped(samples: NDArray[Any], low: int, high: int, runner: DecodeRunner) -> None:
    """Warn of samples that are too far outside of their range for overshoot of a lossy stream."""
    slack = (high - low) // CLIPPED_PART
    if samples.max() > high + slack or samples.min() < low - slack:
        message = (
            f"values of the stream from {samples.min()} to {samples.max()} do not fit Bits Stored "
            f"{runner.bits_stored}, and were clipped"
        )
        warnings_of(runner).add("values_above_bits_stored", message)


def _upper_bits_of(runner: DecodeRunner) -> UpperBits:
    """Return what is known of the upper bits of the image, of one frame if nothing else."""
    upper: UpperBits = runner.get_option(UPPER_BITS) or UpperBits()
    return upper


def _take_low_bits(samples: NDArray[Any], count: int, bits: int) -> NDArray[Any]:
    """Take the low ``count`` of ``bits`` bits, with the highest of them as sign if signed."""
    if count == bits:
        return samples
    # The shift back to the right extends the sign of signed dtypes.
    low: NDArray[Any] = samples << (bits - count)
    low >>= bits - count
    return low


def unpack_allocated_bits(data: bytes | bytearray, runner: DecodeRunner) -> NDArray[Any]:
    """Unpack a frame with the layout of native data, with every allocated bit.

    Parameters
    ----------
    data : bytes
        A frame, and at most one byte of padding.
    runner : DecodeRunner
        Its Planar Configuration is that of ``data``.

    Returns
    -------
    (rows, columns, samples), integers of Bits Allocated, at least 8; single bits are 0 and 1

    Raises
    ------
    StreamError
        The frame is shorter or longer.
    """
    expected = int(runner.frame_length("bytes"))
    if not expected <= len(data) <= expected + 1:
        raise StreamError(f"the stream holds {len(data)} bytes, the header says {expected}")
    # Single bits are packed from the least significant bit of each byte on (PS3.5 8.1.1).
    if runner.bits_allocated == 1:
        content = np.frombuffer(data, np.uint8, expected)
        pixels = int(runner.frame_length("pixels"))
        return np.unpackbits(content, bitorder="little", count=pixels).reshape(shape_of(runner))
    itemsize = runner.bits_allocated // BYTE_BITS
    samples = np.frombuffer(data, runner.pixel_dtype, expected // itemsize)
    if runner.samples_per_pixel > 1 and runner.planar_configuration == 1:
        rows, columns, n = shape_of(runner)
        return interleave(samples.reshape(n, rows, columns))
    return samples.reshape(shape_of(runner))
