"""From stored values to display values: modality transform, VOI transform, polarity.

All in float64, truncated at the end (PS3.3 C.11.1 and C.11.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from dicom_preprocessing.decode.bits import BYTE_BITS
from dicom_preprocessing.decode.lookup_tables import VOI_LUT, LookupTable, grey_table
from dicom_preprocessing.decode.modality import (
    Modality,
    Transform,
    apply_transform,
    can_tabulate,
    modality_of_frames,
    modality_range,
    modality_transform,
    tabulate,
)
from dicom_preprocessing.decode.padding import StoredPadding, pixel_padding, replace_padding
from dicom_preprocessing.dicom.description import LutAttributes, Rescale, Window
from dicom_preprocessing.errors import UnsupportedPixelsError
from dicom_preprocessing.image_warnings import ImageWarnings
from dicom_preprocessing.imaging.frames import map_in_order, map_indexed, spool_frames
from dicom_preprocessing.imaging.image import DisplayLut, top_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from dicom_preprocessing.decode.pixel_format import PixelFormat
    from dicom_preprocessing.dicom.description import CommonHeader, Description
    from dicom_preprocessing.image_warnings import ImageWarning
    from dicom_preprocessing.imaging.frames import Frames

    Quantiser = Callable[[NDArray[np.float64]], NDArray[Any]]
    """From stored values to display values of the output."""


def linear(values: NDArray[np.float64], window: Window, top: int) -> NDArray[np.float64]:
    """Apply LINEAR (PS3.3 C.11.2.1.2.1), with its lower bound half a step higher.

    Parameters
    ----------
    values : float64
        Modality values, any shape.
    window : Window
        A width below 1, which the configuration may have, counts as 1.
    top : int
        Highest display value.

    Returns
    -------
    Same shape, 0 .. ``top``
    """
    # The standard's lower bound is c - 0.5 - (w - 1) / 2. With that of the reference program,
    # c - (w - 1) / 2, the lowest value of a window becomes 0, the background.
    center, width = window.center, max(window.width, 1.0)
    low, high = center - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    # In place, which takes half the time: a table of 16 bits is made anew for each image whose
    # rescale is its own, as in PET.
    ramp = values - (center - 0.5)
    ramp /= (width - 1) or 1.0
    ramp += 0.5
    ramp *= top
    np.copyto(ramp, top, where=values > high)
    np.copyto(ramp, 0.0, where=values <= low)
    return ramp


def linear_exact(values: NDArray[np.float64], window: Window, top: int) -> NDArray[np.float64]:
    """Apply LINEAR_EXACT (PS3.3 C.11.2.1.3.2); parameters as of ``linear``."""
    ramp = ((values - window.center) / window.width + 0.5) * top
    return np.clip(ramp, 0, top)


def sigmoid(values: NDArray[np.float64], window: Window, top: int) -> NDArray[np.float64]:
    """Apply SIGMOID (PS3.3 C.11.2.1.3.1); parameters as of ``linear``."""
    with np.errstate(over="ignore"):  # far below the center exp is infinite, and the result 0
        return top / (1 + np.exp(-4 * (values - window.center) / window.width))


Limits = tuple[float, float]
"""Lowest and highest modality value by the header."""

NO_LIMITS: Final[Limits] = (-math.inf, math.inf)

CACHED_TRANSFORMS = 32
"""Transforms that stay cached for the next image, which often has the same."""

FUNCTIONS = {"LINEAR": linear, "LINEAR_EXACT": linear_exact, "SIGMOID": sigmoid}


def make_display_values(
    description: Description,
    stored: Frames,
    pixel_format: PixelFormat,
    warnings: ImageWarnings,
    *,
    intensity: str = "voi",
    window: Sequence[float] | None = None,
) -> tuple[Frames, DisplayLut | None]:
    """Find the transform from stored grey values to display values, and apply it unless deferred.

    It is deferred to a lookup where one table does for all frames: the crop then finds its box on
    stored values, and only what is left of the image is looked up.

    Parameters
    ----------
    description : Description
    stored : (n_frames, rows, columns, 1)
    pixel_format : PixelFormat
    warnings : ImageWarnings
        Takes what is irregular in the transforms.
    intensity : str
        voi or minmax.
    window : (center, width) or None
        In place of the object's windows.

    Returns
    -------
    (n_frames, rows, columns, 1)
        ``stored`` if there is a lookup, else display values: uint8 if Bits Stored is at most 8,
        else uint16.
    DisplayLut or None
        None where frames differ in their transform, or have too many values for a table.
    """
    # Black and white whatever the object says: a window could make them equal.
    if pixel_format.bits_stored == 1:
        ends = np.array([255, 0] if pixel_format.is_inverted else [0, 255], np.uint8)
        return stored, DisplayLut(ends, 0)
    if intensity == "voi" and description.common is not None and can_tabulate(stored.dtype):
        center_and_width = None if window is None else tuple(window)
        known = _find_common_lookup(description.common, pixel_format, center_and_width)
        warnings.extend(known.warnings)
        if known.lookup is not None:
            return stored, known.lookup
    top, dtype = _display_range(pixel_format)
    chooser = _TransformChooser(description, stored, pixel_format, top, warnings)
    transforms = chooser.choose(intensity, window)
    quantisers = _make_quantisers(transforms, description, pixel_format)
    if len(quantisers) == 1 and can_tabulate(stored.dtype):
        return chooser.stored, _tabulate(quantisers[transforms[0]], description, pixel_format)

    def make_display_frame(index: int, frame: NDArray[Any]) -> NDArray[Any]:
        return apply_transform(quantisers[transforms[index]], frame)

    return map_indexed(chooser.stored, make_display_frame, dtype=dtype), None


def is_relative(
    description: Description,
    pixel_format: PixelFormat,
    intensity: str,
    window: Sequence[float] | None,
) -> bool:
    """Whether the background is the lowest value of the pixels, and not one of the header."""
    # fast_decode asks: at a reduced resolution the lowest value is an overshoot somewhere, so that
    # background would be foreground everywhere else.
    if not pixel_format.is_monochrome or window is not None:
        return False
    if intensity == "stored":
        return pixel_padding(description, pixel_format) is None
    return intensity == "minmax" or None in _choose_by_header(description, pixel_format, None)


def is_padding_replaced(
    description: Description,
    pixel_format: PixelFormat,
    intensity: str,
    window: Sequence[float] | None,
) -> bool:
    """Whether padding has a value of its own, and is not background by the transform alone."""
    # fast_decode asks: at a reduced resolution padding is mixed into the values beside it, which
    # then are none of the image, and no padding either.
    padding = pixel_padding(description, pixel_format)
    if padding is None:
        return False
    if padding.is_wide(pixel_format):
        return True
    if not padding.can_occur(pixel_format):
        return False
    if intensity != "voi":
        return True
    top, dtype = _display_range(pixel_format)
    inverted = pixel_format.is_inverted
    return any(
        t is None or _make_quantiser(t, top, dtype, inverted=inverted)(np.array(padding)).any()
        for t in set(_choose_by_header(description, pixel_format, window))
    )


class _CommonLookup(NamedTuple):
    """The lookup of slices with a common header, None where it depends on the pixels."""

    lookup: DisplayLut | None
    warnings: tuple[ImageWarning, ...]


@lru_cache(maxsize=CACHED_TRANSFORMS)
def _find_common_lookup(
    common: CommonHeader, pixel_format: PixelFormat, window: tuple[float, ...] | None
) -> _CommonLookup:
    """Find the lookup of slices with a common header, and the warnings about it."""
    found = ImageWarnings()
    description = common.description
    transforms = _choose_by_header(description, pixel_format, window, found)
    known = [transform for transform in transforms if transform is not None]
    quantisers = _make_quantisers(known, description, pixel_format)
    lookup = None
    if len(known) == len(transforms) and len(quantisers) == 1:
        lookup = _tabulate(quantisers[known[0]], description, pixel_format)
    return _CommonLookup(lookup, tuple(found))


def _make_quantisers(
    transforms: Sequence[Transform], description: Description, pixel_format: PixelFormat
) -> dict[Transform, Quantiser]:
    """Make the function of each transform, which gives display values of the output."""
    top, dtype = _display_range(pixel_format)
    padding = pixel_padding(description, pixel_format)
    inverted = pixel_format.is_inverted
    return {
        t: _make_quantiser(t, top, dtype, inverted=inverted, padding=padding)
        for t in set(transforms)
    }


def _tabulate(
    quantiser: Quantiser, description: Description, pixel_format: PixelFormat
) -> DisplayLut:
    padding = pixel_padding(description, pixel_format)
    is_wide = padding is not None and padding.is_wide(pixel_format)
    bits = pixel_format.bits_held if is_wide else pixel_format.bits_stored
    return tabulate(quantiser, bits, signed=pixel_format.is_signed)


def _choose_by_header(
    description: Description,
    pixel_format: PixelFormat,
    window: Sequence[float] | None,
    warnings: ImageWarnings | None = None,
) -> list[Transform | None]:
    """Return the transform of each frame, None where it depends on the pixels."""
    # Frames without pixels: choosing from the object reads none.
    shape = (pixel_format.number_of_frames, 0, 0, 1)
    empty = np.empty(shape, pixel_format.dtype)
    found = ImageWarnings() if warnings is None else warnings
    top, _ = _display_range(pixel_format)
    chooser = _TransformChooser(description, empty, pixel_format, top, found)
    return chooser.choose_by_header(modality_of_frames(description, pixel_format, found), window)


def _display_range(pixel_format: PixelFormat) -> tuple[int, np.dtype[Any]]:
    """Return the highest display value, and the dtype."""
    dtype = np.dtype(np.uint8 if pixel_format.bits_stored <= BYTE_BITS else np.uint16)
    return top_value(dtype), dtype


@lru_cache(maxsize=CACHED_TRANSFORMS)
def _make_quantiser(
    transform: Transform,
    top: int,
    dtype: np.dtype[Any],
    *,
    inverted: bool,
    padding: StoredPadding | None = None,
) -> Quantiser:
    """Return ``transform`` truncated to ``dtype``, inverted for MONOCHROME1, 0 for padding."""

    def quantise(values: NDArray[np.float64]) -> NDArray[Any]:
        with np.errstate(all="ignore"):  # of very narrow windows and very large slopes
            display = transform(values)
        is_none = np.isnan(display)
        if is_none.any():
            display = np.where(is_none, 0, display)
        truncated: NDArray[Any] = np.clip(display, 0, top).astype(dtype)
        # MONOCHROME1 shows the minimum as white after the VOI transform (PS3.3 C.7.6.3.1.2), so
        # that this comes last. Presentation LUT Shape says the same, and would invert once more.
        return np.where(is_none, 0, top - truncated).astype(dtype) if inverted else truncated

    return quantise if padding is None else replace_padding(quantise, padding, 0)


@dataclass(slots=True, eq=False)
class _TransformChooser:
    """Chooses the modality and the VOI transform of each frame."""

    description: Description
    stored: Frames
    pixel_format: PixelFormat
    top: int
    warnings: ImageWarnings
    unusable: dict[Window, None] = field(default_factory=dict)
    narrow: dict[Window, None] = field(default_factory=dict)
    voi_luts: dict[tuple[int, Limits], Transform | None] = field(default_factory=dict)
    tables: dict[tuple[int, int], Transform] = field(default_factory=dict)

    def choose(self, intensity: str, window: Sequence[float] | None) -> list[Transform]:
        """Return a function from stored to display values for each frame."""
        modality = modality_of_frames(self.description, self.pixel_format, self.warnings)
        if intensity == "minmax":
            return self.choose_min_max(modality)
        composed = self.choose_by_header(modality, window)
        # Minimum to maximum reads every frame, and so comes only where a frame needs it.
        if None not in composed:
            return [c for c in composed if c is not None]
        if any(c is not None for c in composed):
            message = "frames without a usable window use minimum to maximum"
            self.warnings.add("window_missing_in_frames", message)
        fallback = self.choose_min_max(modality)
        return [c or f for c, f in zip(composed, fallback, strict=True)]

    def choose_by_header(
        self, modality: list[Modality], window: Sequence[float] | None
    ) -> list[Transform | None]:
        """Return the transform of each frame, None where it depends on the pixels."""
        voi = (
            self.choose_configured(window)
            if window is not None
            else self.choose_from_object(modality)
        )
        return _compose_all(modality, voi)

    def choose_configured(self, window: Sequence[float]) -> list[Transform | None]:
        """Take the window of the configuration, with the object's VOI LUT Function."""
        functions = self.description.voi_lut_functions(len(self.stored))
        center, width = window
        return [
            _make_window_transform(Window(center, width, f or "LINEAR"), self.top)
            for f in functions
        ]

    def choose_from_object(self, modality: list[Modality]) -> list[Transform | None]:
        """Take the first VOI LUT or window of each frame that can be used."""
        # PS3.3 C.11.2.1.2: several are alternative views, none of which is preferred.
        by_frame = self.description.voi_transforms(len(self.stored))
        chosen: dict[tuple[int, Limits | None], Transform | None] = {}
        transforms: list[Transform | None] = []
        for candidates, m in zip(by_frame, modality, strict=True):
            # PS3.3 C.11.2.1.1: the first value mapped has a sign if modality values may have one.
            has_lut = any(isinstance(one, LutAttributes) for one in candidates)
            limits = modality_range(m, self.pixel_format) if has_lut else None
            key = id(candidates), limits
            if key not in chosen:
                chosen[key] = self.choose_usable(candidates, limits or NO_LIMITS)
            transforms.append(chosen[key])
        self.warn_of_windows()
        return transforms

    def choose_usable(
        self, candidates: Sequence[LutAttributes | Window], limits: Limits
    ) -> Transform | None:
        """Make a transform of the first VOI LUT or window that can be used."""
        made = (
            self.make_voi_lut_transform(one, limits)
            if isinstance(one, LutAttributes)
            else self.make_window(one)
            for one in candidates
        )
        return next((transform for transform in made if transform is not None), None)

    def make_window(self, window: Window) -> Transform | None:
        """Make the transform of a window, None if it cannot be used."""
        if not window.is_usable:
            self.unusable[window] = None
            return None
        # PS3.3 C.11.2.1.2.1: the width of LINEAR is at least 1. Who writes less means a ramp of
        # that width, which LINEAR_EXACT is.
        if window.width < 1 and FUNCTIONS.get(window.function, linear) is linear:
            self.narrow[window] = None
            window = replace(window, function="LINEAR_EXACT")
        return _make_window_transform(window, self.top)

    def warn_of_windows(self) -> None:
        """Add warnings about the windows that were met; frames may have thousands."""
        if self.unusable:
            message = f"{_name_windows(self.unusable)} cannot be used: ignored"
            self.warnings.add("window_unusable", message)
        if self.narrow:
            message = f"{_name_windows(self.narrow)} is narrower than 1: applied as LINEAR_EXACT"
            self.warnings.add("window_narrow", message)

    def make_voi_lut_transform(self, stored: LutAttributes, limits: Limits) -> Transform | None:
        """Make a VOI LUT, scaled to full range, None if it cannot be used."""
        key = id(stored), limits  # frames may share one
        if key not in self.voi_luts:
            self.voi_luts[key] = self.read_voi_lut(stored, limits)
        return self.voi_luts[key]

    def read_voi_lut(self, stored: LutAttributes, limits: Limits) -> Transform | None:
        """Read a VOI LUT; one that cannot be used is optional, and a warning."""
        little_endian = self.description.is_little_endian
        try:
            table = grey_table(
                VOI_LUT, stored, self.warnings, values=limits, little_endian=little_endian
            )
        except UnsupportedPixelsError as error:
            self.warnings.add("lut_unusable", f"{error}; it was ignored")
            return None
        # Frames with rescales of their own read the same table again: one of each is enough.
        key = id(stored), table.first
        if key not in self.tables:
            full, top = 2**table.bits - 1, self.top
            self.tables[key] = lambda values: np.trunc(table(values) * top / full)
        return self.tables[key]

    def choose_min_max(self, modality: list[Modality]) -> list[Transform]:
        """Map the lowest to highest value of all frames to full range; padding does not count.

        Integers with one slope: LINEAR over max - min + 1 steps of stored values. Float data,
        Modality LUTs and slopes that differ between frames: a straight line between the ends.
        """
        n = len(self.stored)
        pair = modality[0]
        # All frames are read here and again when they are mapped: decoding JPEG 2000 twice would
        # double the time.
        self.stored = spool_frames(self.stored)
        # One slope scales both ends alike, so stored values will do; its sign sets the direction.
        if isinstance(pair, Rescale) and len(set(modality)) == 1 and not self.pixel_format.is_float:
            ends = self.find_value_range([Rescale()] * n)
            if ends is None or ends[0] == ends[1]:
                return [_zeros] * n
            low, high = ends
            sign = math.copysign(1, pair.slope)
            window, top = Window(sign * (low + high) / 2, high - low + 1), self.top
            return [lambda values: linear(sign * values, window, top)] * n
        low, high = self.find_value_range(modality) or (0.0, 0.0)
        if low == high:
            return [_zeros] * n
        straight = _make_linear_transform(low, high, self.top)
        return [c for c in _compose_all(modality, [straight] * n) if c is not None]

    def find_value_range(self, modality: Sequence[Modality]) -> tuple[float, float] | None:
        """Return the lowest and highest modality value of all frames, None if no pixel counts.

        Padding (PS3.3 C.7.5.1.1.2) and values that are not finite do not count.
        """
        padding = pixel_padding(self.description, self.pixel_format)
        by_frame = map_in_order(
            self.stored, lambda i, frame: _find_frame_range(modality[i], frame, padding)
        )
        ranges = [ends for ends in by_frame if ends is not None]
        return (min(r[0] for r in ranges), max(r[1] for r in ranges)) if ranges else None


