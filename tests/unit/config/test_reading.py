"""Validation of the configuration, as YAML files, ``snakemake --config`` and commands give it."""

import math
from datetime import date

import pytest

from dicom_preprocessing.config import Config, Limits, StackPolicies, keys, parse_config
from dicom_preprocessing.config.yaml_text import load_yaml
from dicom_preprocessing.errors import ConfigError
from tests.unit.config.manual import DEFAULTS


def value_of(name, value, **others):
    """The value of a key after validation."""
    config, _ = parse_config({name: value, **others})
    return getattr(config, name)


def message_of(values):
    with pytest.raises(ConfigError) as caught:
        parse_config(values)
    return str(caught.value)


def warnings_of(**values):
    return parse_config(values)[1]


def test_nothing_given_is_the_default_configuration():
    assert parse_config({}) == (Config(), [])


def test_defaults_given_are_the_default_configuration():
    assert parse_config(DEFAULTS) == (Config(), [])


GOOD = [
    ("source", "/data/studies", "/data/studies"),
    ("source", ["a", "b"], ("a", "b")),
    ("source", "a,b", "a,b"),
    ("output", "out", "out"),
    ("crop", True, True),
    ("crop_max", True, True),
    ("crop_components", True, True),
    ("border_frac", 0, 0.0),
    ("border_frac", 0.49, 0.49),
    ("size", [512, 256], (512, 256)),
    ("size", [512.0, 256], (512, 256)),
    ("spacing", [1, 0.5], (1.0, 0.5)),
    ("spacing", [1, 0.5, 2], (1.0, 0.5, 2.0)),
    ("filter", "triangle", "triangle"),
    ("filter", "nearest", "nearest"),
    ("filter", "catmull-rom", "catmull-rom"),
    ("filter", "gaussian", "gaussian"),
    ("filter", "lanczos3", "lanczos3"),
    ("filter", "max-pool", "max-pool"),
    ("padding", "zero", "zero"),
    ("padding", "top-left", "top-left"),
    ("padding", "bottom-right", "bottom-right"),
    ("padding", "center", "center"),
    ("padding", "none", "none"),
    ("compressor", "packbits", "packbits"),
    ("compressor", "lzw", "lzw"),
    ("compressor", "uncompressed", "uncompressed"),
    ("compressor", "deflate", "deflate"),
    ("compressor", "zstd", "zstd"),
    ("intensity", "voi", "voi"),
    ("intensity", "minmax", "minmax"),
    ("window", [-600, 1500], (-600.0, 1500.0)),
    ("fast_decode", True, True),
    ("volume", "keep", "keep"),
    ("volume", "central-slice", "central-slice"),
    ("volume", "max-intensity", "max-intensity"),
    ("volume", "interpolate", "interpolate"),
    ("target_frames", 1, 1),
    ("skip_frames", 0, 0),
    ("skip_frames", 5, 5),
    ("skip_frames", [2, 0], (2, 0)),
    ("mip_weight", 0, 0.0),
    ("mip_weight", 2.5, 2.5),
    ("projection", "parallel-beam", "parallel-beam"),
    ("projection", "central-slice", "central-slice"),
    ("series", "separate", "separate"),
    ("series", "stack", "stack"),
    ("stack", {}, StackPolicies()),
    ("stack", {"gap": "split"}, StackPolicies(gap="split")),
    ("stack", {"gap": "warn", "single": "drop"}, StackPolicies(gap="warn", single="drop")),
    ("orient", "left", "left"),
    ("region", "ultrasound", "ultrasound"),
    ("objects", ["image", "dose"], ("image", "dose")),
    ("objects", "all", ("all",)),
    ("include", {"Modality": "MG"}, {"Modality": ["MG"]}),
    (
        "include",
        {"Modality": ["MG", "CT"], "Rows": 512},
        {"Modality": ["MG", "CT"], "Rows": ["512"]},
    ),
    ("include", {"BurnedInAnnotation": False}, {"BurnedInAnnotation": ["NO"]}),
    ("include", {}, {}),
    (
        "include",
        {"NumberOfFrames": ">1", "StudyID": "007"},
        {"NumberOfFrames": [">1"], "StudyID": ["007"]},
    ),
    (
        "include",
        {"SeriesDescription": ["~scan #2", "T1: axial"]},
        {"SeriesDescription": ["~scan #2", "T1: axial"]},
    ),
    ("include", {"Modality": ("MG", " CT ")}, {"Modality": ["MG", "CT"]}),
    ("include", {"StudyDate": date(2020, 1, 31)}, {"StudyDate": ["20200131"]}),
    (
        "exclude",
        {"Rows": "<64", "SeriesDescription": "~(?i)scout"},
        {"Rows": ["<64"], "SeriesDescription": ["~(?i)scout"]},
    ),
    ("exclude", {"ViewPosition": None}, {"ViewPosition": [""]}),
    ("preset", "none", "none"),
    ("preset", "mammography", "mammography"),
    ("columns", ["ViewPosition", "source_path"], ("ViewPosition", "source_path")),
    ("columns", [], ()),
    ("duplicates", "first", "first"),
    ("duplicates", "fail", "fail"),
    ("layout", "study/sop", "study/sop"),
    ("layout", "study/series/sop", "study/series/sop"),
    ("keep", ["pad", "decode"], ("pad", "decode")),
    ("keep", ["crop", "resize"], ("crop", "resize")),
    ("strict", True, True),
    ("prune", True, True),
    ("prune", "all", "all"),
    ("shard", [0, 8], (0, 8)),
    ("shard", [7, 8], (7, 8)),
    ("shard", "3,8", (3, 8)),
    ("shard", None, None),
    ("gather", 1, 1),
    ("gather", "8", 8),
    ("gather", None, None),
    ("limits", {"seconds": 120}, Limits()),
]


