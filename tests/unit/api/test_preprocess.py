"""The direct API: arrays from files and buffers, without a TIFF in between."""

import pickle

import numpy as np
import pytest

import dicom_preprocessing as dp
from dicom_preprocessing.api import arrays
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.decode import pixels
from dicom_preprocessing.imaging.conversion import convert
from dicom_preprocessing.processing.instance import OutputSpec, process_instance
from tests.unit.api.files import CORPUS, DTYPES, EMRI, PLAIN, SETTINGS, SMALL, function
from tests.unit.datasets import pages_of
from tests.unit.study_runs import entries_of

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def pixels_of_workflow(path, folder, preprocessor):
    """Pixels of the TIFF that the workflow writes for a file."""
    (entry,) = entries_of(path)
    target = OutputSpec(folder, make_recipe(preprocessor.config, "write"), "image.tiff")
    (receipt,) = process_instance([entry], target)
    assert receipt.is_written, receipt.message
    return pages_of(folder / "image.tiff")


# The workflow's pixels


FILES = [
    "pydicom-data/emri_small_jpeg_2k_lossless.dcm",
    "pydicom-data/SC_rgb_2frame.dcm",
    "pydicom-data/JPEG-LL.dcm",
    "pydicom-data/vlut_04.dcm",
    "pydicom-data/SC_rgb_16bit.dcm",
    "dicom-utils/jpeg2k_3d.dcm",
    "crafted/mammo_htj2k.dcm",
    "torchio/ct_series/IMG0001.dcm",
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("file", FILES)
def test_pixels_are_those_of_the_tiff(tmp_path, file, settings):
    if not (CORPUS / file).exists():
        pytest.skip("not in the selection of the corpus")
    preprocessor = dp.Preprocessor(**settings)
    expected = pixels_of_workflow(CORPUS / file, tmp_path, preprocessor)
    short = "u8" if expected.dtype == np.uint8 else "u16"
    found = function(short)(CORPUS / file, preprocessor)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tobytes() == expected.tobytes()


def test_resampled_spacing_is_that_of_the_tiff(tmp_path, measured):
    preprocessor = dp.Preprocessor(spacing=(1, 1.5, 2))
    expected = pixels_of_workflow(measured, tmp_path, preprocessor)
    assert expected.shape == (5, 6, 14, 1)
    assert np.array_equal(dp.preprocess_u8(measured, preprocessor), expected)


# Every function


@pytest.mark.parametrize("short", DTYPES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("metadata", [False, True])
class TestEveryFunction:
    def test_one_file(self, slices, short, stream, metadata):
        source = slices[1].read_bytes() if stream else slices[1]
        found = function(short, stream=stream, metadata=metadata)(source)
        if metadata:
            found, told = found
            assert told.crop == dp.Crop(1, 1, 4, 3)
        expected = convert(np.full((1, 3, 4, 1), 51, np.uint8), DTYPES[short])
        assert found.dtype == DTYPES[short]
        assert np.array_equal(found, expected)
        assert found.flags.c_contiguous
        assert found.flags.writeable

    def test_slices(self, slices, short, stream, metadata):
        sources = [path.read_bytes() for path in slices] if stream else slices
        found = function(short, stream=stream, slices=True, metadata=metadata)(sources)
        if metadata:
            found, told = found
            assert (told.crop, told.num_frames) == (dp.Crop(1, 1, 4, 3), 3)
        assert isinstance(found, list)
        for value, one in zip((50, 51, 52), found, strict=True):
            expected = convert(np.full((1, 3, 4, 1), value, np.uint8), DTYPES[short])
            assert one.dtype == DTYPES[short]
            assert np.array_equal(one, expected)
            assert one.flags.c_contiguous
            assert one.flags.writeable

    def test_threads_change_nothing(self, short, stream, metadata):
        source = EMRI.read_bytes() if stream else EMRI
        one = function(short, stream=stream, metadata=metadata)
        many = function(short, stream=stream, slices=True, metadata=metadata)
        for call, given in ((one, source), (many, [source, source])):
            alone, together = (call(given, SMALL, parallel=p) for p in (False, True))
            if metadata:
                assert alone[1] == together[1]
                alone, together = alone[0], together[0]
            assert np.array_equal(alone, together)
            assert np.any(alone)

    def test_pickles(self, short, stream, metadata):
        for slices in (False, True):
            made = function(short, stream=stream, slices=slices, metadata=metadata)
            assert pickle.loads(pickle.dumps(made)) is made

    def test_docstring_tells_shape_dtype_and_errors(self, short, stream, metadata):
        for slices in (False, True):
            made = function(short, stream=stream, slices=slices, metadata=metadata)
            shape = "list of (1, height" if slices else "\n(frames, height"
            error = "DICOM object" if stream else "File not found"
            dtype = np.dtype(DTYPES[short]).name
            for part in (shape, error, dtype, "Parameters\n---", "Returns\n---", "Raises\n---"):
                assert part in made.__doc__
            assert ("PreprocessingMetadata\n    " in made.__doc__) == metadata


def test_settings_are_those_of_a_new_preprocessor_without_one(slices):
    assert np.array_equal(
        dp.preprocess_u8(slices[0]), dp.preprocess_u8(slices[0], dp.Preprocessor())
    )
    assert dp.preprocess_u8(slices[0], PLAIN).shape == (1, 4, 5, 1)


def test_path_may_be_text(slices):
    assert np.array_equal(dp.preprocess_u8(str(slices[0])), dp.preprocess_u8(slices[0]))


def test_colour_has_three_channels():
    path = CORPUS / "pydicom-data" / "SC_rgb_2frame.dcm"
    assert dp.preprocess_u8(path, PLAIN).shape == (2, 100, 100, 3)


# Real files


def outcome(call, source):
    """The array, or the reason why there is none."""
    try:
        return call(source, SMALL)
    except dp.PreprocessingError as error:
        return error.error


def test_real_files_give_the_same_by_every_way(compact_corpus):
    """Path, buffer and a list of one; what fails fails for one reason, with this API's error."""
    arrays = 0
    for path in (p for p in compact_corpus.rglob("*") if p.is_file()):
        found = outcome(dp.preprocess_u16, path)
        buffered = outcome(dp.preprocess_stream_u16, path.read_bytes())
        listed = outcome(dp.preprocess_u16_slices, [path])
        if isinstance(found, str):
            assert (buffered, listed) == (found, found), path
        else:
            arrays += 1
            assert np.array_equal(buffered, found), path
            assert np.array_equal(np.concatenate(listed), found), path
    assert arrays > 30


def test_border_of_half_of_the_image_leaves_it_whole(slices):
    assert dp.preprocess_u8(slices[0], dp.Preprocessor(border_frac=0.5)).shape == (1, 4, 5, 1)


BUGS = {
    "reading": (arrays, "open_image"),
    "decoding": (arrays, "decode_opened"),
    "a frame": (pixels, "_take_stored_bits"),
    "a later stage": (arrays, "run_stages"),
    "conversion": (arrays, "convert"),
}


@pytest.mark.parametrize("where", BUGS)
def test_bug_is_an_internal_error(tmp_path, write_dicom, monkeypatch, where):
    def fail(*_, **__):
        raise IndexError("a bug")

    path = write_dicom(tmp_path / "a.dcm", BitsStored=7, HighBit=6)
    monkeypatch.setattr(*BUGS[where], fail)
    for call, source in (
        (dp.preprocess_u8, path),
        (dp.preprocess_stream_u8, path.read_bytes()),
    ):
        with pytest.raises(dp.PreprocessingError, match=r"IndexError: a bug \(") as caught:
            call(source)
        assert caught.value.error == "internal_error"
