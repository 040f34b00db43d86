"""Attributes that may stand at the top level, in a frame's functional group, or in the shared one.

PS3.3 C.7.6.16: an Enhanced object gives rescale, window, pixel measures, position and orientation
by functional groups. Each function returns a value a frame; frames lacking it keep None.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from dicom_preprocessing.dicom.reading import PARSE_ERRORS, text_of, value_of
from dicom_preprocessing.errors import MissingAttributeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window:
    """Window Center, Window Width and VOI LUT Function (PS3.3 C.11.2.1.2)."""

    center: float
    width: float
    function: str = "LINEAR"

    @property
    def is_usable(self) -> bool:
        """Finite, and wide enough for its function."""
        if not (math.isfinite(self.center) and math.isfinite(self.width)):
            return False
        return self.width >= 1 if self.function == "LINEAR" else self.width > 0


def numbers_of(data_set: Dataset, keyword: str) -> list[float]:
    """A numeric attribute as a list, empty where it is absent; what is no number is NaN."""
    value = value_of(data_set, keyword)
    if value is None:
        value = _text_values(data_set, keyword)
    if value == "":
        return []
    values = value if isinstance(value, (list, tuple, MultiValue)) else [value]
    return [_number(v) for v in values]


def _number(value: Any) -> float:  # noqa: ANN401  # what pydicom or the raw text gives
    try:
        return float(value)
    except PARSE_ERRORS:
        return math.nan


def _text_values(data_set: Dataset, keyword: str) -> list[str]:
    """The text of an attribute of which pydicom could not convert one value, and so none."""
    tag = tag_for_keyword(keyword)
    raw = data_set.get_item(tag) if tag is not None and tag in data_set else None
    content = getattr(raw, "value", None)
    return content.decode("ascii", "replace").split("\\") if isinstance(content, bytes) else []


def items_of(data_set: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence, none where it is absent or broken."""
    value = value_of(data_set, keyword)
    try:
        return [item for item in value or () if isinstance(item, Dataset)]
    except PARSE_ERRORS:
        return []


def per_frame(
    data_set: Dataset, n_frames: int, macro: str, read: Callable[[Dataset], T | None]
) -> list[T | None]:
    """``read`` of the top level, else of each frame's item of ``macro``, else of the shared one."""
    top = read(data_set)
    if top is not None:
        return [top] * n_frames
    shared_groups = items_of(data_set, "SharedFunctionalGroupsSequence")[:1]
    shared = next(_read_groups(shared_groups, macro, read), None)
    groups = items_of(data_set, "PerFrameFunctionalGroupsSequence")[:n_frames]
    own = list(_read_groups(groups, macro, read))
    own += [None] * (n_frames - len(own))
    return [shared if value is None else value for value in own]


def rescale(item: Dataset) -> tuple[float, float] | None:
    """Rescale Slope and Intercept; a missing one of the two is neutral.

    Raises
    ------
    MissingAttributeError
        One of them is there and no number: values without it would mean something else.
    """
    slope, intercept = numbers_of(item, "RescaleSlope"), numbers_of(item, "RescaleIntercept")
    if not slope and not intercept:
        return None
    pair = (slope[0] if slope else 1.0, intercept[0] if intercept else 0.0)
    if not all(map(math.isfinite, pair)):
        raise MissingAttributeError("Rescale Slope or Rescale Intercept is no number")
    return pair


def windows(item: Dataset) -> list[Window] | None:
    """Every window of an item, None where it has none."""
    centers, widths = numbers_of(item, "WindowCenter"), numbers_of(item, "WindowWidth")
    function = text_of(item, "VOILUTFunction").upper() or "LINEAR"
    found = [Window(c, w, function) for c, w in zip(centers, widths, strict=False)]
    return found or None


def voi_lut(item: Dataset) -> Dataset | None:
    """The first item of VOI LUT Sequence."""
    return next(iter(items_of(item, "VOILUTSequence")), None)


def voi_function(item: Dataset) -> str | None:
    """VOI LUT Function, None where it is absent."""
    return text_of(item, "VOILUTFunction").upper() or None


def pixel_spacing(item: Dataset) -> tuple[float, float] | None:
    """X and y of Pixel Spacing, else of Imager Pixel Spacing, in mm (row spacing stands first)."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        values = numbers_of(item, keyword)
        if len(values) > 1 and all(v > 0 and math.isfinite(v) for v in values[:2]):
            return values[1], values[0]
    return None


def position(item: Dataset) -> tuple[float, ...] | None:
    """Image Position (Patient), mm."""
    return _vector(item, "ImagePositionPatient", 3)


def orientation(item: Dataset) -> tuple[float, ...] | None:
    """Image Orientation (Patient), direction cosines of row and column."""
    return _vector(item, "ImageOrientationPatient", 6)


def slice_spacing(item: Dataset) -> float | None:
    """Spacing Between Slices, mm."""
    values = numbers_of(item, "SpacingBetweenSlices")
    return abs(values[0]) if values and math.isfinite(values[0]) and values[0] else None


def _vector(item: Dataset, keyword: str, length: int) -> tuple[float, ...] | None:
    values = numbers_of(item, keyword)
    if len(values) != length or not all(map(math.isfinite, values)):
        return None
    return tuple(values)


def _read_groups(
    groups: list[Dataset], macro: str, read: Callable[[Dataset], T | None]
) -> Iterator[T | None]:
    for group in groups:
        items = items_of(group, macro)
        yield read(items[0]) if items else None


def group_items(data_set: Dataset, macro: str) -> list[Any]:
    """The item of ``macro`` in each per-frame functional group, None where it is missing."""
    groups = items_of(data_set, "PerFrameFunctionalGroupsSequence")
    return [next(iter(items_of(group, macro)), None) for group in groups]
