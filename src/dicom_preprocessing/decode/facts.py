"""Facts about an image that change no pixel, and that whoever trains on it should know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dicom_preprocessing.decode.bits import BYTE_BITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dicom_preprocessing.decode.frame_order import FrameOrder
    from dicom_preprocessing.decode.pixel_format import PixelFormat
    from dicom_preprocessing.dicom.description import Description
    from dicom_preprocessing.dicom.spacing import PixelSpacing
    from dicom_preprocessing.image_warnings import ImageWarnings

SAME_RATIO: Final = 0.01
"""Relative difference up to which two ratios of pixel sides are the same."""

MAX_RATIO: Final = 100.0
"""A pixel that is longer is an error in the header."""

SAMPLED_PIXELS: Final = 4096
"""Pixels of a frame that are enough to see how its values are distributed."""
MIN_SHARE: Final = 0.01
"""Share of the pixels that must be at each end of the range."""
MIN_DIFFERENT: Final = 12
"""Different values at each end: a padding value, or a few labels, are fewer."""
END_PART: Final = 64
"""Part of the range that is an end of it; peaks of black and white are seldom so near to it."""
MIN_END: Final = 16
"""Values that an end has at least, where Bits Stored are few."""
GAP_PART: Final = 4
"""Part of the range that must be without values in its middle."""
MAX_SATURATED: Final = 0.2
"""Share of the pixels of the upper end that may have the highest value: more are saturated."""


def warn_of_facts(
    description: Description, spacing: PixelSpacing | None, warnings: ImageWarnings
) -> None:
    """Add warnings about facts that the header gives, with the spacing that counts."""
    _warn_of_aspect_ratio(description, spacing, warnings)
    if "MOSAIC" in {value.upper() for value in description.image_type.texts()}:
        message = "Image Type says MOSAIC: the frame has many slices side by side"
        warnings.add("mosaic", message)
    if description.has_private_volume:
        message = "the slices of a volume are in private elements of Hologic, and are not written"
        warnings.add("private_volume", message)


def find_pixel_shape(description: Description) -> float | None:
    """Return height over width of a pixel by Pixel Aspect Ratio (PS3.3 C.7.6.3.1.7)."""
    ratio = description.pixel_aspect_ratio.vector(2)
    if ratio is None or min(ratio) <= 0:
        return None
    shape = ratio[0] / ratio[1]
    return shape if 1 / MAX_RATIO <= shape <= MAX_RATIO else None


def _warn_of_aspect_ratio(
    description: Description, spacing: PixelSpacing | None, warnings: ImageWarnings
) -> None:
    """Warn of pixels that are not square where no spacing says so."""
    shape = find_pixel_shape(description)
    # The spacing in y over that in x is the same ratio: vertical to horizontal.
    known = spacing.y / spacing.x if spacing is not None else 1.0
    if shape is None or abs(shape / known - 1) <= SAME_RATIO:
        return
    vertical, horizontal = description.pixel_aspect_ratio.numbers()
    other = "the pixel spacing says another ratio: it counts"
    if spacing is None:
        other = "no spacing says so: size keeps the proportions of the picture"
    message = f"Pixel Aspect Ratio is {vertical:g}:{horizontal:g}, and {other}"
    warnings.add("pixel_aspect_ratio", message)


def warn_of_slice_spacing(
    description: Description, order: FrameOrder, warnings: ImageWarnings
) -> None:
    """Warn of a Spacing Between Slices that is not the step of the frames' positions."""
    step = order.spacing
    # Of one volume without distances, the step is what is stated.
    if step is None or (order.is_one_volume and order.distances is None):
        return
    stated = description.spacing_between_slices()
    if stated is None:
        return
    # Frames of a segmentation may leave out slices without segments.
    steps = max(1, round(step / stated))
    if abs(step / (steps * stated) - 1) <= SAME_RATIO:
        return
    message = f"Spacing Between Slices is {stated:g} mm, but positions are {step:g} mm apart"
    warnings.add("slice_spacing_contradicts", message)


def warn_of_signed_values(
    frame: NDArray[Any], pixel_format: PixelFormat, warnings: ImageWarnings
) -> None:
    """Warn of unsigned grey values that look like two's complement.

    Small negative numbers, taken for unsigned ones, are the highest of the range, and small
    positive ones the lowest: both ends have many values, and the middle has none.

    Parameters
    ----------
    frame : (rows, columns, 1)
        Stored values.
    pixel_format : PixelFormat
    warnings : ImageWarnings
    """
    is_signed = pixel_format.is_signed or pixel_format.is_float
    if is_signed or not pixel_format.is_monochrome or pixel_format.bits_stored <= BYTE_BITS:
        return
    values = frame.ravel()[:: max(1, frame.size // SAMPLED_PIXELS)]
    limit = 1 << pixel_format.bits_stored
    end = max(MIN_END, limit // END_PART)
    upper = values[values >= limit - end]
    if upper.size < MIN_SHARE * values.size:  # nearly always
        return
    lower, is_high = values[values < end], values >= limit // 2
    if not _has_many(lower, values.size) or not _has_many(upper, values.size):
        return
    gap = int(values[is_high].min()) - int(values[~is_high].max())
    if gap < limit // GAP_PART or np.mean(upper == limit - 1) > MAX_SATURATED:
        return
    message = "values seem to be signed, though Pixel Representation is 0: they stay as they are"
    warnings.add("values_seem_signed", message)


def _has_many(values: NDArray[Any], size: int) -> bool:
    """Whether values are a share of ``size`` pixels, and many different ones."""
    return values.size >= MIN_SHARE * size and len(np.unique(values)) >= MIN_DIFFERENT


def warn_of_infinite_values(warnings: ImageWarnings) -> None:
    """Add a warning that there are values that are not finite numbers."""
    message = (
        "values that are not finite numbers are background; as display values, infinite ones are "
        "the ends of the range"
    )
    warnings.add("values_not_finite", message)
