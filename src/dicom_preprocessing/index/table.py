"""What the index writes and others read. Standard library only: the Snakefile imports it.

```
index/index.tsv              one row per study: what Snakemake needs
index/excluded_files.jsonl   one line per file that no study's job will see, with its state
index/studies/{study}.jsonl  the inventory of a study: one line per file
index/columns/{study}.jsonl  values for columns of the manifest: one line per file
index/headers.jsonl          the cache of header scans
index/retries.json           how often unreadable files were tried
index/request.json           what the index was asked for, and what a file may cost
index/pixels.json            how much there is to decode
index/census.json            how many files are kept by modality and class, and left out by rule
index/warnings.txt           one line per irregularity that kept no file out of the index
```
"""

from __future__ import annotations

import csv
import json
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.config import Limits
from dicom_preprocessing.config.selection import EVERYTHING
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import (
    as_record,
    json_lines,
    naming,
    read_json_lines,
    read_text,
    reduce_record,
    short_digest,
)
from dicom_preprocessing.index.selection import Census
from dicom_preprocessing.text import TABLE_SUFFIXES, make_printable, mask_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dicom_preprocessing.config.selection import Selection

MAX_UID_LENGTH = 64
"""Characters (PS3.5 9.1)."""

UID_PATTERN = rf"[0-9A-Za-z][0-9A-Za-z._-]{{0,{MAX_UID_LENGTH - 1}}}"
"""What may become a part of a path, also as Snakemake's wildcard constraint."""

PATH_PART_RULE = (
    f"1 to {MAX_UID_LENGTH} letters A to Z, digits, dots, hyphens and underscores, of which the "
    "first is a letter or digit"
)
"""The same in words, for messages."""

MAX_LISTED = 3
"""Forbidden characters that a message lists."""