@pytest.mark.parametrize(("name", "value", "expected"), GOOD)
def test_good_value_is_taken(name, value, expected):
    assert value_of(name, value) == expected


@pytest.mark.parametrize(("name", "value", "expected"), GOOD)
def test_number_gets_the_type_of_its_key(name, value, expected):
    found = value_of(name, value)
    assert type(found) is type(expected)
    if isinstance(expected, tuple):
        assert [type(x) for x in found] == [type(x) for x in expected]


def test_every_key_has_a_good_value_here():
    assert {name for name, _, _ in GOOD} == set(keys())


PATH = "a path, a list of paths, or null"
BORDER = "a number of at least 0 and below 0.5, or null"
SIZE = "two integers of at least 1, width and height, or null"
SPACING = "two or three positive numbers (x, y, z in mm), or null"
WINDOW = "two numbers, center and width (above 0), or null"
SKIP = "an integer of at least 0, two of them (start, end), or null"
KEEP = "a list of decode, crop, resize, pad, or []"
SHARD = "two integers, i and n, with i from 0 to n - 1, or null"
GATHER = "the number of shards, an integer of at least 1, or null"
LIMITS = "a mapping with seconds, pixels and memory_mb, integers of at least 1"
OBJECTS = "a list of image, segmentation, parametric-map, dose; or all"
STACK = "a mapping of scout (drop or keep), gap (fail, warn or split), uneven (warn or fail), "
RULES = "a mapping of DICOM keywords to a value, a comparison, a regular expression after ~"
BAD = [
    ("source", 7, "7", PATH),
    ("source", "", "''", PATH),
    ("source", True, "true", PATH),
    ("source", [], "[]", PATH),
    ("source", ["a", 7], "[a, 7]", PATH),
    ("source", {"a": "b"}, "{a: b}", PATH),
    ("output", 7, "7", "a path"),
    ("output", None, "null", "a path"),
    ("output", ["a"], "[a]", "a path"),
    ("crop", "maybe", "maybe", "true or false"),
    ("crop", 1, "1", "true or false"),
    ("crop_max", "maybe", "maybe", "true or false"),
    ("fast_decode", 2, "2", "true or false"),
    ("crop_components", 0, "0", "true or false"),
    ("border_frac", 0.5, "0.5", BORDER),
    ("border_frac", -0.1, "-0.1", BORDER),
    ("border_frac", True, "true", BORDER),
    ("border_frac", math.nan, ".nan", BORDER),
    ("border_frac", -math.inf, "-.inf", BORDER),
    ("size", 64, "64", SIZE),
    ("size", [64], "[64]", SIZE),
    ("size", [64, 0], "[64, 0]", SIZE),
    ("size", [64, 64, 64], "[64, 64, 64]", SIZE),
    ("size", [64.5, 64], "[64.5, 64]", SIZE),
    ("size", [True, 64], "[true, 64]", SIZE),
    ("size", [math.nan, 64], "[.nan, 64]", SIZE),
    ("size", "64x64", "64x64", SIZE),
    ("spacing", [1], "[1]", SPACING),
    ("spacing", [0, 1], "[0, 1]", SPACING),
    ("spacing", [1, -1], "[1, -1]", SPACING),
    ("spacing", [1, math.inf], "[1, .inf]", SPACING),
    ("spacing", [1, math.nan], "[1, .nan]", SPACING),
    ("spacing", [1, 1, True], "[1, 1, true]", SPACING),
    ("filter", "bilinear", "bilinear", "one of triangle, nearest, catmull-rom, gaussian, lanczos3"),
    ("filter", None, "null", "one of triangle, nearest, catmull-rom, gaussian, lanczos3, max-pool"),
    ("padding", "left", "left", "one of zero, top-left, bottom-right, center, none"),
    ("compressor", "jpeg", "jpeg", "one of packbits, lzw, uncompressed, deflate, zstd"),
    ("intensity", "raw", "raw", "one of voi, minmax, stored"),
    ("window", [40], "[40]", WINDOW),
    ("window", [40, 0], "[40, 0]", WINDOW),
    ("window", [math.nan, 400], "[.nan, 400]", WINDOW),
    ("window", [40, math.inf], "[40, .inf]", WINDOW),
    ("window", [True, 400], "[true, 400]", WINDOW),
    ("volume", "mip", "mip", "one of keep, central-slice, max-intensity, interpolate"),
    ("target_frames", 0, "0", "an integer of at least 1"),
    ("target_frames", 1.5, "1.5", "an integer of at least 1"),
    ("target_frames", True, "true", "an integer of at least 1"),
    ("skip_frames", -1, "-1", SKIP),
    ("skip_frames", [1, -1], "[1, -1]", SKIP),
    ("skip_frames", [1, 2, 3], "[1, 2, 3]", SKIP),
    ("skip_frames", False, "false", SKIP),
    ("mip_weight", -0.5, "-0.5", "a number of at least 0"),
    ("mip_weight", math.inf, ".inf", "a number of at least 0"),
    ("mip_weight", True, "true", "a number of at least 0"),
    ("projection", "cone", "cone", "one of parallel-beam, central-slice"),
    ("series", "both", "both", "one of separate, stack"),
    ("stack", "warn", "warn", STACK),
    ("stack", None, "null", STACK),
    ("stack", ["gap"], "[gap]", STACK),
    ("stack", {"gap": "drop"}, "{gap: drop}", STACK),
    ("stack", {"gap": None}, "{gap: null}", STACK),
    ("stack", {"gap": ["warn"]}, "{gap: [warn]}", STACK),
    ("stack", {"gaps": "warn"}, "{gaps: warn}", STACK),
    ("stack", {7: "warn"}, "{7: warn}", STACK),
    ("orient", "right", "right", "one of none, left"),
    ("region", "us", "us", "one of none, ultrasound"),
    ("objects", [], "[]", OBJECTS),
    ("objects", ["picture"], "[picture]", OBJECTS),
    ("objects", ["image", "image"], "[image, image]", OBJECTS),
    ("include", ["Modality"], "[Modality]", RULES),
    ("include", {"Modality": []}, "{Modality: []}", RULES),
    ("include", {"Modality": {"is": "MG"}}, "{Modality: {is: MG}}", RULES),
    ("exclude", "Modality", "Modality", RULES),
    ("preset", "xray", "xray", "one of none, mammography, tomosynthesis, ct, mr, ultrasound"),
    ("preset", None, "null", "one of none, mammography, tomosynthesis, ct, mr, ultrasound"),
    ("columns", [7], "[7]", "a list of DICOM keywords and source_path, or []"),
    (
        "columns",
        ["Rows", "Rows"],
        "[Rows, Rows]",
        "a list of DICOM keywords and source_path, or []",
    ),
    ("duplicates", "last", "last", "one of first, fail"),
    ("layout", "sop", "sop", "one of study/sop, study/series/sop"),
    ("keep", ["write"], "[write]", KEEP),
    ("keep", ["crop", "crop"], "[crop, crop]", KEEP),
    ("keep", True, "true", KEEP),
    ("strict", "maybe", "maybe", "true or false"),
    ("prune", 2, "2", "true, false or all"),
    ("prune", 1, "1", "true, false or all"),
    ("shard", 0, "0", SHARD),
    ("shard", [0], "[0]", SHARD),
    ("shard", [0, 0], "[0, 0]", SHARD),
    ("shard", [-1, 8], "[-1, 8]", SHARD),
    ("shard", [0, 8, 8], "[0, 8, 8]", SHARD),
    ("shard", [0.5, 8], "[0.5, 8]", SHARD),
    ("gather", 0, "0", GATHER),
    ("gather", True, "true", GATHER),
    ("gather", [0, 8], "[0, 8]", GATHER),
    ("limits", None, "null", LIMITS),
    ("limits", [120], "[120]", LIMITS),
    ("limits", {"seconds": 0}, "{seconds: 0}", LIMITS),
    ("limits", {"seconds": True}, "{seconds: true}", LIMITS),
    ("limits", {"seconds": 1.5}, "{seconds: 1.5}", LIMITS),
    ("limits", {"hours": 1}, "{hours: 1}", LIMITS),
]
EXAMPLES = {
    "source": '"/data/studies"',
    "output": '"results"',
    "crop": "true",
    "crop_max": "true",
    "crop_components": "true",
    "border_frac": "0.05",
    "size": "[512, 512]",
    "spacing": "[0.5, 0.5]",
    "filter": "triangle",
    "padding": "zero",
    "compressor": "packbits",
    "intensity": "voi",
    "window": "[-600, 1500]",
    "volume": "keep",
    "fast_decode": "true",
    "target_frames": "32",
    "skip_frames": "[2, 2]",
    "mip_weight": "1.5",
    "projection": "parallel-beam",
    "series": "separate",
    "stack": "{gap: warn, tilt: fail}",
    "orient": "none",
    "region": "none",
    "objects": "[image, dose]",
    "include": '{Modality: [CT, PT], Rows: ">=512"}',
    "exclude": '{ImageType: LOCALIZER, SeriesDescription: "~(?i)scout"}',
    "preset": "none",
    "columns": "[ImageLaterality, ViewPosition, source_path]",
    "duplicates": "first",
    "layout": "study/sop",
    "keep": "[resize]",
    "strict": "true",
    "prune": "true",
    "shard": "[0, 8]",
    "gather": "8",
    "limits": "{seconds: 120, pixels: 2000000000, memory_mb: 8192}",
}


