"""Which files a run takes: kinds of objects, rules on attributes of headers, and presets.

A rule names a DICOM keyword and what is looked for in the attribute's values: any of some values,
comparisons or regular expressions. Presets are rules with a name, in presets.yaml.
"""

from __future__ import annotations

import hashlib
import operator
import re
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dicom_preprocessing.config.model import ALL_OBJECTS, NO_PRESET, SOURCE_PATH
from dicom_preprocessing.config.stacking import StackPolicies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from dicom_preprocessing.config.model import Config


CACHED_KEYWORDS: Final = (
    "AcquisitionNumber",
    "BitsAllocated",
    "BitsStored",
    "BodyPartExamined",
    "BreastImplantPresent",
    "BurnedInAnnotation",
    "Columns",
    "ConversionType",
    "DiffusionBValue",
    "EchoTime",
    "FrameOfReferenceUID",
    "ImageLaterality",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "ImagerPixelSpacing",
    "InstanceNumber",
    "Laterality",
    "MRAcquisitionType",
    "MagneticFieldStrength",
    "Modality",
    "NumberOfFrames",
    "PatientOrientation",
    "PhotometricInterpretation",
    "PixelSpacing",
    "PresentationIntentType",
    "RepetitionTime",
    "Rows",
    "SOPClassUID",
    "SOPInstanceUID",
    "SamplesPerPixel",
    "ScanningSequence",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SliceThickness",
    "SpacingBetweenSlices",
    "StudyInstanceUID",
    "TemporalPositionIdentifier",
    "TransferSyntaxUID",
    "TriggerTime",
    "ViewPosition",
)
"""Keywords that the cache of headers always has; none names a person, or has free text."""

CODES: Final = ("ViewCodeSequence", "ViewModifierCodeSequence", "AnatomicRegionSequence")
"""Sequences of codes on which there may be rules: Code Value and Code Meaning are the values."""


DIGEST_LENGTH: Final = 16
META_GROUP: Final = 0x0002
COMMON_KEYWORDS: Final = (
    "AcquisitionDate",
    "AcquisitionDeviceProcessingDescription",
    "ContainerIdentifier",
    "ContrastBolusAgent",
    "ConvolutionKernel",
    "Exposure",
    "FlipAngle",
    "KVP",
    "Manufacturer",
    "ManufacturerModelName",
    "PaddleDescription",
    "PatientAge",
    "PatientPosition",
    "PatientSex",
    "ProtocolName",
    "QualityControlImage",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "SequenceName",
    "SeriesDate",
    "SeriesDescription",
    "SliceLocation",
    "SoftwareVersions",
    "StationName",
    "StudyDate",
    "StudyDescription",
)
"""Keywords that many rules are about, and those of presets; none names a person."""

PATIENT_GROUP: Final = 0x0010
IMPERSONAL: Final = (
    "EthnicGroup",
    "PatientAge",
    "PatientSex",
    "PatientSize",
    "PatientSpeciesDescription",
    "PatientWeight",
    "PregnancyStatus",
    "SmokingStatus",
)
"""Attributes of a patient by which nobody can be told from many others."""

KNOWN_KEYWORDS: Final = frozenset((*CACHED_KEYWORDS, *CODES, *COMMON_KEYWORDS))
"""Keywords that need no look at the dictionary, which takes a tenth of a second to import."""

PERSONAL_PARTS: Final = (
    "AccessionNumber",
    "Address",
    "AdmissionID",
    "InstitutionResidence",
    "OrderNumber",
    "PatientLocation",
    "ServiceEpisode",
    "Telecom",
    "Telephone",
    "VisitComments",
)
"""Parts of keywords outside the group of the patient whose values lead to a person (PS3.15 E.1)."""

NOT_TEXT: Final = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UN")
"""Value representations without values that could be looked for."""

MAX_SHOWN: Final = 3
"""Patterns of a rule that a message shows."""

LITERAL_BACKSLASH: Final = r"\\"
"""In a regular expression that is about all values of an attribute, with backslashes between."""

NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
REGEX: Final = "~"
COMPARISONS: Final[Mapping[str, Callable[[Decimal, Decimal], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
ABSENT_VALUES: Final = {"NumberOfFrames": ("1",)}
"""What an absent attribute means (PS3.3 C.7.6.6: only objects of several frames have it)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is looked for in an attribute.

    Parameters
    ----------
    keyword : str
    patterns : tuple of str
        Of which one has to match: a value, a comparison such as ``>=512``, a regular expression
        after ``~``, which is about all values at once if it has ``LITERAL_BACKSLASH``; an empty
        text matches an attribute without a value. Of a keyword that names a person,
        ``digest_value`` of values.
    excludes : bool
        Whether a file that matches is left out, else one that does not.
    preset : str
        Of which it is; empty if the user made it.
    """

    keyword: str
    patterns: tuple[str, ...]
    excludes: bool = False
    preset: str = ""

    def find_reason(self, values: Sequence[str]) -> str:
        """Say what keeps out a file whose attribute has these values; empty if nothing does."""
        found = _find_match(self.patterns, values or ABSENT_VALUES.get(self.keyword, ()))
        if self.excludes:
            return "" if found is None else self._describe([found])
        return self._describe(self.patterns) if found is None else ""

    def _describe(self, patterns: Sequence[str]) -> str:
        """The rule for messages and tables, without values that may name a person."""
        shown = self.keyword
        if not is_personal(self.keyword):
            more = ",..." if len(patterns) > MAX_SHOWN else ""
            shown += "=" + ",".join(patterns[:MAX_SHOWN]) + more
        rule = f"{'exclude' if self.excludes else 'include'} {shown}"
        return f"preset {self.preset}: {rule}" if self.preset else rule


def _find_match(patterns: Sequence[str], values: Sequence[str]) -> str | None:
    """The first pattern that a value matches, None if there is none."""
    present = [value for value in values if value]
    if not present:
        return "" if "" in patterns else None
    whole = "\\".join(values)
    for pattern in filter(None, patterns):
        is_about_all = pattern.startswith(REGEX) and LITERAL_BACKSLASH in pattern
        if any(matches(pattern, value) for value in ([whole] if is_about_all else present)):
            return pattern
    return None


def matches(pattern: str, value: str) -> bool:
    """Whether a value of an attribute is what a pattern looks for.

    Numbers are equal whatever their text is; other texts are compared as they are.
    """
    if pattern.startswith(REGEX):
        return _compile(pattern[len(REGEX) :]).search(value) is not None
    for sign, compare in COMPARISONS.items():
        if pattern.startswith(sign):
            number, limit = _read_number(value), _read_number(pattern[len(sign) :])
            return number is not None and limit is not None and compare(number, limit)
    if pattern == value:
        return True
    number = _read_number(pattern)
    return number is not None and number == _read_number(value)


def _read_number(text: str) -> Decimal | None:
    """A number as headers and people write it, None if it is none."""
    return Decimal(text.strip()) if NUMBER.fullmatch(text.strip()) else None


_compile = cache(re.compile)


@dataclass(frozen=True, slots=True)
class Selection:
    """What is kept of the images of a source.

    Parameters
    ----------
    objects : tuple of str, or None
        Of ``OBJECTS``; None keeps all.
    rules : tuple of Rule
        In the order in which they are tried.
    columns : tuple of str
        Keywords whose values the manifest carries.
    stack : StackPolicies or None
        By which the slices of a series are kept and stacked; None where series are not stacked.
    """

    objects: tuple[str, ...] | None = None
    rules: tuple[Rule, ...] = ()
    columns: tuple[str, ...] = ()
    stack: StackPolicies | None = None

    @property
    def keywords(self) -> frozenset[str]:
        """Keywords whose values are needed besides those that every header has."""
        needed = frozenset((*(rule.keyword for rule in self.rules), *self.columns))
        return needed.difference(CACHED_KEYWORDS)

    def find_reason(
        self, kind: str, values_of: Callable[[str], Sequence[str]], *, is_named: bool = False
    ) -> str:
        """Say what keeps a file out; empty if nothing does.

        Parameters
        ----------
        kind : str
            Of ``OBJECTS``.
        values_of : callable
            The values of the attribute of a keyword.
        is_named : bool
            Whether the file itself is the source: then only the user's own rules apply.
        """
        if not is_named and self.objects is not None and kind not in self.objects:
            return f"objects: {kind}"
        for rule in self.rules:
            reason = "" if is_named and rule.preset else rule.find_reason(values_of(rule.keyword))
            if reason:
                return reason
        return ""

    def as_record(self) -> dict[str, Any]:
        """Plain values, from which ``from_record`` makes the same."""
        rules = [[r.keyword, list(r.patterns), r.excludes, r.preset] for r in self.rules]
        objects = None if self.objects is None else list(self.objects)
        stack = None if self.stack is None else asdict(self.stack)
        return {"objects": objects, "rules": rules, "columns": list(self.columns), "stack": stack}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Selection:
        """What ``as_record`` gave."""
        rules = tuple(Rule(k, tuple(p), x, n) for k, p, x, n in record["rules"])
        objects = record["objects"]
        stack = None if record["stack"] is None else StackPolicies(**record["stack"])
        return cls(
            None if objects is None else tuple(objects), rules, tuple(record["columns"]), stack
        )


EVERYTHING: Final = Selection()


def selection_of(config: Config) -> Selection:
    """The selection that a configuration asks for; personal values as digests."""
    rules: list[Rule] = []
    if config.preset != NO_PRESET:
        rules += _rules_of(read_presets()[config.preset], config.preset)
    rules += _rules_of({"include": config.include, "exclude": config.exclude}, "")
    objects = None if ALL_OBJECTS in config.objects else config.objects
    columns = tuple(c for c in config.columns if c != SOURCE_PATH)
    stack = config.stack if config.series == "stack" else None
    return Selection(objects, tuple(rules), columns, stack)


def _rules_of(parts: Mapping[str, Any], preset: str) -> Iterator[Rule]:
    for name in ("include", "exclude"):
        for keyword, patterns in parts.get(name, {}).items():
            texts = list_patterns(patterns)
            compared = map(digest_value, texts) if is_personal(keyword) else texts
            yield Rule(keyword, tuple(compared), name == "exclude", preset)


def list_patterns(value: Any) -> list[str]:  # noqa: ANN401  # any YAML value
    """The patterns of a rule: texts of one value or of a list.

    YAML takes YES and NO, which are common values in DICOM, for truth values.
    """
    values = value if isinstance(value, list | tuple) else [value]
    words = {None: "", True: "YES", False: "NO"}
    return [words[v] if v is None or isinstance(v, bool) else str(v).strip() for v in values]


def find_rule_problem(keyword: str, patterns: Sequence[str]) -> str | None:
    """Say what is wrong with a rule, None if it can be used."""
    problem = find_keyword_problem(keyword)
    if problem is not None:
        return problem
    for pattern in patterns:
        sign = next((sign for sign in COMPARISONS if pattern.startswith(sign)), "")
        if (sign or pattern.startswith(REGEX)) and is_personal(keyword):
            return "may name a person, so that only a digest is kept: whole values are needed"
        if sign and _read_number(pattern[len(sign) :]) is None:
            return f"needs a number after {sign}"
        if pattern.startswith(REGEX):
            try:
                re.compile(pattern[len(REGEX) :])
            except re.error as error:
                return f"has no regular expression after {REGEX} ({error})"
    return None


def find_column_problem(keyword: str) -> str | None:
    """Say why the manifest cannot carry a keyword, None if it can."""
    if keyword == SOURCE_PATH:
        return None
    problem = find_keyword_problem(keyword)
    if problem is not None:
        return problem
    return "may name a person, whom no manifest names" if is_personal(keyword) else None


@cache
def read_presets() -> dict[str, dict[str, Any]]:
    """The presets by name: what each is for (``about``), and its rules."""
    import yaml  # noqa: PLC0415  # only where there is a preset

    text = Path(__file__).with_name("presets.yaml").read_text(encoding="utf-8")
    presets: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return presets


def digest_value(value: str) -> str:
    """What is kept of a value that may name a person: equal only if the value is."""
    return hashlib.sha256(value.encode()).hexdigest()[:DIGEST_LENGTH]


@cache
def is_personal(keyword: str) -> bool:
    """Whether the values of an attribute may name a person."""
    if keyword in KNOWN_KEYWORDS:
        return False
    tag, vr = _look_up(keyword)
    of_patient = tag >> 16 == PATIENT_GROUP and keyword not in IMPERSONAL
    return vr == "PN" or of_patient or any(part in keyword for part in PERSONAL_PARTS)


def find_keyword_problem(keyword: str) -> str | None:
    """Say why there can be no rule on a keyword, None if there can."""
    if keyword in KNOWN_KEYWORDS:
        return None
    tag, vr = _look_up(keyword)
    if not tag or not keyword:
        import difflib  # noqa: PLC0415  # for a mistake only

        known = filter(None, (*KNOWN_KEYWORDS, *_list_keywords()))
        close = difflib.get_close_matches(keyword, known, n=1)
        return "is no DICOM keyword" + (f", did you mean {close[0]}?" if close else "")
    if tag >> 16 == META_GROUP:
        return "is of the file meta information, of which only TransferSyntaxUID is looked at"
    if any(part in NOT_TEXT for part in vr.split(" or ")):
        return f"has no values that could be looked for, since it is of type {vr}"
    return None


def _look_up(keyword: str) -> tuple[int, str]:
    """Tag and value representation of a keyword, 0 and none if there is no such keyword."""
    from pydicom.datadict import dictionary_VR, tag_for_keyword  # noqa: PLC0415  # rarely needed

    tag = tag_for_keyword(keyword)
    return (0, "") if tag is None else (tag, dictionary_VR(tag))


def _list_keywords() -> Iterable[str]:
    from pydicom.datadict import keyword_dict  # noqa: PLC0415

    return keyword_dict
