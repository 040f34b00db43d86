"""What becomes of the slices of a series: volumes, and slices that are in none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_preprocessing.imaging.stacking.checks import group_places

if TYPE_CHECKING:
    from dicom_preprocessing.imaging.stacking.findings import Finding
    from dicom_preprocessing.imaging.stacking.slices import Slice


@dataclass(frozen=True, slots=True)
class DroppedSlice:
    """A slice that is in no volume, and why.

    Parameters
    ----------
    slice : Slice
    error : str
        Of ``errors.SKIPPED_ERRORS``.
    message : str
    """

    slice: Slice
    error: str
    message: str


def drop(s: Slice, verdict: str, reason: str) -> DroppedSlice:
    """A slice that a policy keeps out."""
    return DroppedSlice(s, "not_selected", f"stack: {verdict} ({reason})")


@dataclass(frozen=True, slots=True)
class PlannedVolume:
    """Slices that become the pages of one image.

    Parameters
    ----------
    number : int
        From 1 within the series.
    volume_id : str
        16 hex digits, which stay the same when slices are added to the volume.
    slices : tuple of Slice
        In the order of the pages: ascending along the normal, else by Instance Number.
    distances : tuple of float or None
        Of each slice from the origin along the normal, mm; those of slices at one place are equal.
        None if slices have no positions.
    findings : tuple of Finding
    """

    number: int
    volume_id: str
    slices: tuple[Slice, ...]
    distances: tuple[float, ...] | None
    findings: tuple[Finding, ...] = ()

    @property
    def error(self) -> str:
        """Why the volume must not be written, for each of its files; empty if it may.

        Of slices at one place, ``resolve_duplicates`` has to decide first.
        """
        return "; ".join(f"{f.verdict}: {f.message}" for f in self.findings if f.is_failure)

    @property
    def repeated(self) -> tuple[tuple[Slice, ...], ...]:
        """The slices at each place that has several: their pixels decide what becomes of them."""
        groups = group_places(self.distances or ())
        return tuple(tuple(self.slices[i] for i in group) for group in groups if len(group) > 1)


@dataclass(frozen=True, slots=True)
class StackPlan:
    """What becomes of the slices of a series: each is in one volume, or dropped."""

    volumes: tuple[PlannedVolume, ...]
    dropped: tuple[DroppedSlice, ...]
