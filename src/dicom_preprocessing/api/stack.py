"""Several files as the frames of one volume, in the order in which they are given."""

from __future__ import annotations

from bisect import bisect_right
from contextlib import contextmanager
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from dicom_preprocessing.decode.frame_order import slice_step
from dicom_preprocessing.decode.space import number_page_frames, place_pages
from dicom_preprocessing.decode.stage import decode_opened
from dicom_preprocessing.dicom.spacing import is_same_spacing, show_spacing
from dicom_preprocessing.errors import FileError, NoSpacingError, VolumeError
from dicom_preprocessing.image_warnings import ImageWarning, ImageWarnings
from dicom_preprocessing.imaging.conversion import convert
from dicom_preprocessing.imaging.frames import LazyFrames
from dicom_preprocessing.imaging.geometry import round_half_away
from dicom_preprocessing.imaging.positions import distances_along_normal
from dicom_preprocessing.imaging.stacking import Slice, check_order
from dicom_preprocessing.imaging.volume import Volume, handle_volume, require_few_frames

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from dicom_preprocessing.dicom.reading import ImageFile
    from dicom_preprocessing.imaging.image import Image
    from dicom_preprocessing.imaging.space import PatientSpace


PER_FILE = ("intensity", "window", "orient", "series")
"""Settings of decode that apply to each file; the others apply to the volume."""


def decode_stack(files: Mapping[str, ImageFile], settings: Mapping[str, Any]) -> Image:
    """Decode files to the frames of one volume, and apply its handler.

    Parameters
    ----------
    files : mapping
        What ``open_image`` returned, by a name for messages; at least one.
    settings : mapping
        As for ``decode_opened``. Frames follow the order of the files, those of a multi-frame
        object the order of its z axis.

    Returns
    -------
    Image
        Display values, uint16 if any file has them. Identity, pixel spacing and flip are those of
        the first file.

    Raises
    ------
    FileError
        A file does not decode, or it differs from the first in size, colour or flip; the message
        names it.
    """
    own = {key: settings[key] for key in PER_FILE}
    images = {}
    for name, opened in files.items():
        with name_in_errors(name):
            images[name] = decode_opened(*opened, **own).to_display_values()
    _require_alike(images)
    first = next(iter(images.values()))
    shared = {key: settings[key] for key in settings if key not in (*PER_FILE, "volume")}
    shared.pop("fast_decode", None)
    frames = _join_frames(images)
    volume = Volume(frames, _frame_spacing(list(files.values()), images))
    handled = handle_volume(volume, **_choose_handler(volume, settings["volume"], **shared))
    source_info = replace(
        first.source_info,
        source_frames=len(frames),
        frame_spacing=handled.frame_spacing,
        page_frames=number_page_frames(range(len(frames)), handled.sources),
        warnings=ImageWarnings(
            (
                *_check_volume(files, images),
                *(
                    ImageWarning(w.code, f"{name}: {w.message}")
                    for name, image in images.items()
                    for w in image.source_info.warnings
                ),
            )
        ),
    )
    geometry = first.geometry.with_space(_place(list(files.values()), images, handled))
    return replace(first, frames=handled.frames, geometry=geometry, source_info=source_info)


def _check_volume(
    files: Mapping[str, ImageFile], images: Mapping[str, Image]
) -> Iterator[ImageWarning]:
    """Yield what is irregular about the files as slices, with the codes of ``series: stack``."""
    if len(files) == 1 or any(image.source_info.source_frames > 1 for image in images.values()):
        return
    slices = [
        Slice(
            name=name,
            sop_instance_uid=description.header.sop_instance_uid,
            rows=description.header.rows,
            columns=description.header.columns,
            orientation=description.orientations(1)[0],
            position=description.positions(1)[0],
        )
        for name, (description, _) in files.items()
    ]
    for finding in check_order(slices):
        if finding.warning is not None:
            yield finding.warning
    yield from _check_spacing(images)
    rescales = {description.rescales(1).values[0] for description, _ in files.values()}
    if len(rescales) > 1:
        message = f"slices have {len(rescales)} rescales: each is applied to its slice"
        yield ImageWarning("stack_mixed_rescale", message)
    windows = {description.voi_transforms(1)[0] for description, _ in files.values()}
    if len(windows) > 1:
        message = f"slices have {len(windows)} windows: each is applied to its slice"
        yield ImageWarning("stack_windows_differ", message)


