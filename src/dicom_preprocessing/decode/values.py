"""From stored values to display values: modality transform, VOI transform, polarity.

All in float64, truncated at the end (PS3.3 C.11.1 and C.11.2). Stored values of at most 16 bits go
through a table of the values that occur, which gives the same numbers as each pixel by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dicom_preprocessing.decode import attributes
from dicom_preprocessing.decode.attributes import Window, per_frame
from dicom_preprocessing.dicom_file import is_little_endian, value_of
from dicom_preprocessing.errors import UnsupportedPixelsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from dicom_preprocessing.decode.pixels import PixelFormat

Transform = Callable[["NDArray[np.float64]"], "NDArray[np.float64]"]

BYTE_BITS = 8
TABLE_BITS = 16


@dataclass(frozen=True, slots=True, eq=False)
class LookupTable:
    """A Modality or VOI LUT: entries for values from ``first`` on, of ``bits`` bits."""

    entries: NDArray[np.int64]
    first: int
    bits: int

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Entries of the rounded values, the first and last for values outside."""
        index = np.floor(values + 0.5).astype(np.int64) - self.first
        return self.entries[np.clip(index, 0, len(self.entries) - 1)].astype(np.float64)


def lookup_table(item: Dataset, *, signed: bool, little_endian: bool = True) -> LookupTable:
    """Read LUT Descriptor and LUT Data (PS3.3 C.11.1.1).

    Parameters
    ----------
    item : Dataset
        Item of Modality LUT Sequence or VOI LUT Sequence.
    signed : bool
        Whether the values that it maps may be negative: then so is the first value mapped.
    little_endian : bool
        Byte order of LUT Data of VR OW.
    """
    descriptor = value_of(item, "LUTDescriptor")
    data = value_of(item, "LUTData")
    if descriptor is None or len(descriptor) != 3 or data is None:  # noqa: PLR2004  # PS3.3
        raise UnsupportedPixelsError("a LUT without a usable LUT Descriptor or LUT Data")
    count, first, bits = (int(v) for v in descriptor)
    count = count % 65536 or 65536
    entries = _entries(data, count, "<u2" if little_endian else ">u2", packed=bits <= BYTE_BITS)
    if signed and first >= 32768:  # noqa: PLR2004  # read as unsigned
        first -= 65536
    elif not signed and first < 0:
        first += 65536
    needed = int(entries.max()).bit_length()
    return LookupTable(entries, first, max(bits if 0 < bits <= TABLE_BITS else TABLE_BITS, needed))


