"""One self-contained page about a run: counts, what failed and why, and a look at the images."""

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from html import escape
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np

from dicom_preprocessing.config import as_yaml
from dicom_preprocessing.errors import SourceError
from dicom_preprocessing.files import atomic_write
from dicom_preprocessing.html import make_page
from dicom_preprocessing.image_warnings import WARNING_CODES
from dicom_preprocessing.imaging.picture import stretch_contrast
from dicom_preprocessing.index.selection import name_class
from dicom_preprocessing.index.table import IndexFolder
from dicom_preprocessing.results.layout import ResultsFolder
from dicom_preprocessing.results.reading import read_failure_rows, read_manifest_rows
from dicom_preprocessing.results.summary import Summary
from dicom_preprocessing.results.verdict import count_files
from dicom_preprocessing.text import make_printable
from dicom_preprocessing.tiff.reader import read_frames
from dicom_preprocessing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from dicom_preprocessing.index.selection import Census
    from dicom_preprocessing.results.summary import Durations, WarningCount

THUMBNAILS = 24
THUMBNAIL_SIDE = 160


def write_report(output: Path, settings: Mapping[str, Any]) -> None:
    """Write report.html beside the manifest and failures that it is about.

    Parameters
    ----------
    output : Path
        The folder of results.
    settings : mapping
        Keys of the configuration that differ from their defaults.
    """
    results, index = ResultsFolder(output), IndexFolder(output)
    written, failures = _WrittenImages(results.manifest), _Failures(results.failures)
    summary = Summary.read(results.summary)
    sections = [
        _render_counts(written.images, summary, failures),
        failures.table("Failed", "failed"),
        failures.table("Skipped", "skipped"),
        _render_warnings(summary.warnings),
        _render_warnings_of_index(index.read_warnings()),
        written.table(),
        _render_times(summary.seconds),
        _render_census(index.read_census()),
        _render_settings(settings),
        _render_contact_sheet(written, results.images("write")),
    ]
    with atomic_write(results.report) as file:
        file.write(make_page("DICOM preprocessing", "".join(sections)))


class _Failures:
    """Error classes of a failures.csv, with the number of files and the first file of each."""

    def __init__(self, path: Path) -> None:
        self.numbers: Counter[tuple[str, str]] = Counter()
        self.first: dict[tuple[str, str], dict[str, str]] = {}
        columns = ("state", "error", "source_path", "message")
        for found in read_failure_rows(path, columns):
            row = {name: text or "" for name, text in found.items()}
            kind = row["state"], row["error"]
            self.numbers[kind] += 1
            self.first.setdefault(kind, row)

    def table(self, title: str, state: str) -> str:
        kinds = [kind for kind in self.first if kind[0] == state]
        kinds.sort(key=lambda kind: (-self.numbers[kind], kind))
        rows = [
            (
                kind[1],
                self.numbers[kind],
                self.first[kind]["source_path"],
                self.first[kind]["message"],
            )
            for kind in kinds
        ]
        return (
            _render_table(title, ("error", "files", "for example", "message"), rows) if rows else ""
        )


def _render_counts(images: int, summary: Summary, failures: _Failures) -> str:
    found = images + summary.stacked_files + failures.numbers.total()
    counts = count_files(found, failures.numbers.elements(), stacked=summary.stacked_files)
    skipped, failed = sum(counts.skipped.values()), sum(counts.failed.values())
    parts = [("", counts.found, "files found"), ("", counts.written, "written")]
    if counts.stacked:
        parts.append(("", counts.images, "images of them"))
    if summary.images_with_warnings:
        of = "images" if counts.stacked else "of them"
        parts.append(("", summary.images_with_warnings, f"{of} with warnings"))
    parts += [("", skipped, "skipped"), ("failed" if failed else "", failed, "failed")]
    cells = "".join(f'<div class="{c}"><b>{n:,}</b>{label}</div>' for c, n, label in parts)
    return f'<div class="counts">{cells}</div>\n'