@pytest.mark.parametrize(("name", "value", "shown", "allowed"), BAD)
def test_bad_value_is_refused_with_what_was_found_and_what_is_allowed(name, value, shown, allowed):
    message = message_of({name: value})
    assert message.startswith(f"config key '{name}': found {shown}, allowed: {allowed}")


@pytest.mark.parametrize(("name", "value", "shown", "allowed"), BAD)
def test_bad_value_is_answered_with_the_yaml_to_write(name, value, shown, allowed):
    message = message_of({name: value})
    assert message.endswith(f"Write for example:\n    {name}: {EXAMPLES[name]}")


def test_every_key_has_a_bad_value_here():
    assert {name for name, _, _, _ in BAD} == set(keys())


@pytest.mark.parametrize("name", ["source", "output"])
def test_number_for_a_path_is_answered_with_how_to_quote_it(name):
    assert "looks like a number, on the command line write ./7" in message_of({name: 7})


@pytest.mark.parametrize("text", ["results/", "./results", "results//"])
def test_output_has_one_spelling(text):
    assert parse_config({"output": text})[0].output == "results"


def test_null_for_the_output_is_no_folder_of_that_name():
    assert "config key 'output': found null" in message_of({"output": "null"})


AS_SNAKEMAKE_GIVES_IT = [
    ("crop", "true", True),
    ("crop", "True", True),
    ("strict", "false", False),
    ("border_frac", "0.1", 0.1),
    ("border_frac", "null", None),
    ("size", ["64", "32"], (64, 32)),
    ("size", "64,32", (64, 32)),
    ("size", "64, 32", (64, 32)),
    ("size", "[64, 32]", (64, 32)),
    ("size", "null", None),
    ("spacing", "0.5,0.5,2", (0.5, 0.5, 2.0)),
    ("window", "-600,1500", (-600.0, 1500.0)),
    ("window", ["-600", "1500"], (-600.0, 1500.0)),
    ("target_frames", "16", 16),
    ("skip_frames", "3", 3),
    ("skip_frames", "3,4", (3, 4)),
    ("padding", "none", "none"),
    ("keep", "resize", ("resize",)),
    ("keep", "decode,resize", ("decode", "resize")),
    ("keep", "[]", ()),
    ("objects", "image,dose", ("image", "dose")),
    ("include", "{Modality: MG}", {"Modality": ["MG"]}),
    ("columns", "ViewPosition,Rows", ("ViewPosition", "Rows")),
    ("stack", "{gap: warn}", StackPolicies(gap="warn")),
    ("limits", "{seconds: 120}", Limits()),
    ("limits", {"seconds": "120"}, Limits()),
    ("source", "null", None),
    ("source", "7", "7"),
    ("source", "true", "true"),
    ("source", "[a, b]", ("a", "b")),
    ("output", "7", "7"),
]


