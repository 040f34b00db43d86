"""Write the volumes of series from a finished tree, each as one TIFF of several pages."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import path_key
from dicom_preprocessing.imaging.frames import LazyFrames
from dicom_preprocessing.imaging.positions import median_step
from dicom_preprocessing.imaging.stacking.findings import list_some
from dicom_preprocessing.imaging.stacking.parts import is_one_orientation
from dicom_preprocessing.index.table import is_path_part
from dicom_preprocessing.results.layout import MANIFEST, SLICES, SUFFIX, WITH_SERIES, image_path
from dicom_preprocessing.results.manifest import ManifestRow, row_of_tiff
from dicom_preprocessing.results.outcomes import try_call
from dicom_preprocessing.results.slice_table import NOWHERE, SliceRow, write_slices
from dicom_preprocessing.text import plural
from dicom_preprocessing.tiff.place import place_pages, replace_place
from dicom_preprocessing.tiff.writer import write_pages
from dicom_preprocessing.tools.tiff_image import add_record, describe_source, format_description
from dicom_preprocessing.tools.volumes import DEFAULTS, Ordering, SeriesVolume, plan_series

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from dicom_preprocessing.config import StackPolicies
    from dicom_preprocessing.imaging.stacking import DroppedSlice
    from dicom_preprocessing.tiff.place import Place
    from dicom_preprocessing.tiff.tags import PageTags
    from dicom_preprocessing.tools.series import SeriesSlice, SliceGroups
    from dicom_preprocessing.tools.volumes import Page

TOOL = "tiff-combine"


@dataclass(frozen=True, slots=True)
class CombineOptions:
    """Options of tiff-combine.

    Parameters
    ----------
    policies : StackPolicies
    ordering : Ordering
    compressor : str or None
        None: that of the first slice of each volume.
    force : bool
        Write volumes also if policies, slices of other settings or a table that does not match
        forbid it, with warnings. Pages of other settings have each its own tags.
    """

    policies: StackPolicies = DEFAULTS
    ordering: Ordering = field(default_factory=Ordering)
    compressor: str | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class CombinedVolume:
    """A volume that was written, with the slices of its pages and where they lie.

    ``distances`` are along the normal, mm; None if that is unknown.
    """

    row: ManifestRow
    slices: tuple[SeriesSlice, ...]
    places: tuple[Place | None, ...]
    distances: tuple[float, ...] | None = None

    def rows(self) -> Iterator[SliceRow]:
        """Rows of slices.csv."""
        distances = self.distances or (None,) * len(self.slices)
        pages = zip(self.slices, self.places, distances, strict=True)
        for page, (made, place, distance) in enumerate(pages, 1):
            x, y, z = place.position if place is not None else NOWHERE
            yield SliceRow(
                path=self.row.path,
                page=page,
                sop_instance_uid=made.sop_instance_uid,
                source_path=made.name,
                source_frame=1,
                position_mm=distance,
                x=x,
                y=y,
                z=z,
            )


@dataclass(frozen=True, slots=True)
class CombinedSeries:
    """What became of a series: its volumes, and messages about what is not there or irregular."""

    volumes: list[CombinedVolume] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def list_targets(groups: SliceGroups, output: Path) -> Iterator[Path]:
    """Yield the files that ``combine_series`` may write of series."""
    for (study, series), slices in groups.series.items():
        if is_path_part(series):
            yield _make_target(output, study, series)
            for made in slices:
                yield _make_target(output, study, series, made.sop_instance_uid)


def _make_target(output: Path, study: str, series: str, sop_instance_uid: str = "") -> Path:
    """``{study}/{series}.tiff``; of one of several volumes ``{study}/{series}/{sop}.tiff``."""
    if sop_instance_uid:
        return output / image_path(WITH_SERIES, study, series, sop_instance_uid).lstrip("/")
    return output / study / f"{series}{SUFFIX}"


def combine_series(
    slices: Sequence[SeriesSlice], problem: str | None, output: Path, options: CombineOptions
) -> CombinedSeries:
    """Write the volumes of a series.

    Parameters
    ----------
    slices : sequence of SeriesSlice
        In any order.
    problem : str or None
        Why it cannot be complete.
    output : Path
    options : CombineOptions

    Raises
    ------
    OutputError
        There is no plan, so that nothing is written.
    """
    done = CombinedSeries()
    if problem is not None:
        problem = f"series {slices[0].series}: {problem}"
        if not options.force:
            raise OutputError(problem)
        done.warnings.append(problem)
    plan = plan_series(slices, options.policies, options.ordering, force=options.force)
    done.left_out.extend(_describe_dropped(slices[0], plan.dropped))
    by_name = {volume.name: volume for volume in plan.volumes}
    targets = Counter(_find_target(volume, output) for volume in plan.volumes)

    def write(name: str) -> CombinedVolume:
        target = _find_target(by_name[name], output)
        if targets[target] > 1:
            raise OutputError(f"{name}: another volume would be {target} too")
        return _combine(by_name[name], target, output, options)

    for name, volume in by_name.items():
        outcome = try_call(write, name)
        if isinstance(outcome, OutputError):
            done.errors.append(str(outcome))
            continue
        done.volumes.append(outcome)
        findings = volume.planned.findings
        done.warnings.extend(f"{name}: {f.verdict}: {f.message}" for f in findings)
    return done


def _find_target(volume: SeriesVolume, output: Path) -> Path:
    first = volume.pages[0].slice
    sop_instance_uid = first.sop_instance_uid if volume.count > 1 else ""
    return _make_target(output, first.study, first.series, sop_instance_uid)


def _describe_dropped(first: SeriesSlice, dropped: Sequence[DroppedSlice]) -> Iterator[str]:
    """Yield which slices are in no volume, by reason."""

    def reason(one: DroppedSlice) -> str:
        return one.message if one.error == "not_selected" else one.error

    for text, members in groupby(sorted(dropped, key=reason), key=reason):
        names = [one.slice.name for one in members]
        yield f"series {first.series}: {plural(len(names), 'image')}: {text}: {list_some(names)}"


def _combine(
    volume: SeriesVolume, target: Path, output: Path, options: CombineOptions
) -> CombinedVolume:
    """Write a volume to a target below the output.

    Raises
    ------
    OutputError
        It must not be written, or its slices have different sizes or dtypes.
    """
    if volume.planned.error:
        raise OutputError(f"{volume.name}: {volume.planned.error}")
    _require_one_shape(volume.pages)
    first = volume.pages[0].slice
    if target.relative_to(output).parts[0] in (MANIFEST, SLICES):
        raise OutputError(
            f"{first.path}: OUTPUT has a table of the name of its folder, rename that"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    stored = volume.pages[0].stored
    compressor = stored.choose_compressor(options.compressor)
    write_pages(target, _join_pages(volume.pages), _make_tags(volume), compressor=compressor)
    row = replace(
        row_of_tiff(target, output),
        study_instance_uid=first.study,
        series_instance_uid=first.series,
        sop_instance_uid=first.sop_instance_uid,
        modality=first.modality or None,
        warnings=len(volume.planned.findings),
    )
    return CombinedVolume(
        row,
        slices=tuple(page.slice for page in volume.pages),
        places=tuple(page.place for page in volume.pages),
        distances=volume.planned.distances,
    )


def _require_one_shape(pages: Sequence[Page]) -> None:
    first = pages[0].stored
    for other in (page.stored for page in pages):
        if other.frames.shape != first.frames.shape or other.frames.dtype != first.frames.dtype:
            found, expected = (
                f"{s.info.width} x {s.info.height} x {s.info.channels} {s.info.dtype}"
                for s in (other, first)
            )
            raise OutputError(f"{other.path}: found {found}, expected {expected} ({first.path})")


def _join_pages(pages: Sequence[Page]) -> LazyFrames:
    first = pages[0].stored.frames
    shape = (len(pages), *first.shape[1:])
    return LazyFrames(shape, first.dtype, lambda index: pages[index].stored.frames[0])


class _VolumeFacts(NamedTuple):
    """What the pages of a volume share: their number, spacing in mm and background."""

    pages: int
    spacing: float | None
    background: float


def _make_tags(volume: SeriesVolume) -> list[PageTags]:
    """The tags of the first slice for all pages; where slices have other settings, of each page."""
    findings, pages = volume.planned.findings, volume.pages
    distances = volume.planned.distances
    by_mm = distances is not None and list(distances) == sorted(distances)
    record: dict[str, Any] = {"tool": TOOL, "slices": len(pages), "by": "mm" if by_mm else "number"}
    if findings:
        record["warnings"] = [finding.verdict for finding in findings]
    differ = any(finding.verdict == "settings" for finding in findings)
    place = _find_place(pages)
    facts = _VolumeFacts(len(pages), _find_spacing(volume), _find_background(pages))
    return [
        _make_page_tags(page, facts, place, record) for page in (pages if differ else pages[:1])
    ]


def _find_background(pages: Sequence[Page]) -> float:
    """The darkest background of the slices, each of which may have its own darkest value."""
    first = pages[0].stored.description.get("source", {})
    darkest = max if first.get("photometric_interpretation") == "MONOCHROME1" else min
    return darkest(page.stored.background for page in pages)


def _make_page_tags(
    page: Page, volume: _VolumeFacts, place: Place | None, record: dict[str, Any]
) -> PageTags:
    count, spacing, background = volume
    description = describe_source(page.stored)
    if description:
        source = {**description.get("source", {}), "frames": count}
        described = {"source": source, "frame_spacing": spacing, "background": background}
        description = {**description, **described}
    description = add_record(replace_place(description, place), **record)
    return replace(page.stored.tags(), description=format_description(description))


def _find_place(pages: Sequence[Page]) -> Place | None:
    """Where the pages lie in the patient, None where one is unknown or no one mapping fits all."""
    places = [page.place for page in pages]
    known = [place for place in places if place is not None]
    if len(known) < len(places) or len({page.stored.resolution for page in pages}) > 1:
        return None
    if not is_one_orientation([(*place.row, *place.column) for place in known]):
        return None
    return place_pages([place.position for place in known], known[0].row, known[0].column)


def _find_spacing(volume: SeriesVolume) -> float | None:
    """Median step of positions, mm, else what all slices state."""
    step = median_step(volume.planned.distances or ())
    if step is not None:
        return step
    stated = {page.stored.info.frame_spacing for page in volume.pages}
    return stated.pop() if len(stated) == 1 else None


def write_slices_of(volumes: Iterable[CombinedVolume], path: Path) -> None:
    """Write slices.csv: which slice became which page."""
    ordered = sorted(volumes, key=lambda volume: path_key(volume.row.path))
    write_slices((row for volume in ordered for row in volume.rows()), path)
