"""The volumes of series as arrays: those that ``series: stack`` makes of the same files."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import asdict, replace
from filecmp import cmp
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from dicom_preprocessing.api.arrays import finish_image, open_path, translate_api_errors
from dicom_preprocessing.api.metadata import LeftOut, PreprocessingMetadata, metadata_of
from dicom_preprocessing.api.preprocessor import Preprocessor
from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.selection import selection_of
from dicom_preprocessing.decode.stage import decode_stored
from dicom_preprocessing.dicom.reading import read_header
from dicom_preprocessing.errors import PreprocessingError
from dicom_preprocessing.imaging.conversion import convert
from dicom_preprocessing.index.grouping import find_uid_problem, make_entry
from dicom_preprocessing.index.selection import Selector
from dicom_preprocessing.index.stacking import SeriesFile, stack_files
from dicom_preprocessing.index.walk import SourceFile
from dicom_preprocessing.processing.instance import mark_conflict
from dicom_preprocessing.processing.timing import StageTimer
from dicom_preprocessing.processing.volume import StackReader, group_by_image
from dicom_preprocessing.results.receipts import new_receipt
from dicom_preprocessing.text import make_printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from dicom_preprocessing.api.arrays import AnyPath
    from dicom_preprocessing.config import Config
    from dicom_preprocessing.imaging.image import Image
    from dicom_preprocessing.index.table import InventoryEntry

T = TypeVar("T", bound=np.generic)


def preprocess_series(
    paths: Sequence[AnyPath],
    preprocessor: Preprocessor | None,
    stack: Mapping[str, str] | None,
    parallel: bool,
    dtype: type[T],
) -> tuple[list[NDArray[T]], list[PreprocessingMetadata]]:
    """Volumes as arrays (frames, height, width, channels), and what was done to each."""
    if isinstance(paths, str | bytes | os.PathLike):
        raise TypeError("a sequence of paths is needed, not one path")
    if not paths:
        raise PreprocessingError("Cannot process empty list of DICOMs")
    config, _ = parse_config({"series": "stack", "stack": dict(stack or {})})
    used = preprocessor or Preprocessor()
    settings = {
        **used.recipe.settings["decode"],
        "series": config.series,
        "stack": asdict(config.stack),
    }
    left_out: list[LeftOut] = []
    arrays, metadata = [], []
    for entries in _plan(paths, config, left_out.append):
        with translate_api_errors("", parallel):
            timer = StageTimer({})
            files, image = _decode(entries, settings, timer, left_out.append)
            image = finish_image(image, used, timer)
            arrays.append(convert(np.ascontiguousarray(image.frames), dtype))
            found = metadata_of(image, used.config)
        place = entries[0].stack
        if place is not None:
            found = replace(
                found, files=tuple(files), volume=place.volume, volume_id=place.volume_id
            )
        metadata.append(found)
    if not arrays:
        first = left_out[0]
        message = f"Failed to prepare image: no file makes a volume: {first.path}: {first.message}"
        raise PreprocessingError(message, error=first.error)
    return arrays, [replace(found, left_out=tuple(left_out)) for found in metadata]


def _plan(
    paths: Sequence[AnyPath], config: Config, leave_out: Callable[[LeftOut], object]
) -> list[list[InventoryEntry]]:
    """The files of each image, by study and series; ``leave_out`` takes those that are in none."""
    selector = Selector(selection_of(config))
    by_study: dict[str, list[tuple[InventoryEntry, SeriesFile]]] = defaultdict(list)
    for path in dict.fromkeys(os.fspath(path) for path in paths):
        open_path(path)  # for the errors of this API
        header = read_header(path)
        reason = selector.find_reason("", header)
        if reason:  # no image, such as a segmentation
            leave_out(LeftOut(path, "not_selected", reason))
            continue
        problem = find_uid_problem(header)
        if problem:
            message = f"Failed to prepare image: {path}: {problem}"
            raise PreprocessingError(message, error="bad_uid")
        status = os.stat(path)
        source_file = SourceFile(path=path, size=status.st_size, mtime_ns=status.st_mtime_ns)
        entry = make_entry(source_file, header)
        file = SeriesFile(path, entry.series_instance_uid, header)
        by_study[header.study_instance_uid].append((entry, file))
    groups = []
    for members in (_leave_out_copies(by_study[study], leave_out) for study in sorted(by_study)):
        stacking = stack_files([file for _, file in members], config.stack)
        for path, message in stacking.dropped.items():
            leave_out(LeftOut(path, "not_selected", message))
        entries = [
            replace(entry, stack=stacking.places.get(entry.path))
            for entry, _ in members
            if entry.path not in stacking.dropped
        ]
        groups += group_by_image(entries)
    return groups


def _leave_out_copies(
    members: Sequence[tuple[InventoryEntry, SeriesFile]], leave_out: Callable[[LeftOut], object]
) -> list[tuple[InventoryEntry, SeriesFile]]:
    """Return the files of a study without those of the same bytes as one before."""
    by_instance: dict[tuple[str, int], list[str]] = defaultdict(list)
    kept = []
    for entry, file in members:
        earlier = by_instance[entry.sop_instance_uid, entry.size]
        same = next((path for path in earlier if cmp(path, entry.path, shallow=False)), None)
        if same is None:
            earlier.append(entry.path)
            kept.append((entry, file))
        else:
            leave_out(LeftOut(entry.path, "duplicate", f"same bytes as {make_printable(same)}"))
    return kept


def _decode(
    entries: Sequence[InventoryEntry],
    settings: Mapping[str, Any],
    timer: StageTimer,
    leave_out: Callable[[LeftOut], object],
) -> tuple[list[str], Image]:
    """The files of an image in their order, and the decoded image."""
    places = {entry.stack.place for entry in entries if entry.stack is not None}
    if len(places) > 1:
        reader = StackReader(entries, settings)
        files, image = reader.read()
        for path, receipt in reader.receipts.items():
            if not receipt.is_written:
                leave_out(LeftOut(path, receipt.error, receipt.message))
        return files, image
    first, *others = entries
    for other in others:
        receipt = mark_conflict(other, new_receipt(other), first)
        leave_out(LeftOut(other.path, receipt.error, receipt.message))
    with timer.measure("decode"):
        return [first.path], decode_stored(first.path, **settings)
