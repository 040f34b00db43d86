"""Inputs that contradict themselves, after public reports: as their table says, by every way in.

The files, and what is right for each of them, are in the folder ``cases`` of the full data.
"""

import ast
import csv
import json
import re
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest

import dicom_preprocessing as dp
from dicom_preprocessing.cli import preprocess, validate
from dicom_preprocessing.decode.stage import decode
from tests.conftest import FULL_DATA
from tests.unit.datasets import pages_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.skipif(
        not (FULL_DATA / "cases").is_dir(), reason="needs cases: set DP_SHARED to their folder"
    ),
]

CASES = FULL_DATA / "cases"
TOLERANCE = 2
"""Levels of 255 or 65535; of dose, which is in floats, less than any step."""

WARNING_OF = {
    "deflated-zlib": "encoding_contradicts_syntax",
    "encapsulated_more_frames-jpeg_bot1_n1": "excess_frames",
    "ends_of_files-enc_zeros64_for_delimiter": "no_sequence_delimiter",
    "explicit_under_implicit-grey16": "encoding_contradicts_syntax",
    "j2k_ybr_full-ybr_nomct_says_ict": "colour_contradicts_header",
    "lut_items_empty-voi": "lut_unusable",
    "missing_attributes-pi_lower": "photometric_spelling",
    "nested_pixel_data-j2k_says_native": "stream_contradicts_syntax",
    "palette_wrong_descriptor-says16_is8bytes": "lut_contradicts_descriptor",
    "rescale_slope_zero-window": "rescale_slope_zero",
    "rescale_top_and_frame-top_and_frame": "functional_groups_contradict",
    "rle_fragments-one_frame_table": "rle_fragments",
    "unknown_vr-vr_ZZ_long": "unknown_vr",
    "voi_lut_narrow-says16_has12": "lut_contradicts_descriptor",
    "window_below_one-width_05": "window_narrow",
}
"""Of the cases whose parts contradict each other; the others are unusual, and right as they are."""


@cache
def cases():
    """The rows of the table by the name of the file."""
    if not CASES.is_dir():
        return {}
    with (CASES / "cases.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"].removesuffix(".dcm"): row for row in csv.DictReader(file)}


for_each_case = pytest.mark.parametrize("name", cases())


def options_of(name):
    """Settings with which the expected values were made: of ``dict(key='value')``."""
    path = CASES / f"{name}.kw"
    if not path.exists():
        return {}
    call = ast.parse(path.read_text(encoding="utf-8").strip(), mode="eval").body
    return {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}


def require_expected(name, pixels):
    """Compare with the expected array, of which dimensions of one may be left out."""
    path = CASES / f"{name}.npy"
    if not path.exists():
        return
    expected = np.load(path).squeeze()
    pixels = np.asarray(pixels, float).squeeze()
    assert pixels.shape == expected.shape
    tolerance = 1e-6 if options_of(name) else TOLERANCE
    assert np.abs(pixels - expected).max() <= tolerance


class Converted(NamedTuple):
    """Pages that the command wrote, and the codes of the warnings that it printed."""

    pages: np.ndarray
    codes: set[str]


@pytest.fixture
def convert(tmp_path, capsys):
    """``dicom-preprocess`` of a case with its options and others."""

    def convert(name, *options):
        flags = [f"--{key}={value}" for key, value in options_of(name).items()]
        output = tmp_path / "image.tiff"
        status = preprocess.main(
            [str(CASES / f"{name}.dcm"), str(output), "-j", "1", *flags, *options]
        )
        printed = capsys.readouterr().err
        assert status == 0, printed
        return Converted(
            pages_of(output), set(re.findall(r"^warning: (\w+):", printed, re.MULTILINE))
        )

    return convert


@for_each_case
def test_command_gives_the_expected_values(name, convert):
    require_expected(name, convert(name).pages)


@for_each_case
def test_python_gives_the_expected_values(name):
    if options_of(name):  # of settings that the direct functions do not have
        require_expected(name, decode(CASES / f"{name}.dcm", **options_of(name)).frames)
        return
    read = dp.preprocess_u8 if _is_of_bytes(name) else dp.preprocess_u16
    require_expected(name, read(CASES / f"{name}.dcm", dp.Preprocessor(crop=False)))


def _is_of_bytes(name):
    path = CASES / f"{name}.npy"
    return path.exists() and np.load(path).max() <= 255


@for_each_case
def test_command_validation_and_python_give_the_same_warnings(name, convert, capsys):
    path, codes = CASES / f"{name}.dcm", convert(name).codes
    assert validate.main(["--format", "json", str(path)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["status"] == "pass"
    assert codes <= {warning["code"] for warning in report["warnings"]}
    _, metadata = dp.preprocess_u16_with_metadata(path, dp.Preprocessor(crop=False))
    assert {warning.code for warning in metadata.warnings} == codes


@for_each_case
def test_what_contradicts_itself_has_its_warning(name, convert):
    wanted = WARNING_OF.get(name)
    assert wanted is None or wanted in convert(name).codes


DESCRIBED = {
    "encapsulated_more_frames-jpeg_bot1_n1": ((), (1, 16, 16, 1)),
    "padding_monochrome1-1_pad0_win0": (("-c",), (1, 12, 16, 1)),
}
"""Options, and the shape of the pages, of cases without an expected array."""


@for_each_case
def test_case_without_array_has_the_shape_that_its_table_describes(name, convert):
    options, shape = DESCRIBED.get(name, ((), None))
    if shape is None:
        assert (CASES / f"{name}.npy").exists()
    else:
        assert convert(name, *options).pages.shape == shape