def _find_frame_range(
    modality: Modality, stored: NDArray[Any], padding: StoredPadding | None
) -> tuple[float, float] | None:
    """Return the lowest and highest modality value of a frame, None if no pixel counts."""
    counted = stored[np.isfinite(stored)] if stored.dtype.kind == "f" else stored
    if padding is not None:
        counted = counted[~padding.covers(counted)]
    if not counted.size:
        return None
    # A table need not ascend, so every value is looked up; of a line the ends are enough.
    if isinstance(modality, LookupTable):
        values = modality(np.unique(counted).astype(np.float64))
    else:
        values = modality_transform(modality)(np.array([counted.min(), counted.max()], float))
    return float(values.min()), float(values.max())


@lru_cache(maxsize=CACHED_TRANSFORMS)
def _make_window_transform(window: Window, top: int) -> Transform:
    """Return the function of a window; an unknown VOI LUT Function counts as LINEAR."""
    function = FUNCTIONS.get(window.function, linear)
    return lambda values: function(values, window, top)


def _name_windows(windows: Iterable[Window]) -> str:
    """Name the first window, and say how many others there are."""
    first, *others = windows
    more = f" (and {len(others)} others)" if others else ""
    center, width = (
        "no number" if math.isnan(value) else f"{value:g}" for value in (first.center, first.width)
    )
    return f"window of center {center} and width {width}{more}"


def _zeros(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.zeros(values.shape)


def _make_linear_transform(low: float, high: float, top: int) -> Transform:
    return lambda values: (values - low) / (high - low) * top


def _compose_all(
    modality: Sequence[Modality], voi: Sequence[Transform | None]
) -> list[Transform | None]:
    """Compose the two transforms of each frame; frames with the same two share one object."""
    pairs = zip(modality, voi, strict=True)
    return [_compose(m, v) if v is not None else None for m, v in pairs]


@lru_cache(maxsize=CACHED_TRANSFORMS)
def _compose(modality: Modality, voi: Transform) -> Transform:
    first = modality_transform(modality)
    return lambda values: voi(first(values))
