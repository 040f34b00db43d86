"""What is read back of tags: this project's, the reference program's and others'."""

import numpy as np
import pytest
import tifffile

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.tiff.info import TiffInfo, read_info
from dicom_preprocessing.tiff.reader import read_frames
from tests.unit.datasets import colour, grey, pages_of
from tests.unit.tiff.images import BYTE, LONG, full_image, plain_image, tags_of
from tests.unit.tiffs import reference_file


class TestReadInfo:
    def test_shape(self, written):
        info = read_info(written(full_image()))
        assert (info.width, info.height, info.channels, info.num_frames) == (17, 11, 1, 3)

    def test_colour(self, written):
        info = read_info(written(colour([[[1, 2, 3], [4, 5, 6]]])))
        assert (info.width, info.height, info.channels, info.num_frames) == (2, 1, 3, 1)

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
    def test_dtype(self, written, dtype):
        assert read_info(written(grey([[1]], dtype=dtype))).dtype == dtype

    def test_geometry(self, written):
        info = read_info(written(full_image()))
        assert info.crop == (3, 2, 6, 4)
        assert info.scale == (2.0, 2.0)
        assert info.active_area == (1, 2, 13, 10)
        assert info.flip == (True, True)

    def test_neutral_geometry(self, written):
        info = read_info(written(plain_image()))
        assert info.crop == (0, 0, 3, 2)
        assert info.scale == (1.0, 1.0)
        assert info.active_area == (0, 0, 3, 2)
        assert info.flip == (False, False)

    def test_spacing_of_the_output(self, written):
        assert read_info(written(full_image())).spacing == pytest.approx((0.07, 0.1), rel=1e-12)

    def test_unknown_spacing(self, written):
        assert read_info(written(plain_image())).spacing is None

    def test_source_is_columns_rows_frames(self, written):
        info = read_info(written(full_image(source_frames=70, frame_spacing=1.25)))
        assert (info.source, info.frame_spacing) == ((20, 10, 70), 1.25)


class TestReferenceFile:
    @pytest.fixture
    def path(self, tmp_path):
        return reference_file(tmp_path / "reference.tiff")

    def test_software_is_of_type_byte(self, path):
        (page,) = tags_of(path)
        assert page[305][0] == BYTE

    def test_crop_origin_is_the_centre(self, path):
        assert read_info(path).crop == (3, 2, 7, 4)

    def test_active_area_holds_amounts_of_padding(self, path):
        assert read_info(path).active_area == (1, 2, 17 - 2, 11 - 1)

    def test_scale(self, path):
        assert read_info(path).scale == (2.0, 2.0)

    def test_what_it_does_not_tell_is_unknown(self, path):
        info = read_info(path)
        assert (info.flip, info.source, info.frame_spacing, info.spacing) == (None,) * 4

    def test_closing_nul_does_not_matter(self, tmp_path):
        path = reference_file(tmp_path / "nul.tiff", software=b"dicom-preprocessing==0.1.2\0")
        assert read_info(path).crop == (3, 2, 7, 4)

    def test_frames(self, tmp_path):
        found = pages_of(reference_file(tmp_path / "pages.tiff", pages=3))
        assert found.shape == (3, 11, 17, 1)
        assert found[:, 0, 0, 0].tolist() == [0, 1, 2]


class TestForeignFile:
    def test_without_tags_only_the_shape_is_known(self, tmp_path):
        path = tmp_path / "foreign.tif"
        tifffile.imwrite(path, np.zeros((4, 5), np.uint8))
        assert read_info(path) == TiffInfo(
            width=5, height=4, channels=1, num_frames=1, dtype="uint8"
        )

    def test_tags_of_a_dng_are_not_taken_for_ours(self, tmp_path):
        path = tmp_path / "foreign.dng"
        area = [(50829, LONG, 4, (0, 0, 4, 5), False), (50719, LONG, 2, (0, 0), False)]
        area.append((50720, LONG, 2, (5, 4), False))
        tifffile.imwrite(path, np.zeros((4, 5), np.uint8), software="camera 1.0", extratags=area)
        info = read_info(path)
        assert (info.crop, info.active_area, info.scale) == (None, None, None)

    def test_spacing_is_known_from_a_resolution_in_centimetres(self, tmp_path):
        path = tmp_path / "foreign.tif"
        tifffile.imwrite(
            path, np.zeros((4, 5), np.uint8), resolution=(20, 40), resolutionunit="CENTIMETER"
        )
        assert read_info(path).spacing == (0.5, 0.25)

    def test_frames_of_a_single_page(self, tmp_path):
        path = tmp_path / "foreign.tif"
        tifffile.imwrite(path, np.array([[1, 2], [3, 4]], np.uint8))
        assert pages_of(path).tolist() == [[[[1], [2]], [[3], [4]]]]

    def test_pages_of_different_size_are_an_error(self, tmp_path):
        path = tmp_path / "foreign.tif"
        with tifffile.TiffWriter(path) as file:
            file.write(np.zeros((4, 5), np.uint8))
            file.write(np.zeros((1, 1), np.uint8))
        with pytest.raises(OutputError, match=r"foreign\.tif"):
            pages_of(path)


@pytest.mark.parametrize("read", [read_info, read_frames])
class TestUnreadable:
    def test_missing_file(self, tmp_path, read):
        with pytest.raises(OutputError, match=r"gone\.tiff: cannot be read as TIFF"):
            read(tmp_path / "gone.tiff")

    @pytest.mark.parametrize("content", [b"", b"no TIFF at all", b"II*\0"], ids=repr)
    def test_other_content(self, tmp_path, read, content):
        path = tmp_path / "other.tiff"
        path.write_bytes(content)
        with pytest.raises(OutputError, match=r"other\.tiff: cannot be read as TIFF"):
            read(path)

    def test_cut_file(self, written, read):
        path = written(full_image())
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(OutputError, match="cannot be read as TIFF"):
            read(path)
