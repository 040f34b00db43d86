"""Stacks of a study's files, by what the index keeps of headers."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalIntraOralXRayImageStorageForPresentation,
    DigitalIntraOralXRayImageStorageForProcessing,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    OphthalmicPhotography8BitImageStorage,
    OphthalmicPhotography16BitImageStorage,
    RTImageStorage,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    VLEndoscopicImageStorage,
    VLMicroscopicImageStorage,
    VLPhotographicImageStorage,
    VLSlideCoordinatesMicroscopicImageStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)

from dicom_preprocessing.dicom.attribute import Attribute
from dicom_preprocessing.imaging.stacking import TELLING_FIELDS, Finding, Slice, plan_volumes
from dicom_preprocessing.imaging.stacking.findings import FAIL, list_some
from dicom_preprocessing.index.table import SERIES_WITHOUT_UID, StackPlace
from dicom_preprocessing.text import make_printable, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dicom_preprocessing.config.stacking import StackPolicies
    from dicom_preprocessing.dicom.header import Header
    from dicom_preprocessing.imaging.stacking import PlannedVolume


PICTURES: Final = frozenset(
    (
        ComputedRadiographyImageStorage,
        DigitalIntraOralXRayImageStorageForPresentation,
        DigitalIntraOralXRayImageStorageForProcessing,
        DigitalMammographyXRayImageStorageForPresentation,
        DigitalMammographyXRayImageStorageForProcessing,
        DigitalXRayImageStorageForPresentation,
        DigitalXRayImageStorageForProcessing,
        OphthalmicPhotography8BitImageStorage,
        OphthalmicPhotography16BitImageStorage,
        RTImageStorage,
        UltrasoundImageStorage,
        UltrasoundMultiFrameImageStorage,
        VLEndoscopicImageStorage,
        VLMicroscopicImageStorage,
        VLPhotographicImageStorage,
        VLSlideCoordinatesMicroscopicImageStorage,
        XRayAngiographicImageStorage,
        XRayRadiofluoroscopicImageStorage,
    )
)
"""SOP classes of projections and pictures, which are slices only where they say where they lie."""

NONE_LOST: Final[Mapping[str, str]] = MappingProxyType({})


class SeriesFile(NamedTuple):
    """A file that may be a slice of a series."""

    path: str
    series_instance_uid: str
    header: Header


class Stacking(NamedTuple):
    """By path: places of files in stacks, and why files are in none. Others are not slices."""

    places: Mapping[str, StackPlace]
    dropped: Mapping[str, str]


def stack_files(
    files: Iterable[SeriesFile], policies: StackPolicies, lost: Mapping[str, str] = NONE_LOST
) -> Stacking:
    """Plan the stacks of the files of a study.

    Slices are the files of one frame in a series that has a UID; not pictures such as projections
    that have no position. Of the files of one SOP Instance UID, which may be of several series, the
    first says where the slice lies, if it is one.

    Parameters
    ----------
    files : iterable of SeriesFile
    policies : StackPolicies
    lost : mapping
        By path why a file cannot be used. A volume that has one must not be written, since it would
        be shorter without a sign. So must not one of another series than the first file of an
        instance.
    """
    lost = dict(lost)
    by_instance: dict[str, list[SeriesFile]] = defaultdict(list)
    for file in files:
        # UIDs that cannot be used say nothing about which files are of one instance.
        by_instance[file.path if file.path in lost else file.header.sop_instance_uid].append(file)
    candidates_by_series: dict[str, dict[str, list[SeriesFile]]] = defaultdict(dict)
    for candidates in by_instance.values():
        first = candidates[0]
        if _is_slice(first):
            candidates_by_series[first.series_instance_uid][first.path] = candidates
        for other in candidates[1:]:
            if other.series_instance_uid != first.series_instance_uid and _is_slice(other):
                candidates_by_series[other.series_instance_uid][other.path] = [other]
                lost[other.path] = "sop_conflict"
    places: dict[str, StackPlace] = {}
    dropped: dict[str, str] = {}
    for series, by_name in candidates_by_series.items():
        slices = [make_slice(first.header, first.path) for first, *_ in by_name.values()]
        plan = plan_volumes(series, slices, policies)
        for left_out in plan.dropped:
            if left_out.slice.name not in lost:
                for file in by_name[left_out.slice.name]:
                    dropped[file.path] = left_out.message
        for volume in (_fail_without(lost, planned) for planned in plan.volumes):
            for s, place in zip(volume.slices, _list_places(volume), strict=True):
                places |= dict.fromkeys((f.path for f in by_name[s.name]), place)
    return Stacking(places, dropped)


def _is_slice(file: SeriesFile) -> bool:
    """Whether a file may be a page of a volume."""
    header = file.header
    if header.number_of_frames > 1 or file.series_instance_uid == SERIES_WITHOUT_UID:
        return False
    return header.sop_class_uid not in PICTURES or make_slice(header, file.path).is_placed


def _fail_without(lost: Mapping[str, str], volume: PlannedVolume) -> PlannedVolume:
    """Return a volume without the slices that are lost, which must not be written if it had any."""
    kept = [i for i, s in enumerate(volume.slices) if s.name not in lost]
    if len(kept) == len(volume.slices):
        return volume
    shown = [f"{make_printable(s.name)} ({lost[s.name]})" for s in volume.slices if s.name in lost]
    count = plural(len(shown), "slice")
    text = f"{count} of this volume cannot be used: {list_some(shown)}"
    distances = volume.distances
    return replace(
        volume,
        slices=tuple(volume.slices[i] for i in kept),
        distances=None if distances is None else tuple(distances[i] for i in kept),
        findings=(*volume.findings, Finding("incomplete", FAIL, text)),
    )


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
