"""From stored values to display values: modality transform, VOI transform, polarity.

All in float64, truncated at the end (PS3.3 C.11.1 and C.11.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dicom_preprocessing.decode import attributes
from dicom_preprocessing.decode.attributes import Window, per_frame
from dicom_preprocessing.decode.modality import (
    BYTE_BITS,
    Modality,
    Transform,
    lookup_table,
    modality_of_frames,
    modality_range,
    modality_transform,
    pixel_padding,
    through_table,
)
from dicom_preprocessing.dicom_file import is_little_endian

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from dicom_preprocessing.decode.pixels import PixelFormat


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


FUNCTIONS = {"LINEAR": linear, "LINEAR_EXACT": linear_exact, "SIGMOID": sigmoid}


def display_values(
    data_set: Dataset,
    stored: NDArray[Any],
    layout: PixelFormat,
    *,
    intensity: str = "voi",
    window: Sequence[float] | None = None,
) -> tuple[NDArray[Any], list[str]]:
    """Turn stored grey values into display values.

    Parameters
    ----------
    data_set : Dataset
    stored : (n_frames, rows, columns, 1)
    layout : PixelFormat
    intensity : str
        voi or minmax.
    window : (center, width) or None
        Instead of the object's windows.

    Returns
    -------
    (n_frames, rows, columns, 1), uint8 if Bits Stored is at most 8, else uint16
    list of str
        Warnings.
    """
    byte = layout.bits_stored <= BYTE_BITS
    top, dtype = (255, np.uint8) if byte else (65535, np.uint16)
    if layout.bits_stored == 1:
        values = (stored != 0).astype(np.uint8) * np.uint8(255)
        warnings: list[str] = []
    else:
        plan = _Plan(data_set, stored, layout, top)
        transforms, warnings = plan.transforms(intensity, window)
        values = np.empty(stored.shape, dtype)
        for frame, transform, out in zip(stored, transforms, values, strict=True):
            out[:] = through_table(_quantised(transform, top, dtype), frame)
    if layout.photometric_interpretation == "MONOCHROME1":
        np.subtract(values.dtype.type(top), values, out=values)
    return values, warnings


def _quantised(transform: Transform, top: int, dtype: Any) -> Callable[..., NDArray[Any]]:  # noqa: ANN401
    """``transform``, with its values truncated to ``dtype``."""

    def quantised(values: NDArray[np.float64]) -> NDArray[Any]:
        display = np.nan_to_num(transform(values), nan=0.0)
        return np.clip(display, 0, top).astype(dtype)

    return quantised


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """Chooses the modality and the VOI transform of each frame."""

    data_set: Dataset
    stored: NDArray[Any]
    layout: PixelFormat
    top: int

    def transforms(
        self, intensity: str, window: Sequence[float] | None
    ) -> tuple[list[Transform], list[str]]:
        """A function from stored to display values for each frame, and warnings."""
        modality = modality_of_frames(self.data_set, self.layout)
        if intensity == "minmax":
            return self.min_max(modality), []
        warnings: list[str] = []
        voi = self.configured(window) if window is not None else self.own(modality, warnings)
        chosen = [None if v is None else _compose(m, v) for m, v in zip(modality, voi, strict=True)]
        if None not in chosen:
            return [c for c in chosen if c is not None], warnings
        if any(c is not None for c in chosen):
            warnings.append("frames without a usable window use minimum to maximum")
        fallback = self.min_max(modality)
        return [c or f for c, f in zip(chosen, fallback, strict=True)], warnings

    def configured(self, window: Sequence[float]) -> list[Transform | None]:
        """The config's window, with the object's VOI LUT Function."""
        functions = per_frame(
            self.data_set, len(self.stored), "FrameVOILUTSequence", attributes.voi_function
        )
        center, width = window
        return [self.windowed(Window(center, width, f or "LINEAR")) for f in functions]

    def own(self, modality: list[Modality], warnings: list[str]) -> list[Transform | None]:
        """VOI LUT Sequence, else the first usable window of each frame."""
        n = len(self.stored)
        luts = per_frame(self.data_set, n, "FrameVOILUTSequence", attributes.voi_lut)
        found = per_frame(self.data_set, n, "FrameVOILUTSequence", attributes.windows)
        chosen = [next((w for w in ws or () if w.is_usable), None) for ws in found]
        transforms: list[Transform | None] = []
        for lut, window, m in zip(luts, chosen, modality, strict=True):
            if lut is not None:
                transforms.append(self.looked_up(lut, signed=modality_range(m, self.layout)[0] < 0))
            else:
                transforms.append(None if window is None else self.windowed(window))
        passed_over = (
            ws is not None and ws[0] is not w for ws, w in zip(found, chosen, strict=True)
        )
        if any(passed_over):
            warnings.append("an unusable window was passed over")
        return transforms

    def looked_up(self, item: Dataset, *, signed: bool) -> Transform:
        """The VOI LUT of an item, brought to full range."""
        little_endian = is_little_endian(self.data_set)
        table = lookup_table(item, signed=signed, little_endian=little_endian)
        full = 2**table.bits - 1
        return lambda values: np.trunc(table(values) * self.top / full)

    def windowed(self, window: Window) -> Transform:
        """The function of a window; an unknown VOI LUT Function counts as LINEAR."""
        function = FUNCTIONS.get(window.function, linear)
        return lambda values: function(values, window, self.top)

    def min_max(self, modality: list[Modality]) -> list[Transform]:
        """Lowest to highest value of all frames to full range; pixel padding does not count.

        Integers with one slope: LINEAR over max - min + 1 steps of stored values. Float data,
        Modality LUTs and slopes that differ between frames: a straight line between the ends.
        """
        n = len(self.stored)
        counted = [self.counted(frame) for frame in self.stored]
        if not any(len(values) for values in counted):
            return [_zeros] * n
        pair = modality[0]
        if isinstance(pair, tuple) and len(set(modality)) == 1 and not self.layout.is_float:
            low = float(min(values.min() for values in counted if len(values)))
            high = float(max(values.max() for values in counted if len(values)))
            if low == high or pair[0] == 0:
                return [_zeros] * n
            sign = math.copysign(1, pair[0])
            window = Window(sign * (low + high) / 2, high - low + 1)
            return [lambda values: linear(sign * values, window, self.top)] * n
        firsts = [modality_transform(m) for m in modality]
        mapped = [first(v) for first, v in zip(firsts, counted, strict=True) if len(v)]
        low, high = min(float(v.min()) for v in mapped), max(float(v.max()) for v in mapped)
        if low == high:
            return [_zeros] * n
        return [_compose(m, _straight(low, high, self.top)) for m in modality]

    def counted(self, frame: NDArray[Any]) -> NDArray[np.float64]:
        """Finite stored values that occur in a frame and are no padding (PS3.3 C.7.5.1.1.2)."""
        values = np.unique(frame).astype(np.float64)
        values = values[np.isfinite(values)]
        padding = pixel_padding(self.data_set, self.layout)
        if padding is None:
            return values
        low, high = sorted(padding)
        return values[(values < low) | (values > high)]


def _zeros(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.zeros(values.shape)


def _straight(low: float, high: float, top: int) -> Transform:
    return lambda values: (values - low) / (high - low) * top


def _compose(modality: Modality, voi: Transform) -> Transform:
    first = modality_transform(modality)
    return lambda values: voi(first(values))
