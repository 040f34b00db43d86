"""Group scanned files into studies: each gets a state, or a line in a study's inventory."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from itertools import groupby, starmap
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, NamedTuple

from dicom_preprocessing.config.selection import EVERYTHING
from dicom_preprocessing.errors import SKIPPED_ERRORS, LimitTimeError
from dicom_preprocessing.index.conflicts import describe_others
from dicom_preprocessing.index.scan import HeaderScan, digesting_files, to_scan
from dicom_preprocessing.index.selection import Census, Selector
from dicom_preprocessing.index.stacking import SeriesFile, stack_files
from dicom_preprocessing.index.table import (
    PATH_PART_RULE,
    SERIES_WITHOUT_UID,
    ExcludedFile,
    InventoryEntry,
    find_path_problem,
    is_path_part,
)
from dicom_preprocessing.temporary_files import SortedOnDisk
from dicom_preprocessing.text import make_printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_preprocessing.config import Limits
    from dicom_preprocessing.dicom.header import Header
    from dicom_preprocessing.index.walk import SourceFile
    from dicom_preprocessing.supervision import IsolatedCalls


UID_NAMES = {"study_instance_uid": "Study Instance UID", "sop_instance_uid": "SOP Instance UID"}
"""UIDs that become parts of the path of an image, by their fields."""

LOST_ERRORS = ("unreadable", "source_changed")
"""Errors of paths of which it is unknown what is there."""

BAD_UID, SOP_CONFLICT = "bad_uid", "sop_conflict"

MAX_UID_SHOWN = 80
"""Characters of a UID that a message shows."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A file with the header of an image; ``index`` is its position in path order."""

    index: int
    source_file: SourceFile
    scan: HeaderScan
    header: Header

    @property
    def entry(self) -> InventoryEntry:
        """Its line of the inventory."""
        return make_entry(self.source_file, self.header)


class _LostImage(NamedTuple):
    """An image of which no file can be used, and the error of its files."""

    image: _Candidate
    error: str


class StudyFiles(NamedTuple):
    """A study and its files in path order, each with its line of the inventory and its header."""

    study_instance_uid: str
    entries: list[InventoryEntry]
    headers: list[Header]