def _check_spacing(images: Mapping[str, Image]) -> Iterator[ImageWarning]:
    """Yield a warning of the first slice whose pixels are of another size than those of the first.

    A size that is unknown is another one.
    """
    (first, one), *others = ((name, i.source_info.pixel_spacing) for name, i in images.items())
    for name, found in others:
        if not is_same_spacing(found, one):
            shown = f"{name} has {show_spacing(found)}, {first} has {show_spacing(one)}"
            message = f"slices differ in the spacing of pixels: {shown}"
            yield ImageWarning("stack_spacing_differs", message)
            return


def _place(
    files: Sequence[ImageFile], images: Mapping[str, Image], volume: Volume
) -> PatientSpace | None:
    """Where the pages lie, if each file is one slice that says where it lies."""
    if any(image.source_info.source_frames > 1 for image in images.values()):
        return None
    return place_pages(
        [description.positions(1)[0] for description, _ in files],
        [description.orientations(1)[0] for description, _ in files],
        [description.pixel_spacing() for description, _ in files],
        volume.sources,
    )


def _choose_handler(
    volume: Volume,
    handler: str,
    *,
    spacing_z: float | None,
    **settings: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Return the settings of ``handle_volume``; a z spacing is as many frames, spread evenly.

    This is the rule of the reference program, whose callers count on the number of slices.
    """
    chosen = settings | {"handler": handler}
    if spacing_z is None or len(volume.frames) == 1 or handler != "keep":
        return chosen
    if volume.frame_spacing is None:
        raise NoSpacingError("the spacing between frames is unknown: cannot resample z to mm")
    count = max(1, round_half_away(len(volume.frames) * volume.frame_spacing / spacing_z))
    require_few_frames(count)
    return chosen | {"handler": "interpolate", "target_frames": count}


@contextmanager
def name_in_errors(name: str) -> Iterator[None]:
    """Name the file in the errors of a block."""
    try:
        yield
    except FileError as error:
        named = FileError(
            f"{name}: {error}", error=error.error, transient=error.transient, stage=error.stage
        )
        raise named from error


def _require_alike(images: Mapping[str, Image]) -> None:
    (first_name, first), *others = images.items()
    for name, image in others:
        for what, found, expected in (
            ("size", _size_text(image), _size_text(first)),
            ("colour", _colour_text(image), _colour_text(first)),
            ("flip", str(image.geometry.flip), str(first.geometry.flip)),
        ):
            if found != expected:
                message = f"slices differ in {what}: {found} in {name}, {expected} in {first_name}"
                raise VolumeError(message)


def _size_text(image: Image) -> str:
    return f"{image.size.width}x{image.size.height}"


def _colour_text(image: Image) -> str:
    return "RGB" if image.is_colour else "grey"


def _join_frames(images: Mapping[str, Image]) -> LazyFrames:
    """All frames, one file after the other; 8 bits become 16 where other files have 16."""
    names, parts = list(images), [image.frames for image in images.values()]
    dtype = np.result_type(*(part.dtype for part in parts))
    ends = list(accumulate(map(len, parts)))

    def read_frame(index: int) -> NDArray[Any]:
        k = bisect_right(ends, index)
        with name_in_errors(names[k]):
            return convert(parts[k][index - ends[k]], dtype)  # a negative index, from its end

    return LazyFrames((ends[-1], *parts[0].shape[1:]), dtype, read_frame)


def _frame_spacing(files: Sequence[ImageFile], images: Mapping[str, Image]) -> float | None:
    """Median step of positions along the normal of the first frame, else the first stated step."""
    positions: list[tuple[float, ...] | None] = []
    orientations: list[tuple[float, ...] | None] = []
    for (description, _), image in zip(files, images.values(), strict=True):
        n = image.source_info.source_frames
        positions += description.positions(n)
        orientations += description.orientations(n)
    known = [p for p in positions if p is not None]
    along = None
    if orientations[0] is not None and len(known) == len(positions):
        along = distances_along_normal(known, orientations[0])
    stated = (image.source_info.frame_spacing for image in images.values())
    return slice_step(along, next((s for s in stated if s is not None), None))