def _render_warnings(counts: Mapping[str, WarningCount]) -> str:
    """Table of the warnings about images by code, of the most frequent first."""
    codes = sorted(counts, key=lambda code: (-counts[code].images, code))
    rows = [(c, counts[c].images, WARNING_CODES[c], counts[c].example) for c in codes]
    columns = ("code", "images", "meaning", "for example")
    return _render_table("Written with warnings", columns, rows) if rows else ""


def _render_warnings_of_index(warnings: Sequence[str]) -> str:
    """A list and no table, since they are sentences."""
    items = "".join(f"<li>{escape(warning)}</li>\n" for warning in warnings)
    return f"<h2>Warnings about the source</h2>\n<ul>{items}</ul>\n" if warnings else ""


@dataclass(slots=True)
class _ImageGroup:
    """Images of one modality, number of samples and dtype."""

    studies: int = 0
    images: int = 0
    volumes: int = 0
    frames: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    last_study: int = -1

    def add(self, row: Mapping[str, Any]) -> None:
        """Count the next image of the manifest."""
        self.studies += row["study"] != self.last_study
        self.last_study = row["study"]
        self.images += 1
        self.volumes += row["volume"] is not None
        self.frames += row["num_frames"]
        self.sizes[row["width"], row["height"]] += 1


