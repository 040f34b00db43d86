"""From stored values to display values: modality transform, VOI transform, polarity.

All in float64, truncated at the end (PS3.3 C.11.1 and C.11.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from dicom_preprocessing.decode.lookup_tables import BYTE_BITS, LookupTable, lookup_table
from dicom_preprocessing.decode.modality import (
    SHORT_TABLE,
    Modality,
    Transform,
    apply_transform,
    can_tabulate,
    modality_of_frames,
    modality_range,
    modality_transform,
    modality_warnings,
    pixel_padding,
    tabulate,
)
from dicom_preprocessing.dicom.contradictions import decide
from dicom_preprocessing.dicom.description import Rescale, Window
from dicom_preprocessing.imaging.frames import map_in_order, map_indexed, spool_frames
from dicom_preprocessing.imaging.image import DisplayLut

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from dicom_preprocessing.decode.pixel_format import PixelFormat
    from dicom_preprocessing.dicom.description import Description, LutAttributes
    from dicom_preprocessing.imaging.frames import Frames


def linear(values: NDArray[np.float64], window: Window, top: int) -> NDArray[np.float64]:
    """LINEAR (PS3.3 C.11.2.1.2.1) with its lower bound half a step higher, at c - (w - 1) / 2."""
    center, width = window.center, max(window.width, 1.0)
    low, high = center - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    ramp = ((values - (center - 0.5)) / ((width - 1) or 1.0) + 0.5) * top
    return np.where(values <= low, 0.0, np.where(values > high, top, ramp))


def linear_exact(values: NDArray[np.float64], window: Window, top: int) -> NDArray[np.float64]:
    """LINEAR_EXACT (PS3.3 C.11.2.1.3.2)."""
    ramp = ((values - window.center) / window.width + 0.5) * top
    return np.clip(ramp, 0, top)


def sigmoid(values: NDArray[np.float64], window: Window, top: int) -> NDArray[np.float64]:
    """SIGMOID (PS3.3 C.11.2.1.3.1)."""
    with np.errstate(over="ignore"):
        return top / (1 + np.exp(-4 * (values - window.center) / window.width))


CACHED_TRANSFORMS = 32
"""Transforms that are kept for the next image, which often has the same."""

FUNCTIONS = {"LINEAR": linear, "LINEAR_EXACT": linear_exact, "SIGMOID": sigmoid}


def make_display_values(
    description: Description,
    stored: Frames,
    pixel_format: PixelFormat,
    *,
    intensity: str = "voi",
    window: Sequence[float] | None = None,
) -> tuple[Frames, DisplayLut | None, list[str]]:
    """Find the way from stored grey values to display values, and go it if it is no one table.

    Parameters
    ----------
    description : Description
    stored : (n_frames, rows, columns, 1)
    pixel_format : PixelFormat
    intensity : str
        voi or minmax.
    window : (center, width) or None
        Instead of the object's windows.

    Returns
    -------
    (n_frames, rows, columns, 1)
        ``stored`` if there is a lookup, else display values: uint8 if Bits Stored is at most 8,
        else uint16.
    Lookup or None
        None where frames differ in their transform, or have too many values for a table.
    list of str
        Warnings.
    """
    top, dtype = (255, np.uint8) if pixel_format.bits_stored <= BYTE_BITS else (65535, np.uint16)
    inverted = pixel_format.is_inverted
    if pixel_format.bits_stored == 1:
        ends = np.array([255, 0] if inverted else [0, 255], np.uint8)
        return stored, DisplayLut(ends, 0), []
    plan = _TransformChooser(description, stored, pixel_format, top)
    transforms, warnings = plan.transforms(intensity, window)
    shown = {t: _make_quantiser(t, top, dtype, inverted=inverted) for t in set(transforms)}
    if len(shown) == 1 and can_tabulate(stored.dtype):
        show = shown[transforms[0]]
        return (
            plan.stored,
            tabulate(show, pixel_format.bits_stored, signed=pixel_format.is_signed),
            warnings,
        )

    def display(number: int, frame: NDArray[Any]) -> NDArray[Any]:
        return apply_transform(shown[transforms[number]], frame)

    return map_indexed(plan.stored, display, dtype=dtype), None, warnings


def is_relative(
    description: Description,
    pixel_format: PixelFormat,
    intensity: str,
    window: Sequence[float] | None,
) -> bool:
    """Whether background is what is lowest in the pixels, and not a value that the header tells.

    At a reduced resolution the lowest value is an overshoot somewhere.
    """
    if not pixel_format.is_monochrome or window is not None:
        return False
    if intensity == "stored":
        return pixel_padding(description, pixel_format) is None
    shape = (pixel_format.number_of_frames, 0, 0, 1)
    plan = _TransformChooser(description, np.empty(shape, pixel_format.dtype), pixel_format, 0)
    modality = modality_of_frames(description, pixel_format)
    return intensity == "minmax" or None in plan.choose_from_object(modality, [])


@lru_cache(maxsize=CACHED_TRANSFORMS)
def _make_quantiser(
    transform: Transform,
    top: int,
    dtype: type[np.unsignedinteger[Any]],
    *,
    inverted: bool,
) -> Callable[[NDArray[np.float64]], NDArray[Any]]:
    """``transform``, with its values truncated to ``dtype``, inverted for MONOCHROME1."""

    def quantised(values: NDArray[np.float64]) -> NDArray[Any]:
        with np.errstate(all="ignore"):  # windows of next to no width, slopes of next to no end
            display = np.nan_to_num(transform(values), nan=0.0)
        whole: NDArray[Any] = np.clip(display, 0, top).astype(dtype)
        return whole.dtype.type(top) - whole if inverted else whole

    return quantised


@dataclass(slots=True, eq=False)
class _TransformChooser:
    """Chooses the modality and the VOI transform of each frame."""

    description: Description
    stored: Frames
    pixel_format: PixelFormat
    top: int

    def transforms(
        self, intensity: str, window: Sequence[float] | None
    ) -> tuple[list[Transform], list[str]]:
        """A function from stored to display values for each frame, and warnings."""
        modality = modality_of_frames(self.description, self.pixel_format)
        warnings = modality_warnings(self.description, modality)
        if intensity == "minmax":
            return self.min_max(modality), warnings
        voi = (
            self.choose_configured(window)
            if window is not None
            else self.choose_from_object(modality, warnings)
        )
        chosen = _compose_all(modality, voi)
        if None not in chosen:
            return [c for c in chosen if c is not None], warnings
        if any(c is not None for c in chosen):
            warnings.append("frames without a usable window use minimum to maximum")
        fallback = self.min_max(modality)
        return [c or f for c, f in zip(chosen, fallback, strict=True)], warnings

    def choose_configured(self, window: Sequence[float]) -> list[Transform | None]:
        """The config's window, with the object's VOI LUT Function."""
        functions = self.description.voi_lut_functions(len(self.stored))
        center, width = window
        return [
            _make_window_transform(Window(center, width, f or "LINEAR"), self.top)
            for f in functions
        ]

    def choose_from_object(
        self, modality: list[Modality], warnings: list[str]
    ) -> list[Transform | None]:
        """VOI LUT Sequence, else the first usable window of each frame."""
        n = len(self.stored)
        luts, found = self.description.voi_luts(n), self.description.windows(n)
        chosen = [next((w for w in ws or () if w.is_usable), None) for ws in found]
        tables = self.tables(luts, modality, warnings)
        passed_over = (
            ws is not None and ws[0] is not w for ws, w in zip(found, chosen, strict=True)
        )
        if any(passed_over):
            warnings.append("an unusable window was passed over")
        windows = (_make_window_transform(w, self.top) if w is not None else None for w in chosen)
        told = zip(tables, windows, strict=True)
        return [decide("voi", {"VOILUTSequence": t, "windows": w}).value for t, w in told]

    def tables(
        self,
        luts: Sequence[LutAttributes | None],
        modality: Sequence[Modality],
        warnings: list[str],
    ) -> list[Transform | None]:
        """The VOI LUT of each frame that has one; frames that share a table share the transform."""
        made: dict[tuple[int, bool], Transform] = {}
        found: list[Transform | None] = []
        for lut, m in zip(luts, modality, strict=True):
            if lut is None:
                found.append(None)
                continue
            key = id(lut), modality_range(m, self.pixel_format)[0] < 0
            if key not in made:
                made[key] = self.make_voi_lut_transform(lut, warnings, signed=key[1])
            found.append(made[key])
        return found

    def make_voi_lut_transform(
        self, stored: LutAttributes, warnings: list[str], *, signed: bool
    ) -> Transform:
        """A VOI LUT, brought to full range."""
        little_endian = self.description.is_little_endian
        table = lookup_table(stored, signed=signed, little_endian=little_endian)
        if table.is_short and SHORT_TABLE not in warnings:
            warnings.append(SHORT_TABLE)
        full, top = 2**table.bits - 1, self.top
        return lambda values: np.trunc(table(values) * top / full)

    def min_max(self, modality: list[Modality]) -> list[Transform]:
        """Lowest to highest value of all frames to full range; pixel padding does not count.

        Integers with one slope: LINEAR over max - min + 1 steps of stored values. Float data,
        Modality LUTs and slopes that differ between frames: a straight line between the ends.
        """
        n = len(self.stored)
        pair = modality[0]
        self.stored = spool_frames(self.stored)
        if isinstance(pair, Rescale) and len(set(modality)) == 1 and not self.pixel_format.is_float:
            ends = self.find_value_range([Rescale()] * n)
            if ends is None or ends[0] == ends[1] or pair.slope == 0:
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
        """Lowest and highest modality value of all frames, None if nothing counts.

        Padding (PS3.3 C.7.5.1.1.2) and what is no finite number do not count.
        """
        padding = pixel_padding(self.description, self.pixel_format)
        by_frame = map_in_order(
            self.stored, lambda i, frame: _find_frame_range(modality[i], frame, padding)
        )
        found = [ends for ends in by_frame if ends is not None]
        return (min(e[0] for e in found), max(e[1] for e in found)) if found else None


def _find_frame_range(
    modality: Modality, stored: NDArray[Any], padding: tuple[float, float] | None
) -> tuple[float, float] | None:
    """Lowest and highest modality value of a frame."""
    counted = stored
    if padding is not None or stored.dtype.kind == "f":
        low, high = sorted(padding) if padding is not None else (math.inf, -math.inf)
        counted = stored[((stored < low) | (stored > high)) & np.isfinite(stored)]
    if not counted.size:
        return None
    if isinstance(modality, LookupTable):
        values = modality(np.unique(counted).astype(np.float64))
    else:
        values = modality_transform(modality)(np.array([counted.min(), counted.max()], float))
    return float(values.min()), float(values.max())


@lru_cache(maxsize=CACHED_TRANSFORMS)
def _make_window_transform(window: Window, top: int) -> Transform:
    """The function of a window; an unknown VOI LUT Function counts as LINEAR."""
    function = FUNCTIONS.get(window.function, linear)
    return lambda values: function(values, window, top)


def _zeros(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.zeros(values.shape)


def _make_linear_transform(low: float, high: float, top: int) -> Transform:
    return lambda values: (values - low) / (high - low) * top


def _compose_all(
    modality: Sequence[Modality], voi: Sequence[Transform | None]
) -> list[Transform | None]:
    """Both transforms of each frame in one; the same object for frames with the same two."""
    pairs = zip(modality, voi, strict=True)
    return [_compose(m, v) if v is not None else None for m, v in pairs]


@lru_cache(maxsize=CACHED_TRANSFORMS)
def _compose(modality: Modality, voi: Transform) -> Transform:
    first = modality_transform(modality)
    return lambda values: voi(first(values))
