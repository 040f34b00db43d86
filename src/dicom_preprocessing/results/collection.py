"""The end of a run: its tables, retry list and orphans, from receipts and the index."""

from __future__ import annotations

import os
import shlex
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_preprocessing.config import PRUNE_ALL, STAGES
from dicom_preprocessing.config.model import SOURCE_PATH
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import (
    as_record,
    atomic_write,
    fsync_folder,
    json_lines,
    path_key,
    read_json_lines,
    remove_partials,
    temporary_folder,
)
from dicom_preprocessing.index.table import IndexFolder, digest_studies
from dicom_preprocessing.results.failures import (
    Failure,
    by_path,
    failure_of_excluded_file,
    failure_of_receipt,
    write_failures,
    write_retry_list,
)
from dicom_preprocessing.results.layout import RECEIPT_SUFFIX, ResultsFolder
from dicom_preprocessing.results.manifest import (
    COLUMNS,
    by_instance,
    convert_to_parquet,
    make_cells,
    row_of_receipt,
)
from dicom_preprocessing.results.receipts import read_receipts
from dicom_preprocessing.results.slice_table import (
    SLICE_COLUMNS,
    StudyRows,
    find_sliced_images,
    merge_slices,
    order_of_study,
    slices_of_study,
)
from dicom_preprocessing.results.summary import Summary
from dicom_preprocessing.results.tables import Cells, cells_of, read_cells, write_cells
from dicom_preprocessing.results.warning_table import (
    WarningRow,
    by_image,
    warnings_of_receipt,
    write_warnings,
)
from dicom_preprocessing.temporary_files import SortedOnDisk
from dicom_preprocessing.text import make_printable, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dicom_preprocessing.config import Stage
    from dicom_preprocessing.index.table import Study
    from dicom_preprocessing.results.parts import Part
    from dicom_preprocessing.results.receipts import Receipt

TIMESTAMP = ".snakemake_timestamp"
"""The file that Snakemake puts into each folder that a job made."""

FEW_STUDIES, LARGE_SHARE = 2, 10
"""More studies than these few, and than one in so many, do not vanish by themselves."""

EXAMPLES_SHOWN = 5
"""Examples in a message about many files."""


@dataclass(slots=True)
class CollectedResults:
    """Rows of the tables, and a summary, of a run or of a part of it.

    ``slices`` can be read once, and is read from the receipts or parts only then: there may be too
    many to hold, or to have on disk twice.
    """

    rows: SortedOnDisk[Cells] = field(default_factory=lambda: SortedOnDisk(by_instance))
    failures: SortedOnDisk[Failure] = field(default_factory=lambda: SortedOnDisk(by_path))
    warnings: SortedOnDisk[WarningRow] = field(default_factory=lambda: SortedOnDisk(by_image))
    slices: Iterable[Cells] = ()
    summary: Summary = field(default_factory=Summary)

    @property
    def files(self) -> int:
        """Number of files in manifest and failures, and of others in stacks."""
        return len(self.rows) + self.summary.stacked_files + len(self.failures)

    def add(self, receipt: Receipt, images: Path, more: Iterable[str] = ()) -> None:
        """Add what a receipt says; a FileNotFoundError if its image is not there.

        ``more`` are values of the columns besides those of every manifest.
        """
        if receipt.has_image:
            self.rows.append(make_cells(row_of_receipt(receipt, images), more))
            self.warnings.extend(warnings_of_receipt(receipt))
        elif not receipt.is_written:
            self.failures.append(failure_of_receipt(receipt))
        self.summary.add(receipt)

    def iterate_slices(self) -> Iterator[Cells]:
        """``slices``, of which none may be missing.

        Raises
        ------
        OutputError
            There are not as many as were counted.
        """
        number = 0
        for number, cells in enumerate(self.slices, 1):  # noqa: B007  # the last one counts
            yield cells
        if number != self.summary.slices:
            raise OutputError(
                f"found {plural(number, 'row')} of slices instead of {self.summary.slices}: "
                "receipts changed meanwhile; run again"
            )