@pytest.mark.parametrize(("name", "value", "expected"), AS_SNAKEMAKE_GIVES_IT)
def test_text_from_the_command_line_is_understood(name, value, expected):
    assert value_of(name, value) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [("size", "64,zero"), ("size", "[64, 64"), ("border_frac", ".nan"), ("crop", "1")],
)
def test_bad_text_from_the_command_line_is_refused(name, value):
    assert message_of({name: value}).startswith(f"config key '{name}': found ")


@pytest.mark.parametrize(
    "name",
    ["source", "border_frac", "size", "spacing", "window", "skip_frames"],
)
def test_null_switches_the_key_off(name):
    assert value_of(name, None) is None


@pytest.mark.parametrize("name", ["crop", "crop_max", "crop_components", "strict", "prune"])
def test_null_for_a_flag_is_false(name):
    assert value_of(name, None) is False


def test_null_for_keep_keeps_nothing():
    assert value_of("keep", None) == ()


def test_unknown_key_is_refused_with_the_key_that_was_meant():
    assert message_of({"siez": [64, 64]}) == (
        "config key 'siez' is unknown, did you mean 'size'?\n"
        "Write for example:\n    size: [512, 512]"
    )


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"modalities": ["MG", "CT"]}, "{Modality: [MG, CT]}"),
        ({"modalities": ["CT"]}, "{Modality: CT}"),
        ({"modalities": "MG, CT"}, "{Modality: [MG, CT]}"),
        ({"modalities": "[MG]"}, "{Modality: MG}"),
        ({"modality": "MR"}, "{Modality: MR}"),
        ({"Rows": ">=512"}, "{Rows: '>=512'}"),
        ({"Rows": 512}, "{Rows: '512'}"),
        ({"SeriesDescription": "~a,b"}, "{SeriesDescription: '~a,b'}"),
    ],
)
def test_keyword_as_a_key_is_answered_with_the_rule_to_write(values, rule):
    (name,) = values
    keyword = rule[1:].partition(":")[0]
    assert message_of(values) == (
        f"config key '{name}' is unknown, files are selected by rules on {keyword}.\n"
        f"Write instead:\n    include: {rule}"
    )
    assert parse_config({"include": load_yaml(rule)[0]})[0].include


