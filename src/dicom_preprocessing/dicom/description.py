"""The description of an image: every attribute on which pixels, geometry, order and naming depend.

It is made once a file (data_set.py) and frozen; what comes behind are functions of it and of the
bytes of the pixel data element, and never ask the data set again. Attributes that may stand in
functional groups are kept for each place; the table in contradictions.py decides which counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from dicom_preprocessing.dicom.attribute import ABSENT
from dicom_preprocessing.dicom.contradictions import GroupLevel, decide

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydicom.uid import UID

    from dicom_preprocessing.dicom.attribute import Attribute
    from dicom_preprocessing.dicom.header import Header

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


@dataclass(frozen=True, slots=True)
class Rescale:
    """Rescale Slope and Intercept (PS3.3 C.11.1); what is there and no number is NaN."""

    slope: float = 1.0
    intercept: float = 0.0

    @property
    def is_finite(self) -> bool:
        """Whether both are numbers."""
        return math.isfinite(self.slope) and math.isfinite(self.intercept)


@dataclass(frozen=True, slots=True)
class LutAttributes:
    """A look-up table as it stands in the file: of a LUT sequence's item, or of a palette.

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


NO_LUT: Final = LutAttributes()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePixel:
    """The Image Pixel Module (PS3.3 C.7.6.3) and Number of Frames, as found."""

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
    """What functional group macros hold, at one place: top level, shared group, or a frame's.

    ``macros`` are the keywords of those that are there; at the top level there are none, and their
    attributes stand by themselves. ``voi_lut`` is the first item of VOI LUT Sequence, and
    ``voi_lut_items`` their number, None where the sequence is absent.
    """

    macros: frozenset[str] = frozenset()
    rescale_slope: Attribute = ABSENT
    rescale_intercept: Attribute = ABSENT
    window_center: Attribute = ABSENT
    window_width: Attribute = ABSENT
    voi_lut_function: Attribute = ABSENT
    voi_lut: LutAttributes | None = None
    voi_lut_items: int | None = None
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
        """Rescale Slope and Intercept; a missing one of the two is neutral."""
        slope, intercept = self.rescale_slope.numbers(), self.rescale_intercept.numbers()
        if not slope and not intercept:
            return None
        return Rescale(slope[0] if slope else 1.0, intercept[0] if intercept else 0.0)

    def windows(self) -> tuple[Window, ...] | None:
        """Every window, usable or not, None where there are none."""
        function = self.function() or "LINEAR"
        pairs = zip(self.window_center.numbers(), self.window_width.numbers(), strict=False)
        return tuple(Window(c, w, function) for c, w in pairs) or None

    def function(self) -> str | None:
        """VOI LUT Function, None where it is absent."""
        return self.voi_lut_function.text().upper() or None

    def in_plane_spacing(self) -> tuple[float, float] | None:
        """Distance of pixels in x and y, mm (row spacing stands first in the file)."""
        return decide(
            "in_plane_spacing",
            {
                "PixelSpacing": _spacing(self.pixel_spacing),
                "ImagerPixelSpacing": _spacing(self.imager_pixel_spacing),
            },
        ).value

    def position(self) -> tuple[float, ...] | None:
        """Image Position (Patient), mm."""
        return self.image_position_patient.vector(3)

    def orientation(self) -> tuple[float, ...] | None:
        """Image Orientation (Patient), direction cosines of row and column."""
        return self.image_orientation_patient.vector(6)

    def slice_spacing(self) -> float | None:
        """Spacing Between Slices, mm."""
        values = self.spacing_between_slices.numbers()
        return abs(values[0]) if values and math.isfinite(values[0]) and values[0] else None

    def patient_directions(self) -> tuple[str, str] | None:
        """Patient Orientation, the directions of rows and columns."""
        directions = self.patient_orientation.texts()
        if len(directions) != len(("row", "column")):
            return None
        return directions[0].upper(), directions[1].upper()


