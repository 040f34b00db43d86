"""Every tag of a TIFF with type, count and value."""

import json

import numpy as np
import pytest

from dicom_preprocessing.config import COMPRESSORS
from dicom_preprocessing.config.recipe import STAGE_VERSIONS
from dicom_preprocessing.imaging.geometry import Flip, Geometry, Size
from dicom_preprocessing.tiff import writer as tiff
from dicom_preprocessing.tiff.tags import SOFTWARE
from dicom_preprocessing.version import __version__
from tests.unit.datasets import SERIES_UID, SOP_UID, STUDY_UID, colour, grey, image_of
from tests.unit.tiff.images import (
    ASCII,
    FLOAT,
    LONG,
    RATIONAL,
    SHORT,
    STEPS,
    full_image,
    plain_image,
    tags_of,
)


class TestGeometryTags:
    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            pytest.param(50718, (FLOAT, 2, (2.0, 2.0)), id="DefaultScale"),
            pytest.param(50719, (LONG, 2, (3, 2)), id="DefaultCropOrigin"),
            pytest.param(50720, (LONG, 2, (6, 4)), id="DefaultCropSize"),
            pytest.param(50829, (LONG, 4, (1, 2, 13, 10)), id="ActiveArea"),
            pytest.param(65000, (LONG, 4, (20, 10, 1, 1)), id="flip"),
        ],
    )
    def test_stands_on_every_page(self, written, code, expected):
        pages = tags_of(written(full_image(), recipe=STEPS))
        assert [page[code] for page in pages] == [expected] * 3

    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            pytest.param(50718, (FLOAT, 2, (1.0, 1.0)), id="DefaultScale"),
            pytest.param(50719, (LONG, 2, (0, 0)), id="DefaultCropOrigin"),
            pytest.param(50720, (LONG, 2, (3, 2)), id="DefaultCropSize"),
            pytest.param(50829, (LONG, 4, (0, 0, 3, 2)), id="ActiveArea"),
        ],
    )
    def test_is_neutral_where_the_step_did_not_run(self, written, code, expected):
        (page,) = tags_of(written(plain_image()))
        assert page[code] == expected

    def test_flip_is_not_there_without_a_flip(self, written):
        (page,) = tags_of(written(plain_image()))
        assert 65000 not in page

    def test_one_mirrored_axis(self, written):
        flip = Flip(3, 2, horizontal=True, vertical=False)
        image = image_of(plain_image().frames, Geometry(Size(3, 2), flip=flip))
        (page,) = tags_of(written(image))
        assert page[65000] == (LONG, 4, (3, 2, 1, 0))

    def test_scale_is_the_realised_ratio_of_each_axis(self, written):
        image = image_of(np.ones((1, 3, 4, 1), np.uint8), Geometry(Size(3, 2), resized=Size(4, 3)))
        (page,) = tags_of(written(image))
        assert page[50718] == (FLOAT, 2, (np.float32(4 / 3), 1.5))


class TestPageNumber:
    def test_counts_from_zero_to_the_total(self, written):
        pages = tags_of(written(full_image(pages=3)))
        assert [page[297] for page in pages] == [(SHORT, 2, (n, 3)) for n in range(3)]

    def test_single_page(self, written):
        (page,) = tags_of(written(plain_image()))
        assert page[297] == (SHORT, 2, (0, 1))

    def test_total_is_zero_above_the_limit(self, written, monkeypatch):
        monkeypatch.setattr(tiff, "PAGE_TOTAL_LIMIT", 2)
        pages = tags_of(written(full_image(pages=3)))
        assert [page[297][2] for page in pages] == [(0, 0), (1, 0), (2, 0)]

    def test_total_at_the_limit_is_reported(self, written, monkeypatch):
        monkeypatch.setattr(tiff, "PAGE_TOTAL_LIMIT", 3)
        pages = tags_of(written(full_image(pages=3)))
        assert [page[297][2] for page in pages] == [(0, 3), (1, 3), (2, 3)]

    def test_limit_is_that_of_16_bits(self):
        assert tiff.PAGE_TOTAL_LIMIT == 65535


