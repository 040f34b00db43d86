"""Volumes of series by the API: those that series: stack makes."""

import numpy as np
import pytest

import dicom_preprocessing as dp
from tests.unit.api.files import DTYPES
from tests.unit.datasets import pages_of
from tests.unit.processing.test_volume import AXIAL, CORONAL, Series, run

PLAIN = dp.Preprocessor(crop=False, convert_options="-990,40")


@pytest.fixture
def series(tmp_path):
    return Series(tmp_path / "src")


def function(short, *, metadata=True):
    return getattr(dp, f"preprocess_{short}_series{'_with_metadata' if metadata else ''}")


@pytest.mark.parametrize("short", DTYPES)
def test_volumes_are_those_of_the_workflow(series, tmp_path, short):
    for mm in (2, 0, 1):
        series.add(mm)
    for mm in (0, 1):
        series.add(mm, orientation=CORONAL)
    paths = sorted(series.folder.iterdir())
    written = run(series.folder, tmp_path / "out", intensity="voi", window=[-990, 40])
    images = sorted(written.images, key=lambda r: r.volume)
    found, told = function(short)(paths[::-1], PLAIN)
    assert [array.shape for array in found] == [(3, 2, 3, 1), (2, 2, 3, 1)]
    for array, metadata, image in zip(found, told, images, strict=True):
        stored = pages_of(written.output / image.output).reshape(array.shape)
        expected = {"u16": stored, "u8": (stored.astype(int) * 255 + 32767) // 65535}
        expected["f32"] = stored.astype(np.float32) / 65535
        np.testing.assert_array_equal(array, expected[short])
        assert array.dtype == DTYPES[short]
        assert (metadata.volume, metadata.volume_id) == (image.volume, image.volume_id)
        assert metadata.geometry == image.parse_geometry()
    assert [name[-7:] for name in told[0].files] == ["002.dcm", "003.dcm", "001.dcm"]
    assert all(map(np.array_equal, function(short, metadata=False)(paths, PLAIN), found))


def test_policies_are_those_of_the_configuration(series):
    paths = [series.add(mm) for mm in (0, 1, 2, 4)]
    with pytest.raises(RuntimeError, match=r"Failed to prepare image: gap: .*4"):
        dp.preprocess_u8_series(paths)
    (volume,), (told,) = dp.preprocess_u8_series_with_metadata(paths, PLAIN, stack={"gap": "warn"})
    assert len(volume) == 4
    assert [w.code for w in told.warnings] == ["stack_gap"]


def test_files_that_are_in_no_volume_are_told(series):
    paths = [series.add(mm) for mm in (0, 1)]
    scout = series.add(2, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    same_pixels = series.add(1, value=20)
    same_bytes = series.folder / "copy.dcm"
    same_bytes.write_bytes(paths[0].read_bytes())
    given = [*paths, scout, same_pixels, same_bytes]
    _, (metadata,) = dp.preprocess_u8_series_with_metadata(given, PLAIN)
    assert [(item.path, item.error) for item in metadata.left_out] == [
        (str(same_bytes), "duplicate"),
        (str(scout), "not_selected"),
        (str(same_pixels), "duplicate"),
    ]
    assert metadata.left_out[0].message == f"same bytes as {paths[0]}"
    assert "LOCALIZER" in metadata.left_out[1].message


def test_no_volume_is_an_error(series):
    path = series.add(0, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    with pytest.raises(RuntimeError, match=r"no file makes a volume: .*scout.*LOCALIZER"):
        dp.preprocess_u8_series([path])


@pytest.mark.parametrize("stack", [{"gap": "ignore"}, {"hole": "warn"}])
def test_unknown_policies_are_an_error(series, stack):
    with pytest.raises(ValueError, match="stack"):
        dp.preprocess_u8_series([series.add(0)], stack=stack)


def test_scouts_are_in_no_volume(series):
    paths = [series.add(mm) for mm in (0, 1)]
    paths.append(series.add(0, ImageType=["ORIGINAL", "LOCALIZER"]))
    assert [len(volume) for volume in dp.preprocess_u8_series(paths)] == [2]


def test_multi_frame_files_are_images_of_their_own(series):
    paths = [series.add(pixels=np.ones((4, 2, 3), np.int16), NumberOfFrames=4)]
    paths += [series.add(mm) for mm in (0, 1)]
    volumes, told = dp.preprocess_u8_series_with_metadata(paths, PLAIN)
    assert sorted(map(len, volumes)) == [2, 4]
    assert sorted(metadata.volume for metadata in told) == [0, 1]


@pytest.mark.parametrize("paths", ["a.dcm", b"a.dcm"])
def test_one_path_is_an_error(paths):
    with pytest.raises(TypeError, match="a sequence of paths"):
        dp.preprocess_u8_series(paths)


def test_no_files_are_an_error():
    with pytest.raises(RuntimeError, match="Cannot process empty list of DICOMs"):
        dp.preprocess_u8_series([])


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="File not found"):
        dp.preprocess_u8_series([tmp_path / "none.dcm"])


class TestSlices:
    """Functions of slices keep the order of the caller, and warn with the same codes."""

    @pytest.mark.parametrize(
        ("places", "codes"),
        [
            ((0, 1, 2), []),
            ((2, 1, 0), []),
            ((0, 1, 3), ["stack_gap"]),
            ((0, 1, 2, 4), ["stack_gap"]),
            ((0, 1, 2, 3.3), ["stack_uneven"]),
            ((0, 2, 1), ["stack_order"]),
        ],
    )
    def test_irregular_places_are_warnings(self, series, places, codes):
        paths = [series.add(mm) for mm in places]
        found, told = dp.preprocess_u8_slices_with_metadata(paths, PLAIN)
        assert [w.code for w in told.warnings] == codes
        assert len(found) == len(paths)

    def test_rescales_and_windows_that_differ_are_warnings(self, series):
        paths = [
            series.add(0, WindowCenter=1, WindowWidth=2),
            series.add(1, WindowCenter=2, WindowWidth=2, RescaleSlope=2),
        ]
        _, told = dp.preprocess_u8_slices_with_metadata(paths, dp.Preprocessor(crop=False))
        assert {w.code for w in told.warnings} == {"stack_mixed_rescale", "stack_windows_differ"}

    def test_geometry_has_the_place_of_each_slice(self, series):
        paths = [series.add(mm, orientation=AXIAL) for mm in (2, 1, 0)]
        _, told = dp.preprocess_u8_slices_with_metadata(paths, PLAIN)
        assert [z for _, _, z in told.geometry.page_positions] == [2, 1, 0]
