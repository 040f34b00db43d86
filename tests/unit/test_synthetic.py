"""Synthetic studies of every kind in every transfer syntax, against what they were made from."""

import hashlib

import numpy as np
import pydicom
import pytest

from dicom_preprocessing.decode.stage import decode
from dicom_preprocessing.imaging.crop import crop
from tests.unit.datasets import pixels_in
from tests.unit.oracles import geometry, high_dicom
from tests.unit.second_decoders import disagreements, display_differences, load
from tests.unit.synthetic import write_studies

# The studies have identifiers that are longer than the standard allows.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

KINDS = ("mammo", "dbt", "ct", "mr", "pet", "us")
LOSSLESS = (
    "implicit",
    "explicit",
    "deflated",
    "bigendian",
    "rle",
    "jpeg-lossless-p14",
    "jpeg-lossless",
    "jpegls",
    "j2k",
    "htj2k",
)
LOSSY = ("jpeg-baseline", "jpeg-extended", "jpegls-near", "j2k-lossy")


@pytest.fixture(scope="module")
def make_studies(tmp_path_factory):
    """A function that writes studies and gives the rows of their table, with ``file``."""
    return lambda *arguments: write_studies(tmp_path_factory.mktemp("synthetic"), *arguments)


SMALL = ("--kind", "all", "--studies", "2", "--scale", "0.1", "--frame-scale", "0.08")


def pixels_of(row):
    return pixels_in(row["file"])[1]


def digest(pixels):
    little = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    return hashlib.sha256(little.tobytes()).hexdigest()


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_stored_pixels_are_those_before_encoding(make_studies, syntax):
    rows = make_studies(*SMALL, "--transfer-syntax", syntax)
    wrong = [row["path"] for row in rows if digest(pixels_of(row)) != row["stored_sha256"]]
    assert wrong == []
    assert {row["kind"].split("-")[0] for row in rows} == set(KINDS)


@pytest.mark.parametrize("options", [("--offset-table", "empty"), ("--offset-table", "extended")])
@pytest.mark.parametrize("syntax", ["rle", "jpegls", "j2k"])
def test_frames_are_found_by_any_offset_table(make_studies, syntax, options):
    rows = make_studies(*SMALL, "--transfer-syntax", syntax, *options)
    assert [row["path"] for row in rows if digest(pixels_of(row)) != row["stored_sha256"]] == []


@pytest.mark.parametrize("table", ["basic", "empty"])
@pytest.mark.parametrize("syntax", ["jpeg-lossless", "jpegls", "j2k", "htj2k"])
def test_frames_of_several_fragments(make_studies, syntax, table):
    rows = make_studies(
        *SMALL, "--transfer-syntax", syntax, "--fragments", "3", "--offset-table", table
    )
    assert [row["path"] for row in rows if digest(pixels_of(row)) != row["stored_sha256"]] == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("syntax", LOSSY)
def test_lossy_pixels_are_those_of_other_decoders(make_studies, syntax):
    for row in make_studies(*SMALL, "--transfer-syntax", syntax):
        assert disagreements(row["file"], *load(row["file"])) == {}, row["path"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("syntax", ["explicit", "jpeg-extended", "j2k-lossy"])
def test_display_pixels_are_those_of_other_programs(make_studies, syntax):
    rows = make_studies(*SMALL, "--transfer-syntax", syntax)
    found = [display_differences(row["file"], *load(row["file"])) for row in rows]
    assert max(value for of_file in found for value in of_file.values()) <= 1
    # Enhanced MR has its windows in functional groups, ultrasound is colour.
    assert sum("pydicom" in of_file for of_file in found) > len(rows) / 2


@pytest.mark.skipif(not high_dicom.is_installed, reason="no highdicom here")
def test_frames_lie_where_highdicom_has_them(make_studies):
    rows = make_studies(*SMALL)
    several = [row["file"] for row in rows if row["kind"] in ("dbt", "mr-enhanced")]
    assert several
    for path in several:
        geometry.assert_same_volume(path)


def box_of(text):
    left, top, width, height = map(int, text.split(","))
    return left, top, left + width, top + height


@pytest.fixture(scope="module")
def views(make_studies):
    """Mammograms and tomosynthesis views, of which one study has noise for a background."""
    size = ("--scale", "0.15", "--frame-scale", "0.06")
    return make_studies("--kind", "mammo,dbt", "--studies", "9", *size)


@pytest.mark.parametrize("components", [False, True])
def test_crop_box_holds_the_breast_in_every_view(views, components):
    for row in views:
        image = decode(row["file"])
        box = crop(image, crop_components=components).geometry.crop
        # The component is found on a thumbnail, and its edge may be too faint for 8 bits.
        missing = 1 + -(-max(image.size.width, image.size.height) // 512) if components else 0
        left, top, right, bottom = box_of(row["breast_box"])
        assert box.left <= left + missing, row["path"]
        assert box.top <= top + missing, row["path"]
        assert box.right >= right - missing, row["path"]
        assert box.bottom >= bottom - missing, row["path"]


def test_label_is_left_out_with_components(views):
    for row in views:
        if not row["label_box"]:
            continue
        box = crop(decode(row["file"]), crop_components=True).geometry.crop
        left, top, right, bottom = box_of(row["label_box"])
        apart = box.right <= left or box.left >= right or box.bottom <= top or box.top >= bottom
        assert apart, row["path"]
    assert any(row["label_box"] for row in views)


def test_each_slice_of_pet_has_a_slope_of_its_own(make_studies):
    rows = make_studies("--kind", "pet", "--scale", "0.2", "--frame-scale", "0.1")
    assert len({pydicom.dcmread(row["file"]).RescaleSlope for row in rows}) == len(rows) > 2
    assert {int(pixels_of(row).max()) for row in rows} == {65535}