class TestResolution:
    def test_is_in_output_pixels_per_centimetre_on_every_page(self, written):
        # 0.14 mm in x and 0.2 in y, doubled: 0.07 and 0.1 mm; 10 / 0.07 = 1000 / 7
        for page in tags_of(written(full_image())):
            assert page[282] == (RATIONAL, 1, (1000, 7))
            assert page[283] == (RATIONAL, 1, (100, 1))
            assert page[296] == (SHORT, 1, 3)

    def test_unknown_spacing_is_one_to_one_without_unit(self, written):
        for page in tags_of(written(full_image(pixel_spacing=None))):
            assert page[282] == (RATIONAL, 1, (1, 1))
            assert page[283] == (RATIONAL, 1, (1, 1))
            assert page[296] == (SHORT, 1, 1)

    def test_is_the_nearest_rational_of_32_bit_parts(self, written):
        spacing = 0.0703125001
        (page,) = tags_of(written(grey([[1]], pixel_spacing=(spacing, 1.0))))
        numerator, denominator = page[282][2]
        assert max(numerator, denominator) < 2**32
        assert numerator / denominator == pytest.approx(10 / spacing, rel=1e-14)

    def test_spacing_too_small_for_a_rational_is_unknown(self, written):
        (page,) = tags_of(written(grey([[1]], pixel_spacing=(1e-12, 1e-12))))
        assert (page[282][2], page[283][2], page[296][2]) == ((1, 1), (1, 1), 1)


class TestSoftware:
    def test_is_the_name_with_major_and_minor_version(self, written):
        major, minor, *_ = __version__.split(".")
        text = f"dicom-preprocessing {major}.{minor}"
        for page in tags_of(written(full_image())):
            assert page[305] == (ASCII, len(text) + 1, text)

    def test_never_looks_like_the_reference_program(self):
        assert "==" not in SOFTWARE


def description_of(path):
    (kind, _, text), *others = (page[270] for page in tags_of(path))
    assert kind == ASCII
    assert all(other[2] == text for other in others)
    return json.loads(text)


class TestDescription:
    def test_source_shape(self, written):
        image = full_image(source_frames=70, photometric_interpretation="MONOCHROME1")
        assert description_of(written(image))["source"] == {
            "rows": 10,
            "columns": 20,
            "frames": 70,
            "photometric_interpretation": "MONOCHROME1",
        }

    def test_background_of_display_values_is_zero(self, written):
        assert description_of(written(full_image()))["background"] == 0

    def test_background_of_stored_values(self, written):
        assert description_of(written(full_image(background=-1024.0)))["background"] == -1024.0

    def test_frame_spacing(self, written):
        assert description_of(written(full_image(frame_spacing=1.25)))["frame_spacing"] == 1.25

    def test_unknown_frame_spacing_is_null(self, written):
        assert description_of(written(full_image()))["frame_spacing"] is None

    def test_steps_that_ran(self, written):
        steps = description_of(written(full_image(), recipe=STEPS))["steps"]
        assert sorted(steps) == ["crop", "decode", "pad", "resize"]
        assert steps["crop"] == {
            "border_frac": None,
            "crop": True,
            "crop_components": False,
            "crop_max": True,
            "region": "none",
        }
        assert steps["pad"] == {"padding": "center", "size": [17, 11]}

    def test_filter_is_reported(self, written):
        steps = description_of(written(full_image(), recipe=STEPS))["steps"]
        assert steps["resize"]["filter"] == "lanczos3"

    def test_steps_that_did_not_run_are_left_out(self, written):
        assert list(description_of(written(plain_image()))["steps"]) == ["decode"]

    def test_stage_versions(self, written):
        assert description_of(written(plain_image()))["versions"] == dict(STAGE_VERSIONS)

    def test_fingerprint_is_that_of_the_recipe(self, written):
        found = description_of(written(full_image(), recipe=STEPS))["fingerprint"]
        assert found == STEPS.fingerprint
        assert len(found) == 16

    def test_nothing_else_is_reported(self, written):
        assert sorted(description_of(written(full_image(), recipe=STEPS))) == [
            "background",
            "fingerprint",
            "frame_spacing",
            "source",
            "spacing_source",
            "steps",
            "versions",
        ]

    def test_is_on_every_page(self, written):
        pages = tags_of(written(full_image()))
        assert len({page[270] for page in pages}) == 1


