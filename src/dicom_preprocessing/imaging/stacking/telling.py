"""Volumes of one geometry, such as echoes and time points, told apart by an attribute."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import combinations
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_preprocessing.imaging.stacking.slices import TELLING_FIELDS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dicom_preprocessing.imaging.stacking.slices import Slice

KEYWORDS: Final = tuple(TELLING_FIELDS)
TIME: Final = KEYWORDS.index("TriggerTime")
"""The attribute whose values differ a little between positions: a heart does not beat evenly."""

OF_VOLUMES: Final = ("TemporalPositionIdentifier", "EchoTime", "DiffusionBValue")
"""Attributes that are the same in all slices of a volume."""

ABSENT, NUMBER, TEXT = 0, 1, 2

Value = tuple[int, float, str]
"""Kind, number and text of a value; absent ones come first, then numbers, then texts."""

Telling = tuple[tuple[str, Value], ...]
"""Attributes and their values in one volume, none if there is nothing to tell apart."""


class _Row(NamedTuple):
    """What is known of slices that no attribute tells apart: their place, and all values.

    Values are numbered in their order, by attribute, since small integers are compared fast.
    """

    place: float
    codes: tuple[int, ...]


Key = tuple[int, ...]
"""Codes of the attributes that tell volumes apart."""


def tell_apart(slices: Sequence[Slice], places: Sequence[float]) -> dict[Telling, list[int]]:
    """Part slices of one geometry so that each part has each place once.

    The first attribute of ``TELLING_FIELDS`` counts, else the first pair of them and so on, by
    which there are as many parts as slices at one place that differ in any attribute. An attribute
    that differs from slice to slice makes more. Trigger Time tells by its rank at each place where
    its values do not.

    Parameters
    ----------
    slices : sequence of Slice
    places : sequence of float
        Of each slice along the normal, mm.

    Returns
    -------
    dict
        Indices of the slices of each part, in the order of the values. Slices of one place in one
        part are those that nothing tells apart.
    """
    fields = TELLING_FIELDS.values()
    columns = [[_read_value(getattr(s, field)) for s in slices] for field in fields]
    levels = [sorted(set(column)) for column in columns]
    codes = [
        [code_of[value] for value in column]
        for column, code_of in zip(columns, map(_number_values, levels), strict=True)
    ]
    rows = [_Row(*row) for row in zip(places, zip(*codes, strict=True), strict=True)]
    names, keys = _find_keys(set(rows), levels)
    parts = defaultdict(list)
    for index, row in enumerate(rows):
        parts[keys.get(row, ())].append(index)
    return {_describe_key(key, names, levels): parts[key] for key in sorted(parts)}


def describe_common(slices: Sequence[Slice]) -> Telling:
    """Return what all slices of a volume share of the attributes that are those of volumes.

    It is in the name of a volume, so that this stays when other time points, echoes or b-values
    arrive. The others may differ from slice to slice, and count only where they tell apart.
    """
    found = []
    for keyword in OF_VOLUMES:
        values = {_read_value(getattr(s, TELLING_FIELDS[keyword])) for s in slices}
        if len(values) == 1:
            found.append((keyword, values.pop()))
    return tuple(found)


def _read_value(text: str) -> Value:
    """Numbers are equal whatever their text is; texts in any case."""
    text = text.strip().upper()
    if not text:
        return ABSENT, 0.0, ""
    try:
        number = float(text)
    except ValueError:
        return TEXT, 0.0, text
    return (NUMBER, number, "") if math.isfinite(number) else (TEXT, 0.0, text)


def _number_values(values: Sequence[Value]) -> Mapping[Value, int]:
    return {value: code for code, value in enumerate(values)}


RANK: Final = -1
"""In place of the column of an attribute: the rank of Trigger Time."""


def _describe_key(key: Key, names: Sequence[int], levels: Sequence[Sequence[Value]]) -> Telling:
    return tuple(
        (f"{KEYWORDS[TIME]} rank", (NUMBER, float(code), ""))
        if column == RANK
        else (KEYWORDS[column], levels[column][code])
        for column, code in zip(names, key, strict=False)
    )


def _find_keys(
    rows: Collection[_Row], levels: Sequence[Sequence[Value]]
) -> tuple[tuple[int, ...], Mapping[_Row, Key]]:
    """Return the columns that tell rows apart, and the key of each row; none if nothing does."""
    most = max(Counter(row.place for row in rows).values(), default=1)
    if most == 1:
        return (), {}
    varying = [c for c, values in enumerate(levels) if 1 < len(values) <= most]
    for columns in _combine(varying, rows, most):
        by_value = {row: _make_key(row, columns) for row in rows}
        if _is_complete(by_value):
            return columns, by_value
    if all(kind == NUMBER for kind, _, _ in levels[TIME]):
        others = [c for c in varying if c != TIME]
        for size in range(len(others) + 1):
            for columns in combinations(others, size):
                by_rank = _rank_times(rows, columns)
                if len(set(by_rank.values())) == most:
                    return (*columns, RANK), by_rank
    return (), {}


def _make_key(row: _Row, columns: Sequence[int]) -> Key:
    return tuple(row.codes[column] for column in columns)


def _combine(
    columns: Sequence[int], rows: Collection[_Row], most: int
) -> Iterator[tuple[int, ...]]:
    """Yield the single attributes, then the pairs and so on, that make ``most`` parts."""
    codes = [row.codes for row in rows]
    too_many: list[set[int]] = []
    for size in range(1, len(columns) + 1):
        for chosen in combinations(columns, size):
            if any(others <= set(chosen) for others in too_many):
                continue
            count = len(set(map(itemgetter(*chosen), codes)))
            if count > most:
                too_many.append(set(chosen))
            elif count == most:
                yield chosen


def _is_complete(keys: Mapping[_Row, Key]) -> bool:
    """Whether each part has each place once."""
    return len({(row.place, key) for row, key in keys.items()}) == len(keys)


def _rank_times(rows: Collection[_Row], columns: Sequence[int]) -> Mapping[_Row, Key]:
    """Tell rows by the rank of Trigger Time among those of one place and of equal ``columns``.

    Nothing is told unless all have the same number of different times: where one is missing, it is
    unknown which.
    """
    groups = defaultdict(list)
    for row in rows:
        groups[row.place, _make_key(row, columns)].append(row)
    places, others = ({key[i] for key in groups} for i in (0, 1))
    is_full = len(groups) == len(places) * len(others)
    if not is_full or len({len(group) for group in groups.values()}) != 1:
        return {}
    keys: dict[_Row, Key] = {}
    for (_, other), group in groups.items():
        times = sorted({row.codes[TIME] for row in group})
        if len(times) != len(group):
            return {}
        ranks = {time: rank for rank, time in enumerate(times)}
        keys |= {row: (*other, ranks[row.codes[TIME]]) for row in group}
    return keys
