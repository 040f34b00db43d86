"""The volumes of a series of finished TIFFs: their pages, in order, and what is irregular.

The plan is that of ``imaging.stacking``, by the positions of the pixels at the top left of the
TIFFs. Slices of one volume have one geometry, so these are as far apart as those of the source.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dicom_preprocessing.config import StackPolicies
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.imaging.frames import LazyFrames
from dicom_preprocessing.imaging.stacking import (
    DroppedSlice,
    Finding,
    PlannedVolume,
    Slice,
    check_order,
    plan_volumes,
    resolve_duplicates,
)
from dicom_preprocessing.imaging.stacking.findings import FAIL, WARN
from dicom_preprocessing.index.table import is_path_part
from dicom_preprocessing.text import plural
from dicom_preprocessing.tiff.reader import read_frames
from dicom_preprocessing.tools.tiff_image import TiffImage, read_tiff_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from hashlib import _Hash

    from dicom_preprocessing.tiff.place import Place
    from dicom_preprocessing.tools.series import SeriesSlice

DEFAULTS = StackPolicies()


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """A slice and its TIFF, whose frame is read when it is asked for."""

    slice: SeriesSlice
    stored: TiffImage

    @property
    def place(self) -> Place | None:
        """Where the output lies in the patient, by the TIFF, else by the manifest."""
        place = self.stored.info.place or self.slice.place
        return place if place is not None and place.is_usable else None


class Ordering(NamedTuple):
    """The column of a table whose numbers order pages; ``is_kept``: also where positions are known.

    Without a table the numbers are Instance Numbers, and the column is empty.
    """

    column: str = ""
    is_kept: bool = False

    @property
    def name(self) -> str:
        """What the numbers are, for messages."""
        return f"column {self.column} of the table" if self.column else "Instance Number"


@dataclass(frozen=True, slots=True, eq=False)
class SeriesVolume:
    """A volume of a series, with the pages of its slices; ``count`` is that of the series."""

    planned: PlannedVolume
    pages: tuple[Page, ...]
    count: int

    @property
    def name(self) -> str:
        """For messages."""
        first = self.pages[0].slice
        of = f" of {first.study}" if first.study else ""
        number = f", volume {self.planned.number} of {self.count}" if self.count > 1 else ""
        return f"series {first.series}{of}{number}"


class SeriesPlan(NamedTuple):
    """What becomes of the slices of a series."""

    volumes: tuple[SeriesVolume, ...]
    dropped: tuple[DroppedSlice, ...]


def plan_series(
    slices: Sequence[SeriesSlice],
    policies: StackPolicies = DEFAULTS,
    ordering: Ordering = Ordering(),  # noqa: B008  # it is immutable
    *,
    force: bool = False,
) -> SeriesPlan:
    """Plan the volumes of a series.

    Parameters
    ----------
    slices : sequence of SeriesSlice
        In any order.
    policies : StackPolicies
    ordering : Ordering
    force : bool
        Every finding only warns.

    Raises
    ------
    OutputError
        A TIFF cannot be read or has several pages; the series has no UID.
    """
    first = slices[0]
    if not is_path_part(first.series):
        raise OutputError(
            f"{first.name}: found no Series Instance UID in table, manifest or folder. What to do: "
            "name the DICOM files with --source, or write the images with --layout study/series/sop"
        )
    pages = {slice_.name: _read_page(slice_) for slice_ in slices}
    plan = plan_volumes(first.series, _make_facts(list(pages.values())), policies)
    volumes, dropped = [], list(plan.dropped)
    for volume in plan.volumes:
        resolved, repeating = resolve_duplicates(volume, lambda s: _digest_pixels(pages[s.name]))
        dropped += repeating
        checked = _check_volume(resolved, pages, ordering, force=force)
        members = tuple(pages[s.name] for s in checked.slices)
        volumes.append(SeriesVolume(checked, members, len(plan.volumes)))
    return SeriesPlan(tuple(volumes), tuple(dropped))


def _read_page(slice_: SeriesSlice) -> Page:
    stored = read_tiff_image(slice_.path)
    if stored.info.num_frames != 1:
        raise OutputError(f"{stored.path}: found {stored.info.num_frames} pages, expected one")
    return Page(slice_, _reopen_per_page(stored))


def _reopen_per_page(stored: TiffImage) -> TiffImage:
    """The same, but the file is opened for each page, since a series may have thousands."""
    path, frames = stored.path, stored.frames
    reopened = LazyFrames(frames.shape, frames.dtype, lambda index: read_frames(path)[index])
    return replace(stored, frames=reopened)


def _digest_pixels(page: Page) -> bytes:
    frame = np.ascontiguousarray(page.stored.frames[0])
    digest: _Hash = hashlib.sha256(f"{frame.dtype} {frame.shape}".encode())
    digest.update(frame.data)
    return digest.digest()


def _make_facts(pages: Sequence[Page]) -> list[Slice]:
    """What the plan needs of each slice: size, place and the order of its number.

    Positions are those of the TIFFs or the manifest, else those of the table or the headers: never
    of both, since the one is a corner of the output, and the other of the source.
    """
    numbers = sorted({n for page in pages if (n := page.slice.number) is not None})
    ranks = {number: rank for rank, number in enumerate(numbers)}
    are_placed = [page.place is not None for page in pages]
    is_known_otherwise = all(page.slice.facts.is_placed for page in pages)
    by_output = all(are_placed) or (any(are_placed) and not is_known_otherwise)
    return [
        replace(
            _place_slice(page) if by_output else page.slice.facts,
            **_measure_source(page.stored),
            instance_number=None if page.slice.number is None else ranks[page.slice.number],
        )
        for page in pages
    ]


def _place_slice(page: Page) -> Slice:
    place = page.place
    if place is None:
        return replace(page.slice.facts, position=None, orientation=None)
    # As stored: a mirrored image must not turn the order of slices around.
    flips = page.stored.info.flip or (False, False)
    orientation = [
        -value if is_mirrored else value
        for vector, is_mirrored in zip((place.row, place.column), flips, strict=True)
        for value in vector
    ]
    return replace(page.slice.facts, position=place.position, orientation=tuple(orientation))


def _measure_source(stored: TiffImage) -> dict[str, Any]:
    """Size of the stored image: slices of one that were cropped apart are an error, no volumes."""
    info = stored.info
    columns, rows, _ = info.source or (info.width, info.height, 1)
    return {"rows": rows, "columns": columns, "samples_per_pixel": info.channels}


def _check_volume(
    volume: PlannedVolume, pages: dict[str, Page], ordering: Ordering, *, force: bool
) -> PlannedVolume:
    """Bring slices into the order of their numbers if that counts, and add what else is found."""
    if len(volume.slices) == 1:
        return volume
    by_number = sorted(volume.slices, key=lambda s: (s.instance_number or 0, s.name))
    findings = [f for f in volume.findings if f.verdict != "no_positions"]
    if volume.distances is None:
        findings += [_explain_missing(volume, ordering), *_check_numbers(volume, pages, ordering)]
    elif ordering.is_kept:
        findings += _check_numbers(volume, pages, ordering)
        findings += [f for f in check_order(by_number) if f.verdict == "order"]
        volume = _reorder(volume, by_number)
    elif ordering.column:
        findings += _compare_numbers(volume, by_number, ordering)
    findings += _check_settings([pages[s.name].stored for s in volume.slices])
    if force:
        findings = [replace(finding, policy=WARN) for finding in findings]
    return replace(volume, findings=tuple(findings))


def _reorder(volume: PlannedVolume, slices: Sequence[Slice]) -> PlannedVolume:
    known = zip(volume.slices, volume.distances or (), strict=True)
    distance_of = {s.name: distance for s, distance in known}
    distances = tuple(distance_of[s.name] for s in slices)
    return replace(volume, slices=tuple(slices), distances=distances)


def _explain_missing(volume: PlannedVolume, ordering: Ordering) -> Finding:
    text = (
        f"{plural(len(volume.slices), 'slice')} have no positions in TIFFs or manifest, nor in a "
        "table or headers that are named: their distances are unknown, and so is whether any is "
        f"missing; pages follow {ordering.name}"
    )
    return Finding("no_positions", WARN, text)


def _check_numbers(
    volume: PlannedVolume, pages: dict[str, Page], ordering: Ordering
) -> list[Finding]:
    """Find numbers that give no order."""
    unknown = [s.name for s in volume.slices if s.instance_number is None]
    if unknown:
        advice = "" if ordering.column else " (--table or --source may have one)"
        text = f"{unknown[0]} has no number to order it by{advice}; --force orders it by path"
        return [Finding("order", FAIL, text)]
    ordered = sorted(volume.slices, key=lambda s: (s.instance_number or 0, s.name))
    for one, other in pairwise(ordered):
        if one.instance_number == other.instance_number:
            number = pages[one.name].slice.number
            text = (
                f"{one.name} and {other.name} are both at {number:g}; expected one volume "
                "(--force orders them by path)"
            )
            return [Finding("order", FAIL, text)]
    return []


def _compare_numbers(
    volume: PlannedVolume, by_number: Sequence[Slice], ordering: Ordering
) -> list[Finding]:
    """Say that positions count where the table has another order."""
    numbers = {s.instance_number for s in by_number} - {None}
    if len(numbers) < len(by_number) or list(volume.slices) == by_number:
        return []
    text = (
        f"pages follow their positions, and {ordering.name} has another order, which "
        f"--order {ordering.column} keeps"
    )
    return [Finding("order", WARN, text)]


def _check_settings(stored: Sequence[TiffImage]) -> list[Finding]:
    """Find slices of another geometry, or made with other settings."""
    expected = _describe_settings(stored[0])
    for other in stored[1:]:
        for name, value in _describe_settings(other).items():
            if value != expected[name]:
                text = (
                    f"{other.path}: {name} is {value}, and {expected[name]} in {stored[0].path}; "
                    "slices of a volume share it (--force writes each page with its own tags)"
                )
                return [Finding("settings", FAIL, text)]
    return []


def _describe_settings(stored: TiffImage) -> dict[str, Any]:
    geometry, info = stored.geometry, stored.info
    return {
        "crop box": info.crop,
        "scale": geometry.scale,
        "active area": geometry.active_area,
        "flip": geometry.flip,
        "resolution": stored.resolution,
        "source size": (geometry.source.width, geometry.source.height),
        "fingerprint": stored.description.get("fingerprint"),
    }