def collect_receipts(
    output: Path,
    studies: Iterable[Study],
    recipe: str,
    keep: Sequence[str] = (),
    columns: Sequence[str] = (),
) -> CollectedResults:
    """Read the receipts of studies, and check that each image is there.

    Parameters
    ----------
    output : Path
    studies : iterable of Study
    recipe : str
        ``Recipe.digest`` of the jobs that should have written them.
    keep : sequence of str
        Kept stages; images of other settings have to be made again from the first of them.
    columns : sequence of str
        Those that the manifest has besides.

    Raises
    ------
    OutputError
        An image or a receipt that should be there is not, or was made with other settings or from
        other files than are in the index; says how to rebuild it.
    """
    images = ResultsFolder(output).images("write")
    studies = list(studies)
    summary = Summary(recipe, digest_studies(studies), list(columns))
    collected = CollectedResults(summary=summary)
    missing = _AffectedFiles()
    stale = _AffectedFiles()
    changed = _AffectedFiles()
    sliced: list[str] = []
    for study in studies:
        receipts = _read_receipts_of(output, study.study_instance_uid)
        if len(receipts) != study.files:
            path = _receipt_path(output, study.study_instance_uid)
            raise OutputError(
                f"{path} lists {plural(len(receipts), 'file')}, the index {study.files}. "
                "To process the study again, remove this receipt and run the workflow"
            )
        more = _read_columns(output, study.study_instance_uid, columns)
        for receipt in receipts:
            if receipt.recipe != recipe:
                stale.add(study.study_instance_uid, receipt.source_path)
            elif receipt.inventory != study.inventory:
                changed.add(study.study_instance_uid, receipt.source_path)
            else:
                try:
                    collected.add(receipt, images, more(receipt.source_path))
                except FileNotFoundError:
                    missing.add(study.study_instance_uid, str(images / receipt.output))
        if not stale.number and not changed.number:
            rows = sum(map(len, find_sliced_images(receipts)))
            summary.slices += rows
            sliced += [study.study_instance_uid] if rows else []
    if stale.number:
        raise OutputError(_describe_stale(stale, min([*keep, "write"], key=STAGES.index)))
    if changed.number:
        raise OutputError(
            f"The images of {plural(changed.number, 'file')} are older than the index:\n{changed}\n"
            "Run the workflow again to process them. If this message comes back, process all "
            "studies again with\n    snakemake --forcerun write"
        )
    if missing.number:
        raise OutputError(_describe_missing(images, missing))
    collected.slices = _read_slices(output, sliced)
    return collected


def _read_slices(output: Path, studies: Iterable[str]) -> Iterator[Cells]:
    """Rows of slices.csv from the receipts of these studies, one after the other."""
    for study in sorted(studies, key=order_of_study):
        yield from map(cells_of, slices_of_study(_read_receipts_of(output, study)))


@dataclass(slots=True)
class _AffectedFiles:
    """Number of files that have one problem, and the first few of them."""

    number: int = 0
    paths: list[str] = field(default_factory=list)
    studies: list[str] = field(default_factory=list)

    def add(self, study: str, path: str) -> None:
        self.number += 1
        if len(self.paths) < EXAMPLES_SHOWN:
            self.paths.append(path)
        if study not in self.studies and len(self.studies) <= EXAMPLES_SHOWN:
            self.studies.append(study)

    def __str__(self) -> str:
        lines = [f"    {make_printable(path)}" for path in self.paths]
        if self.number > len(lines):
            lines.append(f"    and {self.number - len(lines)} more")
        return "\n".join(lines)


def _read_receipts_of(output: Path, study: str) -> list[Receipt]:
    path = _receipt_path(output, study)
    try:
        return read_receipts(path)
    except FileNotFoundError:
        raise OutputError(
            f"The receipt {path} is missing. Run the workflow again to process its study"
        ) from None


def _read_columns(
    output: Path, study: str, columns: Sequence[str]
) -> Callable[[str], Sequence[str]]:
    """Return a function that gives the values of a file of the study, by its source path."""
    keywords = [name for name in columns if name != SOURCE_PATH]
    index = IndexFolder(output)
    by_path = index.read_columns(study) if keywords else {}

    def find_values(path: str) -> list[str]:
        values = dict(zip(keywords, by_path.get(path, ()), strict=False))
        values[SOURCE_PATH] = path
        return [values.get(name, "") for name in columns]

    return find_values


def _receipt_path(output: Path, study: str) -> Path:
    return ResultsFolder(output).receipt("write", study)


def _describe_missing(images: Path, missing: _AffectedFiles) -> str:
    folders = shlex.join(str(images / study) for study in missing.studies)
    command = (
        f"rm -r {folders}"
        if len(missing.studies) <= EXAMPLES_SHOWN
        else "snakemake --forcerun write"
    )
    return (
        f"{plural(missing.number, 'image')} written earlier can no longer be found:\n{missing}\n"
        "Snakemake does not notice changes inside a study's folder. To write them again, run\n"
        f"    {command}\nand then the workflow."
    )


def _describe_stale(stale: _AffectedFiles, first: str) -> str:
    return (
        f"Other settings or versions were used for {plural(stale.number, 'file')}:\n{stale}\n"
        "Snakemake did not notice, because its records of these studies are lost or in another "
        f"working directory. To process all studies again, run\n    snakemake --forcerun {first}"
    )


