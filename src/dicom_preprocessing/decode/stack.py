"""The decode stage of a stack: single-frame files as the frames of one volume.

All headers are read first, since one transform to display values holds for the whole volume; pixels
of a slice are read when its frame is asked for.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom_preprocessing.decode.pixels import stored_frames
from dicom_preprocessing.decode.space import number_page_frames, place_pages
from dicom_preprocessing.decode.stage import (
    DecodeInput,
    DecodeSettings,
    apply_handler,
    flip_frames,
    make_source_info,
    make_values,
    prepare_input,
)
from dicom_preprocessing.dicom.attribute import ABSENT, Attribute
from dicom_preprocessing.dicom.description import NO_GROUPS, FunctionalGroups, Rescale, Window
from dicom_preprocessing.dicom.reading import open_image
from dicom_preprocessing.dicom.sources import reopen_for_reads
from dicom_preprocessing.dicom.spacing import is_same_spacing, show_spacing
from dicom_preprocessing.dicom.transfer_syntaxes import NATIVE
from dicom_preprocessing.dicom.ultrasound import find_2d_region
from dicom_preprocessing.errors import FileError, VolumeError
from dicom_preprocessing.image_warnings import ImageWarning, ImageWarnings
from dicom_preprocessing.imaging.conversion import convert
from dicom_preprocessing.imaging.frames import LazyFrames
from dicom_preprocessing.imaging.geometry import Geometry
from dicom_preprocessing.imaging.image import Image
from dicom_preprocessing.imaging.positions import median_step
from dicom_preprocessing.imaging.volume import Volume
from dicom_preprocessing.text import make_printable

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from dicom_preprocessing.decode.pixel_format import PixelFormat
    from dicom_preprocessing.dicom.description import Description, LutAttributes
    from dicom_preprocessing.imaging.space import PatientSpace

FAIL: Final = "fail"
"""The policy with which a volume is not written."""
LINEAR: Final = "LINEAR"
MAX_SHOWN: Final = 3
"""Values that a message lists."""


class SliceError(FileError):
    """One slice cannot be decoded, and so the volume cannot be written.

    Parameters
    ----------
    name : str
        Of the slice.
    cause : FileError
        What is wrong with it.
    """

    error = VolumeError.error

    def __init__(self, name: str, cause: FileError) -> None:
        super().__init__(
            f"slice {make_printable(name)}: {cause}", transient=cause.transient, stage=cause.stage
        )
        self.name, self.cause = name, cause


class Slice(NamedTuple):
    """A file of one frame, opened, and how its pixels are read."""

    name: str
    source: DecodeInput

    @property
    def description(self) -> Description:
        """The header."""
        return self.source.description

    @property
    def pixel_format(self) -> PixelFormat:
        """How samples are stored."""
        return self.source.pixel_format


class SliceWarnings(ImageWarnings):
    """Warnings about the slices of a volume, one for each code; those of a slice may still grow."""

    __slots__ = ("_slices",)

    def __init__(self, slices: Sequence[Slice]) -> None:
        super().__init__()
        self._slices = slices

    def __iter__(self) -> Iterator[ImageWarning]:
        of_slices = [(make_printable(s.name), w) for s in self._slices for w in s.source.warnings]
        counts = Counter(warning.code for _, warning in of_slices)
        first = {w.code: (name, w.message) for name, w in reversed(of_slices)}
        together = {
            ImageWarning(code, f"slice {name}: {message}{_count_others(counts[code] - 1)}"): None
            for code, (name, message) in first.items()
        }
        return iter(ImageWarnings((*super().__iter__(), *together)))


def _count_others(count: int) -> str:
    return f" (and {count} more like it)" if count else ""


def open_slice(path: str | os.PathLike[str], name: str, settings: Mapping[str, Any]) -> Slice:
    """Open a file of one frame, and read its header.

    Parameters
    ----------
    path : path
    name : str
        For messages.
    settings : mapping
        As of ``DecodeSettings``.

    Raises
    ------
    FileError
        It is no image that can be decoded.
    """
    description, pixel_data = open_image(path)
    if pixel_data is None:
        raise FileError("there is no pixel data element", error="no_pixel_data")
    warnings = ImageWarnings(description.warnings)
    pixel_data = replace(pixel_data, source=reopen_for_reads(pixel_data.source, path))
    source = prepare_input(description, pixel_data, DecodeSettings(**settings), warnings)
    frames = source.pixel_format.number_of_frames
    if frames != 1:
        raise VolumeError(f"has {frames} frames: it is not one slice")
    return Slice(name, source)


def read_slice(opened: Slice) -> NDArray[Any]:
    """Decode the stored values of a slice, (rows, columns, samples)."""
    source = opened.source
    frames = stored_frames(
        source.description, source.pixel_format, source.pixel_data, source.warnings
    )
    return frames[0]


def decode_slices(
    slices: Sequence[Slice],
    settings: Mapping[str, Any],
    *,
    distances: Sequence[float] | None,
    reading: Callable[[int], AbstractContextManager[object]],
) -> Image:
    """Decode slices to the frames of one volume, and apply its handler.

    Parameters
    ----------
    slices : sequence of Slice
        In the order of the pages, at least one.
    settings : mapping
        As of ``DecodeSettings``; ``fast_decode`` is ignored.
    distances : sequence of float or None
        Of slices along the normal in mm, ascending; None where positions are unknown.
    reading : callable
        From the index of a slice to a context in which it is decoded.

    Returns
    -------
    Image
        As of ``decode_opened``. Identity and facts are those of the first slice.

    Raises
    ------
    VolumeError
        Slices cannot be frames of one volume.
    SliceError
        A slice does not decode; also when its frame is asked for.
    """
    decode_settings = DecodeSettings(**settings)
    first = slices[0]
    _require_alike(slices)
    warnings = SliceWarnings(slices)
    _judge_rescales(slices, decode_settings.stack.get("mixed_rescale"), warnings)
    pixel_format = _join_formats([s.pixel_format for s in slices])
    description, intensity = _join_descriptions(slices, decode_settings, warnings)
    stored = _join_frames(slices, pixel_format, reading)
    decode_settings = replace(decode_settings, intensity=intensity)
    values = make_values(description, pixel_format, stored, warnings, decode_settings)
    step = median_step(distances) if distances is not None else None
    stated = first.description.spacing_between_slices()
    volume = Volume(
        values.frames,
        stated if step is None else step,
        None if distances is None else tuple(distances),
    )
    handled = apply_handler(volume, decode_settings, values.background)
    frames, _ = flip_frames(first.source, handled.frames)
    order = range(len(slices))
    geometry = Geometry(first.source.size, flip=first.source.flip)
    source_info = make_source_info(
        first.source,
        source_frames=len(slices),
        frame_spacing=handled.frame_spacing,
        page_frames=number_page_frames(order, handled.sources),
        background=values.background,
        warnings=warnings,
    )
    space = _place(slices, handled) if distances is not None else None
    return Image(frames, geometry.with_space(space), source_info, values.lookup)


def _place(slices: Sequence[Slice], volume: Volume) -> PatientSpace | None:
    """Return where the pages lie; slices share orientation and spacing but for rounding."""
    orientation = slices[0].description.orientations(1)[0]
    spacing = slices[0].description.pixel_spacing()
    return place_pages(
        [s.description.positions(1)[0] for s in slices],
        [orientation] * len(slices),
        [spacing] * len(slices),
        volume.sources,
    )


def _require_alike(slices: Sequence[Slice]) -> None:
    """Raise a VolumeError unless slices can be frames of one volume."""
    first = slices[0]
    for name, read in KINDS.items():
        expected = read(first)
        for other in slices:
            if read(other) != expected:
                there, here = _show(read(other)), _show(expected)
                if there == here:
                    there = f"another {there}"
                shown = f"{_say(other, there)}, {_say(first, here)}"
                raise VolumeError(f"slices differ in {name}: {shown}")
    for other in slices:
        one, found = first.source.spacing, other.source.spacing
        if not is_same_spacing(one, found):
            shown = f"{_say(other, show_spacing(found))}, {_say(first, show_spacing(one))}"
            raise VolumeError(f"slices differ in the spacing of pixels: {shown}")


KINDS: Final[Mapping[str, Callable[[Slice], object]]] = {
    "size": lambda s: f"{s.pixel_format.columns} x {s.pixel_format.rows}",
    "colour": lambda s: "grey" if s.pixel_format.is_monochrome else "RGB",
    "polarity": lambda s: "inverted" if s.pixel_format.is_inverted else "plain",
    "kind of numbers": lambda s: "float" if s.pixel_format.is_float else "integer",
    "sign": lambda s: (
        "signed" if s.pixel_format.is_monochrome and s.pixel_format.is_signed else "unsigned"
    ),
    "flip": lambda s: s.source.flip,
    "padding value": lambda s: (
        *s.description.pixel_padding.value.numbers(),
        *s.description.pixel_padding.range_limit.numbers(),
    ),
    "Modality LUT": lambda s: s.description.modality_lut,
    "region of ultrasound": lambda s: find_2d_region(s.description),
    "Dose Grid Scaling": lambda s: s.description.dose_grid_scaling.numbers(),
}
"""What all slices of a volume have in common, by name, and how to read it."""


def _say(s: Slice, value: str) -> str:
    return f"{make_printable(s.name)} has {value}"


def _show(value: object) -> str:
    """Return a value for a message: numbers and texts as they are, a table as one.

    Examples
    --------
    >>> _show((-2000.0, -1900.0)), _show(1.5), _show(()), _show(None), _show(object())
    ('-2000 to -1900', '1.5', 'none', 'none', 'one')
    """
    match value:
        case None:
            return "none"
        case tuple():
            return " to ".join(map(_show, value)) or "none"
        case float():
            return f"{value:g}"
        case str() | int():
            return str(value)
        case _:
            return "one"


def _join_formats(formats: Sequence[PixelFormat]) -> PixelFormat:
    """Return the format of a volume whose slices have these."""
    bits = max(f.bits_stored for f in formats)
    allocated = max(f.bits_allocated for f in formats)
    return replace(
        formats[0],
        number_of_frames=len(formats),
        bits_stored=bits,
        bits_allocated=allocated,
        high_bit=bits - 1,
    )


def _join_frames(
    slices: Sequence[Slice],
    pixel_format: PixelFormat,
    reading: Callable[[int], AbstractContextManager[object]],
) -> LazyFrames:
    """Return the stored frames of all slices, each decoded when it is asked for."""
    is_grey = slices[0].pixel_format.is_monochrome
    samples = 1 if is_grey else len("RGB")
    shape = (len(slices), pixel_format.rows, pixel_format.columns, samples)

    def make_frame(index: int) -> NDArray[Any]:
        with reading(index), naming_slice(slices[index].name):
            frame = read_slice(slices[index])
        # Grey values are stored ones; colour is of full range already.
        return frame.astype(pixel_format.dtype) if is_grey else convert(frame, pixel_format.dtype)

    is_cheap = all(map(_is_read_again, slices))
    return LazyFrames(shape, pixel_format.dtype, make_frame, is_cheap)


def _is_read_again(s: Slice) -> bool:
    """Whether reading a slice again costs no more than keeping it in a temporary file."""
    syntax = s.description.transfer_syntax_uid
    is_native = syntax in NATIVE and syntax != DeflatedExplicitVRLittleEndian
    return is_native and s.pixel_format.is_monochrome


@contextmanager
def naming_slice(name: str) -> Iterator[None]:
    """Say in the errors of a block in which slice they are.

    Raises
    ------
    SliceError
    """
    try:
        yield
    except SliceError:
        raise
    except FileError as error:
        raise SliceError(name, error) from error


def _judge_rescales(slices: Sequence[Slice], policy: str | None, warnings: ImageWarnings) -> None:
    """Warn of rescales that differ, or raise a VolumeError."""
    rescales = Counter(_read_rescale(s.description) for s in slices)
    if len(rescales) == 1:
        return
    shown = [_show_rescale(rescale) for rescale, _ in rescales.most_common(MAX_SHOWN)]
    more = f" and {len(rescales) - MAX_SHOWN} others" if len(rescales) > MAX_SHOWN else ""
    message = f"slices have {len(rescales)} rescales, {', '.join(shown)}{more}"
    if policy == FAIL:
        raise VolumeError(f"mixed_rescale: {message}")
    warnings.add("stack_mixed_rescale", f"{message}: each is applied to its slice")


def _read_rescale(description: Description) -> Rescale:
    """Return the rescale that is applied: none is 1 and 0, and a slope of 0 counts as 1."""
    rescale = description.rescales(1).values[0] or Rescale()
    return rescale if rescale.slope else replace(rescale, slope=1.0)


def _show_rescale(rescale: Rescale) -> str:
    return f"{rescale.slope:g} x + {rescale.intercept:g}"


def _join_descriptions(
    slices: Sequence[Slice], settings: DecodeSettings, warnings: ImageWarnings
) -> tuple[Description, str]:
    """Return a description with a group for each slice, and the intensity of the volume.

    Only what transforms grey values is in it.
    """
    first = slices[0].description
    voi, intensity = _choose_voi(slices, settings, warnings)
    function = None if settings.window is None else _choose_function(slices, warnings)
    groups = [_make_groups(s.description, voi, function) for s in slices]
    top = replace(
        first.top,
        voi_luts=(),
        window_center=ABSENT,
        window_width=ABSENT,
        voi_lut_function=ABSENT,
    )
    # A Modality LUT overrules a rescale at the top level, and no other one.
    if first.modality_lut is None:
        top = replace(top, rescale_slope=ABSENT, rescale_intercept=ABSENT, rescale_type=ABSENT)
    else:
        groups = [replace(g, rescale_slope=ABSENT, rescale_intercept=ABSENT) for g in groups]
    joined = replace(first, top=top, shared=NO_GROUPS, frames=tuple(groups), warnings=())
    return joined, intensity


def _choose_function(slices: Sequence[Slice], warnings: ImageWarnings) -> str | None:
    """Return the VOI LUT Function for the window of the configuration, the same for all slices."""
    functions = {s.description.voi_lut_functions(1)[0] or LINEAR for s in slices}
    if len(functions) > 1:
        message = f"slices have {len(functions)} VOI LUT Functions: {LINEAR} is used for all"
        warnings.add("stack_windows_differ", message)
        return LINEAR
    return functions.pop()


def _make_groups(
    description: Description, voi: FunctionalGroups | None, function: str | None
) -> FunctionalGroups:
    """Return the rescale of a slice, and the VOI transform of the volume, as groups of a frame."""
    (rescale,), (kind,) = description.rescales(1).values, description.rescale_types(1)
    groups = voi or FunctionalGroups(voi_lut_function=_attribute("VOILUTFunction", function))
    if rescale is None:
        return replace(groups, rescale_type=_attribute("RescaleType", kind))
    return replace(
        groups,
        rescale_slope=_attribute("RescaleSlope", rescale.slope),
        rescale_intercept=_attribute("RescaleIntercept", rescale.intercept),
        rescale_type=_attribute("RescaleType", kind),
    )


def _attribute(keyword: str, value: float | str | None) -> Attribute:
    return ABSENT if value is None else Attribute(keyword, (value,))


def _choose_voi(
    slices: Sequence[Slice], settings: DecodeSettings, warnings: ImageWarnings
) -> tuple[FunctionalGroups | None, str]:
    """Return the window that all slices share as groups, and the intensity.

    Without one it is minimum to maximum of the volume, so that slices stay comparable.
    """
    is_grey = slices[0].pixel_format.is_monochrome
    if settings.intensity != "voi" or settings.window is not None or not is_grey:
        return None, settings.intensity
    by_slice = [s.description.voi_transforms(1)[0] for s in slices]
    others = list(map(set, by_slice[1:]))
    for candidate in by_slice[0]:
        if _is_usable(candidate) and all(candidate in other for other in others):
            return _make_voi_groups(candidate), settings.intensity
    if any(by_slice):
        warnings.add(
            "stack_windows_differ",
            f"slices do not share a window (they have {len(set(by_slice))}): minimum to maximum of "
            "the volume is used",
        )
    return None, "minmax"


def _is_usable(candidate: LutAttributes | Window) -> bool:
    return candidate.is_usable if isinstance(candidate, Window) else not candidate.is_empty


def _make_voi_groups(voi: LutAttributes | Window) -> FunctionalGroups:
    if not isinstance(voi, Window):
        return FunctionalGroups(voi_luts=(voi,))
    return FunctionalGroups(
        window_center=_attribute("WindowCenter", voi.center),
        window_width=_attribute("WindowWidth", voi.width),
        voi_lut_function=_attribute("VOILUTFunction", voi.function),
    )
