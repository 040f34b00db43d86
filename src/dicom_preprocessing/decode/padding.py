"""Pixel Padding Value and Range Limit: which stored values are background (PS3.3 C.7.5.1.1.2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import JPEG2000Lossless

from dicom_preprocessing.decode.bits import WORD_BITS, find_range
from dicom_preprocessing.decode.streams.info import StreamError
from dicom_preprocessing.decode.streams.jpeg import START_OF_IMAGE, read_jpeg
from dicom_preprocessing.decode.streams.jpeg_2000 import CODESTREAM, codestream_of, read_jpeg_2000
from dicom_preprocessing.dicom.common_header import CACHED_HEADERS
from dicom_preprocessing.dicom.transfer_syntaxes import (
    BIT_FOR_BIT,
    HTJ2K_REVERSIBLE,
    JPEG_2000,
    JPEG_XL_LOSSLESS,
)

if TYPE_CHECKING:
    from pydicom.uid import UID

    from dicom_preprocessing.decode.pixel_format import PixelFormat
    from dicom_preprocessing.dicom.description import CommonHeader, Description
    from dicom_preprocessing.image_warnings import ImageWarnings

Transform = Callable[[NDArray[np.float64]], NDArray[Any]]
"""A function of stored values."""

NEAR_PART: Final = 1 / 32
"""Part of a frame's range of values that counts as near: what lossy coding of usual quality adds to
padding."""

NEAR_SHARE: Final = 0.01
"""Share of near values among them and padding above which padding was not kept. The edge of a large
image has fewer."""


COMPLETE_IF_REVERSIBLE: Final = (JPEG2000Lossless, *HTJ2K_REVERSIBLE)
"""Syntaxes of JPEG 2000 whose streams are complete. In the others a stream of a reversible
transform may have been cut to a size, and be as lossy as any."""


class StoredPadding(NamedTuple):
    """Pixel Padding Value and Range Limit as stored values; without a limit both are the value."""

    value: float
    limit: float

    def can_occur(self, pixel_format: PixelFormat) -> bool:
        """Whether Bits Stored allow a value that is padding."""
        if pixel_format.is_float:
            return True
        lowest, highest = pixel_format.stored_range
        return min(self) <= highest and max(self) >= lowest

    def is_wide(self, pixel_format: PixelFormat) -> bool:
        """Whether it has bits above Bits Stored that samples may have too, as it stands.

        Where samples are moved down from High Bit, nothing tells whether padding is.
        """
        if pixel_format.is_float or pixel_format.high_bit != pixel_format.bits_stored - 1:
            return False
        lowest, highest = pixel_format.stored_range
        if lowest <= min(self) and max(self) <= highest:  # nearly always
            return False
        first, last = find_range(pixel_format.bits_held, signed=pixel_format.is_signed)
        is_above = max(self) > highest and min(self) <= last
        return is_above or (min(self) < lowest and max(self) >= first)

    def keep_wide(
        self, samples: NDArray[Any], stored: NDArray[Any], bits_stored: int
    ) -> NDArray[Any]:
        """Return stored values with padding above Bits Stored as it was in ``samples``.

        Masked, it could be a value of tissue.
        """
        lowest = -(1 << bits_stored - 1) if samples.dtype.kind == "i" else 0
        # A negative value may have its sign in the bits above, or zeros.
        is_above = (samples >= 1 << bits_stored) | (samples < lowest)
        return np.where(self.covers(samples) & is_above, samples, stored)

    def covers(self, stored: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which stored values are padding: those from the value to the limit."""
        return self.covers_within(stored, 0)

    def covers_within(self, stored: NDArray[Any], distance: float) -> NDArray[np.bool_]:
        """Return which stored values are padding or differ from it by at most ``distance``."""
        low, high = sorted(self)
        return np.asarray((stored >= low - distance) & (stored <= high + distance))


def pixel_padding(description: Description, pixel_format: PixelFormat) -> StoredPadding | None:
    """Return Pixel Padding Value and Range Limit as stored values, None where there is none.

    NaN is none: no pixel equals it, and pixels that are not finite never count. Colour has none:
    the attribute is defined for monochrome images only.
    """
    if not pixel_format.is_monochrome:
        return None
    if description.common is not None:
        return _read_common_padding(description.common, pixel_format)
    return _read_padding(description, pixel_format)


@lru_cache(maxsize=CACHED_HEADERS)
def _read_common_padding(common: CommonHeader, pixel_format: PixelFormat) -> StoredPadding | None:
    """Read the padding of slices with a common header."""
    return _read_padding(common.description, pixel_format)


