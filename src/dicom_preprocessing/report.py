"""One self-contained page about a run: counts, what failed and why, and a look at the images."""

from __future__ import annotations

import base64
import csv
import statistics
from collections import Counter, defaultdict
from html import escape
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import tifffile

from dicom_preprocessing.config import as_yaml
from dicom_preprocessing.failures import read_failures
from dicom_preprocessing.files import printable, replacing
from dicom_preprocessing.index.table import IndexFolder
from dicom_preprocessing.receipts import read_receipts, receipt_path
from dicom_preprocessing.verdict import count
from dicom_preprocessing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

THUMBNAILS = 24
THUMBNAIL_SIDE = 160

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 68rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .25rem .75rem
       .25rem 0; border-bottom: 1px solid #ddd; vertical-align: top; overflow-wrap: anywhere; }
td.n, th.n { text-align: right; white-space: nowrap; } td:first-child { white-space: nowrap; }
.counts { display: flex; gap: 2rem; flex-wrap: wrap; } .counts b { display: block;
       font-size: 1.8rem; } .failed b { color: #b00020; }
.sheet { display: flex; flex-wrap: wrap; gap: .75rem; } figure { margin: 0; width: 160px; }
figure img { background: #000; width: 160px; height: 160px; object-fit: contain; }
figcaption { font-size: 12px; color: #555; overflow-wrap: anywhere; }
"""


def write_report(path: Path, settings: Mapping[str, Any]) -> None:
    """Write report.html beside the manifest and failures that it is about.

    Parameters
    ----------
    path : Path
    settings : mapping
        Keys of the configuration that differ from their defaults.
    """
    output = path.parent
    with (output / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    failures = read_failures(output / "failures.csv")
    seconds, warnings = _from_receipts(output)
    sections = [
        _counts(len(rows), failures),
        _not_written("Failed", [f for f in failures if f["state"] == "failed"]),
        _not_written("Skipped", [f for f in failures if f["state"] == "skipped"]),
        _warnings(IndexFolder(output).read_warnings(), warnings),
        _written(rows),
        _times(seconds),
        _settings(settings),
        _contact_sheet(rows, output / "images"),
    ]
    with replacing(path) as file:
        file.write(
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f"<title>DICOM preprocessing</title><style>{STYLE}</style></head><body>\n"
            f"<h1>DICOM preprocessing</h1>\n{''.join(sections)}</body></html>\n"
        )


def _from_receipts(output: Path) -> tuple[dict[str, list[float]], Counter[str]]:
    """Seconds of each image by stage, and how often each warning was given."""
    seconds: dict[str, list[float]] = defaultdict(list)
    warnings: Counter[str] = Counter()
    for study in IndexFolder(output).read_table():
        for receipt in read_receipts(receipt_path(output, "write", study)):
            for stage, spent in receipt.seconds.items():
                seconds[stage].append(spent)
            warnings.update((receipt.facts or {}).get("warnings", ()))
    return seconds, warnings


def _counts(written: int, failures: Sequence[dict[str, str]]) -> str:
    counts = count(written + len(failures), ((f["state"], f["error"]) for f in failures))
    skipped, failed = sum(counts.skipped.values()), sum(counts.failed.values())
    parts = [
        ("", counts.found, "files found"),
        ("", counts.written, "written"),
        ("", skipped, "skipped"),
        ("failed" if failed else "", failed, "failed"),
    ]
    cells = "".join(f'<div class="{c}"><b>{n:,}</b>{label}</div>' for c, n, label in parts)
    return f'<div class="counts">{cells}</div>\n'


def _not_written(title: str, failures: Sequence[dict[str, str]]) -> str:
    """Error classes with their number and one example each."""
    if not failures:
        return ""
    by_error: dict[str, list[dict[str, str]]] = defaultdict(list)
    for failure in failures:
        by_error[failure["error"]].append(failure)
    ordered = sorted(by_error.items(), key=lambda item: (-len(item[1]), item[0]))
    rows = [
        (error, len(group), group[0]["source_path"], group[0]["message"])
        for error, group in ordered
    ]
    return _table(title, ("error", "files", "for example", "message"), rows)


def _warnings(of_index: Sequence[str], of_images: Counter[str]) -> str:
    rows = [*of_images.most_common(), *((warning, 1) for warning in of_index)]
    return _table("Warnings", ("warning", "times"), rows) if rows else ""


def _written(rows: Sequence[dict[str, str]]) -> str:
    kinds: dict[tuple[str, str, str], list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        kinds[row["modality"], row["channels"], row["dtype"]].append(row)
    table = [
        (
            modality or "unknown",
            "RGB" if channels == "3" else "grey",
            dtype,
            len({row["study_instance_uid"] for row in group}),
            len(group),
            sum(int(row["num_frames"]) for row in group),
            _sizes(group),
        )
        for (modality, channels, dtype), group in sorted(kinds.items())
    ]
    columns = ("modality", "samples", "dtype", "studies", "images", "frames", "width x height")
    return _table("Written", columns, table) if table else ""


def _sizes(rows: Sequence[dict[str, str]]) -> str:
    sizes = Counter((int(row["width"]), int(row["height"])) for row in rows)
    shown = ", ".join(f"{w} x {h}" for (w, h), _ in sizes.most_common(3))
    return shown + (f" and {len(sizes) - 3} more" if len(sizes) > 3 else "")  # noqa: PLR2004


def _times(seconds: dict[str, list[float]]) -> str:
    rows = [
        (
            stage,
            len(spent),
            f"{sum(spent):.1f} s",
            f"{1000 * statistics.median(spent):.1f} ms",
            f"{1000 * max(spent):.1f} ms",
        )
        for stage, spent in seconds.items()
    ]
    return _table("Time", ("stage", "files", "in all", "median", "longest"), rows) if rows else ""


def _settings(settings: Mapping[str, Any]) -> str:
    rows = [(key, as_yaml(value)) for key, value in settings.items()]
    rows.append(("version", __version__))
    return _table("Settings that are not the default", ("key", "value"), rows)


def _table(title: str, columns: Iterable[str], rows: Sequence[Sequence[Any]]) -> str:
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


def _contact_sheet(rows: Sequence[dict[str, str]], images: Path) -> str:
    """Middle pages of some images."""
    if not rows:
        return ""
    shown = _spread(rows)
    figures = []
    for row in shown:
        png = base64.b64encode(_thumbnail(images / row["path"])).decode("ascii")
        frames = f", {row['num_frames']} frames" if row["num_frames"] != "1" else ""
        caption = f"{row['modality']} {row['width']} x {row['height']}{frames}"
        figures.append(
            f'<figure><img src="data:image/png;base64,{png}" alt="{escape(caption)}">'
            f"<figcaption>{escape(caption)}<br>{escape(printable(row['path']))}</figcaption></figure>"
        )
    title = f"A look at {len(shown):,} of {len(rows):,} images"
    return f'<h2>{title}</h2>\n<div class="sheet">{"".join(figures)}</div>\n'


def _spread(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """At most THUMBNAILS rows: one of each study before a second one of any."""
    by_study: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        by_study[row["study_instance_uid"]].append(row)
    step = max(1, len(by_study) // THUMBNAILS)
    studies = list(by_study.values())[::step][:THUMBNAILS]
    in_turn = [row for layer in zip_longest(*studies) for row in layer if row is not None]
    chosen = in_turn[:THUMBNAILS]
    return sorted(chosen, key=lambda row: (row["study_instance_uid"], row["sop_instance_uid"]))


def _thumbnail(path: Path) -> bytes:
    """PNG of the middle page, at most THUMBNAIL_SIDE a side, minimum to maximum."""
    with tifffile.TiffFile(path) as tiff:
        page: NDArray[Any] = tiff.pages[len(tiff.pages) // 2].asarray()
    stride = max(1, -(-max(page.shape[:2]) // THUMBNAIL_SIDE))
    small = page[::stride, ::stride].astype(np.float32)
    low, high = float(small.min()), float(small.max())
    grey = (small - low) * (255 / (high - low) if high > low else 0)
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(grey.astype(np.uint8))))
