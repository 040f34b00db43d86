"""Slices of series, written by hand."""

from __future__ import annotations

import math
from itertools import count
from typing import Any

from dicom_preprocessing.config import StackPolicies
from dicom_preprocessing.imaging.stacking import Slice, StackPlan, plan_volumes

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)

SERIES = "1.2.3"
_numbers = count(1)


def made(position: Any = None, orientation: Any = AXIAL, **facts: Any) -> Slice:
    """A slice with a UID of its own, in ascending order."""
    number = next(_numbers)
    facts = {"rows": 4, "columns": 4, "instance_number": number, **facts}
    facts = {"name": f"{number:06}.dcm", "sop_instance_uid": f"1.2.{number:06}", **facts}
    return Slice(position=position, orientation=orientation, **facts)


def axial(z: float, x: float = 0.0, y: float = 0.0, **facts: Any) -> Slice:
    return made((x, y, float(z)), **facts)


def stack(*places: float, **facts: Any) -> list[Slice]:
    """Axial slices at some z."""
    return [axial(z, **facts) for z in places]


def plan(slices: Any, **policies: str) -> StackPlan:
    return plan_volumes(SERIES, slices, StackPolicies(**policies))


def volumes_of(slices: Any, **policies: str) -> list[list[float]]:
    """Distances along the normal of each volume; there must be nothing else."""
    found = plan(slices, **policies)
    assert found.dropped == ()
    return [list(volume.distances) for volume in found.volumes]


def only_volume(slices: Any, **policies: str) -> Any:
    found = plan(slices, **policies)
    (volume,) = found.volumes
    assert found.dropped == ()
    return volume


def verdicts_of(slices: Any, **policies: str) -> list[tuple[str, str]]:
    """Verdict and policy of each finding of the only volume."""
    return [(f.verdict, f.policy) for f in only_volume(slices, **policies).findings]


def turned(degrees: float) -> tuple[float, ...]:
    """Axial, turned about the x axis."""
    angle = math.radians(degrees)
    return (1.0, 0.0, 0.0, 0.0, math.cos(angle), math.sin(angle))
