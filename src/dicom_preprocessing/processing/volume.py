"""A stack: from the files of its slices to the image of a stage."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dicom_preprocessing.decode.stack import (
    Slice,
    SliceError,
    decode_slices,
    naming_slice,
    open_slice,
    read_slice,
)
from dicom_preprocessing.errors import FileError, VolumeError
from dicom_preprocessing.files import path_key
from dicom_preprocessing.imaging import stacking
from dicom_preprocessing.imaging.stacking import Finding, PlannedVolume, resolve_duplicates
from dicom_preprocessing.index.changes import reading_unchanged
from dicom_preprocessing.processing.instance import (
    group_by_instance,
    guard_against_bugs,
    mark_conflict,
    process_instance,
    require_few_pixels,
    stage_of,
    write_image,
)
from dicom_preprocessing.processing.timing import StageTimer
from dicom_preprocessing.results.receipts import new_receipt
from dicom_preprocessing.text import make_printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dicom_preprocessing.config import Limits
    from dicom_preprocessing.imaging.image import Image
    from dicom_preprocessing.index.table import InventoryEntry, StackPlace
    from dicom_preprocessing.processing.instance import OutputSpec
    from dicom_preprocessing.results.receipts import Receipt


class _Page(NamedTuple):
    """A slice of the volume, and the file that it comes from."""

    entry: InventoryEntry
    opened: Slice


class StackReader:
    """Decodes the files of one stack, and keeps a receipt of each.

    Parameters
    ----------
    entries : sequence of InventoryEntry
        The files of one stack, by place, then in path order.
    settings : mapping
        Of the decode stage.
    limits, known, on_start
        As of ``process_instance``.
    """

    def __init__(
        self,
        entries: Sequence[InventoryEntry],
        settings: Mapping[str, Any],
        *,
        limits: Limits | None = None,
        known: Mapping[str, FileError] | None = None,
        on_start: Callable[[str], object] = lambda _path: None,
    ) -> None:
        self.entries, self.settings = entries, settings
        self.limits, self.known, self.on_start = limits, known or {}, on_start
        self.receipts = {entry.path: new_receipt(entry) for entry in entries}
        self.timer = StageTimer({})

    def read(self) -> tuple[list[str], Image]:
        """Return the path of each slice in the order of the frames, and the decoded image.

        Raises
        ------
        VolumeError
            The slices are no volume, or a policy is to fail.
        SliceError
            A slice does not decode; also when its frame is asked for.
        """
        planned, pages = self.resolve_duplicates(self.open_pages())
        return [page.entry.path for page in pages], self.decode(planned, pages)

    def open_pages(self) -> list[_Page]:
        """Open the file of each slice; of several with one SOP Instance UID the first that opens.

        Raises
        ------
        VolumeError
            By the headers the volume is none.
        SliceError
            No file of a slice can be opened.
        """
        for entry in self.entries:
            require_few_pixels(entry, self.limits)
        planned = plan_of(self.entries)
        if failed := "; ".join(
            f"{f.verdict}: {f.message}" for f in planned.findings if is_final(f)
        ):
            raise VolumeError(failed)
        return [
            self.open_page(list(candidates))
            for _, candidates in groupby(self.entries, key=lambda entry: place_of(entry).place)
        ]

    def open_page(self, candidates: Sequence[InventoryEntry]) -> _Page:
        """Open the first file of a slice that can be; the others conflict with it."""
        opened: _Page | None = None
        errors: dict[str, FileError] = {}
        for entry in candidates:
            try:
                if opened is None:
                    page = _Page(entry, self.open_file(entry))
                    if len(candidates) > 1:  # the first that decodes counts
                        with self.reading(page):
                            read_slice(page.opened)
                    opened = page
            except SliceError as error:
                errors[entry.path] = error.cause
                receipt = self.receipts[entry.path]
                self.receipts[entry.path] = receipt.as_failed(error.cause, "decode")
            except FileError as error:
                errors[entry.path] = error
                self.receipts[entry.path] = self.receipts[entry.path].as_failed(error, "decode")
        if opened is None:
            path, cause = next(iter(errors.items()))
            raise SliceError(path, cause)
        for entry in candidates:
            if entry is not opened.entry:
                receipt = self.receipts[entry.path]
                self.receipts[entry.path] = mark_conflict(entry, receipt, opened.entry)
        return opened

    def open_file(self, entry: InventoryEntry) -> Slice:
        """Open a file that is the one that was indexed."""
        if entry.path in self.known:
            raise self.known[entry.path]
        self.on_start(entry.path)
        with self.timer.measure("decode"), reading_unchanged(entry):
            opened = open_slice(entry.path, entry.path, self.settings)
        _require_planned_position(opened, place_of(entry))
        return opened

    def resolve_duplicates(self, pages: Sequence[_Page]) -> tuple[PlannedVolume, list[_Page]]:
        """Take one of the slices with the same pixels at one position.

        Raises
        ------
        VolumeError
            Slices at one position differ, and the policy is to fail.
        """
        planned = plan_of(self.entries)
        # A slice is named after the first of its files, which need not be the one that opened.
        by_name = {s.name: page for s, page in zip(planned.slices, pages, strict=True)}

        def digest_pixels(s: stacking.Slice) -> bytes:
            page = by_name[s.name]
            with self.reading(page):
                frame = read_slice(page.opened)
            # What the pixels mean is a part of them.
            description, source = page.opened.description, page.opened.source
            rescale, spacing = description.rescales(1).values[0], source.spacing
            inverted = source.pixel_format.is_inverted
            facts = f"{frame.dtype} {frame.shape} {rescale} {spacing} {inverted}".encode()
            return hashlib.sha256(facts + frame.tobytes()).digest()

        volume, dropped = resolve_duplicates(planned, digest_pixels)
        for item in dropped:
            error = FileError(item.message, error=item.error)
            path = by_name[item.slice.name].entry.path
            self.receipts[path] = self.receipts[path].as_failed(error, "decode")
        if volume.error:
            raise VolumeError(volume.error)
        return volume, [by_name[s.name] for s in volume.slices]

    @contextmanager
    def reading(self, page: _Page) -> Iterator[None]:
        """A context in which a slice is decoded: its file stays the one that was indexed."""
        if page.entry.path in self.known:
            raise SliceError(page.entry.path, self.known[page.entry.path])
        self.on_start(page.entry.path)
        with (
            naming_slice(page.entry.path),
            self.timer.measure("decode"),
            reading_unchanged(page.entry),
        ):
            yield

    def decode(self, planned: PlannedVolume, pages: Sequence[_Page]) -> Image:
        """Decode the slices to the frames of one volume."""
        with self.timer.measure("decode"):
            image = decode_slices(
                [page.opened for page in pages],
                self.settings,
                distances=planned.distances,
                reading=lambda index: self.reading(pages[index]),
            )
        for finding in planned.findings:
            if finding.warning is not None:
                image.source_info.warnings.extend([finding.warning])
        first = pages[0].entry
        source_info = replace(
            image.source_info,
            study_instance_uid=first.study_instance_uid,
            series_instance_uid=first.series_instance_uid,
            sop_instance_uid=first.sop_instance_uid,
        )
        return self.timer.time_frames(replace(image, source_info=source_info), "decode")

    def fail_slice(self, error: SliceError) -> None:
        """The slice has its error, and the other files of the stack that they lack it."""
        receipt = self.receipts[error.name]
        if receipt.is_written:
            self.receipts[error.name] = receipt.as_failed(error.cause, "decode")
        others = VolumeError(
            f"{make_printable(error.name)}, a slice of this volume, was not decoded: {error.cause}"
        )
        self.fail_all(others, "decode")

    def fail_all(self, error: FileError, stage: str) -> None:
        """All files that have no other error have this one."""
        for path, receipt in self.receipts.items():
            if receipt.is_written:
                self.receipts[path] = receipt.as_failed(error, stage)


def _require_planned_position(opened: Slice, place: StackPlace) -> None:
    """Raise a VolumeError if a file does not lie where the index has its slice.

    Functional groups may say something else than the top level, which the index reads, and of files
    of one SOP Instance UID the first one was planned.
    """
    description = opened.description
    for found, planned in (
        (description.positions(1)[0], place.position),
        (description.orientations(1)[0], place.orientation),
    ):
        is_same = found is not None and planned is not None and np.allclose(found, planned)
        if not is_same and (found is not None or planned is not None):
            raise VolumeError(
                "has another position or orientation than the index has for this slice: by its "
                "functional groups, or as another file of the same SOP Instance UID"
            )


def place_of(entry: InventoryEntry) -> StackPlace:
    """The place of a file that is in a stack."""
    if entry.stack is None:
        raise AssertionError(f"{entry.path} is in no stack")
    return entry.stack


def plan_of(entries: Sequence[InventoryEntry]) -> PlannedVolume:
    """The volume that the index planned of these files."""
    firsts = [next(group) for _, group in groupby(entries, key=lambda e: place_of(e).place)]
    first = place_of(firsts[0])
    distances = [place_of(entry).position_mm for entry in firsts]
    known = [distance for distance in distances if distance is not None]
    return PlannedVolume(
        first.volume,
        first.volume_id,
        tuple(map(_slice_of, firsts)),
        tuple(known) if len(known) == len(distances) else None,
        tuple(Finding(*finding) for finding in first.findings),
    )


def _slice_of(entry: InventoryEntry) -> stacking.Slice:
    place = place_of(entry)
    return stacking.Slice(
        name=entry.path,
        sop_instance_uid=entry.sop_instance_uid,
        rows=entry.rows,
        columns=entry.columns,
        position=None if place.position is None else tuple(place.position),
        orientation=None if place.orientation is None else tuple(place.orientation),
    )


def is_final(finding: Finding) -> bool:
    """Whether a finding fails the volume whatever its pixels are."""
    return finding.is_failure and finding.verdict != "duplicate_position"


def group_by_image(entries: Sequence[InventoryEntry]) -> list[list[InventoryEntry]]:
    """Group entries by the image that they become: a stack by place, an instance in path order."""
    stacked = [entry for entry in entries if entry.stack is not None]
    own = [entry for entry in entries if entry.stack is None]
    # Files of one SOP Instance UID may be of several series, and are in the stack of the first.
    key = attrgetter("stack.volume_id", "stack.place")
    ordered = sorted(stacked, key=lambda entry: (*key(entry), path_key(entry.path)))
    stacks = [list(group) for _, group in groupby(ordered, key=attrgetter("stack.volume_id"))]
    stacks.sort(key=lambda group: (group[0].series_instance_uid, place_of(group[0]).volume))
    return group_by_instance(own) + stacks


def process_group(
    entries: Sequence[InventoryEntry],
    spec: OutputSpec,
    *,
    limits: Limits | None = None,
    known: Mapping[str, FileError] | None = None,
    on_start: Callable[[str], object] = lambda _path: None,
) -> list[Receipt]:
    """Write the image of a group of ``group_by_image``; else as ``process_instance``."""
    places = {entry.stack.place for entry in entries if entry.stack is not None}
    findings = any(entry.stack.findings for entry in entries if entry.stack is not None)
    if len(places) <= 1 and not findings:
        return process_instance(entries, spec, limits=limits, known=known, on_start=on_start)
    reader = StackReader(
        entries, spec.recipe.settings["decode"], limits=limits, known=known, on_start=on_start
    )
    return guard_against_bugs(partial(_write_stack, reader, spec), entries, spec)


def _write_stack(reader: StackReader, spec: OutputSpec) -> list[Receipt]:
    """Write the image of a stack, and return the receipt of each of its files."""
    try:
        paths, image = reader.read()
        first = replace(reader.receipts[paths[0]], seconds=reader.timer.seconds)
        outcome = write_image(image, first, "decode", spec, reader.timer)
    except SliceError as error:
        reader.fail_slice(error)
    except FileError as error:
        reader.fail_all(error, stage_of(error, spec) or "decode")
    else:
        reader.receipts[paths[0]] = outcome
        for place, path in enumerate(paths, 1):
            reader.receipts[path] = replace(
                reader.receipts[path],
                stage=outcome.stage,
                part_of=outcome.sop_instance_uid,
                place_in_stack=place,
            )
    return list(reader.receipts.values())