def write_part(collected: CollectedResults, part: Part, studies: Iterable[Study]) -> None:
    """Write the results of a shard, and remove what its killed jobs left half written."""
    receipts = {f"{study.study_instance_uid}{RECEIPT_SUFFIX}" for study in studies}
    for stage in STAGES:  # others belong to shards that may be running
        remove_partials(ResultsFolder(part.output).receipts(stage), receipts)
    remove_partials(part.folder)
    write_cells((*COLUMNS, *collected.summary.columns), collected.rows, part.manifest)
    for path, rows in ((part.failures, collected.failures), (part.warnings, collected.warnings)):
        with atomic_write(path) as file:
            file.writelines(json_lines(map(as_record, rows)))
    write_cells(SLICE_COLUMNS, collected.iterate_slices(), part.slices)
    collected.summary.write(part.summary)


def collect_parts(
    parts: Iterable[tuple[Part, Sequence[Study]]], recipe: str, columns: Sequence[str] = ()
) -> CollectedResults:
    """Read what ``write_part`` wrote of all shards.

    Parameters
    ----------
    parts : iterable of Part and studies
        All shards with the studies of the index that belong to each.
    recipe : str
        ``Recipe.digest`` of the jobs that should have written them.
    columns : sequence of str
        Those that the manifest has besides.

    Raises
    ------
    OutputError
        A part is missing, or was made with other settings or from other files than are in the
        index.
    """
    collected = CollectedResults(summary=Summary(recipe, columns=list(columns)))
    slices: list[StudyRows] = []
    for part, studies in parts:
        name = f"shard {part.shard} of {part.shards}"
        try:
            summary = Summary.read(part.summary)
            if summary.recipe != recipe:
                raise OutputError(f"{name} was run with other settings; run it again")
            if summary.columns != list(columns):
                raise OutputError(f"{name} was run with other columns; run it again")
            if summary.studies != digest_studies(studies):
                raise OutputError(f"{name} is older than the index; run it again")
            files_before = collected.files
            collected.summary += summary
            collected.rows.extend(read_cells(part.manifest))
            collected.failures.extend(Failure(**f) for f in read_json_lines(part.failures))
            collected.warnings.extend(WarningRow(**w) for w in read_json_lines(part.warnings))
            slices.append(StudyRows(part.slices, summary.slices))
        except FileNotFoundError:
            raise OutputError(f"{name} has not finished; run it again") from None
        files = collected.files - files_before
        expected = sum(study.files for study in studies)
        if files != expected:
            raise OutputError(
                f"{name}: {part.folder} lists {plural(files, 'file')} instead of {expected}. "
                "Remove that folder and run the shard again"
            )
    collected.slices = merge_slices(slices)
    return collected


def find_orphans(output: Path, keep: Sequence[str], old_parts: Iterable[Part] = ()) -> list[Path]:
    """Folders and receipts of studies, stages or shards that are no longer part of the run.

    Only what the workflow made is listed: receipts, and folders that have one or Snakemake's
    timestamp. ``old_parts`` are those of shards that the run does not have.
    """
    present = IndexFolder(output).read_studies()
    wanted = {"write", *keep}
    orphans = [
        path
        for stage, study, path in _list_made(ResultsFolder(output))
        if stage not in wanted or study not in present
    ]
    orphans += [part.folder for part in old_parts]
    return sorted(orphans, key=lambda path: path_key(str(path)))


def _list_made(results: ResultsFolder) -> Iterator[tuple[Stage, str, Path]]:
    """Receipts, and folders that have one or Snakemake's timestamp, with stage and study."""
    for stage in STAGES:
        receipts = _list_by_study(results.receipts(stage), RECEIPT_SUFFIX)
        yield from ((stage, study, path) for study, path in receipts.items())
        for study, path in _list_by_study(results.images(stage), "").items():
            if path.is_dir() and (study in receipts or (path / TIMESTAMP).exists()):
                yield stage, study, path


def _list_by_study(folder: Path, suffix: str) -> dict[str, Path]:
    """Visible entries of a folder that end in ``suffix``, by their name without it."""
    if not folder.is_dir():
        return {}
    return {
        path.name.removesuffix(suffix): path
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.name.endswith(suffix)
    }


def prune_orphans(
    output: Path,
    orphans: Sequence[Path],
    warn: Callable[[str], object],
    *,
    any_number: bool = False,
) -> None:
    """Remove orphans, unless their source may only be out of reach."""
    reason = _find_unread(output)
    if not any_number:
        reason = reason or _count_vanished(output) or _find_emptied(orphans)
    if reason:
        warn(f"nothing was pruned, because {reason}")
        return
    for orphan in orphans:
        if orphan.is_dir() and not orphan.is_symlink():
            shutil.rmtree(orphan)
        else:
            orphan.unlink()