NO_GROUPS: Final = FunctionalGroups()


@dataclass(frozen=True, slots=True)
class PixelPadding:
    """Pixel Padding Value and Pixel Padding Range Limit (PS3.3 C.7.5.1.1.2), as found."""

    value: Attribute = ABSENT
    range_limit: Attribute = ABSENT


@dataclass(frozen=True, slots=True)
class PerFrame(Generic[T]):
    """What counts for each frame, and where it stands.

    Parameters
    ----------
    values : tuple
        None for a frame of which nothing tells it.
    places : tuple of GroupLevel or None
        None where ``values`` has None.
    overruled : frozenset of GroupLevel
        Where some frame has another value that does not count.
    """

    values: tuple[T | None, ...]
    places: tuple[GroupLevel | None, ...]
    overruled: frozenset[GroupLevel] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a file says of its image.

    Parameters
    ----------
    header : Header
        What the index keeps.
    transfer_syntax_uid : UID
        In which the pixel data is encoded.
    is_little_endian : bool
        Byte order of values that stay bytes, such as LUT Data.
    pixel : ImagePixel
    top, shared : FunctionalGroups
    frames : tuple of FunctionalGroups
        Items of Per-frame Functional Groups Sequence, in stored order; empty without it.
    modality_lut : LutAttributes or None
        First item of Modality LUT Sequence.
    palette : tuple of LutAttributes
        Red, green and blue.
    pixel_padding, float_pixel_padding, double_float_pixel_padding : PixelPadding
        Of each kind of pixel data.
    sop_class_uid : Attribute
        Of the data set; the header's may be that of the file meta information.
    image_laterality, laterality, view_position : Attribute
    view_codes : tuple of Attribute
        Code Value of the items of View Code Sequence.
    extended_offset_table, extended_offset_table_lengths : Attribute
    """

    header: Header
    transfer_syntax_uid: UID
    is_little_endian: bool = True
    pixel: ImagePixel = ImagePixel()
    top: FunctionalGroups = NO_GROUPS
    shared: FunctionalGroups = NO_GROUPS
    frames: tuple[FunctionalGroups, ...] = ()
    modality_lut: LutAttributes | None = None
    palette: tuple[LutAttributes, LutAttributes, LutAttributes] = (NO_LUT, NO_LUT, NO_LUT)
    pixel_padding: PixelPadding = PixelPadding()
    float_pixel_padding: PixelPadding = PixelPadding()
    double_float_pixel_padding: PixelPadding = PixelPadding()
    sop_class_uid: Attribute = ABSENT
    image_laterality: Attribute = ABSENT
    laterality: Attribute = ABSENT
    view_position: Attribute = ABSENT
    view_codes: tuple[Attribute, ...] = ()
    extended_offset_table: Attribute = ABSENT
    extended_offset_table_lengths: Attribute = ABSENT

    def per_frame(
        self, row: str, read: Callable[[FunctionalGroups], T | None], count: int
    ) -> PerFrame[T]:
        """What ``read`` finds for each of ``count`` frames, by a row of the table of who wins."""
        top = read(self.top)
        if self.shared is NO_GROUPS and not self.frames:
            place = GroupLevel.TOP if top is not None else None
            return PerFrame((top,) * count, (place,) * count)
        shared = read(self.shared)
        own = [read(groups) for groups in self.frames[:count]]
        own += [None] * (count - len(own))
        decisions = [
            decide(row, {GroupLevel.TOP: top, GroupLevel.SHARED: shared, GroupLevel.FRAME: value})
            for value in own
        ]
        return PerFrame(
            tuple(d.value for d in decisions),
            tuple(GroupLevel(d.source) if d.source else None for d in decisions),
            frozenset(GroupLevel(source) for d in decisions for source in d.overruled),
        )

    def rescales(self, count: int) -> tuple[Rescale | None, ...]:
        """Rescale Slope and Intercept of each frame."""
        return self.per_frame("rescale", FunctionalGroups.rescale, count).values

    def windows(self, count: int) -> tuple[tuple[Window, ...] | None, ...]:
        """Windows of each frame."""
        return self.per_frame("windows", FunctionalGroups.windows, count).values

    def voi_lut_functions(self, count: int) -> tuple[str | None, ...]:
        """VOI LUT Function of each frame."""
        return self.per_frame("voi_lut_function", FunctionalGroups.function, count).values

    def voi_luts(self, count: int) -> tuple[LutAttributes | None, ...]:
        """The first VOI LUT of each frame."""
        return self.per_frame("voi_lut", lambda groups: groups.voi_lut, count).values

    def positions(self, count: int) -> tuple[tuple[float, ...] | None, ...]:
        """Image Position (Patient) of each frame, mm."""
        return self.per_frame("position", FunctionalGroups.position, count).values

    def orientations(self, count: int) -> tuple[tuple[float, ...] | None, ...]:
        """Image Orientation (Patient) of each frame."""
        return self.per_frame("orientation", FunctionalGroups.orientation, count).values

    def pixel_spacing(self) -> tuple[float, float] | None:
        """Distance of pixels in x and y of the first frame, mm."""
        return self.per_frame("pixel_spacing", FunctionalGroups.in_plane_spacing, 1).values[0]

    def spacing_between_slices(self) -> float | None:
        """Spacing Between Slices of the first frame, mm."""
        found = self.per_frame("spacing_between_slices", FunctionalGroups.slice_spacing, 1)
        return found.values[0]

    def breast_laterality(self) -> str:
        """L, R or what else is found, in capitals; empty where nothing tells it."""
        first = next(iter(self.frames), NO_GROUPS)
        by_source = {
            "ImageLaterality": self.image_laterality.text(),
            "Laterality": self.laterality.text(),
            "FrameLaterality of the shared group": self.shared.frame_laterality.text(),
            "FrameLaterality of the first frame": first.frame_laterality.text(),
        }
        sides = {source: side.upper() or None for source, side in by_source.items()}
        return decide("laterality", sides).value or ""

    def patient_directions(self) -> tuple[str, str] | None:
        """Patient Orientation, the directions of rows and columns of the first frame."""
        read = FunctionalGroups.patient_directions
        return self.per_frame("patient_orientation", read, 1).values[0]

    def number_of_frames(self) -> int | None:
        """Number of Frames, 1 where it is absent or blank, None where it is no positive number."""
        attribute = self.pixel.number_of_frames
        number = 1 if attribute.is_empty else attribute.integer(-1)
        return number if number > 0 else None

    def find_effective_groups(
        self, row: str, read: Callable[[FunctionalGroups], object | None]
    ) -> tuple[FunctionalGroups, ...]:
        """The places at which what ``read`` finds counts for some frame, each once."""
        count = max(1, len(self.frames))
        places = {GroupLevel.TOP: self.top, GroupLevel.SHARED: self.shared}
        found = (
            self.frames[number] if place is GroupLevel.FRAME else places[place]
            for number, place in enumerate(self.per_frame(row, read, count).places)
            if place is not None
        )
        return tuple({id(groups): groups for groups in found}.values())

    def find_present(self, read: Callable[[FunctionalGroups], Attribute]) -> tuple[Attribute, ...]:
        """An attribute of macros where it is found: at the top level, else in all groups."""
        top = read(self.top)
        places = [top] if top.is_present else map(read, (self.shared, *self.frames))
        return tuple(attribute for attribute in places if attribute.is_present)


def _spacing(attribute: Attribute) -> tuple[float, float] | None:
    """X and y of two positive numbers, of which that of rows stands first (PS3.3 10.7.1.3)."""
    values = attribute.numbers()
    if len(values) > 1 and all(v > 0 and math.isfinite(v) for v in values[:2]):
        return values[1], values[0]
    return None