class StudyGrouper:
    """Takes scans in path order and yields studies, of which one at a time is in memory.

    Parameters
    ----------
    files : sequence of SourceFile
        In path order.
    duplicates : str
        As the key of the configuration.
    selector : Selector, optional
        Of the files to keep; by default all.
    limits, workers
        For the digests of files that may be duplicates, as for ``scan_files``.

    Attributes
    ----------
    census : Census
        Complete once all studies were taken.
    """

    def __init__(
        self,
        files: Sequence[SourceFile],
        duplicates: str,
        selector: Selector | None = None,
        *,
        limits: Limits,
        workers: int = 1,
    ) -> None:
        self._files = files
        self._duplicates = duplicates
        self._limits, self._workers = limits, workers
        self._selector = selector or Selector(EVERYTHING)
        self.census = Census()
        self._next_index = 0
        self._scans: SortedOnDisk[tuple[int, HeaderScan]] = SortedOnDisk(itemgetter(0))
        self._images: SortedOnDisk[tuple[str, int, HeaderScan]] = SortedOnDisk(itemgetter(0, 1))
        self._excluded: SortedOnDisk[tuple[int, ExcludedFile]] = SortedOnDisk(itemgetter(0))
        self._instances: SortedOnDisk[tuple[str, str]] = SortedOnDisk(itemgetter(0, 1))
        self._digested: SortedOnDisk[tuple[int, HeaderScan]] = SortedOnDisk(itemgetter(0))

    def add(self, scan: HeaderScan) -> None:
        """Take the scan of the next file."""
        index = self._next_index
        self._next_index += 1
        self._scans.append((index, scan))
        excluded = self._exclude_by_header(self._files[index], scan)
        if excluded is not None:
            self._excluded.append((index, excluded))
        if scan.header is not None and (excluded is None or self._is_lost_slice(excluded)):
            self._images.append((scan.header.study_instance_uid, index, scan))

    def _is_lost_slice(self, excluded: ExcludedFile) -> bool:
        """Whether a volume may lack a file that has no usable SOP Instance UID."""
        is_stacked = self._selector.selection.stack is not None
        return (
            is_stacked and excluded.error == BAD_UID and is_path_part(excluded.study_instance_uid)
        )

    def _exclude_by_header(self, source_file: SourceFile, scan: HeaderScan) -> ExcludedFile | None:
        """The state of a file that cannot become an image, None for one that may."""
        if scan.header is None:
            return _make_excluded_file(source_file, scan)
        if not scan.header.has_pixel_data:
            message = "a data set without pixel data"
            return _make_excluded_file(source_file, scan, error="no_pixel_data", message=message)
        rule = self._selector.find_reason(source_file.path, scan.header)
        if rule:
            self.census.rejected[rule] += 1
            return _make_excluded_file(source_file, scan, error="not_selected", message=rule)
        message = find_uid_problem(scan.header)
        if message:
            return _make_excluded_file(source_file, scan, error=BAD_UID, message=message)
        return None

    def studies(self) -> Iterator[StudyFiles]:
        """Yield each study with its files in path order.

        Excluded files and warnings are complete once all studies were taken.
        """
        with digesting_files(self._limits, self._workers) as digests:
            for study, members in groupby(self._images, key=itemgetter(0)):
                scans = [(index, scan) for _, index, scan in members]
                images, lost = self._select_images(study, self._add_digests(scans, digests))
                placed = self._place_images(images, lost)
                if placed:
                    entries = [entry for _, entry in placed]
                    for entry in entries:
                        self.census.kept[entry.modality, entry.sop_class_uid] += 1
                    yield StudyFiles(study, entries, [image.header for image, _ in placed])

    def _place_images(
        self, images: list[_Candidate], lost: Sequence[_LostImage]
    ) -> list[tuple[_Candidate, InventoryEntry]]:
        """The images that are kept, each with its line of the inventory and place in a stack."""
        policies = self._selector.selection.stack
        if policies is None:
            return [(image, image.entry) for image in images]
        entries = {image.source_file.path: image.entry for image in images}
        files = [
            SeriesFile(image.source_file.path, image.entry.series_instance_uid, image.header)
            for image in (*images, *(image for image, _ in lost))
        ]
        reasons = {image.source_file.path: error for image, error in lost}
        places, dropped = stack_files(files, policies, reasons)
        for image in images:
            message = dropped.get(image.source_file.path)
            if message is not None:
                self.census.rejected[message.partition(" (")[0]] += 1
                excluded = _make_excluded_file(
                    image.source_file, image.scan, error="not_selected", message=message
                )
                self._excluded.append((image.index, excluded))
        return [
            (image, replace(entry, stack=places.get(entry.path)))
            for image, entry in zip(images, entries.values(), strict=True)
            if entry.path not in dropped
        ]

    def _select_images(
        self, study: str, scans: list[tuple[int, HeaderScan]]
    ) -> tuple[list[_Candidate], list[_LostImage]]:
        """The files to keep, and those of images that cannot be written, in path order."""
        lost: list[_LostImage] = []
        instances: dict[str, list[_Candidate]] = defaultdict(list)
        for index, scan in scans:
            if scan.header is None:  # became unreadable since it was scanned
                self._excluded.append((index, _make_excluded_file(self._files[index], scan)))
                continue
            image = _Candidate(index, self._files[index], scan, scan.header)
            if find_uid_problem(scan.header):
                lost.append(_LostImage(image, BAD_UID))
                continue
            instances[scan.header.sop_instance_uid].append(image)
        selected: list[_Candidate] = []
        for sop, images in instances.items():
            self._instances.append((sop, study))
            kept, rejected = _resolve_duplicates(images, self._duplicates)
            self._excluded.extend(rejected)
            selected += kept
            if not kept:
                slices = {_describe_slice(image): image for image in reversed(images)}
                lost += [_LostImage(image, SOP_CONFLICT) for image in slices.values()]
        return sorted(selected, key=attrgetter("index")), lost

    def _add_digests(
        self,
        scans: Sequence[tuple[int, HeaderScan]],
        digests: IsolatedCalls[tuple[SourceFile, HeaderScan], HeaderScan],
    ) -> list[tuple[int, HeaderScan]]:
        """Scans of a study, with digests of files that share SOP Instance UID and size."""

        def key(index: int, scan: HeaderScan) -> tuple[str, int]:
            sop = scan.header.sop_instance_uid if scan.header is not None else ""
            return sop, self._files[index].size

        counts = Counter(starmap(key, scans))
        todo = {i: scan for i, scan in scans if counts[key(i, scan)] > 1 and not scan.sha256}
        if not todo:
            return list(scans)
        outcomes = digests.map([(self._files[index], scan) for index, scan in todo.items()])
        digested = dict(zip(todo, map(to_scan, outcomes), strict=True))
        self._digested.extend(digested.items())
        return [(index, digested.get(index, scan)) for index, scan in scans]

    def excluded_files(self) -> Iterator[ExcludedFile]:
        """Files that are in no study, in path order."""
        return (item for _, item in self._excluded)

    def warnings(self) -> Iterator[str]:
        """Irregularities that do not keep a file out of the index."""
        for sop, pairs in groupby(self._instances, key=itemgetter(0)):
            studies = [study for _, study in pairs]
            if len(studies) > 1:
                yield (
                    f"SOP Instance UID {sop} is in {len(studies)} studies, each is written: "
                    f"{', '.join(studies)}"
                )

    def scans(self) -> Iterator[HeaderScan]:
        """For the cache: every scan in path order, with the digests."""
        digested = iter(self._digested)
        following = next(digested, None)
        for index, scan in self._scans:
            if following is not None and following[0] == index:
                yield following[1]
                following = next(digested, None)
            else:
                yield scan