@pytest.mark.parametrize("value", [None, [], "", {"a": 1}, [["CT"]]])
def test_keyword_as_a_key_without_a_value_is_answered_with_an_example(value):
    message = message_of({"modalities": value})
    assert message.endswith("Write for example:\n    include: {Modality: CT}")


def test_unknown_key_like_no_other_is_answered_with_all_keys():
    message = message_of({"zzz": 1})
    assert message == f"config key 'zzz' is unknown, allowed: {', '.join(DEFAULTS)}."


@pytest.mark.parametrize("name", [7, True, None])
def test_key_that_yaml_does_not_read_as_text_is_unknown(name):
    assert "is unknown" in message_of({name: 1})


def test_message_names_every_wrong_key():
    message = message_of({"crop": "maybe", "size": 64, "zzz": 1})
    assert [name in message for name in ("'crop'", "'size'", "'zzz'")] == [True] * 3


def test_size_with_spacing_is_refused():
    message = message_of({"size": [64, 32], "spacing": [0.5, 1]})
    assert message == (
        "config keys 'size' and 'spacing': found both ([64, 32] and [0.5, 1.0]), "
        "allowed: one of them.\n"
        "Write for example:\n    size: [512, 512]\n    spacing: null"
    )


def test_size_with_spacing_switched_off_is_fine():
    assert value_of("size", [64, 32], spacing=None) == (64, 32)