PATH_PART = re.compile(UID_PATTERN)
SERIES_WITHOUT_UID = "series"


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A row of the index table.

    ``mem_mb`` is what a job of the study may need, in MB; ``megapixels`` counts all its frames;
    ``inventory`` is the ``digest_inventory``.
    """

    study_instance_uid: str
    files: int
    mem_mb: int
    megapixels: int
    inventory: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPlace:
    """The place of a file in the stack of its series.

    Parameters
    ----------
    volume, volume_id : int, str
        Number of the volume within its series, from 1, and its name.
    place : int
        Of the slice in the order of the volume, from 1; files of one SOP Instance UID share it.
    position_mm : float or None
        Of the slice along the normal.
    position, orientation : sequence of float or None
        Image Position (Patient) and Image Orientation (Patient).
    findings : sequence of (verdict, policy, message)
        About the volume, where the slice is its first one.
    """

    volume: int
    volume_id: str
    place: int
    position_mm: float | None = None
    position: Sequence[float] | None = None
    orientation: Sequence[float] | None = None
    findings: Sequence[Sequence[str]] = ()

    __reduce__ = reduce_record


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryEntry:
    """A line of an inventory: a file that should become an image.

    ``renewal`` counts how often the study had to be processed again although its files did not
    change.
    ``series_instance_uid`` is ``series`` where the file has no usable one. Files of one
    ``sop_instance_uid`` are candidates in this order, of which the first that decodes is written.
    ``stack`` is None where the file is an image of its own.
    """

    path: str
    size: int
    mtime_ns: int
    attempt: int
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    modality: str
    transfer_syntax_uid: str
    rows: int
    columns: int
    number_of_frames: int
    samples_per_pixel: int
    bits_allocated: int
    bits_stored: int
    instance_number: int
    renewal: int = 0
    stack: StackPlace | None = None

    __reduce__ = reduce_record  # each goes to another process


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcludedFile:
    """A file whose state the index decided.

    ``hides_files`` marks a named path or folder that could not be read, and a file that did not
    answer, as all of a study do on a dead mount: what is there is unknown.
    """

    source_path: str
    state: str
    error: str
    message: str
    transient: bool = False
    named: bool = False
    hides_files: bool = False
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    sop_instance_uid: str = ""


class IndexFolder:
    """Paths and contents of ``{output}/index``."""

    def __init__(self, output: str | Path) -> None:
        self.output = Path(output)
        self.path = self.output / "index"
        self.table = self.path / "index.tsv"
        self.excluded_files = self.path / "excluded_files.jsonl"
        self.headers = self.path / "headers.jsonl"
        self.retries = self.path / "retries.json"
        self.request = self.path / "request.json"
        self.pixels = self.path / "pixels.json"
        self.warnings = self.path / "warnings.txt"
        self.census = self.path / "census.json"
        self.studies = self.path / "studies"
        self.columns = self.path / "columns"

    def inventory(self, study: str) -> Path:
        """The inventory of a study."""
        return self.studies / f"{study}.jsonl"

    def columns_of(self, study: str) -> Path:
        """The values for columns of the manifest of a study's files."""
        return self.columns / f"{study}.jsonl"

    def read_columns(self, study: str) -> dict[str, list[str]]:
        """Values for columns of the manifest by path."""
        records = read_json_lines(self.columns_of(study))
        return {record["path"]: record["values"] for record in records}

    def read_census(self) -> Census:
        """How many files are kept, and left out by rule."""
        return Census.from_json(self.census.read_text(encoding="ascii"))

    def read_studies(self) -> dict[str, Study]:
        """Studies by UID, in order of their UIDs.

        Raises
        ------
        OutputError
            Another version wrote it.
        """
        with naming(self.table), self.table.open(encoding="ascii", newline="") as file:
            rows = csv.reader(file, delimiter="\t")  # twice as fast as DictReader
            if next(rows) != [field.name for field in fields(Study)]:
                raise OutputError(
                    f"{self.table} was written by another version: remove it and run again"
                )
            return {
                study: Study(
                    study_instance_uid=study,
                    files=int(files),
                    mem_mb=int(mem_mb),
                    megapixels=int(megapixels),
                    inventory=inventory,
                )
                for study, files, mem_mb, megapixels, inventory in rows
            }

    def read_limits(self) -> Limits | None:
        """What the inventories' files may cost.

        They are not a setting of the jobs, since other limits do not require writing every study
        again.
        """
        request = self.read_request()
        return request.limits if request is not None else None

    def read_excluded_files(self) -> Iterator[ExcludedFile]:
        """Files whose state the index decided, in path order."""
        return (ExcludedFile(**record) for record in read_json_lines(self.excluded_files))

    def read_warnings(self) -> list[str]:
        """Irregularities that kept no file out of the index; none before the first index."""
        try:
            return read_text(self.warnings).splitlines()
        except FileNotFoundError:
            return []

    def read_request(self) -> IndexRequest | None:
        """What the index was asked for, None before the first one."""
        try:
            record = json.loads(read_text(self.request, "ascii"))
            limits = Limits(**record.pop("limits"))
            return IndexRequest(**record, limits=limits)
        except (FileNotFoundError, ValueError, TypeError, LookupError):
            return None

    def read_pixels(self) -> PixelCounts | None:
        """How much there is to decode, None if that is not known."""
        try:
            return PixelCounts(**json.loads(read_text(self.pixels, "ascii")))
        except (OSError, ValueError, TypeError):
            return None

    def read_retries(self) -> RetryCounts:
        """How often transient failures were tried."""
        try:
            return RetryCounts(**json.loads(read_text(self.retries, "ascii")))
        except (FileNotFoundError, ValueError, TypeError):
            return RetryCounts(issued=0, unreadable={})


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexRequest:
    """What an index was asked for, by the keys of the configuration.

    ``start`` is the folder in which relative paths of the source start, as seen from the output;
    empty if there are none.
    """

    source: list[str]
    start: str
    duplicates: str
    limits: Limits
    selection: dict[str, Any]

    @classmethod
    def from_working_directory(
        cls,
        output: str | Path,
        source: Sequence[str],
        duplicates: str,
        limits: Limits,
        selection: Selection = EVERYTHING,
    ) -> IndexRequest:
        """The request of a run in the current working directory."""
        relative = not all(map(os.path.isabs, source))
        start = os.path.relpath(os.getcwd(), os.path.realpath(output)) if relative else ""
        return cls(
            source=list(source),
            start=start,
            duplicates=duplicates,
            limits=limits,
            selection=selection.as_record(),
        )

    def to_json(self) -> str:
        """What ``IndexFolder.read_request`` reads."""
        return json.dumps(asdict(self), ensure_ascii=True)


