"""The description of an image: every attribute on which pixels, geometry, order and naming depend.

It is made once per file (data_set.py) and frozen. All later code depends on it and on the bytes of
the pixel data element, and never reads the data set again. Attributes of functional groups are kept
for each level; the table in contradictions.py decides which counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from operator import eq
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from pydicom.uid import UID

from dicom_preprocessing.dicom.attribute import ABSENT
from dicom_preprocessing.dicom.contradictions import GroupLevel, decide, rank
from dicom_preprocessing.dicom.frame_offsets import frame_positions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dicom_preprocessing.dicom.attribute import Attribute
    from dicom_preprocessing.dicom.header import Header
    from dicom_preprocessing.image_warnings import ImageWarning

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window:
    """Window Center, Window Width and VOI LUT Function (PS3.3 C.11.2.1.2)."""

    center: float
    width: float
    function: str = "LINEAR"

    @property
    def is_usable(self) -> bool:
        """Whether it is finite and has a width."""
        return math.isfinite(self.center) and math.isfinite(self.width) and self.width > 0


@dataclass(frozen=True, slots=True)
class Rescale:
    """Rescale Slope and Intercept (PS3.3 C.11.1); NaN for one that is present and no number."""

    slope: float = 1.0
    intercept: float = 0.0

    @property
    def is_finite(self) -> bool:
        """Whether both are numbers."""
        return math.isfinite(self.slope) and math.isfinite(self.intercept)


@dataclass(frozen=True, slots=True)
class LutAttributes:
    """A look-up table as the file has it: an item of a LUT sequence, or a colour of a palette.

    Parameters
    ----------
    descriptor, data : Attribute
        LUT Descriptor and LUT Data, or those of a palette.
    segmented : Attribute
        Data of a segmented palette (PS3.3 C.7.9.2).
    """

    descriptor: Attribute = ABSENT
    data: Attribute = ABSENT
    segmented: Attribute = ABSENT

    @property
    def is_empty(self) -> bool:
        """Whether none of its attributes has a value."""
        return self.descriptor.is_empty and self.data.is_empty and self.segmented.is_empty


NO_LUT: Final = LutAttributes()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePixel:
    """The Image Pixel Module (PS3.3 C.7.6.3) and Number of Frames, as the file has them."""

    rows: Attribute = ABSENT
    columns: Attribute = ABSENT
    samples_per_pixel: Attribute = ABSENT
    photometric_interpretation: Attribute = ABSENT
    planar_configuration: Attribute = ABSENT
    number_of_frames: Attribute = ABSENT
    bits_allocated: Attribute = ABSENT
    bits_stored: Attribute = ABSENT
    high_bit: Attribute = ABSENT
    pixel_representation: Attribute = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionalGroups:
    """Attributes of functional group macros at one level: top, shared group, or group of a frame.

    ``macros`` has the keywords of the macros that are present; the top level has none, since it has
    the attributes without macros. ``voi_luts`` are the items of VOI LUT Sequence, and
    ``rescale_items`` is the number of items of Pixel Value Transformation Sequence, of which the
    first one is read.
    """

    macros: frozenset[str] = frozenset()
    rescale_items: int = 0
    rescale_slope: Attribute = ABSENT
    rescale_intercept: Attribute = ABSENT
    rescale_type: Attribute = ABSENT
    window_center: Attribute = ABSENT
    window_width: Attribute = ABSENT
    voi_lut_function: Attribute = ABSENT
    voi_luts: tuple[LutAttributes, ...] = ()
    pixel_spacing: Attribute = ABSENT
    imager_pixel_spacing: Attribute = ABSENT
    spacing_between_slices: Attribute = ABSENT
    image_position_patient: Attribute = ABSENT
    image_orientation_patient: Attribute = ABSENT
    patient_orientation: Attribute = ABSENT
    frame_laterality: Attribute = ABSENT
    dimension_index_values: Attribute = ABSENT
    in_stack_position_number: Attribute = ABSENT
    stack_id: Attribute = ABSENT
    temporal_position_index: Attribute = ABSENT
    effective_echo_time: Attribute = ABSENT
    diffusion_b_value: Attribute = ABSENT

    def rescale(self) -> Rescale | None:
        """Return Rescale Slope and Intercept; if only one is absent, it is neutral."""
        slope, intercept = self.rescale_slope.numbers(), self.rescale_intercept.numbers()
        if not slope and not intercept:
            return None
        return Rescale(slope[0] if slope else 1.0, intercept[0] if intercept else 0.0)

    def units(self) -> str | None:
        """Return Rescale Type in capitals, all values of it; None if it is absent."""
        return self.rescale_type.joined_text().upper() or None

    def windows(self) -> tuple[Window, ...] | None:
        """Return every window, usable or not; None if there is none.

        A center without a width, or the other way round, is a window with NaN.
        """
        function = self.function() or "LINEAR"
        centers, widths = self.window_center.numbers(), self.window_width.numbers()
        if centers or widths:
            centers, widths = centers or (math.nan,), widths or (math.nan,)
        pairs = zip(centers, widths, strict=False)
        return tuple(Window(c, w, function) for c, w in pairs) or None

    def voi_transforms(self) -> tuple[LutAttributes | Window, ...] | None:
        """Return VOI LUTs and windows, usable or not, in order of precedence; None if none."""
        by_source: dict[str, tuple[LutAttributes | Window, ...] | None] = {
            "VOILUTSequence": self.voi_luts or None,
            "windows": self.windows(),
        }
        return tuple(one for _, several in rank("voi", by_source) for one in several) or None

    def function(self) -> str | None:
        """Return VOI LUT Function in capitals, None if it is absent."""
        return self.voi_lut_function.text().upper() or None

    def patient_spacing(self) -> tuple[float, float] | None:
        """Return Pixel Spacing as (x, y) in mm, to which the position in the patient belongs."""
        return read_spacing(self.pixel_spacing)

    def detector_spacing(self) -> tuple[float, float] | None:
        """Return Imager Pixel Spacing as (x, y) in mm."""
        return read_spacing(self.imager_pixel_spacing)

    def position(self) -> tuple[float, ...] | None:
        """Return Image Position (Patient) in mm."""
        return self.image_position_patient.vector(3)

    def orientation(self) -> tuple[float, ...] | None:
        """Return Image Orientation (Patient), the direction cosines of row and column."""
        return self.image_orientation_patient.vector(6)

    def slice_spacing(self) -> float | None:
        """Return Spacing Between Slices in mm, without its sign."""
        values = self.spacing_between_slices.numbers()
        return abs(values[0]) if values and math.isfinite(values[0]) and values[0] else None

    def patient_directions(self) -> tuple[str, str] | None:
        """Return Patient Orientation, the directions of rows and columns, in capitals."""
        directions = self.patient_orientation.texts()
        if len(directions) != len(("row", "column")):
            return None
        return directions[0].upper(), directions[1].upper()


NO_SYNTAX: Final = UID("")
NO_GROUPS: Final = FunctionalGroups()


@dataclass(frozen=True, slots=True)
class PixelPadding:
    """Pixel Padding Value and Range Limit (PS3.3 C.7.5.1.1.2), as the file has them."""

    value: Attribute = ABSENT
    range_limit: Attribute = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """What tells the spacing of pixels of a projection X-ray (PS3.3 10.7.1), as the file has it."""

    nominal_scanned_pixel_spacing: Attribute = ABSENT
    pixel_spacing_calibration_type: Attribute = ABSENT
    estimated_radiographic_magnification_factor: Attribute = ABSENT
    distance_source_to_detector: Attribute = ABSENT
    distance_source_to_patient: Attribute = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class UltrasoundRegion:
    """An item of Sequence of Ultrasound Regions (PS3.3 C.8.5.5), as the file has it."""

    spatial_format: Attribute = ABSENT
    min_x: Attribute = ABSENT
    min_y: Attribute = ABSENT
    max_x: Attribute = ABSENT
    max_y: Attribute = ABSENT
    units_x: Attribute = ABSENT
    units_y: Attribute = ABSENT
    delta_x: Attribute = ABSENT
    delta_y: Attribute = ABSENT


@dataclass(frozen=True, slots=True)
class PerFrame(Generic[T]):
    """The value that counts for each frame, and its level.

    Parameters
    ----------
    values : tuple
        One per frame, None if no level has one.
    levels : tuple of GroupLevel or None
        One per frame, None where ``values`` has None.
    """

    values: tuple[T | None, ...]
    levels: tuple[GroupLevel | None, ...]


def find_different(
    values: Iterable[T | None], are_same: Callable[[T, T], bool] = eq
) -> tuple[T, T] | None:
    """Return the first value of frames that have one, and one that differs; None if none does."""
    first, *others = dict.fromkeys(v for v in values if v is not None) or (None,)
    # Nearly always there are none: frames may be thousands.
    if first is None:
        return None
    return next(((first, other) for other in others if not are_same(first, other)), None)


HALVES: Final[Mapping[str, tuple[str, str]]] = {
    "rescale": ("rescale_slope", "rescale_intercept"),
    "voi_level": ("window_center", "window_width"),
}
"""Fields that make one value together, by row of ``PRECEDENCES``."""


def complete(
    row: str, several: Sequence[FunctionalGroups], *below: FunctionalGroups
) -> Sequence[FunctionalGroups]:
    """Return groups with the half that they lack from the first level below that has it.

    PS3.3 C.7.6.16.2.9 and C.7.6.16.2.10: a macro has both halves.
    """
    halves: dict[str, Attribute] = {}
    for half in HALVES.get(row, ()):
        others = (getattr(level, half) for level in below)
        other = next((attribute for attribute in others if not attribute.is_empty), None)
        halves |= {} if other is None else {half: other}
    # Nearly always there is none: frames may be thousands.
    return [_fill_half(groups, halves, HALVES[row]) for groups in several] if halves else several


def _fill_half(
    groups: FunctionalGroups, halves: Mapping[str, Attribute], fields: Sequence[str]
) -> FunctionalGroups:
    """Return groups that have one of two fields with the other one of ``halves``."""
    missing = [half for half in fields if getattr(groups, half).is_empty]
    if len(missing) != 1 or missing[0] not in halves:
        return groups
    change: dict[str, Any] = {missing[0]: halves[missing[0]]}
    return replace(groups, **change)


@dataclass(frozen=True, slots=True, eq=False)
class CommonHeader:
    """What the headers of slices have in common: all but UID, number and position of a slice.

    It is one object for all of them, and so a key of what follows from it. ``description`` is
    without those attributes.
    """

    description: Description


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """All attributes of a file that its image depends on.

    Parameters
    ----------
    header : Header
        The attributes that the index keeps.
    transfer_syntax_uid : UID
        By which pixels are read.
    stated_syntax : UID
        TransferSyntaxUID of the file, empty where it has none.
    is_little_endian : bool
        Byte order of values that stay bytes, such as LUT Data.
    pixel : ImagePixel
    top, shared : FunctionalGroups
    frames : tuple of FunctionalGroups
        Items of Per-frame Functional Groups Sequence in stored order; empty if it is absent.
    modality_lut : LutAttributes or None
        First item of Modality LUT Sequence.
    dose_grid_scaling, grid_frame_offset_vector : Attribute
        Of RT Dose (PS3.3 C.8.8.3).
    palette : tuple of LutAttributes
        Red, green and blue.
    pixel_padding, float_pixel_padding, double_float_pixel_padding : PixelPadding
        Of integer, float and double float pixel data.
    projection : Projection
    ultrasound_regions : tuple of UltrasoundRegion
    sop_class_uid : Attribute
        Of the data set; that of ``header`` may come from the file meta information.
    body_part_examined, image_laterality, laterality, view_position : Attribute
    view_codes : tuple of Attribute
        Code Value of the items of View Code Sequence.
    image_type, pixel_aspect_ratio : Attribute
    has_private_volume : bool
        Whether private elements have the slices of a volume (Hologic).
    extended_offset_table, extended_offset_table_lengths : Attribute
    warnings : tuple of ImageWarning
        Found while the file was read.
    common : CommonHeader or None
        Where there are neither functional groups nor offsets of frames.
    """

    header: Header
    transfer_syntax_uid: UID
    stated_syntax: UID = NO_SYNTAX
    is_little_endian: bool = True
    pixel: ImagePixel = ImagePixel()
    top: FunctionalGroups = NO_GROUPS
    shared: FunctionalGroups = NO_GROUPS
    frames: tuple[FunctionalGroups, ...] = ()
    modality_lut: LutAttributes | None = None
    dose_grid_scaling: Attribute = ABSENT
    grid_frame_offset_vector: Attribute = ABSENT
    palette: tuple[LutAttributes, LutAttributes, LutAttributes] = (NO_LUT, NO_LUT, NO_LUT)
    pixel_padding: PixelPadding = PixelPadding()
    float_pixel_padding: PixelPadding = PixelPadding()
    double_float_pixel_padding: PixelPadding = PixelPadding()
    projection: Projection = Projection()
    ultrasound_regions: tuple[UltrasoundRegion, ...] = ()
    sop_class_uid: Attribute = ABSENT
    body_part_examined: Attribute = ABSENT
    image_laterality: Attribute = ABSENT
    laterality: Attribute = ABSENT
    view_position: Attribute = ABSENT
    view_codes: tuple[Attribute, ...] = ()
    image_type: Attribute = ABSENT
    pixel_aspect_ratio: Attribute = ABSENT
    has_private_volume: bool = False
    extended_offset_table: Attribute = ABSENT
    extended_offset_table_lengths: Attribute = ABSENT
    warnings: tuple[ImageWarning, ...] = ()
    # Not by __init__, so that a copy with other attributes has none.
    common: CommonHeader | None = field(default=None, init=False, compare=False, repr=False)

    @property
    def has_groups(self) -> bool:
        """Whether there are functional groups."""
        return bool(self.frames) or self.shared is not NO_GROUPS

    def read_levels(
        self, row: str, read: Callable[[FunctionalGroups], T | None], count: int
    ) -> list[dict[str, T | None]]:
        """Return the value of each level for each frame; parameters as of ``per_frame``.

        Without functional groups it is one object for all frames.
        """
        top = read(self.top)
        if not self.has_groups:
            return [{GroupLevel.TOP: top}] * count
        (shared_groups,) = complete(row, [self.shared], self.top)
        shared = read(shared_groups)
        completed = complete(row, self.frames[:count], shared_groups, self.top)
        own = [read(groups) for groups in completed]
        own += [None] * (count - len(own))
        return [
            {GroupLevel.FRAME: value, GroupLevel.SHARED: shared, GroupLevel.TOP: top}
            for value in own
        ]

    def may_differ(self, count: int) -> bool:
        """Whether ``count`` frames may have attributes that differ."""
        return count > 1 and bool(self.frames)

    def find_different(
        self,
        name: str,
        read: Callable[[int], Iterable[T | None]],
        count: int,
        are_same: Callable[[T, T], bool] = eq,
    ) -> tuple[T, T] | None:
        """Return two values of ``count`` frames that differ, None if none do.

        Parameters
        ----------
        name : str
            Field of ``FunctionalGroups`` by which they may differ.
        read : callable
            Gives the values of a number of frames.
        count : int
        are_same : callable
        """
        if not self.may_differ(count):
            return None
        # Nearly always they do not, which takes a tenth of the time of values: frames may be
        # thousands, and Number of Frames any number, but those without a group are all alike.
        own = {getattr(groups, name).values for groups in self.frames[:count]}
        if len(own) == 1 and count <= len(self.frames):
            return None
        return find_different(read(min(count, len(self.frames) + 1)), are_same)

    def per_frame(
        self, row: str, read: Callable[[FunctionalGroups], T | None], count: int
    ) -> PerFrame[T]:
        """Decide for each of ``count`` frames which level counts.

        Parameters
        ----------
        row : str
            A key of PRECEDENCES.
        read : callable
            Gives the value of a level, None if it has none.
        count : int
            Frames of the image, which may be more or fewer than groups.
        """
        if not self.has_groups:
            top = read(self.top)
            return PerFrame((top,) * count, (None if top is None else GroupLevel.TOP,) * count)
        by_frame = self.read_levels(row, read, count)
        # Most frames share their levels.
        different = {id(by_level): by_level for by_level in by_frame}
        decided = {key: decide(row, by_level) for key, by_level in different.items()}
        decisions = [decided[id(by_level)] for by_level in by_frame]
        return PerFrame(
            tuple(d.value for d in decisions),
            tuple(GroupLevel(d.source) if d.source else None for d in decisions),
        )

    def values_of_frames(
        self, row: str, read: Callable[[FunctionalGroups], T | None], count: int
    ) -> tuple[T | None, ...]:
        """Return the value that counts for each frame; parameters as of ``per_frame``."""
        if not self.has_groups:  # nearly all files of one frame
            return (read(self.top),) * count
        return self.per_frame(row, read, count).values

    def rescales(self, count: int) -> PerFrame[Rescale]:
        """Return Rescale Slope and Intercept of each frame, and their levels."""
        return self.per_frame("rescale", FunctionalGroups.rescale, count)

    def rescale_types(self, count: int) -> tuple[str | None, ...]:
        """Return Rescale Type of each frame."""
        return self.values_of_frames("rescale_type", FunctionalGroups.units, count)

    def dose_scaling(self) -> Rescale | None:
        """Return Dose Grid Scaling (PS3.3 C.8.8.3) as a rescale."""
        numbers = self.dose_grid_scaling.numbers()
        return Rescale(numbers[0]) if numbers else None

    def voi_transforms(self, count: int) -> tuple[tuple[LutAttributes | Window, ...], ...]:
        """Return VOI LUTs and windows of each frame, usable or not, in order of precedence."""
        by_frame = self.read_levels("voi_level", FunctionalGroups.voi_transforms, count)
        different = {id(by_level): by_level for by_level in by_frame}
        ranked = {
            key: tuple(v for _, values in rank("voi_level", by_level) for v in values)
            for key, by_level in different.items()
        }
        return tuple(ranked[id(by_level)] for by_level in by_frame)

    def voi_lut_functions(self, count: int) -> tuple[str | None, ...]:
        """Return VOI LUT Function of each frame."""
        return self.values_of_frames("voi_lut_function", FunctionalGroups.function, count)

    def frame_offsets(self, count: int) -> tuple[float, ...] | None:
        """Return Grid Frame Offset Vector in mm, None unless it has a number for each frame."""
        return self.grid_frame_offset_vector.vector(count) if count > 1 else None

    def positions(self, count: int) -> tuple[tuple[float, ...] | None, ...]:
        """Return Image Position (Patient) of each frame in mm."""
        offsets = self.frame_offsets(count)
        if offsets is None:
            return self.values_of_frames("position", FunctionalGroups.position, count)
        found = self.per_frame("position", FunctionalGroups.position, count)
        position, orientation = self.top.position(), self.top.orientation()
        if position is None or orientation is None:
            return found.values
        if any(level is not GroupLevel.TOP for level in found.levels):
            return found.values
        return frame_positions(position, orientation, offsets)

    def orientations(self, count: int) -> tuple[tuple[float, ...] | None, ...]:
        """Return Image Orientation (Patient) of each frame."""
        return self.values_of_frames("orientation", FunctionalGroups.orientation, count)

    def pixel_spacing(self) -> tuple[float, float] | None:
        """Return Pixel Spacing of the first frame as (x, y) in mm."""
        return self.pixel_spacings(1)[0]

    def imager_pixel_spacing(self) -> tuple[float, float] | None:
        """Return Imager Pixel Spacing of the first frame as (x, y) in mm."""
        return self.imager_pixel_spacings(1)[0]

    def imager_pixel_spacings(self, count: int) -> tuple[tuple[float, float] | None, ...]:
        """Return Imager Pixel Spacing of each frame as (x, y) in mm."""
        return self.values_of_frames("pixel_spacing", FunctionalGroups.detector_spacing, count)

    def pixel_spacings(self, count: int) -> tuple[tuple[float, float] | None, ...]:
        """Return Pixel Spacing of each frame as (x, y) in mm."""
        return self.values_of_frames("pixel_spacing", FunctionalGroups.patient_spacing, count)

    def spacing_between_slices(self) -> float | None:
        """Return Spacing Between Slices of the first frame in mm."""
        return self.spacings_between_slices(1)[0]

    def spacings_between_slices(self, count: int) -> tuple[float | None, ...]:
        """Return Spacing Between Slices of each frame in mm."""
        read = FunctionalGroups.slice_spacing
        return self.values_of_frames("spacing_between_slices", read, count)

    def breast_laterality(self) -> str:
        """Return L, R or another value in capitals; an empty text if there is none."""
        return decide("laterality", self.lateralities()).value or ""

    def lateralities(self) -> dict[str, str | None]:
        """Return each laterality in capitals by its source, None for one that names no side."""
        first = next(iter(self.frames), NO_GROUPS)
        by_source = {
            "FrameLaterality of the first frame": first.frame_laterality.text(),
            "FrameLaterality of the shared group": self.shared.frame_laterality.text(),
            "ImageLaterality": self.image_laterality.text(),
            "Laterality": self.laterality.text(),
        }
        return {source: read_side(text) for source, text in by_source.items()}

    def frame_lateralities(self, count: int) -> tuple[str | None, ...]:
        """Return Frame Laterality of the group of each frame in capitals, None for no side."""
        return tuple(read_side(f.frame_laterality.text()) for f in self.frames[:count])

    def patient_directions(self) -> tuple[str, str] | None:
        """Return Patient Orientation of the first frame, the directions of rows and columns."""
        return self.patient_directions_of_frames(1)[0]

    def patient_directions_of_frames(self, count: int) -> tuple[tuple[str, str] | None, ...]:
        """Return Patient Orientation of each frame."""
        read = FunctionalGroups.patient_directions
        return self.values_of_frames("patient_orientation", read, count)

    def number_of_frames(self) -> int | None:
        """Return Number of Frames: 1 if it is absent or blank, None if it is no positive number."""
        attribute = self.pixel.number_of_frames
        number = 1 if attribute.is_empty else attribute.integer(-1)
        return number if number > 0 else None

    def find_effective_groups(
        self, row: str, read: Callable[[FunctionalGroups], object | None]
    ) -> tuple[FunctionalGroups, ...]:
        """Return the groups whose value by ``read`` counts for some frame, each once."""
        count = max(1, len(self.frames))
        by_level = {GroupLevel.TOP: self.top, GroupLevel.SHARED: self.shared}
        effective = (
            self.frames[index] if level is GroupLevel.FRAME else by_level[level]
            for index, level in enumerate(self.per_frame(row, read, count).levels)
            if level is not None
        )
        return tuple({id(groups): groups for groups in effective}.values())

    def find_present(self, read: Callable[[FunctionalGroups], Attribute]) -> tuple[Attribute, ...]:
        """Return an attribute of macros from every group that has it, else from the top level."""
        found = (read(groups) for groups in (self.shared, *self.frames))
        present = tuple(attribute for attribute in found if attribute.is_present)
        top = read(self.top)
        return present or ((top,) if top.is_present else ())


def read_side(text: str) -> str | None:
    """Return a laterality in capitals, None for one that names no side."""
    # U is unpaired (PS3.3 C.7.6.16.2.8), which writers take for unknown.
    return None if text.upper() in ("", "U") else text.upper()


def read_spacing(attribute: Attribute) -> tuple[float, float] | None:
    """Return (x, y) of a spacing with two positive numbers, else None."""
    # PS3.3 10.7.1.3: the first number is the distance between rows, which is that in y.
    values = attribute.numbers()
    if len(values) > 1:
        y, x = values[:2]
        if 0 < x < math.inf and 0 < y < math.inf:
            return x, y
    return None
