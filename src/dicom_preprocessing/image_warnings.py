"""Warnings about an image: what is irregular in its file, and did not prevent the image.

``WARNING_CODES`` is the one place where codes are defined. Receipts, warnings.csv, the report and
``dicom-validate`` give the same codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

WARNING_CODES: Final[Mapping[str, str]] = {
    # The file.
    "encoding_contradicts_syntax": "The data set has another encoding than its transfer syntax.",
    "unknown_syntax": "The transfer syntax is not known; pixels are read as what they are.",
    "stream_contradicts_syntax": "The pixel data is of another kind than its transfer syntax.",
    "unknown_vr": "An element has a value representation that the standard does not have.",
    "unparsable_element": "An element that does not parse was skipped.",
    "element_twice": "An element is there twice, with different values; the last one counts.",
    "trailing_bytes": "Bytes that belong to nothing follow the pixels or the data set.",
    # Pixel data.
    "length_beyond_end": "The stated length of the pixel data is beyond the end of the file.",
    "excess_frames": "There are more frames than Number of Frames says; the others are ignored.",
    "offset_table_wrong": "An offset table is not that of the frames, and was ignored.",
    "rle_fragments": "A frame of RLE has several fragments, where the standard allows one.",
    "no_offset_table": "Fragments begin without the item of an offset table.",
    "no_sequence_delimiter": "Fragments do not end with a sequence delimiter.",
    "high_bit_unusable": "High Bit is missing or impossible, and counts as Bits Stored - 1.",
    "sign_contradicts_stream": "Pixel Representation has another sign than the stream.",
    "precision_below_bits_stored": "Signed or colour samples have fewer bits than Bits Stored.",
    "values_above_bits_stored": "Bits above Bits Stored are set; they are masked or clipped.",
    "bits_below_stored": "High Bit leaves out lower bits, and some of these are set.",
    "bits_contradict_pixels": "The pixel data has samples of other Bits Allocated or layout.",
    "values_seem_signed": "Values seem to be signed, though Pixel Representation is unsigned.",
    # Colour.
    "photometric_spelling": "Photometric Interpretation is not spelled as the standard has it.",
    "photometric_assumed": "Photometric Interpretation is missing; the pixels say what it is.",
    "colour_contradicts_header": "The colour of the pixels is not that of the header.",
    # Transforms of grey values, and palettes.
    "lut_contradicts_descriptor": "A look-up table is not what its descriptor says.",
    "lut_unusable": "An optional look-up table cannot be used, and was ignored.",
    "rescale_slope_zero": "Rescale Slope is 0, and counts as 1.",
    "rescale_missing_in_frames": "Frames have no rescale, although others have one.",
    "transforms_contradict": "A file has two transforms, or palettes, of which it may have one.",
    "rescale_types_differ": "Frames have Rescale Types, and so units, that differ.",
    "window_unusable": "A window cannot be used, and was ignored.",
    "window_narrow": "A window of LINEAR is narrower than 1, and is applied as LINEAR_EXACT.",
    "window_missing_in_frames": "Frames have no usable window, and use minimum to maximum.",
    "functional_groups_contradict": "A functional group contradicts another one or the top level.",
    "padding_not_exact": "Values near Pixel Padding Value differ from it and stay.",
    "values_not_finite": "Values are not finite numbers: background, or an end of the range.",
    # Class and geometry.
    "sop_class_contradicts": "The file meta information has another SOP class than the data set.",
    "slice_spacing_contradicts": "Spacing Between Slices is not the step of positions.",
    "several_volumes": "The object has several volumes; its frames stay in stored order.",
    "frames_differ": "Frames differ in spacing, orientation or side, of which an image has one.",
    "frame_offsets_contradict": "Grid Frame Offset Vector does not fit the frames or positions.",
    "pixel_aspect_ratio": "Pixels are not square, and no spacing says so.",
    "chest_wall_unknown": "The side of the chest wall is not known; the image was not mirrored.",
    "region_unknown": "The part of an ultrasound image that shows the patient is not known.",
    "mosaic": "One frame has many slices side by side.",
    "private_volume": "Pixels of a volume are in private elements; the visible image is written.",
    # Slices of a series as one volume.
    "stack_gap": "Slices of a volume seem to be missing.",
    "stack_uneven": "The steps between the slices of a volume differ.",
    "stack_duplicate_position": "Slices of a volume are at one position.",
    "stack_tilt": "The positions of slices are off their normal, as with a tilted gantry.",
    "stack_mixed_rescale": "Slices have different rescales, which are applied slice by slice.",
    "stack_no_positions": "Slices have no usable positions; their distances are unknown.",
    "stack_frame_of_reference": "Slices of one geometry are of several Frames of Reference.",
    "stack_orientation": "Slices of a volume are not parallel.",
    "stack_order": "Slices are not in the order of their positions.",
    "stack_spacing_differs": "Slices have different pixel spacings; that of the first counts.",
    "stack_windows_differ": "Slices have different windows; minimum to maximum is used for all.",
    # Crop.
    "only_background": "There is nothing but background; the image was not cropped.",
    "small_component": "crop_components kept less than half of the foreground.",
}
"""By code: what was found, and what was done."""


class ImageWarning(NamedTuple):
    """A warning: a code of ``WARNING_CODES``, and what was found in this file."""

    code: str
    message: str


class ImageWarnings:
    """Warnings of an image, each once, in the order of ``WARNING_CODES``.

    Frames are decoded when they are asked for, by several threads, and may add warnings then: it is
    complete after the last frame.

    Parameters
    ----------
    warnings : iterable of ImageWarning
    earlier : ImageWarnings or None
        Of earlier stages, which may still grow.
    """

    __slots__ = ("_earlier", "_warnings")

    def __init__(
        self, warnings: Iterable[ImageWarning] = (), earlier: ImageWarnings | None = None
    ) -> None:
        self._warnings = dict.fromkeys(warnings)
        self._earlier = earlier

    @classmethod
    def from_lists(cls, lists: Collection[Sequence[str]]) -> ImageWarnings:
        """Make the warnings of code and message, as JSON has them.

        Raises
        ------
        ValueError
            Another version wrote them.
        """
        if not lists:  # nearly all
            return cls()
        pairs = [ImageWarning(*pair) for pair in lists if len(pair) == len(ImageWarning._fields)]
        if len(pairs) != len(lists) or any(code not in WARNING_CODES for code, _ in pairs):
            raise ValueError(f"no warnings of this version: {lists}")
        return cls(pairs)

    def add(self, code: str, message: str) -> None:
        """Add a warning, unless it is there.

        Raises
        ------
        KeyError
            ``WARNING_CODES`` has no such code.
        """
        if code not in WARNING_CODES:
            raise KeyError(code)
        self._warnings[ImageWarning(code, message)] = None

    def extend(self, warnings: Iterable[ImageWarning]) -> None:
        """Add warnings."""
        for warning in warnings:
            self.add(*warning)

    def plus(self, code: str, message: str) -> ImageWarnings:
        """Return these warnings and one of a later stage, which is not added here."""
        later = ImageWarnings(earlier=self)
        later.add(code, message)
        return later

    def __iter__(self) -> Iterator[ImageWarning]:
        if not self._warnings and self._earlier is None:  # nearly all
            return iter(())
        earlier = () if self._earlier is None else self._earlier
        merged = list({*self._warnings, *earlier})
        return iter(sorted(merged, key=lambda warning: (RANKS[warning.code], warning.message)))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ImageWarnings) and list(self) == list(other)

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"ImageWarnings({list(self)!r})"


RANKS: Final = {code: rank for rank, code in enumerate(WARNING_CODES)}
"""Place of each code in ``WARNING_CODES``."""