def _find_unread(output: Path) -> str:
    """Say which part of the source could not be read, if any."""
    excluded = IndexFolder(output).read_excluded_files()
    hidden = next((item for item in excluded if item.hides_files), None)
    if hidden is None:
        return ""
    return f"a part of the source could not be read: {make_printable(hidden.source_path)}"


def _find_emptied(orphans: Iterable[Path]) -> str:
    """Say which folder, in which files of these studies were, is there and empty, if any.

    It is what the folder of a file system looks like that is not mounted.
    """
    for orphan in orphans:
        if orphan.suffix != RECEIPT_SUFFIX:
            continue
        with suppress(OSError, ValueError, LookupError, TypeError):
            first = next(read_json_lines(orphan), {})
            above = Path(os.path.abspath(first["source_path"])).parents
            folder = next(path for path in above if path.is_dir())
            if next(folder.iterdir(), None) is None:
                name = make_printable(str(folder))
                return (
                    f"{name}, where study {orphan.stem} was, is empty. If it is not mounted, mount "
                    "it and run again. If its files were removed, remove the folder too, or run "
                    "once with prune=all"
                )
    return ""


def _count_vanished(output: Path) -> str:
    """Say how many studies with results are not in the index, if suspiciously many."""
    present = IndexFolder(output).read_studies()
    vanished = {study for _, study, _ in _list_made(ResultsFolder(output))}.difference(present)
    total = len(present) + len(vanished)
    if len(vanished) <= FEW_STUDIES or len(vanished) * LARGE_SHARE <= total:
        return ""
    return (
        f"{len(vanished)} of {total} studies are gone from the source, or not selected, at once, "
        f"such as {min(vanished)}. If a folder is not mounted, mount it and run again. If they "
        "were removed or are not wanted any more, run once with prune=all"
    )


def write_results(
    output: Path,
    collected: CollectedResults,
    *,
    keep: Sequence[str] = (),
    prune: bool | str = False,
    old_parts: Sequence[Part] = (),
    warn: Callable[[str], object] = print,
) -> None:
    """Write all tables, retry.txt, orphans.txt and the summary: all of them, or none.

    What the index left out is added to the failures. The verdict is removed with the tables that
    it was about.

    Parameters
    ----------
    output : Path
    collected : CollectedResults
    keep : sequence of str
        Kept stages, whose folders are not orphans.
    prune : bool or str
        Remove orphans, as the key of the configuration says.
    old_parts : sequence of Part
        Parts of shards that this run does not have, which are orphans.
    warn : callable
        Called with a message about what was not pruned.
    """
    index, results = IndexFolder(output), ResultsFolder(output)
    collected.failures.extend(map(failure_of_excluded_file, index.read_excluded_files()))
    for folder in (output, index.path, index.studies, *map(results.receipts, STAGES)):
        remove_partials(folder)
    with _replacing_tables(results) as new:
        columns = collected.summary.columns
        write_cells((*COLUMNS, *columns), collected.rows, new.manifest)
        convert_to_parquet(new.manifest, new.manifest_parquet, columns)
        write_failures(collected.failures, new.failures)
        write_cells(SLICE_COLUMNS, collected.iterate_slices(), new.slices)
        write_warnings(collected.warnings, new.warnings)
        write_retry_list(collected.failures, new.retry_list)
        orphans = find_orphans(output, keep, old_parts)
        if prune and orphans:
            prune_orphans(output, orphans, warn, any_number=prune == PRUNE_ALL)
            found, orphans = len(orphans), [path for path in orphans if path.exists()]
            collected.summary.pruned = found - len(orphans)
        collected.summary.write(new.summary)
        with atomic_write(new.orphans) as file:
            file.writelines(f"{make_printable(str(p.relative_to(output)))}\n" for p in orphans)


@contextmanager
def _replacing_tables(results: ResultsFolder) -> Iterator[ResultsFolder]:
    """Yield a folder for new tables, which replace those of before when all are written.

    Else the tables of before stay, with the verdict about them.
    """
    with temporary_folder(results.output, "tables") as folder:
        new = ResultsFolder(folder)
        new.summary.parent.mkdir()
        yield new
        results.verdict.unlink(missing_ok=True)
        for path, target in zip(new.tables, results.tables, strict=True):
            target.parent.mkdir(exist_ok=True)
            path.replace(target)
    for folder in (results.output, results.summary.parent):
        fsync_folder(folder)
