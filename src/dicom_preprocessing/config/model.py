"""The model of the configuration, from which defaults, schema, default file and options come."""

from __future__ import annotations

import dataclasses
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args

from dicom_preprocessing.config.stacking import (
    VERDICTS,
    StackPolicies,
    describe_policies,
    list_choices,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Stage = Literal["decode", "crop", "resize", "pad", "write"]
STAGES: tuple[Stage, ...] = get_args(Stage)
KEEPABLE: tuple[Stage, ...] = STAGES[:-1]

FILTERS = ("triangle", "nearest", "catmull-rom", "gaussian", "lanczos3", "max-pool")
PADDINGS = ("zero", "top-left", "bottom-right", "center", "none")
COMPRESSORS = ("packbits", "lzw", "uncompressed", "deflate", "zstd")
MAX_NUMBER = 2**63
"""A value of this magnitude or above, or NaN, is refused."""
MAX_DEPTH = 20
"""Lists and mappings within each other that a configuration may have; it needs three."""
MAX_VALUES = 1_000_000
"""Values in a key; what YAML's aliases stand for counts each time."""
INTENSITIES = ("voi", "minmax", "stored")
OBJECTS = ("image", "segmentation", "parametric-map", "dose")
ALL_OBJECTS = "all"
NO_PRESET = "none"
PRESETS = (NO_PRESET, "mammography", "tomosynthesis", "ct", "mr", "ultrasound")
"""Names of the presets in presets.yaml."""
SOURCE_PATH = "source_path"
"""A column that is no keyword."""
VOLUMES = ("keep", "central-slice", "max-intensity", "interpolate", "laplacian-mip")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one file may cost: time in seconds, decoded pixels, memory in MB."""

    seconds: int = 120
    pixels: int = 2_000_000_000
    memory_mb: int = 8192


@dataclass(frozen=True, slots=True)
class ConfigKey:
    """What the model says about one key besides its type.

    Parameters
    ----------
    schema : dict
        JSON schema of the value; null is allowed where ``nullable``.
    doc : str
        What the key does, for the config file, the schema and ``--help``; its lines start new lines
        in the file.
    allowed : str
        The allowed values in words, for messages.
    example : str
        The value as YAML, for messages.
    options : tuple of str
        Options of dicom-preprocess.
    alters : tuple of str
        Stages whose pixels or files depend on the key.
    nullable : bool
        Whether null switches the key off.
    text : bool
        Whether strings are taken as they are instead of being read as YAML.
    """

    schema: Mapping[str, Any]
    doc: str
    allowed: str
    example: str
    options: tuple[str, ...] = ()
    alters: tuple[Stage, ...] = ()
    nullable: bool = False
    text: bool = False

    def value_schema(self) -> dict[str, Any]:
        """JSON schema of a value, null included where it is allowed."""
        if not self.nullable:
            return dict(self.schema)
        return {"anyOf": [dict(self.schema), {"type": "null"}]}


def _key(default: Any, **about: Any) -> Any:  # noqa: ANN401  # dataclass fields are Any by nature
    return dataclasses.field(default=default, metadata={"key": ConfigKey(**about)})


def _flag_key(default: bool, doc: str, **about: Any) -> Any:  # noqa: ANN401
    return _key(
        default,
        schema={"type": "boolean"},
        doc=doc,
        allowed="true or false",
        example="true",
        **about,
    )


def _choice_key(values: tuple[str, ...], doc: str, **about: Any) -> Any:  # noqa: ANN401
    return _key(
        values[0],
        schema={"enum": list(values)},
        doc=doc,
        allowed="one of " + ", ".join(values),
        example=values[0],
        **about,
    )


def _rules_key(doc: str, **about: Any) -> Any:  # noqa: ANN401
    values = {"type": ["string", "number", "boolean", "null"]}
    key = ConfigKey(
        schema={
            "type": "object",
            "additionalProperties": {
                "anyOf": [values, {"type": "array", "items": values, "minItems": 1}]
            },
        },
        doc=doc,
        allowed="a mapping of DICOM keywords to a value, a comparison, a regular expression after "
        "~, or a list of these; or {}",
        **about,
    )
    return dataclasses.field(default_factory=dict, metadata={"key": key})


def _make_array_schema(items: Mapping[str, Any], minimum: int, maximum: int) -> dict[str, Any]:
    return {"type": "array", "items": dict(items), "minItems": minimum, "maxItems": maximum}


PRUNE_ALL = "all"
"""Value of ``prune`` with which any number of studies is removed."""

_POSITIVE = {"type": "number", "exclusiveMinimum": 0}
_COUNT = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string", "minLength": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A validated configuration, as ``parse_config`` returns it.

    Sequences are tuples. Every key is explained by the ``ConfigKey`` in its field's metadata.
    """

    source: str | tuple[str, ...] | None = _key(
        None,
        schema={"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]},
        doc="What to read: a folder, a DICOM file, a text file with one path per line, or a list "
        "of these. null: the bundled examples. Relative paths start at the working directory.",
        allowed="a path, a list of paths, or null (quote a path that looks like a number, on the "
        "command line write ./7)",
        example='"/data/studies"',
        nullable=True,
        text=True,
    )
    output: str = _key(
        "results",
        schema=_TEXT,
        doc="Folder for everything that is written.",
        allowed="a path (quote one that looks like a number, on the command line write ./7)",
        example='"results"',
        text=True,
    )
    crop: bool = _flag_key(
        False,
        "Crop to the foreground: the rows and columns that are not all zero.",
        options=("-c", "--crop"),
        alters=("crop",),
    )
    crop_max: bool = _flag_key(
        False,
        "With crop: count the highest value of the data type as background too.",
        options=("-m", "--crop-max"),
        alters=("crop",),
    )
    crop_components: bool = _flag_key(
        False,
        "With crop: keep the largest connected component only, which drops labels beside a breast; "
        "not for images whose text or frame is larger than what they show.",
        options=("--crop-components",),
        alters=("crop",),
    )
    border_frac: float | None = _key(
        None,
        schema={"type": "number", "minimum": 0, "exclusiveMaximum": 0.5},
        doc="With crop: ignore this fraction of width and height at each edge in the search, and "
        "grow the box by it afterwards.",
        allowed="a number of at least 0 and below 0.5, or null",
        example="0.05",
        options=("--border-frac",),
        alters=("crop",),
        nullable=True,
    )
    size: tuple[int, int] | None = _key(
        None,
        schema=_make_array_schema({"type": "integer", "minimum": 1, "maximum": 1_000_000}, 2, 2),
        doc="Width and height to fit the image into, in pixels; the aspect ratio is kept.",
        allowed="two integers of at least 1, width and height, or null",
        example="[512, 512]",
        options=("-s", "--size"),
        alters=("resize", "pad"),
        nullable=True,
    )
    spacing: tuple[float, ...] | None = _key(
        None,
        schema=_make_array_schema(_POSITIVE, 2, 3),
        doc="Pixel spacing to resample to, x and y and optionally z, in mm. Not with size.",
        allowed="two or three positive numbers (x, y, z in mm), or null",
        example="[0.5, 0.5]",
        options=("--spacing",),
        alters=("resize",),
        nullable=True,
    )
    filter: str = _choice_key(
        FILTERS,
        "Resampling kernel.",
        options=("-f", "--filter"),
        alters=("resize",),
    )
    padding: str = _choice_key(
        PADDINGS,
        "With size: where the padding goes. zero: per axis on the side with more zero pixels; "
        "top-left, bottom-right: all on those sides; center: both; none: no padding.",
        options=("-p", "--padding"),
        alters=("pad",),
    )
    compressor: str = _choice_key(
        COMPRESSORS,
        "Compression of the TIFF strips.",
        options=("-z", "--compressor"),
        alters=("write",),
    )
    intensity: str = _choice_key(
        INTENSITIES,
        "Grey values. voi: the window or look-up table of the object (or of the key window) to "
        "full range; minmax: lowest to highest value; stored: modality values, such as Hounsfield "
        "units, as they are.",
        options=("--intensity",),
        alters=("decode",),
    )
    window: tuple[float, float] | None = _key(
        None,
        schema={
            "type": "array",
            "prefixItems": [{"type": "number"}, _POSITIVE],
            "minItems": 2,
            "maxItems": 2,
        },
        doc="Window center and width to use instead of the object's own, with intensity voi.",
        allowed="two numbers, center and width (above 0), or null",
        example="[-600, 1500]",
        options=("--window",),
        alters=("decode",),
        nullable=True,
    )
    volume: str = _choice_key(
        VOLUMES,
        "Multi-frame objects. keep: every frame; central-slice: the middle one; max-intensity: "
        "one projection; interpolate: resampled to target_frames; laplacian-mip: a projection with "
        "the fine detail of the maximum, for tomosynthesis.",
        options=("--volume",),
        alters=("decode",),
    )
    target_frames: int = _key(
        32,
        schema={"type": "integer", "minimum": 1, "maximum": 1_000_000},
        doc="With volume interpolate: number of frames to write.",
        allowed="an integer of at least 1",
        example="32",
        options=("--target-frames",),
        alters=("decode",),
    )
    skip_frames: int | tuple[int, int] | None = _key(
        None,
        schema={"anyOf": [_COUNT, _make_array_schema(_COUNT, 2, 2)]},
        doc="With volume max-intensity or laplacian-mip: frames to leave out at both ends, or "
        "[start, end]. null: 0, and 5 for laplacian-mip.",
        allowed="an integer of at least 0, two of them (start, end), or null",
        example="[2, 2]",
        options=("--skip-frames",),
        alters=("decode",),
        nullable=True,
    )
    fast_decode: bool = _flag_key(
        False,
        "With size or spacing: decode JPEG 2000 and HTJ2K at the lowest resolution that is no "
        "smaller than the wanted one. Several times as fast, and pixels differ a little.",
        options=("--fast-decode",),
    )
    mip_weight: float = _key(
        1.5,
        schema={"type": "number", "minimum": 0},
        doc="With volume laplacian-mip: weight of the detail of the maximum; 0 is the projection "
        "alone.",
        allowed="a number of at least 0",
        example="1.5",
        options=("--mip-weight",),
        alters=("decode",),
    )
    projection: str = _choice_key(
        ("parallel-beam", "central-slice"),
        "With volume laplacian-mip: the projection it starts from. parallel-beam: the mean over "
        "the frames; central-slice: the middle frame.",
        options=("--projection",),
        alters=("decode",),
    )
    series: str = _choice_key(
        ("separate", "stack"),
        "separate: one TIFF per file; stack: the single-frame files of a series become volumes, "
        "one TIFF each, in the order of their positions.",
        options=("--series",),
        alters=("decode",),
    )
    stack: StackPolicies = _key(  # noqa: RUF009  # frozen, like every default here
        StackPolicies(),
        schema={
            "type": "object",
            "properties": {
                name: {"enum": list(verdict.policies)} for name, verdict in VERDICTS.items()
            },
            "additionalProperties": False,
        },
        doc="With series stack: what to do for each reason why slices are no plain volume. The "
        f"first policy is the default.\n{describe_policies()}",
        allowed="a mapping of "
        + ", ".join(f"{name} ({list_choices(v.policies)})" for name, v in VERDICTS.items()),
        example="{gap: warn, tilt: fail}",
        options=("--stack",),
        alters=("decode",),
    )
    orient: str = _choice_key(
        ("none", "left"),
        "left: mirror images of breasts whose chest wall is on the right, by Patient Orientation, "
        "else by laterality.",
        options=("--orient",),
        alters=("decode",),
    )
    region: str = _choice_key(
        ("none", "ultrasound"),
        "ultrasound: keep the largest 2D region of Sequence of Ultrasound Regions; crop looks for "
        "the foreground inside it.",
        options=("--region",),
        alters=("crop",),
    )
    objects: tuple[str, ...] = _key(
        (OBJECTS[0],),
        schema={
            "anyOf": [
                {"enum": [*OBJECTS, ALL_OBJECTS]},
                {
                    "type": "array",
                    "items": {"enum": [*OBJECTS, ALL_OBJECTS]},
                    "minItems": 1,
                    "uniqueItems": True,
                },
            ]
        },
        doc="Kinds of objects to take, by SOP class. image: all that are none of the others.",
        allowed=f"a list of {', '.join(OBJECTS)}; or {ALL_OBJECTS}",
        example="[image, dose]",
        options=("--objects",),
    )
    include: dict[str, list[str]] = _rules_key(  # noqa: RUF009  # a field, as _key gives
        "Take only files whose headers match each of these rules: a DICOM keyword, and a value, a "
        "comparison, a regular expression after ~, or a list of these, of which one has to match.",
        example='{Modality: [CT, PT], Rows: ">=512"}',
        options=("--include",),
    )
    exclude: dict[str, list[str]] = _rules_key(  # noqa: RUF009
        "Leave out files whose headers match any of these rules.",
        example='{ImageType: LOCALIZER, SeriesDescription: "~(?i)scout"}',
        options=("--exclude",),
    )
    preset: str = _choice_key(
        PRESETS,
        "Rules for a kind of cohort, to which those of include and exclude are added.",
        options=("--preset",),
    )
    columns: tuple[str, ...] = _key(
        (),
        schema={"type": "array", "items": _TEXT, "uniqueItems": True},
        doc="DICOM keywords whose values the manifest carries besides, and source_path. Not those "
        "that may name a person.",
        allowed="a list of DICOM keywords and source_path, or []",
        example="[ImageLaterality, ViewPosition, source_path]",
    )
    duplicates: str = _choice_key(
        ("first", "fail"),
        "Files with one SOP Instance UID and different bytes. first: the first in path order that "
        "can be decoded is written; fail: none of them.",
        options=("--duplicates",),
    )
    layout: str = _choice_key(
        ("study/sop", "study/series/sop"),
        "Folders below images/.",
        options=("--layout",),
        alters=("write",),
    )
    keep: tuple[str, ...] = _key(
        (),
        schema={"type": "array", "items": {"enum": list(KEEPABLE)}, "uniqueItems": True},
        doc="Stages whose images are kept in stages/, so that a change further on starts there.",
        allowed="a list of " + ", ".join(KEEPABLE) + ", or []",
        example="[resize]",
    )
    strict: bool = _flag_key(
        False,
        "End with an error if any file failed, or a path named in source is missing or not DICOM.",
        options=("--strict",),
    )
    prune: bool | str = _key(
        False,
        schema={"enum": [False, True, PRUNE_ALL]},
        doc="Remove folders and receipts of studies that are no longer in the source. true: unless "
        "more than a tenth of the studies, and more than two, are gone at once; all: any number.",
        allowed="true, false or all",
        example="true",
    )
    shard: tuple[int, int] | None = _key(
        None,
        schema={
            "type": "array",
            "prefixItems": [_COUNT, {"type": "integer", "minimum": 1}],
            "minItems": 2,
            "maxItems": 2,
        },
        doc="Process one of n shards of the studies: [i, n], with i from 0 to n - 1. The index "
        "must exist; gather collects the results of all shards.",
        allowed="two integers, i and n, with i from 0 to n - 1, or null",
        example="[0, 8]",
        nullable=True,
    )
    gather: int | None = _key(
        None,
        schema={"type": "integer", "minimum": 1},
        doc="Collect the results of this number of shards, without processing a study.",
        allowed="the number of shards, an integer of at least 1, or null",
        example="8",
        nullable=True,
    )
    limits: Limits = _key(  # noqa: RUF009  # frozen, like every default here
        Limits(),
        schema={
            "type": "object",
            "properties": {name: {"type": "integer", "minimum": 1} for name in asdict(Limits())},
            "additionalProperties": False,
        },
        doc="Time in seconds, pixels and memory in MB that one file may cost.",
        allowed="a mapping with seconds, pixels and memory_mb, integers of at least 1",
        example="{seconds: 120, pixels: 2000000000, memory_mb: 8192}",
        options=("--limit-seconds", "--limit-pixels", "--limit-memory-mb"),
    )


@cache
def keys() -> dict[str, ConfigKey]:
    """Every key of the configuration by name, in the order of the manual."""
    return {field.name: field.metadata["key"] for field in dataclasses.fields(Config)}


def defaults() -> dict[str, Any]:
    """The default configuration as plain YAML values."""
    return as_mapping(Config())


def as_mapping(config: Config) -> dict[str, Any]:
    """``config`` as plain YAML values."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(config).items()}


def default_of(name: str) -> Any:  # noqa: ANN401
    """The default of the key ``name``, as the model holds it."""
    return getattr(Config(), name)