class _WrittenImages:
    """What the page shows of a manifest.csv, whose rows are sorted by study and not held."""

    TEXTS = ("study_instance_uid", "sop_instance_uid", "path", "modality", "dtype")
    NUMBERS = ("channels", "num_frames", "width", "height")
    COLUMNS = (*TEXTS, *NUMBERS, "volume")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.images = self.studies = 0
        self.kinds: dict[tuple[str, int, str], _ImageGroup] = defaultdict(_ImageGroup)
        for row in self.rows():
            self.images += 1
            self.studies = row["study"] + 1
            self.kinds[row["modality"], row["channels"], row["dtype"]].add(row)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Rows; ``study`` is the index of their study, from 0."""
        study, last = -1, None
        for number, row in enumerate(read_manifest_rows(self.path, self.COLUMNS), 1):
            empty = next((name for name in self.NUMBERS if row[name] is None), None)
            if empty is not None:
                message = f"row {number} of {self.path}: {empty} is empty; every image has one"
                raise SourceError(message)
            for name in self.TEXTS:
                row[name] = row[name] or ""
            study += row["study_instance_uid"] != last
            last = row["study_instance_uid"]
            row["study"] = study
            yield row

    def table(self) -> str:
        """Numbers by kind of image; those of volumes of series where there are any."""
        kinds = sorted(self.kinds.items())
        columns: dict[str, list[Any]] = {
            "modality": [modality or "unknown" for (modality, _, _), _ in kinds],
            "samples": ["grey" if channels == 1 else "RGB" for (_, channels, _), _ in kinds],
            "dtype": [dtype for (_, _, dtype), _ in kinds],
            "studies": [kind.studies for _, kind in kinds],
            "images": [kind.images for _, kind in kinds],
            "volumes": [kind.volumes for _, kind in kinds],
            "frames": [kind.frames for _, kind in kinds],
            "width x height": [_describe_sizes(kind.sizes) for _, kind in kinds],
        }
        if not any(columns["volumes"]):
            del columns["volumes"]
        rows = list(zip(*columns.values(), strict=True))
        return _render_table("Written", columns, rows) if rows else ""

    def sample_rows(self) -> list[dict[str, Any]]:
        """At most THUMBNAILS rows: one per study before a second one of any study."""
        step = max(1, self.studies // THUMBNAILS)
        turns: Counter[int] = Counter()
        candidates = []
        for row in self.rows():
            study = row["study"]
            if study % step or study // step >= THUMBNAILS or turns[study] >= THUMBNAILS:
                continue
            candidates.append((turns[study], study, row))
            turns[study] += 1
        shown = [row for *_, row in sorted(candidates, key=itemgetter(0, 1))[:THUMBNAILS]]
        return sorted(shown, key=itemgetter("study_instance_uid", "sop_instance_uid"))


def _describe_sizes(sizes: Counter[tuple[int, int]]) -> str:
    shown = ", ".join(f"{w} x {h}" for (w, h), _ in sizes.most_common(3))
    return shown + (f" and {len(sizes) - 3} more" if len(sizes) > 3 else "")  # noqa: PLR2004


def _render_times(seconds: Mapping[str, Durations]) -> str:
    rows = [
        (
            stage,
            spent.number,
            f"{spent.total:.1f} s",
            f"{1000 * spent.median:.1f} ms",
            f"{1000 * spent.longest:.1f} ms",
        )
        for stage, spent in seconds.items()
    ]
    return (
        _render_table("Time", ("stage", "files", "in all", "median", "longest"), rows)
        if rows
        else ""
    )


def _render_census(census: Census) -> str:
    """Tables of what the selection keeps by modality and SOP class, and leaves out by rule."""
    kept = [(m or "unknown", name_class(uid), n) for (m, uid), n in census.kept.most_common()]
    rejected = census.rejected.most_common()
    tables = (
        ("Kept by the selection", ("modality", "SOP class", "files"), kept),
        ("Not selected", ("rule", "files"), rejected),
    )
    return "".join(_render_table(title, names, rows) for title, names, rows in tables if rows)


def _render_settings(settings: Mapping[str, Any]) -> str:
    rows = [(key, as_yaml(value)) for key, value in settings.items()]
    rows.append(("version", __version__))
    return _render_table("Settings that are not the default", ("key", "value"), rows)


def _render_table(title: str, columns: Iterable[str], rows: Sequence[Sequence[Any]]) -> str:
    def cell(value: object) -> str:
        if isinstance(value, int):
            return f'<td class="n">{value:,}</td>'
        return f"<td>{escape(str(value))}</td>"

    numeric = [isinstance(value, int) for value in rows[0]]
    head = "".join(
        f'<th class="n">{escape(column)}</th>' if number else f"<th>{escape(column)}</th>"
        for column, number in zip(columns, numeric, strict=True)
    )
    body = "".join(f"<tr>{''.join(map(cell, row))}</tr>\n" for row in rows)
    return f"<h2>{escape(title)}</h2>\n<table><tr>{head}</tr>\n{body}</table>\n"


def _render_contact_sheet(written: _WrittenImages, images: Path) -> str:
    """Middle pages of some images."""
    if not written.images:
        return ""
    shown = written.sample_rows()
    figures = []
    for row in shown:
        png = base64.b64encode(_encode_thumbnail(images / row["path"])).decode("ascii")
        frames = f", {row['num_frames']} frames" if row["num_frames"] != 1 else ""
        caption = f"{row['modality']} {row['width']} x {row['height']}{frames}"
        figures.append(
            f'<figure><img src="data:image/png;base64,{png}" alt="{escape(caption)}">'
            f"<figcaption>{escape(caption)}<br>{escape(make_printable(row['path']))}</figcaption></figure>"
        )
    title = f"A look at {len(shown):,} of {written.images:,} images"
    return f'<h2>{title}</h2>\n<div class="sheet">{"".join(figures)}</div>\n'


def _encode_thumbnail(path: Path) -> bytes:
    """PNG of the middle page, no side longer than THUMBNAIL_SIDE, minimum to maximum."""
    frames = read_frames(path)
    page = np.asarray(frames[len(frames) // 2])
    stride = max(1, -(-max(page.shape[:2]) // THUMBNAIL_SIDE))
    small = stretch_contrast(page[::stride, ::stride])
    return bytes(imagecodecs.png_encode(small if small.shape[2] > 1 else small[..., 0]))