class TestPrivacy:
    @pytest.mark.parametrize("uid", [STUDY_UID, SERIES_UID, SOP_UID])
    def test_no_uid_is_inside(self, written, uid):
        path = written(full_image(), recipe=STEPS, compressor="uncompressed")
        assert uid.encode() not in path.read_bytes()

    def test_no_path_is_inside(self, written, tmp_path):
        content = written(full_image(), recipe=STEPS).read_bytes()
        assert str(tmp_path).encode() not in content
        assert b"image.tiff" not in content

    @pytest.mark.parametrize("code", [269, 306, 315, 316], ids=str)
    def test_no_name_date_artist_or_host_is_reported(self, written, code):
        assert all(code not in page for page in tags_of(written(full_image())))


class TestPixelTags:
    @pytest.mark.parametrize(
        ("compressor", "code"),
        [("packbits", 32773), ("lzw", 5), ("uncompressed", 1), ("deflate", 8), ("zstd", 50000)],
    )
    def test_compression(self, written, compressor, code):
        (page,) = tags_of(written(plain_image(), compressor=compressor))
        assert page[259][2] == code

    @pytest.mark.parametrize("compressor", ["packbits", "lzw", "uncompressed"])
    @pytest.mark.parametrize("dtype", ["uint16", "float32"])
    def test_no_predictor(self, written, compressor, dtype):
        (page,) = tags_of(written(grey([[1, 2]], dtype=dtype), compressor=compressor))
        assert page.get(317, (SHORT, 1, 1)) == (SHORT, 1, 1)

    @pytest.mark.parametrize("compressor", ["deflate", "zstd"])
    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
    def test_horizontal_predictor(self, written, compressor, dtype):
        (page,) = tags_of(written(grey([[1, 2]], dtype=dtype), compressor=compressor))
        assert page[317] == (SHORT, 1, 2)

    @pytest.mark.parametrize("compressor", ["deflate", "zstd"])
    def test_floating_point_predictor(self, written, compressor):
        (page,) = tags_of(written(grey([[1, 2]], dtype=np.float32), compressor=compressor))
        assert page[317] == (SHORT, 1, 3)

    @pytest.mark.parametrize("compressor", COMPRESSORS)
    def test_one_strip_a_page(self, written, compressor):
        frames = np.zeros((2, 900, 700, 1), np.uint16)
        for page in tags_of(written(image_of(frames), compressor=compressor)):
            assert page[278][2] == 900
            assert page[273][1] == page[279][1] == 1
            assert 322 not in page

    def test_grey_is_min_is_black(self, written):
        (page,) = tags_of(written(plain_image()))
        assert (page[262][2], page[277][2], page[258][2]) == (1, 1, 8)

    def test_colour_is_rgb_by_pixel(self, written):
        (page,) = tags_of(written(colour([[[1, 2, 3]]], dtype=np.uint16)))
        assert (page[262][2], page[277][2], page[258][2]) == (2, 3, (16, 16, 16))
        assert page.get(284, (SHORT, 1, 1))[2] == 1

    @pytest.mark.parametrize(
        ("dtype", "sample_format"), [("uint8", 1), ("uint16", 1), ("int16", 2), ("float32", 3)]
    )
    def test_sample_format(self, written, dtype, sample_format):
        (page,) = tags_of(written(grey([[1]], dtype=dtype)))
        assert page.get(339, (SHORT, 1, 1))[2] == sample_format

    def test_size(self, written):
        (page,) = tags_of(written(plain_image()))
        assert (page[256][2], page[257][2]) == (3, 2)