def _describe_slice(image: _Candidate) -> tuple[str, ...]:
    """Return what two files have in common that would be one slice: all but its number."""
    attributes = dict(image.header.attributes) | {"InstanceNumber": ""}
    return (image.entry.series_instance_uid, *map(str, sorted(attributes.items())))


def find_uid_problem(header: Header) -> str:
    """Say which UID of an image cannot become a part of its path, empty if all can."""
    for field, name in UID_NAMES.items():
        uid = getattr(header, field)
        if not is_path_part(uid):
            return f"{name} {_explain_bad_uid(uid)}"
    return ""


def _explain_bad_uid(uid: str) -> str:
    """What a message says about a UID that cannot become a part of a path, after its name."""
    if not uid:
        return "is missing, and the path of the image needs it"
    shown = make_printable(uid[:MAX_UID_SHOWN]) + ("..." if len(uid) > MAX_UID_SHOWN else "")
    return f"'{shown}' {find_path_problem(uid)}; allowed are {PATH_PART_RULE}"


def _make_excluded_file(
    source_file: SourceFile, scan: HeaderScan, *, error: str = "", message: str = ""
) -> ExcludedFile:
    error = error or scan.error
    header = scan.header
    return ExcludedFile(
        source_path=source_file.path,
        state="skipped" if error in SKIPPED_ERRORS else "failed",
        error=error,
        message=message or scan.message,
        transient=scan.transient,
        named=source_file.named,
        hides_files=(error in LOST_ERRORS and (source_file.named or source_file.is_folder))
        or error == LimitTimeError.error,
        study_instance_uid=make_printable(header.study_instance_uid) if header else "",
        series_instance_uid=make_printable(header.series_instance_uid) if header else "",
        sop_instance_uid=make_printable(header.sop_instance_uid) if header else "",
    )


def _resolve_duplicates(
    images: list[_Candidate], duplicates: str
) -> tuple[list[_Candidate], list[tuple[int, ExcludedFile]]]:
    """Split files of one instance into candidates and excluded files."""
    kept: dict[str, _Candidate] = {}
    rejected: list[tuple[int, ExcludedFile]] = []
    for image in images:
        first = kept.setdefault(image.scan.sha256 or image.source_file.path, image)
        if first is not image:
            message = f"same bytes as {make_printable(first.source_file.path)}"
            excluded = _make_excluded_file(
                image.source_file, image.scan, error="duplicate", message=message
            )
            rejected.append((image.index, excluded))
    different = list(kept.values())
    if len(different) > 1 and duplicates == "fail":
        entries = [i.entry for i in different]
        for i in different:
            others = [entry for entry in entries if entry.path != i.source_file.path]
            message = f"has the SOP Instance UID of {describe_others(i.entry, others)}, and differs"
            excluded = _make_excluded_file(
                i.source_file, i.scan, error=SOP_CONFLICT, message=message
            )
            rejected.append((i.index, excluded))
        return [], rejected
    return different, rejected


def make_entry(source_file: SourceFile, header: Header) -> InventoryEntry:
    """The inventory line of an image at its first attempt."""
    series = header.series_instance_uid
    return InventoryEntry(
        path=source_file.path,
        size=source_file.size,
        mtime_ns=source_file.mtime_ns,
        attempt=1,
        study_instance_uid=header.study_instance_uid,
        series_instance_uid=series if is_path_part(series) else SERIES_WITHOUT_UID,
        sop_instance_uid=header.sop_instance_uid,
        sop_class_uid=header.sop_class_uid,
        modality=header.modality,
        transfer_syntax_uid=header.transfer_syntax_uid,
        rows=header.rows,
        columns=header.columns,
        number_of_frames=header.number_of_frames,
        samples_per_pixel=header.samples_per_pixel,
        bits_allocated=header.bits_allocated,
        bits_stored=header.bits_stored,
        instance_number=header.instance_number,
    )
