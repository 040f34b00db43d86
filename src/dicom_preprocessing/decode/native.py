"""Frames of uncompressed pixel data (PS3.5 8.1), which need not start at a byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from dicom_preprocessing.decode.bits import BYTE_BITS
from dicom_preprocessing.decode.pixel_format import SUBSAMPLED
from dicom_preprocessing.decode.planes import interleave

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dicom_preprocessing.decode.pixel_format import PixelFormat
    from dicom_preprocessing.dicom.pixel_data import PixelData

PACKED_BITS: Final = 12
"""Bits Allocated of two samples in three bytes (retired, PS3.5 8.1.1 of 2004)."""


class Layout(NamedTuple):
    """Where native samples are: bits of each, and bits from a frame to the next one."""

    sample_bits: int
    frame_bits: int

    def measure(self, number_of_frames: int) -> int:
        """Return the bytes of frames, without padding."""
        return -(-self.frame_bits * number_of_frames // BYTE_BITS)


def find_layout(
    pixel_format: PixelFormat, pixel_data: PixelData, *, is_little_endian: bool
) -> tuple[Layout, str]:
    """Find the layout of samples that have no whole bytes, by the length of the pixel data.

    Where the length is that of several layouts, the bits decide that a layout leaves out: they are
    padding, which is 0, unless it is another one.

    Returns
    -------
    Layout
        That of the header, unless the length is just that of whole bytes for each sample, or of
        frames that start at bytes.
    str
        What contradicts the header, empty if nothing does.
    """
    bits, count = pixel_format.bits_allocated, pixel_format.stored_samples
    stated = Layout(bits, count * bits)
    if bits % BYTE_BITS == 0:
        return stated, ""

    def is_padded(layout: Layout) -> bool:
        reader = NativeReader(
            pixel_data, pixel_format, layout, is_little_endian=is_little_endian, is_planar=False
        )
        return reader.has_empty_gaps()

    aligned = Layout(bits, -(-count * bits // BYTE_BITS) * BYTE_BITS)
    may_be_aligned = aligned != stated and _has_length(pixel_data, pixel_format, aligned)
    apart = aligned, "frames that start at bytes"
    if _has_length(pixel_data, pixel_format, stated):
        # The length is the same if all gaps between frames are a byte at most.
        is_aligned = may_be_aligned and not is_padded(stated) and is_padded(aligned)
        return apart if is_aligned else (stated, "")
    whole = Layout(pixel_format.bits_held, count * pixel_format.bits_held)
    if _has_length(pixel_data, pixel_format, whole) and _has_few_bits(
        pixel_data, pixel_format, is_little_endian=is_little_endian
    ):
        return whole, f"samples of {whole.sample_bits} bits"
    # Packed frames explain the length if they are more than stated, or if padding follows.
    if may_be_aligned and (
        is_padded(aligned) or not (_has_more_frames(pixel_data, stated) or is_padded(stated))
    ):
        return apart
    return stated, ""


def _has_more_frames(pixel_data: PixelData, layout: Layout) -> bool:
    """Whether the pixel data has the length of some number of frames."""
    length = pixel_data.value.length
    return length - layout.measure(length * BYTE_BITS // layout.frame_bits) in (0, 1)


def _has_length(pixel_data: PixelData, pixel_format: PixelFormat, layout: Layout) -> bool:
    """Whether the pixel data has the length of a layout, and at most a byte of padding."""
    length = layout.measure(pixel_format.number_of_frames)
    return pixel_data.value.length - length in (0, 1)


def _has_few_bits(
    pixel_data: PixelData, pixel_format: PixelFormat, *, is_little_endian: bool
) -> bool:
    """Whether whole bytes or words have nothing but a sign above Bits Allocated."""
    bits, held = pixel_format.bits_allocated, pixel_format.bits_held
    content = pixel_data.source.read(*pixel_data.value)
    dtype = np.dtype(f"{'<' if is_little_endian else '>'}u{held // BYTE_BITS}")
    words = np.frombuffer(content, dtype, len(content) // dtype.itemsize)
    above, all_set = words >> bits, (1 << held - bits) - 1
    return bool(((above == 0) | (above == all_set)).all())


@dataclass(frozen=True, slots=True, eq=False)
class NativeReader:
    """Reads frames of native pixel data.

    Parameters
    ----------
    pixel_data : PixelData
    pixel_format : PixelFormat
    layout : Layout
    is_little_endian : bool
        Byte order of the pixel data.
    is_planar : bool
        Whether the samples of a frame are in planes (Planar Configuration 1).
    """

    pixel_data: PixelData
    pixel_format: PixelFormat
    layout: Layout
    is_little_endian: bool
    is_planar: bool

    def read_frame(self, index: int) -> NDArray[Any]:
        """Read a frame.

        Returns
        -------
        (rows, columns, samples)
            Every allocated bit, in the dtype of Bits Allocated; single bits are 0 and 1, packed
            ones have their sign. Chroma that is sampled for two pixels is repeated.
        """
        pixel_format = self.pixel_format
        shape = (pixel_format.rows, pixel_format.columns, pixel_format.samples_per_pixel)
        if pixel_format.photometric_interpretation in SUBSAMPLED:
            return _repeat_chroma(self._read_samples(index), shape)
        samples = self._read_samples(index)
        if self.is_planar and pixel_format.samples_per_pixel > 1:
            return interleave(samples.reshape(shape[2], shape[0], shape[1]))
        return samples.reshape(shape)

    def has_empty_gaps(self) -> bool:
        """Whether the bits behind each frame, up to the next one or the end, are 0.

        Only the last bytes are read where there are no gaps between frames.
        """
        length, frame_bits = self.pixel_data.value.length, self.layout.frame_bits
        used = self.pixel_format.stored_samples * self.layout.sample_bits
        n = self.pixel_format.number_of_frames
        start, last = divmod((n - 1) * frame_bits + used, BYTE_BITS)
        behind = self._read_bytes(start, length)
        if len(behind) and (behind[0] >> last or behind[1:].any()):
            return False
        if used == frame_bits:
            return True
        starts = (i * frame_bits // BYTE_BITS for i in range(n - 1))
        spans = ((s + used // BYTE_BITS, s + frame_bits // BYTE_BITS) for s in starts)
        return all(
            gap[0] >> used % BYTE_BITS == 0 and not gap[1:].any()
            for gap in (self._read_bytes(*span) for span in spans)
        )

    def _read_samples(self, index: int) -> NDArray[Any]:
        """Read the samples of a frame in the order in which they are stored."""
        bits, count = self.layout.sample_bits, self.pixel_format.stored_samples
        first = index * self.layout.frame_bits
        start, stop = first // BYTE_BITS, -(-(first + count * bits) // BYTE_BITS)
        if bits == 1:
            unpacked = np.unpackbits(self._read_bytes(start, stop), bitorder="little")
            skipped = first % BYTE_BITS
            return unpacked[skipped : skipped + count]
        if bits == PACKED_BITS:
            packed = self._read_bytes(start, stop)
            return _unpack_twelve(packed, first % BYTE_BITS, count, self.pixel_format.stored_dtype)
        dtype = self.pixel_format.stored_dtype.newbyteorder("<" if self.is_little_endian else ">")
        samples = self._read_bytes(start, stop).view(dtype)
        return samples.astype(dtype.newbyteorder("="), copy=False)

    def _read_bytes(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Read bytes of the value, in the order in which samples of up to 8 bits are stored."""
        pixel_data, bits = self.pixel_data, self.layout.sample_bits
        # PS3.5 7.3: words of OW are swapped in big endian, whatever the samples in them are. The
        # bytes of larger samples are in the order of big endian already.
        is_swapped = not self.is_little_endian and pixel_data.vr != "OB"
        if not is_swapped or (bits % BYTE_BITS == 0 and bits > BYTE_BITS):
            content = pixel_data.source.read(pixel_data.value.offset + start, stop - start)
            return np.frombuffer(content, np.uint8)
        even = start - start % 2
        length = stop - even + (stop - even) % 2
        content = pixel_data.source.read(pixel_data.value.offset + even, length)
        words = np.frombuffer(content + b"\0" * (len(content) % 2), ">u2")
        swapped = words.astype("<u2").view(np.uint8)
        return swapped[start - even : stop - even]


def _unpack_twelve(
    packed: NDArray[np.uint8], skipped: int, count: int, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Unpack samples of 12 bits, the lowest bit first, from behind ``skipped`` bits on."""
    unpacked = np.unpackbits(packed, bitorder="little")[skipped : skipped + count * PACKED_BITS]
    weights = (1 << np.arange(PACKED_BITS)).astype(np.uint16)
    values = unpacked.reshape(count, PACKED_BITS).astype(np.uint16) @ weights
    return values.astype(np.uint16).view(dtype)


def _repeat_chroma(samples: NDArray[Any], shape: tuple[int, int, int]) -> NDArray[Any]:
    """Return three samples a pixel from Y Y Cb Cr for two pixels (PS3.3 C.7.6.3.1.2)."""
    pairs = samples.reshape(-1, 4)
    pixels = np.empty((len(pairs), 2, 3), samples.dtype)
    pixels[:, :, 0] = pairs[:, :2]
    pixels[:, :, 1] = pairs[:, 2:3]
    pixels[:, :, 2] = pairs[:, 3:4]
    return pixels.reshape(shape)