def _read_padding(description: Description, pixel_format: PixelFormat) -> StoredPadding | None:
    """Read the padding of a header of grey values."""
    padding = {
        "FloatPixelData": description.float_pixel_padding,
        "DoubleFloatPixelData": description.double_float_pixel_padding,
    }.get(pixel_format.keyword, description.pixel_padding)
    numbers = (padding.value.numbers(), padding.range_limit.numbers())
    value, limit = ([v for v in values[:1] if math.isfinite(v)] for values in numbers)
    if not value:
        return None
    return StoredPadding(
        _to_stored_value(value[0], pixel_format),
        _to_stored_value((limit or value)[0], pixel_format),
    )


def _to_stored_value(value: float, pixel_format: PixelFormat) -> float:
    """Return a pixel padding value with the sign of the stored values."""
    # Its VR should follow Pixel Representation, and often does not: 63536 instead of -2000 equals
    # no pixel, and padding would count as the lowest value of the image.
    if pixel_format.is_float:
        return value
    spans = [1 << bits for bits in (pixel_format.bits_allocated, WORD_BITS)]
    if not pixel_format.is_signed:
        return value + spans[0] if value < 0 else value
    # A word of 16 bits may hold the sign of 8.
    candidates = [value, *(value - s for s in spans)]
    stored = 1 << pixel_format.bits_stored
    # Of 12 bits it may have zeros above the sign, as samples may.
    candidates += [value - stored] if 0 <= value < stored else []
    half, (lowest, highest) = spans[0] // 2, pixel_format.stored_range
    limits = ((lowest, highest), (-half, half - 1))
    return next((v for low, high in limits for v in candidates if low <= v <= high), value)


def replace_padding(transform: Transform, padding: StoredPadding, background: float) -> Transform:
    """Return ``transform`` with ``background`` in place of its values of padding."""

    def transform_others(stored: NDArray[np.float64]) -> NDArray[Any]:
        values = transform(stored)
        values[padding.covers(stored)] = background
        return values

    return transform_others


def restore_padding(
    samples: NDArray[Any],
    stream: bytes,
    syntax: UID,
    padding: StoredPadding,
    warnings: ImageWarnings,
) -> NDArray[Any]:
    """Restore the padding of a frame that a lossy stream changed by at most its NEAR.

    Parameters
    ----------
    samples : (rows, columns, 1), integer
        As decoded from ``stream``.
    stream : bytes
    syntax : UID
        Transfer syntax of the stream.
    padding : StoredPadding
    warnings : ImageWarnings
        Takes that padding was changed by a stream without such a bound.

    Returns
    -------
    Same shape and dtype; ``samples`` if nothing changes
    """
    bound = _read_error_bound(stream, syntax)
    if bound is None:
        if _is_padding_changed(samples, padding):
            message = (
                f"values near Pixel Padding Value {padding.value:g} differ from it and stay: the "
                "pixel data is lossy"
            )
            warnings.add("padding_not_exact", message)
        return samples
    if not bound:
        return samples
    low, high = sorted(padding)
    nearest = np.clip(samples, low, high).astype(samples.dtype)
    return np.where(padding.covers_within(samples, bound), nearest, samples)


def _read_error_bound(stream: bytes, syntax: UID) -> int | None:
    """Return by how much samples of a stream differ at most from what was encoded.

    0 if it is lossless, NEAR of JPEG-LS (ITU-T T.87 Annex C), None if there is no bound.
    """
    # By the stream first, which may be of another kind than its syntax.
    if stream.startswith(START_OF_IMAGE):
        info = read_jpeg(stream)
        return 0 if info.is_lossless else info.near
    if syntax in JPEG_2000 or stream.startswith(CODESTREAM):
        with suppress(StreamError):
            is_reversible = read_jpeg_2000(codestream_of(stream)).is_lossless
            return 0 if is_reversible and syntax in COMPLETE_IF_REVERSIBLE else None
    return 0 if syntax in (*BIT_FOR_BIT, JPEG_XL_LOSSLESS) else None


def _is_padding_changed(samples: NDArray[Any], padding: StoredPadding) -> bool:
    """Whether values near padding are too many for an image that has them beside exact padding."""
    distance = max(1.0, NEAR_PART * (float(samples.max()) - float(samples.min())))
    exact = np.count_nonzero(padding.covers(samples))
    all_near = np.count_nonzero(padding.covers_within(samples, distance))
    return bool(all_near - exact > NEAR_SHARE * all_near)
