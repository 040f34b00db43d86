"""From scanned files to studies: each file gets a state, or a place in a study's inventory."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from dicom_preprocessing.errors import SKIPPED_ERRORS
from dicom_preprocessing.files import SortedOnDisk
from dicom_preprocessing.index.conflicts import describe_others
from dicom_preprocessing.index.scan import HeaderScan, with_digest
from dicom_preprocessing.index.table import (
    PATH_PART_RULE,
    SERIES_WITHOUT_UID,
    ExcludedFile,
    InventoryEntry,
    find_path_problem,
    is_path_part,
)
from dicom_preprocessing.text import make_printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_preprocessing.dicom.header import Header
    from dicom_preprocessing.index.walk import SourceFile


UID_NAMES = {"study_instance_uid": "Study Instance UID", "sop_instance_uid": "SOP Instance UID"}
"""UIDs that become parts of the path of an image, by their fields."""

MAX_SHOWN = 80
"""Characters of a UID that a message shows."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A found file that has an image's header; ``number`` is its place in path order."""

    number: int
    found: SourceFile
    scan: HeaderScan
    header: Header

    @property
    def entry(self) -> InventoryEntry:
        """Its inventory line, should it go on."""
        uid = self.header.series_instance_uid
        series = uid if is_path_part(uid) else SERIES_WITHOUT_UID
        return entry_of(self.found, self.header, series)


class StudyGrouper:
    """Takes scans in path order and gives back studies, holding one of them at a time."""

    def __init__(self, files: Sequence[SourceFile], duplicates: str) -> None:
        self._files = files
        self._duplicates = duplicates
        self._number = 0
        self._scans: SortedOnDisk[tuple[int, HeaderScan]] = SortedOnDisk(itemgetter(0))
        self._images: SortedOnDisk[tuple[str, int, HeaderScan]] = SortedOnDisk(itemgetter(0, 1))
        self._excluded: SortedOnDisk[tuple[int, ExcludedFile]] = SortedOnDisk(itemgetter(0))
        self._instances: SortedOnDisk[tuple[str, str]] = SortedOnDisk(itemgetter(0, 1))
        self._digested: SortedOnDisk[tuple[int, HeaderScan]] = SortedOnDisk(itemgetter(0))

    def add(self, scan: HeaderScan) -> None:
        """Take the scan of the next file."""
        number = self._number
        self._number += 1
        self._scans.append((number, scan))
        refused = _exclude_by_header(self._files[number], scan)
        if refused is not None:
            self._excluded.append((number, refused))
        elif scan.header is not None:
            self._images.append((scan.header.study_instance_uid, number, scan))

    def studies(self) -> Iterator[tuple[str, list[InventoryEntry]]]:
        """Each study with its files in path order; the rest is known when all were taken."""
        for study, members in groupby(self._images, key=itemgetter(0)):
            entries = self._entries_of(study, [(number, scan) for _, number, scan in members])
            if entries:
                yield study, entries

    def _entries_of(self, study: str, scans: list[tuple[int, HeaderScan]]) -> list[InventoryEntry]:
        instances: dict[str, list[tuple[int, HeaderScan]]] = defaultdict(list)
        for number, scan in scans:
            if scan.header is not None:
                instances[scan.header.sop_instance_uid].append((number, scan))
        entries: list[tuple[int, InventoryEntry]] = []
        for sop, members in instances.items():
            self._instances.append((sop, study))
            images: list[_Candidate] = []
            for number, scan in self._with_digests(members):
                if scan.header is None:  # became unreadable since it was scanned
                    self._excluded.append((number, _excluded_file(self._files[number], scan)))
                else:
                    images.append(_Candidate(number, self._files[number], scan, scan.header))
            kept, rejected = _resolve_duplicates(images, self._duplicates)
            self._excluded.extend(rejected)
            entries += [(i.number, i.entry) for i in kept]
        return [entry for _, entry in sorted(entries, key=itemgetter(0))]

    def _with_digests(
        self, members: list[tuple[int, HeaderScan]]
    ) -> Iterator[tuple[int, HeaderScan]]:
        """Files of one instance, with digests of those that share their size."""
        sizes = Counter(self._files[number].size for number, _ in members)
        for number, scan in members:
            if sizes[self._files[number].size] == 1:
                yield number, scan
                continue
            digested = with_digest(self._files[number], scan)
            if digested is not scan:
                self._digested.append((number, digested))
            yield number, digested

    def excluded_files(self) -> Iterator[ExcludedFile]:
        """Files that are in no study, in path order."""
        return (item for _, item in self._excluded)

    def warnings(self) -> Iterator[str]:
        """What is odd and is indexed all the same."""
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
        for number, scan in self._scans:
            if following is not None and following[0] == number:
                yield following[1]
                following = next(digested, None)
            else:
                yield scan