UNUSABLE_RULES = [
    ("include", {"": "MG"}, "'', which is no DICOM keyword"),
    ("include", {"Rows": ">=nan"}, "Rows, which needs a number after >="),
    ("include", {"Modalty": "MG"}, "Modalty, which is no DICOM keyword, did you mean Modality?"),
    ("include", {"PixelData": "1"}, "PixelData, which has no values that could be looked for"),
    ("include", {"PatientName": "~^A"}, "PatientName, which may name a person"),
    ("include", {"PatientBirthDate": ">=2000"}, "PatientBirthDate, which may name a person"),
    ("exclude", {"Rows": ">=many"}, "Rows, which needs a number after >="),
    ("exclude", {"StudyDescription": "~("}, "StudyDescription, which has no regular expression"),
    ("exclude", {"MediaStorageSOPClassUID": "1"}, "MediaStorageSOPClassUID, which is of the file"),
    ("exclude", {7: "1"}, "7, which is no DICOM keyword"),
    ("columns", ["PatientName"], "PatientName, which may name a person, whom no manifest names"),
    ("columns", ["OperatorsName"], "OperatorsName, which may name a person"),
    ("columns", ["AccessionNumber"], "AccessionNumber, which may name a person"),
    ("columns", ["PatientAddress"], "PatientAddress, which may name a person"),
    ("columns", ["Colour"], "Colour, which is no DICOM keyword"),
]


@pytest.mark.parametrize(("name", "value", "problem"), UNUSABLE_RULES)
def test_unusable_rule_or_column_is_refused_with_the_reason(name, value, problem):
    message = message_of({name: value})
    assert message.startswith(f"config key '{name}': found {problem}")
    assert message.endswith(f"Write for example:\n    {name}: {EXAMPLES[name]}")


WITHOUT_EFFECT = [
    ({"crop_max": True}, "crop_max", "crop: true"),
    ({"crop_components": True}, "crop_components", "crop: true"),
    ({"border_frac": 0.1}, "border_frac", "crop: true"),
    ({"padding": "center"}, "padding", "size"),
    ({"padding": "center", "spacing": [1, 1]}, "padding", "size"),
    ({"filter": "nearest"}, "filter", "size or spacing"),
    ({"window": [40, 400], "intensity": "minmax"}, "window", "intensity: voi"),
    ({"target_frames": 8}, "target_frames", "volume: interpolate"),
    ({"skip_frames": 1}, "skip_frames", "volume: max-intensity or laplacian-mip"),
    ({"mip_weight": 2}, "mip_weight", "volume: laplacian-mip"),
    ({"projection": "central-slice"}, "projection", "volume: laplacian-mip"),
    ({"stack": {"gap": "warn"}}, "stack", "series: stack"),
]


@pytest.mark.parametrize(("values", "name", "needed"), WITHOUT_EFFECT)
def test_key_without_effect_warns(values, name, needed):
    assert warnings_of(**values) == [f"config key '{name}' has no effect without {needed}"]


def test_z_spacing_without_effect_warns():
    assert warnings_of(spacing=[1, 1, 2], volume="central-slice") == [
        "the z of config key 'spacing' has no effect without volume: keep"
    ]


WITH_EFFECT = [
    {"crop": True, "crop_max": True, "crop_components": True, "border_frac": 0.1},
    {"size": [8, 8], "padding": "center", "filter": "nearest"},
    {"spacing": [1, 1, 2], "filter": "nearest"},
    {"window": [40, 400]},
    {"volume": "interpolate", "target_frames": 8},
    {"volume": "max-intensity", "skip_frames": 1},
]


@pytest.mark.parametrize("values", WITH_EFFECT, ids="-".join)
def test_key_with_effect_does_not_warn(values):
    assert warnings_of(**values) == []


def test_limits_that_are_not_given_keep_their_defaults():
    assert value_of("limits", {"pixels": 2_000_000_000}) == Limits(
        seconds=120, pixels=2_000_000_000, memory_mb=8192
    )


def test_policies_that_are_not_given_keep_their_defaults():
    assert value_of("stack", {"tilt": "fail"}) == StackPolicies(
        scout="drop",
        gap="fail",
        uneven="warn",
        duplicate_position="fail",
        tilt="fail",
        mixed_rescale="warn",
        single="keep",
    )


def test_policies_that_are_the_defaults_do_not_warn():
    assert warnings_of(stack={"gap": "fail"}) == []


# Shards


@pytest.mark.parametrize("shard", [[8, 8], [9, 8], [1, 1]])
def test_shard_beyond_the_last_is_refused(shard):
    i, n = shard
    assert message_of({"shard": shard}) == (
        f"config key 'shard': found [{i}, {n}], allowed: i from 0 to {n - 1} of {n} shards.\n"
        f"Write for example:\n    shard: [{i % n}, {n}]"
    )


def test_shard_and_gather_exclude_each_other():
    assert message_of({"shard": [1, 4], "gather": 4}) == (
        "config keys 'shard' and 'gather': found both ([1, 4] and 4), allowed: one of them.\n"
        "Write for example:\n    shard: null\n    gather: 4"
    )
