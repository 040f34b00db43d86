"""The volumes of a series, from facts about its slices."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_preprocessing.config.stacking import StackPolicies
from dicom_preprocessing.files import short_digest
from dicom_preprocessing.imaging.stacking.checks import (
    Places,
    check_places,
    describe_missing,
    measure_places,
    split_at_gaps,
)
from dicom_preprocessing.imaging.stacking.duplicates import NOT_TOLD_APART
from dicom_preprocessing.imaging.stacking.findings import WARN, Finding
from dicom_preprocessing.imaging.stacking.parts import Part, part_by_geometry
from dicom_preprocessing.imaging.stacking.telling import OF_VOLUMES, describe_common, tell_apart
from dicom_preprocessing.imaging.stacking.volumes import (
    DroppedSlice,
    PlannedVolume,
    StackPlan,
    drop,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dicom_preprocessing.imaging.stacking.slices import Slice

DEFAULTS: Final = StackPolicies()


class _Draft(NamedTuple):
    """A volume without number and name; ``key`` has what tells it from others of its series.

    ``frame_of_reference_uid`` is that which counts, and may not be that of each slice.
    """

    key: list[Any]
    frame_of_reference_uid: str
    orientation: Sequence[float]
    slices: list[Slice]
    places: Places | None

    @property
    def shape(self) -> tuple[int, int, int]:
        first = self.slices[0]
        return first.rows, first.columns, first.samples_per_pixel

    @property
    def geometry(self) -> tuple[Any, ...]:
        """What places have in common in one frame of reference."""
        return (*self.shape, tuple(self.orientation))

    @property
    def is_single(self) -> bool:
        return len(self.slices) == 1


def plan_volumes(
    series_instance_uid: str, slices: Iterable[Slice], policies: StackPolicies = DEFAULTS
) -> StackPlan:
    """Plan the volumes of a series.

    Slices are parted by geometry and, where positions repeat, by what tells volumes of one
    geometry apart. Each part is ordered by the projection of Image Position (Patient) on the normal
    (PS3.3 C.7.6.2.1.1). Nothing depends on the order of ``slices``.

    Parameters
    ----------
    series_instance_uid : str
    slices : iterable of Slice
        Single-frame images of one series, with different names.
    policies : StackPolicies
        ``mixed_rescale`` is not decided here, since it needs data sets.

    Returns
    -------
    StackPlan
        Volumes in the order of their numbers: by the lowest Instance Number of a geometry, then by
        the value that tells them apart, then along the normal.
    """
    ordered = sorted(slices, key=lambda s: s.identity)
    parts, dropped = _drop_scouts(part_by_geometry(ordered), policies)
    drafts = [
        draft for part in sorted(parts, key=_by_first) for draft in _draft_volumes(part, policies)
    ]
    if policies.single == "drop":
        singles = [draft for draft in drafts if draft.is_single]
        dropped += [drop(d.slices[0], "single", "the only slice of its volume") for d in singles]
        drafts = [draft for draft in drafts if not draft.is_single]
    names = _name_volumes(series_instance_uid, drafts)
    unplaced, parted = _find_unplaced(drafts), _find_parted(drafts)
    volumes = (
        PlannedVolume(
            number,
            name,
            tuple(draft.slices),
            None if draft.places is None else tuple(draft.places.distances),
            (*(_check_draft(draft, policies) or unplaced.get(draft.shape, ())), *parted(draft)),
        )
        for number, (name, draft) in enumerate(zip(names, drafts, strict=True), 1)
    )
    return StackPlan(tuple(volumes), tuple(sorted(dropped, key=lambda d: d.slice.identity)))


def _drop_scouts(
    parts: list[Part], policies: StackPolicies
) -> tuple[list[Part], list[DroppedSlice]]:
    """Take out localizers, and the lone slices of orientations that no larger part has."""
    if policies.scout != "drop":
        return parts, []
    localizers = [part for part in parts if part.key.is_localizer]
    others = [part for part in parts if not part.key.is_localizer]
    usual = {part.key.orientation for part in others if len(part.slices) > 1} - {None}
    lone = {
        part.key
        for part in others
        if usual and part.key.orientation is not None and part.key.orientation not in usual
    }
    dropped = [
        drop(s, "scout", "Image Type has LOCALIZER") for part in localizers for s in part.slices
    ]
    dropped += [
        drop(part.slices[0], "scout", "a lone slice of another orientation")
        for part in others
        if part.key in lone
    ]
    return [part for part in others if part.key not in lone], dropped


def _by_first(part: Part) -> tuple[Any, ...]:
    """The key of the order of parts: the lowest Instance Number, then the lowest UID."""
    return (min(map(_by_instance_number, part.slices))[:2], part.slices[0].identity)


def _by_instance_number(s: Slice) -> tuple[Any, ...]:
    """The key of the order of slices without positions; those without a number come last."""
    number = s.instance_number
    return (number is None, number or 0, s.name, s.sop_instance_uid)


def _describe_order(slices: Sequence[Slice]) -> str:
    """By what slices without positions are in order."""
    numbers = {s.instance_number for s in slices}
    if len(numbers) == len(slices) and None not in numbers:
        return "Instance Number"
    return (
        "Instance Number and, where that is missing or repeats, the paths of the files, whose "
        "order may mean nothing"
    )


def _draft_volumes(part: Part, policies: StackPolicies) -> Iterator[_Draft]:
    """Yield the volumes of a part in the order of their numbers."""
    places = measure_places(part.slices, part.key.orientation) if part.key.is_placed else None
    record, reference = part.key.as_record(), part.key.frame_of_reference_uid
    if places is None:
        ordered = sorted(part.slices, key=_by_instance_number)
        key = [record, describe_common(ordered), [], 0]
        yield _Draft(key, reference, part.key.orientation or (), ordered, None)
        return
    for telling, members in tell_apart(part.slices, places.distances).items():
        # Slices are in the order of their UIDs, in which those at one place stay.
        order = sorted(members, key=places.distances.__getitem__)
        distances = [places.distances[i] for i in order]
        runs = split_at_gaps(distances) if policies.gap == "split" else [(0, len(order))]
        for run, (start, stop) in enumerate(runs):
            chosen = order[start:stop]
            members_of_run = [part.slices[i] for i in chosen]
            others = [(name, value) for name, value in telling if name not in OF_VOLUMES]
            yield _Draft(
                [record, describe_common(members_of_run), others, run],
                reference,
                part.key.orientation or (),
                members_of_run,
                places.take(chosen),
            )


def _find_unplaced(
    drafts: Sequence[_Draft],
) -> dict[tuple[int, int, int], tuple[Finding, ...]]:
    """Return by shape what to say of volumes where some slices have positions and some have not.

    The one without may be the end of the volume of the others.
    """
    placed, unplaced = Counter[tuple[int, int, int]](), Counter[tuple[int, int, int]]()
    for draft in drafts:
        counts = unplaced if draft.places is None else placed
        counts[draft.shape] += len(draft.slices)
    found: dict[tuple[int, int, int], tuple[Finding, ...]] = {}
    for shape in placed.keys() & unplaced.keys():
        missing = describe_missing(unplaced[shape], placed[shape] + unplaced[shape])
        text = f"{missing.message}; those without are images of their own"
        found[shape] = (replace(missing, message=text),)
    return found


def _find_parted(drafts: Sequence[_Draft]) -> Callable[[_Draft], tuple[Finding, ...]]:
    """Return what to say of volumes that only the Frame of Reference UID separates."""
    references = defaultdict(set)
    for draft in drafts:
        if draft.places is not None:
            references[draft.geometry].add(draft.frame_of_reference_uid)

    def find(draft: _Draft) -> tuple[Finding, ...]:
        count = len(references[draft.geometry]) if draft.places is not None else 1
        if count == 1:
            return ()
        text = (
            f"the slices of this geometry are of {count} Frames of Reference, in each of which "
            "positions count from another origin: each is a volume of its own"
        )
        return (Finding("frame_of_reference", WARN, text),)

    return find


def _check_draft(draft: _Draft, policies: StackPolicies) -> tuple[Finding, ...]:
    if draft.is_single:
        return ()
    if draft.places is None:
        missing = describe_missing(len(draft.slices), len(draft.slices))
        text = f"{missing.message}; pages follow {_describe_order(draft.slices)}"
        return (replace(missing, message=text),)
    return tuple(
        replace(f, message=f"{f.message}; {NOT_TOLD_APART}")
        if f.verdict == "duplicate_position"
        else f
        for f in check_places(draft.places, policies)
    )


def _name_volumes(series_instance_uid: str, drafts: Sequence[_Draft]) -> list[str]:
    """Name volumes by their series and what they have in common, not by their slices."""
    texts = [json.dumps([series_instance_uid, draft.key]) for draft in drafts]
    names = [""] * len(drafts)
    # Orientations that differ by little more than noise have one text.
    seen: Counter[str] = Counter()
    for i in sorted(range(len(drafts)), key=lambda i: (texts[i], drafts[i].orientation)):
        names[i] = short_digest(f"{texts[i]} {seen[texts[i]]}")
        seen[texts[i]] += 1
    return names
