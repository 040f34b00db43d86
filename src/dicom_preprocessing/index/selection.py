"""Apply a selection to the headers of a source, and count what it keeps."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Self

from dicom_preprocessing.text import hide_text, make_printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dicom_preprocessing.config.selection import Selection
    from dicom_preprocessing.dicom.header import Header

OBJECT_OF_SOP_CLASS: Final = {
    "1.2.840.10008.5.1.4.1.1.66.4": "segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "segmentation",
    "1.2.840.10008.5.1.4.1.1.30": "parametric-map",
    "1.2.840.10008.5.1.4.1.1.481.2": "dose",
}
"""Kinds of objects with pixel data that are no images (PS3.4 B.5); any other class is one."""

MAX_COUNTS: Final = 6
"""Counts that a line shows."""

NAMED_UIDS: Final = ("SOPClassUID", "TransferSyntaxUID")
"""Keywords whose values have names in the standard, which rules may give too, and keywords."""


def kind_of(sop_class_uid: str) -> str:
    """The kind of an object, of ``config.selection.OBJECTS``."""
    return OBJECT_OF_SOP_CLASS.get(sop_class_uid, "image")


def name_class(uid: str) -> str:
    """The name of a SOP class or transfer syntax in the standard, for people."""
    from dicom_preprocessing.dicom.transfer_syntaxes import name_uid  # noqa: PLC0415  # has pydicom

    return name_uid(uid) if uid else "no SOP class"


class Selector:
    """Says what keeps a file out.

    Parameters
    ----------
    selection : Selection
    sources : iterable of str
        A file that is one of them is named as such, and has to pass the user's own rules only.
    """

    def __init__(self, selection: Selection, sources: Iterable[str] = ()) -> None:
        self.selection = selection
        self._sources = frozenset(sources)

    def find_reason(self, path: str, header: Header) -> str:
        """The rule that keeps a file out, empty if none does."""

        def values_of(keyword: str) -> tuple[str, ...]:
            values = header.values(keyword)
            return _add_names(values) if keyword in NAMED_UIDS else values

        kind = kind_of(header.sop_class_uid)
        return self.selection.find_reason(kind, values_of, is_named=path in self._sources)


@lru_cache(maxsize=256)
def _add_names(uids: tuple[str, ...]) -> tuple[str, ...]:
    """UIDs with their names and keywords in the standard, CTImageStorage for example."""
    from pydicom.uid import UID  # noqa: PLC0415  # has pydicom

    keywords = (UID(uid).keyword for uid in uids)
    return (*uids, *map(name_class, uids), *filter(None, keywords))


@dataclass(slots=True)
class Census:
    """Numbers of files: ``kept`` by modality and SOP class, ``rejected`` by rule.

    ``names`` are those of SOP classes by UID, once it was stored: who reads it may have no pydicom.
    """

    kept: Counter[tuple[str, str]] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    names: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def modalities(self) -> Counter[str]:
        """Files that are kept by modality."""
        counts: Counter[str] = Counter()
        for (modality, _), number in self.kept.items():
            counts[modality] += number
        return counts

    @property
    def sop_classes(self) -> Counter[str]:
        """Files that are kept by the name of their SOP class."""
        names = self.names or self._name_classes()
        counts: Counter[str] = Counter()
        for (_, sop_class), number in self.kept.items():
            counts[names[sop_class]] += number
        return counts

    def _name_classes(self) -> dict[str, str]:
        return {sop_class: name_class(sop_class) for _, sop_class in self.kept}

    def describe(self) -> Iterator[str]:
        """Yield lines for people: what is kept by modality and SOP class, what is not by rule."""
        if self.kept:
            yield f"Kept, by modality: {_list_counts(self.modalities)}"
            yield f"Kept, by SOP class: {_list_counts(self.sop_classes)}"
        if self.rejected:
            yield f"Not selected, by rule: {_list_counts(self.rejected)}"

    def to_json(self) -> str:
        """One line of JSON."""
        kept = [[*key, number] for key, number in sorted(self.kept.items())]
        record = {"kept": kept, "rejected": self.rejected, "names": self._name_classes()}
        return json.dumps(record, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What ``to_json`` wrote."""
        record: dict[str, Any] = json.loads(text)
        kept = {(modality, sop_class): number for modality, sop_class, number in record["kept"]}
        names = {sop_class: hide_text(sop_class) for _, sop_class in kept}
        names |= record.get("names", {})  # an index of an earlier version has none
        return cls(Counter(kept), Counter(record["rejected"]), names)


def _list_counts(counts: Counter[str]) -> str:
    """The largest counts with their names."""
    largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{n:,} {name or 'unknown'}" for name, n in largest[:MAX_COUNTS]]
    more = len(counts) - len(shown)
    return "; ".join(map(make_printable, shown)) + (f"; {more} more" if more else "")