def _entries(data: Any, count: int, word: str, *, packed: bool) -> NDArray[np.int64]:  # noqa: ANN401
    """Entries of LUT Data, which is bytes (VR OW) or integers (VR US).

    Where entries of 8 bits are more than words, a word holds two, the first in the low byte.
    """
    if isinstance(data, bytes):
        words = np.frombuffer(data[: len(data) // 2 * 2], word).astype(np.int64)
    else:
        words = np.atleast_1d(np.asarray(data, dtype=np.int64)) & 0xFFFF
    if not len(words):
        raise UnsupportedPixelsError("a LUT without entries")
    if packed and len(words) < count:
        words = np.stack([words & 0xFF, words >> 8], axis=1).ravel()
    return words[:count]


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
            out[:] = _apply(transform, frame, top, dtype)
    if layout.photometric_interpretation == "MONOCHROME1":
        np.subtract(values.dtype.type(top), values, out=values)
    return values, warnings


def _apply(transform: Transform, frame: NDArray[Any], top: int, dtype: Any) -> NDArray[Any]:  # noqa: ANN401
    def quantised(values: NDArray[Any]) -> NDArray[Any]:
        display = np.nan_to_num(transform(values.astype(np.float64)), nan=0.0)
        return np.clip(display, 0, top).astype(dtype)  # truncates

    if frame.dtype.kind == "f" or frame.dtype.itemsize > TABLE_BITS // 8:
        return quantised(frame)
    low, high = int(frame.min()), int(frame.max())
    table = quantised(np.arange(low, high + 1))
    return table[frame.astype(np.int32) - low]


Modality = LookupTable | tuple[float, float]
"""Modality LUT, or slope and intercept."""


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
        modality = self.modality()
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

    def modality(self) -> list[Modality]:
        """Modality LUT, or slope and intercept, of each frame."""
        n = len(self.stored)
        luts = attributes.items_of(self.data_set, "ModalityLUTSequence")
        if luts:
            return [self.table(luts[0], signed=self.layout.is_signed)] * n
        pairs = per_frame(self.data_set, n, "PixelValueTransformationSequence", attributes.rescale)
        return [pair or (1.0, 0.0) for pair in pairs]

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
                transforms.append(self.looked_up(lut, signed=self.may_be_negative(m)))
            else:
                transforms.append(None if window is None else self.windowed(window))
        passed_over = (
            ws is not None and ws[0] is not w for ws, w in zip(found, chosen, strict=True)
        )
        if any(passed_over):
            warnings.append("an unusable window was passed over")
        return transforms

    def table(self, item: Dataset, *, signed: bool) -> LookupTable:
        """A Modality or VOI LUT of this object."""
        little_endian = is_little_endian(self.data_set)
        return lookup_table(item, signed=signed, little_endian=little_endian)

    def looked_up(self, item: Dataset, *, signed: bool) -> Transform:
        """The VOI LUT of an item, brought to full range."""
        table = self.table(item, signed=signed)
        full = 2**table.bits - 1
        return lambda values: np.trunc(table(values) * self.top / full)

    def windowed(self, window: Window) -> Transform:
        """The function of a window; an unknown VOI LUT Function counts as LINEAR."""
        function = FUNCTIONS.get(window.function, linear)
        return lambda values: function(values, window, self.top)

    def may_be_negative(self, modality: Modality) -> bool:
        """Whether the modality transform can give negative values, by header alone."""
        if isinstance(modality, LookupTable):
            return False
        slope, intercept = modality
        half = 2 ** (self.layout.bits_stored - 1)
        ends = (-half, half - 1) if self.layout.is_signed else (0, 2 * half - 1)
        return min(slope * x + intercept for x in ends) < 0

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
        firsts = [_modality_transform(m) for m in modality]
        mapped = [first(v) for first, v in zip(firsts, counted, strict=True) if len(v)]
        low, high = min(float(v.min()) for v in mapped), max(float(v.max()) for v in mapped)
        if low == high:
            return [_zeros] * n
        return [_compose(m, _straight(low, high, self.top)) for m in modality]

    def counted(self, frame: NDArray[Any]) -> NDArray[np.float64]:
        """Finite stored values that occur in a frame and are no padding (PS3.3 C.7.5.1.1.2)."""
        values = np.unique(frame).astype(np.float64)
        values = values[np.isfinite(values)]
        prefix = {"FloatPixelData": "Float", "DoubleFloatPixelData": "DoubleFloat"}
        name = prefix.get(self.layout.keyword, "") + "PixelPadding"
        padding = attributes.numbers_of(self.data_set, f"{name}Value")
        if not padding:
            return values
        limit = attributes.numbers_of(self.data_set, f"{name}RangeLimit") or padding
        ends = sorted(self.as_stored(end) for end in (padding[0], limit[0]))
        return values[(values < ends[0]) | (values > ends[1])]

    def as_stored(self, value: float) -> float:
        """A pixel padding value with the sign of the stored values, whatever its VR said."""
        if self.layout.is_float:
            return value
        span = 1 << self.layout.bits_allocated
        if self.layout.is_signed and value >= span / 2:
            return value - span
        return value + span if not self.layout.is_signed and value < 0 else value


def _zeros(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.zeros(values.shape)


def _straight(low: float, high: float, top: int) -> Transform:
    return lambda values: (values - low) / (high - low) * top


def _modality_transform(modality: Modality) -> Transform:
    if isinstance(modality, LookupTable):
        return modality
    slope, intercept = modality
    return lambda values: slope * values + intercept


def _compose(modality: Modality, voi: Transform) -> Transform:
    first = _modality_transform(modality)
    return lambda values: voi(first(values))
