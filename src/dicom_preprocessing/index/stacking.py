"""Stacks of a study's files, by what the index keeps of headers."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from dicom_preprocessing.dicom.attribute import Attribute
from dicom_preprocessing.imaging.stacking import TELLING_FIELDS, Slice, plan_volumes
from dicom_preprocessing.index.table import SERIES_WITHOUT_UID, StackPlace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dicom_preprocessing.config.stacking import StackPolicies
    from dicom_preprocessing.dicom.header import Header
    from dicom_preprocessing.imaging.stacking import PlannedVolume


class SeriesFile(NamedTuple):
    """A file that may be a slice of a series."""

    path: str
    series_instance_uid: str
    header: Header


class Stacking(NamedTuple):
    """By path: places of files in stacks, and why files are in none. Others are not slices."""

    places: Mapping[str, StackPlace]
    dropped: Mapping[str, str]


def stack_files(files: Iterable[SeriesFile], policies: StackPolicies) -> Stacking:
    """Plan the stacks of the files of a study.

    Slices are the files of one frame in a series that has a UID. Of the files of one SOP Instance
    UID, which may be of several series, the first says where the slice lies, if it is one.
    """
    by_instance: dict[str, list[SeriesFile]] = defaultdict(list)
    for file in files:
        by_instance[file.header.sop_instance_uid].append(file)
    instances: dict[str, dict[str, list[SeriesFile]]] = defaultdict(dict)
    for sop, candidates in by_instance.items():
        first = candidates[0]
        if first.header.number_of_frames <= 1 and first.series_instance_uid != SERIES_WITHOUT_UID:
            instances[first.series_instance_uid][sop] = candidates
    places: dict[str, StackPlace] = {}
    dropped: dict[str, str] = {}
    for series, by_sop in instances.items():
        slices = [make_slice(first.header, first.path) for first, *_ in by_sop.values()]
        plan = plan_volumes(series, slices, policies)
        for left_out in plan.dropped:
            for file in by_sop[left_out.slice.sop_instance_uid]:
                dropped[file.path] = left_out.message
        for volume in plan.volumes:
            for s, place in zip(volume.slices, _list_places(volume), strict=True):
                places |= dict.fromkeys((f.path for f in by_sop[s.sop_instance_uid]), place)
    return Stacking(places, dropped)


def _list_places(volume: PlannedVolume) -> Iterator[StackPlace]:
    """Yield the place of each slice; the first one has what was found about the volume."""
    findings = [[f.verdict, f.policy, f.message] for f in volume.findings]
    distances = volume.distances or (None,) * len(volume.slices)
    for number, (s, distance) in enumerate(zip(volume.slices, distances, strict=True), 1):
        yield StackPlace(
            volume=volume.number,
            volume_id=volume.volume_id,
            place=number,
            position_mm=distance,
            position=s.position,
            orientation=s.orientation,
            findings=findings if number == 1 else (),
        )


def make_slice(header: Header, name: str) -> Slice:
    """The facts of a header about a slice; numbers that are none count as absent.

    Parameters
    ----------
    header : Header
    name : str
        The path of the file, for messages.
    """
    instance_number = _read_number(header, "InstanceNumber")
    return Slice(
        name=name,
        sop_instance_uid=header.sop_instance_uid,
        rows=header.rows,
        columns=header.columns,
        samples_per_pixel=header.samples_per_pixel,
        orientation=_read_vector(header, "ImageOrientationPatient", 6),
        position=_read_vector(header, "ImagePositionPatient", 3),
        instance_number=None if instance_number is None else int(instance_number),
        spacing_between_slices=_read_number(header, "SpacingBetweenSlices"),
        frame_of_reference_uid="\\".join(header.values("FrameOfReferenceUID")),
        **{field: "\\".join(header.values(key)) for key, field in TELLING_FIELDS.items()},
    )


def _read_vector(header: Header, keyword: str, length: int) -> tuple[float, ...] | None:
    return Attribute(keyword, header.values(keyword)).vector(length)


def _read_number(header: Header, keyword: str) -> float | None:
    vector = _read_vector(header, keyword, 1)
    return None if vector is None else vector[0]