@dataclass(frozen=True, slots=True)
class RetryCounts:
    """``issued`` counts retries so far; ``unreadable`` maps paths to how often they were tried."""

    issued: int
    unreadable: dict[str, int]

    def to_json(self) -> str:
        """What ``IndexFolder.read_retries`` reads."""
        return json.dumps(asdict(self), ensure_ascii=True, indent=0)


@dataclass(slots=True)
class PixelCounts:
    """Files, their frames, pixels and decoded bytes, and bytes of the largest of several frames."""

    files: int = 0
    frames: int = 0
    pixels: int = 0
    nbytes: int = 0
    largest: int = 0

    def add(self, entry: InventoryEntry, slices: int = 1) -> None:
        """Count a file, which may be one of the slices of a stack."""
        frames = max(1, entry.number_of_frames)
        pixels = entry.rows * entry.columns * frames
        nbytes = pixels * max(1, entry.samples_per_pixel) * max(1, -(-entry.bits_allocated // 8))
        self.files += 1
        self.frames += frames
        self.pixels += pixels
        self.nbytes += nbytes
        if frames * slices > 1:
            self.largest = max(self.largest, nbytes * slices)

    def to_json(self) -> str:
        """What ``IndexFolder.read_pixels`` reads."""
        return json.dumps(asdict(self))


def format_study_table(studies: Iterable[Study]) -> Iterator[str]:
    """The lines of index.tsv."""
    yield "\t".join(field.name for field in fields(Study)) + "\n"
    for study in studies:
        yield "\t".join(map(str, as_record(study).values())) + "\n"


def format_inventory(entries: list[InventoryEntry]) -> str:
    """The text of an inventory."""
    return "".join(json_lines(map(_record_entry, entries)))


def _record_entry(entry: InventoryEntry) -> dict[str, Any]:
    record = as_record(entry)
    return record if entry.stack is None else record | {"stack": as_record(entry.stack)}


def digest_inventory(path: Path) -> str:
    """16 hex digits of the content of an inventory."""
    return short_digest(read_text(path, "ascii"))


def digest_studies(studies: Iterable[Study]) -> str:
    """16 hex digits of all files of these studies."""
    return short_digest("".join(f"{s.study_instance_uid} {s.inventory}\n" for s in studies))


def read_inventory(path: Path) -> list[InventoryEntry]:
    """Read an inventory."""
    return [_read_entry(record) for record in read_json_lines(path)]


def _read_entry(record: dict[str, Any]) -> InventoryEntry:
    stack = record["stack"]
    return InventoryEntry(**record | {"stack": stack and StackPlace(**stack)})


def is_path_part(uid: str) -> bool:
    """Whether a UID may become a part of a path.

    One that ends as tables do may not: tables lie beside the folders of studies.
    """
    return PATH_PART.fullmatch(uid) is not None and not uid.lower().endswith(TABLE_SUFFIXES)


def hide_uid(uid: str) -> str:
    """A UID as it is if it may become a part of a path or has no letters; else its form.

    Text in the place of a UID may be the name of a patient. Its form has the same path problem.
    """
    if is_path_part(uid) or not any(map(str.isalpha, uid)):
        return uid
    suffix = next((s for s in TABLE_SUFFIXES if uid.lower().endswith(s)), "")
    return mask_text(uid.lower().removesuffix(suffix)) + suffix


def find_path_problem(uid: str) -> str:
    """Which rule a UID breaks that may not become a part of a path, for messages.

    Parameters
    ----------
    uid : str
        One for which ``is_path_part`` is false.
    """
    if not uid:
        return "is missing"
    wrong = [character for character in dict.fromkeys(uid) if not is_path_part(f"0{character}")]
    if wrong:
        listed = ", ".join(f"'{make_printable(character)}'" for character in wrong[:MAX_LISTED])
        return f"contains {listed}{' and others' if len(wrong) > MAX_LISTED else ''}"
    if not is_path_part(uid[0]):
        return f"starts with '{uid[0]}'"
    if uid.lower().endswith(TABLE_SUFFIXES):
        return f"ends like the name of a table ({', '.join(TABLE_SUFFIXES)})"
    over = len(uid) - MAX_UID_LENGTH
    many = "one" if over == 1 else over
    return f"has {len(uid)} characters, {many} too many"