def _exclude_by_header(found: SourceFile, scan: HeaderScan) -> ExcludedFile | None:
    """The state of a file that cannot become an image, None for one that may."""
    if scan.header is None:
        return _excluded_file(found, scan)
    if not scan.header.has_pixel_data:
        message = "a data set without pixel data"
        return _excluded_file(found, scan, error="no_pixel_data", message=message)
    for field, name in UID_NAMES.items():
        uid = getattr(scan.header, field)
        if not is_path_part(uid):
            message = f"{name} {_explain_bad_uid(uid)}"
            return _excluded_file(found, scan, error="bad_uid", message=message)
    return None


def _explain_bad_uid(uid: str) -> str:
    """What a message says of a UID that cannot become a part of a path, behind its name."""
    if not uid:
        return "is missing, and the path of the image needs it"
    shown = make_printable(uid[:MAX_SHOWN]) + ("..." if len(uid) > MAX_SHOWN else "")
    return f"'{shown}' {find_path_problem(uid)}; allowed are {PATH_PART_RULE}"


def _excluded_file(
    found: SourceFile, scan: HeaderScan, *, error: str = "", message: str = ""
) -> ExcludedFile:
    error = error or scan.error
    header = scan.header
    return ExcludedFile(
        source_path=found.path,
        state="skipped" if error in SKIPPED_ERRORS else "failed",
        error=error,
        message=message or scan.message,
        transient=scan.transient,
        named=found.named,
        hides_files=error == "unreadable" and (found.named or found.is_folder),
        study_instance_uid=make_printable(header.study_instance_uid) if header else "",
        series_instance_uid=make_printable(header.series_instance_uid) if header else "",
        sop_instance_uid=make_printable(header.sop_instance_uid) if header else "",
    )


def _resolve_duplicates(
    images: list[_Candidate], duplicates: str
) -> tuple[list[_Candidate], list[tuple[int, ExcludedFile]]]:
    """Sort files of one instance into those that go on and those that are left out."""
    kept: dict[str, _Candidate] = {}
    rejected: list[tuple[int, ExcludedFile]] = []
    for image in images:
        first = kept.setdefault(image.scan.sha256 or image.found.path, image)
        if first is not image:
            message = f"same bytes as {make_printable(first.found.path)}"
            refused = _excluded_file(image.found, image.scan, error="duplicate", message=message)
            rejected.append((image.number, refused))
    different = list(kept.values())
    if len(different) > 1 and duplicates == "fail":
        entries = [i.entry for i in different]
        for i in different:
            others = [entry for entry in entries if entry.path != i.found.path]
            message = f"has the SOP Instance UID of {describe_others(i.entry, others)}, and differs"
            refused = _excluded_file(i.found, i.scan, error="sop_conflict", message=message)
            rejected.append((i.number, refused))
        return [], rejected
    return different, rejected


def entry_of(found: SourceFile, header: Header, series_instance_uid: str) -> InventoryEntry:
    """The inventory line of an image at its first attempt."""
    return InventoryEntry(
        path=found.path,
        size=found.size,
        mtime_ns=found.mtime_ns,
        attempt=1,
        study_instance_uid=header.study_instance_uid,
        series_instance_uid=series_instance_uid,
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
