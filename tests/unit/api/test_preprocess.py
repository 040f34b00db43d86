"""The direct API: arrays from files and buffers, without a TIFF in between."""

import array
import io
import json
import mmap
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from pydicom.uid import RLELossless

import dicom_preprocessing as dp
from dicom_preprocessing.config.recipe import make_chain
from dicom_preprocessing.imaging.conversion import convert
from dicom_preprocessing.imaging.frames import THREADS
from dicom_preprocessing.processing.instance import Target, process_instance
from tests.conftest import data_folder
from tests.unit.datasets import (
    BREAST_TOMOSYNTHESIS,
    compressed,
    data_set_of,
    pages_of,
    rle,
    save,
    show_stored_values,
)
from tests.unit.study_runs import entries_of

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

CORPUS, GOLDEN = data_folder("corpus"), data_folder("golden")
DTYPES = {"u8": np.uint8, "u16": np.uint16, "f32": np.float32}
PLAIN = dp.Preprocessor(crop=False)
EMRI = CORPUS / "pydicom-data" / "emri_small_jpeg_2k_lossless.dcm"
SMALL = dp.Preprocessor(size=(20, 30), spacing=None)


def function(short, *, stream=False, slices=False, metadata=False):
    """One of the 24 functions."""
    name = f"preprocess_{'stream_' if stream else ''}{short}{'_slices' if slices else ''}"
    return getattr(dp, name + ("_with_metadata" if metadata else ""))


def written_by_the_chain(path, folder, preprocessor):
    """Pixels of the TIFF that the workflow writes for a file."""
    (entry,) = entries_of(path)
    target = Target(folder, make_chain(preprocessor.config, "write"), "image.tiff")
    (receipt,) = process_instance([entry], target)
    assert receipt.is_written, receipt.message
    return pages_of(folder / "image.tiff")


def shown(path, *frames, **attributes):
    """A file of 8-bit frames whose display values are these."""
    pixels = np.array(frames, np.uint8)
    return save(path, show_stored_values(data_set_of(pixels, **attributes)))


def ramp(value, rows=4, columns=5):
    """A frame whose values tell where they were, with a border of 0."""
    frame = np.zeros((rows, columns), np.uint8)
    frame[1:, 1:] = value
    return frame


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
SETTINGS = [
    {},
    {"crop": False},
    {"size": (33, 47), "padding_direction": "center"},
    {"size": (40, 24), "filter": "lanczos3", "crop_max": False, "use_components": False},
    {"size": (16, 16), "filter": "maxpool", "use_padding": False, "border_frac": 0.1},
    {"volume_handler": "interpolate", "target_frames": 3, "convert_options": "normalize"},
    {"volume_handler": "laplacian-mip", "size": (64, 64)},
    {"volume_handler": dp.VolumeHandler.max_intensity(0, 1), "convert_options": "40,400"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("file", FILES)
def test_pixels_are_those_of_the_tiff(tmp_path, file, settings):
    if not (CORPUS / file).exists():
        pytest.skip("not in the selection of the corpus")
    preprocessor = dp.Preprocessor(**settings)
    expected = written_by_the_chain(CORPUS / file, tmp_path, preprocessor)
    short = "u8" if expected.dtype == np.uint8 else "u16"
    found = function(short)(CORPUS / file, preprocessor)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tobytes() == expected.tobytes()


@pytest.fixture
def measured(tmp_path):
    """Four frames, 3 mm apart, of 7 by 9 pixels of 2 by 1 mm."""
    frames = np.random.default_rng(5).integers(0, 200, (4, 9, 7), np.uint8)
    return shown(tmp_path / "measured.dcm", *frames, PixelSpacing=[1, 2], SpacingBetweenSlices=3)


def test_resampled_spacing_is_that_of_the_tiff(tmp_path, measured):
    preprocessor = dp.Preprocessor(spacing=(1, 1.5, 2))
    expected = written_by_the_chain(measured, tmp_path, preprocessor)
    assert expected.shape == (6, 6, 14, 1)
    assert np.array_equal(dp.preprocess_u8(measured, preprocessor), expected)


# Every function


@pytest.fixture
def slices(tmp_path):
    """Three files of 4 rows and 5 columns: 50, 51 and 52 with a border of 0 at left and top."""
    return [shown(tmp_path / f"{i}.dcm", ramp(50 + i)) for i in range(3)]


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


def test_parallel_uses_threads(monkeypatch, slices):
    """Frames are made within a context of several threads, and only there."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(5), raising=False)
    seen = []

    def remember(*arguments, **settings):
        seen.append(THREADS.get())
        return original(*arguments, **settings)

    from dicom_preprocessing.api import arrays

    original = arrays.decode_opened
    monkeypatch.setattr(arrays, "decode_opened", remember)
    dp.preprocess_u8(slices[0], parallel=True)
    dp.preprocess_u8(slices[0])
    assert [*seen, THREADS.get()] == [5, 1, 1]


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


# Buffers


def as_mmap(content):
    mapped = mmap.mmap(-1, len(content))
    mapped[:] = content
    return mapped


BUFFERS = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "mmap": as_mmap,
    "numpy": lambda content: np.frombuffer(content, np.uint8),
    "numpy of 2 dimensions": lambda content: np.frombuffer(content, np.uint8).reshape(2, -1),
    "array": lambda content: array.array("B", content),
    "BytesIO": lambda content: io.BytesIO(content).getbuffer(),
}


@pytest.mark.parametrize("make", BUFFERS.values(), ids=BUFFERS)
def test_buffer_of_any_type_gives_what_the_file_gives(make):
    content = EMRI.read_bytes()
    found = dp.preprocess_stream_u16(make(content), SMALL)
    assert np.array_equal(found, dp.preprocess_u16(EMRI, SMALL))


def test_buffer_is_let_go():
    content = bytearray(EMRI.read_bytes())
    dp.preprocess_stream_u8(content)
    dp.preprocess_stream_u8_slices([content, content])
    content.append(0)  # a BufferError if anything held it


def test_array_does_not_depend_on_the_buffer(tmp_path):
    rgb = save(tmp_path / "rgb.dcm", data_set_of(np.full((1, 2, 2, 3), 7, np.uint8)))
    content = bytearray(rgb.read_bytes())
    found = dp.preprocess_stream_u8(content, PLAIN)
    content[:] = bytes(len(content))
    assert (found == 7).all()


@pytest.mark.parametrize(
    "call", [dp.preprocess_stream_u8, lambda b: dp.preprocess_stream_u8_slices([b])]
)
def test_buffer_with_gaps_is_refused(call):
    spread = np.zeros(2000, np.uint8)[::2]
    with pytest.raises(ValueError, match=r"^Buffer must be C-contiguous$"):
        call(spread)


def test_what_is_no_buffer_is_a_type_error():
    with pytest.raises(TypeError, match=r"bytes-like"):
        dp.preprocess_stream_u8("text")


# Errors


@pytest.fixture
def broken(tmp_path, slices):
    """A file of which the pixel data is cut."""
    path = tmp_path / "broken.dcm"
    path.write_bytes(slices[0].read_bytes()[:-3])
    return path


@pytest.mark.parametrize("short", DTYPES)
@pytest.mark.parametrize("metadata", [False, True])
class TestErrors:
    def test_missing_file(self, tmp_path, slices, short, metadata):
        path = tmp_path / "nothing.dcm"
        with pytest.raises(FileNotFoundError, match=r"^File not found: .*nothing\.dcm$"):
            function(short, metadata=metadata)(path)
        with pytest.raises(FileNotFoundError, match=r"^File not found: .*nothing\.dcm$"):
            function(short, slices=True, metadata=metadata)([slices[0], path])

    def test_file_that_is_no_dicom(self, tmp_path, short, metadata):
        path = tmp_path / "text.dcm"
        path.write_text("no DICOM")
        message = r"^Failed to open DICOM file: .*text\.dcm: neither the DICM prefix"
        with pytest.raises(RuntimeError, match=message):
            function(short, metadata=metadata)(path)
        with pytest.raises(RuntimeError, match=message):
            function(short, slices=True, metadata=metadata)([path])

    def test_folder(self, tmp_path, short, metadata):
        with pytest.raises(RuntimeError, match=r"^Failed to open DICOM file: .*directory"):
            function(short, metadata=metadata)(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"no DICOM"])
    def test_buffer_that_is_no_dicom(self, slices, content, short, metadata):
        with pytest.raises(RuntimeError, match="DICOM object: buffer 0: neither"):
            function(short, stream=True, metadata=metadata)(content)
        with pytest.raises(RuntimeError, match="DICOM object: buffer 1: neither"):
            call = function(short, stream=True, slices=True, metadata=metadata)
            call([slices[0].read_bytes(), content])

    def test_pixels_that_are_cut(self, broken, slices, short, metadata):
        message = r"^Failed to prepare image: .*broken\.dcm: .* bytes of pixel data"
        with pytest.raises(RuntimeError, match=message):
            function(short, metadata=metadata)(broken)
        with pytest.raises(RuntimeError, match=message):
            function(short, slices=True, metadata=metadata)([slices[0], broken])
        content = broken.read_bytes()
        with pytest.raises(RuntimeError, match=r"^Failed to prepare image: buffer 0: "):
            function(short, stream=True, metadata=metadata)(content)
        with pytest.raises(RuntimeError, match=r"^Failed to prepare image: buffer 0: "):
            function(short, stream=True, slices=True, metadata=metadata)([content])

    def test_no_slices(self, short, metadata):
        for stream in (False, True):
            with pytest.raises(RuntimeError, match=r"^Cannot process empty list of DICOMs$"):
                function(short, stream=stream, slices=True, metadata=metadata)([])

    def test_one_source_for_a_list(self, slices, short, metadata):
        with pytest.raises(TypeError, match=r"sequence of paths"):
            function(short, slices=True, metadata=metadata)(str(slices[0]))
        with pytest.raises(TypeError, match=r"sequence of buffers"):
            call = function(short, stream=True, slices=True, metadata=metadata)
            call(slices[0].read_bytes())


def test_error_of_a_stream_that_does_not_decode_is_told():
    cut = CORPUS / "crafted" / "j2k_stream_cut.dcm"
    with pytest.raises(dp.PreprocessingError, match=r"^Failed to prepare image: ") as caught:
        dp.preprocess_u16(cut)
    assert caught.value.error == "decode_error"


def test_no_pixel_data_is_told():
    path = CORPUS / "cornerstone3D" / "no-pixel-data.dcm"
    with pytest.raises(RuntimeError, match=r"^Failed to prepare image: .*no pixel data element"):
        dp.preprocess_u8(path)


def test_unknown_spacing_is_told(slices):
    with pytest.raises(RuntimeError, match=r"^Failed to prepare image: .*cannot resample to mm"):
        dp.preprocess_u8(slices[0], dp.Preprocessor(spacing=(1, 1)))


def test_frame_that_does_not_decode_is_told_with_its_file(tmp_path):
    def coded(name, *streams):
        data_set = data_set_of(np.ones((len(streams), 1, 4), np.uint8))
        return save(tmp_path / name, compressed(data_set, list(streams)), RLELossless)

    whole, path = rle(bytes(range(4))), tmp_path / "damaged.dcm"
    first = coded("whole.dcm", whole)
    coded("damaged.dcm", whole, bytes(66))
    with pytest.raises(RuntimeError, match=r"^Failed to prepare image: slice 1, .*damaged\.dcm: "):
        dp.preprocess_u16_slices([first, path], parallel=True)


# Slices


def values_of(found):
    """The value at the lower right corner of each slice."""
    return [int(one[0, -1, -1, 0]) for one in found]


class TestSlices:
    def test_order_is_the_caller_s(self, slices):
        assert values_of(dp.preprocess_u8_slices([slices[i] for i in (2, 0, 1)])) == [52, 50, 51]

    def test_one_crop_box_holds_the_foreground_of_all(self, tmp_path):
        frames = np.zeros((2, 6, 6), np.uint8)
        frames[0, 1, 2], frames[1, 4, 3] = 9, 9
        paths = [shown(tmp_path / f"{i}.dcm", frame) for i, frame in enumerate(frames)]
        preprocessor = dp.Preprocessor(use_components=False)
        found, told = dp.preprocess_u8_slices_with_metadata(paths, preprocessor)
        assert told.crop == dp.Crop(2, 1, 2, 4)
        assert np.array_equal(np.concatenate(found)[..., 0], frames[:, 1:5, 2:4])

    def test_slices_are_the_frames_of_the_same_volume(self, tmp_path):
        """Files of single frames give what one object of these frames gives."""
        frames = np.random.default_rng(5).integers(0, 200, (4, 9, 8), np.uint8)
        volume = shown(tmp_path / "volume.dcm", *frames)
        paths = [shown(tmp_path / f"{i}.dcm", frame) for i, frame in enumerate(frames)]
        for settings in SETTINGS:
            if "," in settings.get("convert_options", ""):
                continue
            if settings.get("convert_options") == "normalize":
                continue  # of each object by itself
            preprocessor = dp.Preprocessor(**settings)
            whole, told = dp.preprocess_u8_with_metadata(volume, preprocessor)
            found, same = dp.preprocess_u8_slices_with_metadata(paths, preprocessor)
            assert np.array_equal(np.concatenate(found), whole)
            assert same == told

    @pytest.mark.parametrize(
        ("handler", "values"),
        [
            ("central-slice", [51]),
            ("max-intensity", [52]),
            (dp.VolumeHandler.max_intensity(0, 1), [51]),
            (dp.VolumeHandler.interpolate(5), [50, 50, 51, 51, 52]),
            (dp.VolumeHandler.interpolate(1), [50]),
            (dp.VolumeHandler.laplacian_mip(mip_weight=0), [51]),
        ],
    )
    def test_handler_works_along_the_slices(self, slices, handler, values):
        preprocessor = dp.Preprocessor(volume_handler=handler)
        found, told = dp.preprocess_u8_slices_with_metadata(slices, preprocessor)
        assert values_of(found) == values
        assert told.num_frames == len(values)

    def test_multi_frame_objects_are_flattened(self, tmp_path, slices):
        double = shown(tmp_path / "double.dcm", ramp(60), ramp(61))
        found = dp.preprocess_u8_slices([slices[0], double, slices[1]])
        assert values_of(found) == [50, 60, 61, 51]

    def test_8_bits_beside_16_are_widened(self, tmp_path, slices):
        wide = np.zeros((1, 4, 5), np.uint16)
        wide[:, 1:, 1:] = 1000
        path = save(tmp_path / "wide.dcm", show_stored_values(data_set_of(wide)))
        assert values_of(dp.preprocess_u16_slices([slices[0], path])) == [50 * 257, 1000]
        assert values_of(dp.preprocess_u8_slices([slices[0], path])) == [50, 4]

    def test_many_files_do_not_stay_open(self, slices):
        import resource

        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, limits[1]))
        try:
            assert len(dp.preprocess_u8_slices(slices * 40, parallel=True)) == 120
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    def test_other_size_is_refused(self, tmp_path, slices):
        other = shown(tmp_path / "other.dcm", ramp(9, rows=7))
        message = (
            r"^Failed to prepare image: slices differ in size: 5x7 in slice 1, .*other\.dcm, 5x4"
        )
        with pytest.raises(RuntimeError, match=message):
            dp.preprocess_u8_slices([slices[0], other])

    def test_other_colour_is_refused(self, tmp_path, slices):
        rgb = save(tmp_path / "rgb.dcm", data_set_of(np.ones((1, 4, 5, 3), np.uint8)))
        with pytest.raises(RuntimeError, match="slices differ in colour: RGB in"):
            dp.preprocess_u8_slices([*slices[:2], rgb])

    def test_other_flip_is_refused(self, tmp_path):
        def tomosynthesis(name, row):
            return shown(
                tmp_path / name,
                ramp(9),
                SOPClassUID=BREAST_TOMOSYNTHESIS,
                ImageLaterality="L",
                ViewPosition="CC",
                PatientOrientation=[row, "R" if row == "A" else "L"],
            )

        upright, turned = tomosynthesis("a.dcm", "A"), tomosynthesis("b.dcm", "P")
        assert dp.preprocess_u8_slices([turned])[0][0, 0, 0, 0] == 9
        with pytest.raises(RuntimeError, match=r"slices differ in flip"):
            dp.preprocess_u8_slices([upright, turned])


class TestSpacingAlongSlices:
    @pytest.fixture
    def placed(self, tmp_path):
        """Slices 2 mm apart, in an order of no geometry, whose pixels measure 1 by 0.5 mm."""

        def made(*positions, **attributes):
            return [
                shown(
                    tmp_path / f"{i}.dcm",
                    ramp(40 + 10 * i),
                    PixelSpacing=[0.5, 1],
                    ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
                    ImagePositionPatient=[0, 0, z],
                    **attributes,
                )
                for i, z in enumerate(positions)
            ]

        return made

    def test_positions_tell_the_spacing(self, placed):
        preprocessor = dp.Preprocessor(spacing=(1, 0.5, 1), crop=False)
        found, told = dp.preprocess_u8_slices_with_metadata(placed(5, 3, 1), preprocessor)
        # Three slices of 2 mm are six of 1 mm, at positions 0, 0.4, 0.8, 1.2, 1.6, 2.
        assert values_of(found) == [40, 44, 48, 52, 56, 60]
        assert told.resolution == dp.Resolution(1.0, 2.0, 5 / 4)

    def test_stated_spacing_serves_where_positions_do_not(self, placed):
        paths = placed(1, 1, 1, SpacingBetweenSlices=2)
        assert len(dp.preprocess_u8_slices(paths, dp.Preprocessor(spacing=(1, 1, 1)))) == 6

    def test_unknown_spacing_is_told(self, placed):
        with pytest.raises(RuntimeError, match=r"spacing between frames is unknown"):
            dp.preprocess_u8_slices(placed(1, 1, 1), dp.Preprocessor(spacing=(1, 1, 1)))

    def test_x_and_y_need_no_spacing_of_slices(self, placed):
        found, told = dp.preprocess_u8_slices_with_metadata(
            placed(1, 1, 1), dp.Preprocessor(spacing=(2, 2), crop=False)
        )
        assert [one.shape for one in found] == [(1, 1, 3, 1)] * 3
        assert told.resize == dp.Resize(0.5, 0.25, "triangle")


# Metadata


class TestMetadata:
    def test_steps_that_did_not_run_are_none(self, slices):
        _, told = dp.preprocess_u8_with_metadata(slices[0], PLAIN)
        assert told == dp.PreprocessingMetadata(None, None, None, None, None, 1)

    def test_every_step(self, tmp_path):
        path = shown(
            tmp_path / "a.dcm",
            ramp(9, rows=5, columns=9),
            SOPClassUID=BREAST_TOMOSYNTHESIS,
            ImageLaterality="L",
            ViewPosition="CC",
            PatientOrientation=["P", "L"],
            PixelSpacing=[0.2, 0.1],
        )
        preprocessor = dp.Preprocessor(size=(4, 4), filter="max-pool", padding_direction="center")
        found, told = dp.preprocess_u8_with_metadata(path, preprocessor)
        assert found[0, :, :, 0].tolist() == [[0] * 4, [9] * 4, [9] * 4, [0] * 4]
        assert told == dp.PreprocessingMetadata(
            flip=dp.Flip(9, 5, horizontal=True, vertical=True),
            crop=dp.Crop(0, 0, 8, 4),
            resize=dp.Resize(0.5, 0.5, "maxpool"),
            padding=dp.Padding(0, 1, 0, 1),
            resolution=dp.Resolution(5.0, 2.5, None),
            num_frames=1,
        )

    def test_what_was_odd_is_told(self, tmp_path, slices):
        black = shown(tmp_path / "black.dcm", ramp(0))
        _, told = dp.preprocess_u8_with_metadata(black)
        assert told.warnings == ("nothing but background: the image was not cropped",)
        assert told.crop == dp.Crop(0, 0, 5, 4)
        _, told = dp.preprocess_u8_with_metadata(slices[0])
        assert told.warnings == ()

    def test_what_is_odd_about_a_slice_is_told_with_its_name(self, tmp_path, slices):
        longer = save(
            tmp_path / "longer.dcm",
            show_stored_values(data_set_of(np.ones((1, 4, 5), np.uint8), PixelData=bytes(40))),
        )
        _, told = dp.preprocess_u8_slices_with_metadata([slices[0], longer])
        (warning,) = told.warnings
        assert warning.startswith("slice 1, ")
        assert "frames" in warning

    def test_no_padding_is_none(self, slices):
        preprocessor = dp.Preprocessor(size=(9, 9), use_padding=False)
        found, told = dp.preprocess_u8_with_metadata(slices[0], preprocessor)
        assert (told.padding, found.shape) == (None, (1, 7, 9, 1))

    @pytest.mark.parametrize(
        ("name", "told"),
        [("catmull-rom", "catmullrom"), ("max-pool", "maxpool"), ("lanczos3", "lanczos3")],
    )
    def test_filter_is_told_in_one_word(self, slices, name, told):
        _, metadata = dp.preprocess_u8_with_metadata(
            slices[0], dp.Preprocessor(size=(9, 9), filter=name)
        )
        assert metadata.resize.filter == told

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (dp.Crop(1, 2, 3, 4), "Crop(left=1, top=2, width=3, height=4)"),
            (
                dp.Resize(0.5, 1.0, "triangle"),
                "Resize(scale_x=0.5, scale_y=1.0, filter='triangle')",
            ),
            (dp.Padding(1, 2, 3, 4), "Padding(left=1, top=2, right=3, bottom=4)"),
            (
                dp.Flip(4, 3, horizontal=True, vertical=False),
                "Flip(width=4, height=3, horizontal=True, vertical=False)",
            ),
            (
                dp.Resolution(2.0, 2.5, None),
                "Resolution(pixels_per_mm_x=2.0, pixels_per_mm_y=2.5, frames_per_mm=None)",
            ),
        ],
    )
    def test_results_are_read_only_and_read_like_the_call(self, value, text):
        assert repr(value) == text
        name = text[text.index("(") + 1 : text.index("=")]
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, 0)

    def test_numbers_are_plain(self, measured):
        _, told = dp.preprocess_u8_with_metadata(measured, dp.Preprocessor(size=(20, 20)))
        numbers = [told.resize.scale_x, told.resolution.frames_per_mm, told.crop.left]
        assert [type(number) for number in numbers] == [float, float, int]


def golden_scales():
    cases = json.loads((GOLDEN / "cases.json").read_text(encoding="utf-8"))
    seen = {}
    for case in cases:
        options = case["options"]
        is_turned = case["file"] == "dicom-utils/jpeg2k_3d.dcm"  # so another box is cropped here
        if case["scale"] and "size" in options and not is_turned:
            seen.setdefault((case["case"], case["file"][:12]), case)
    return list(seen.values())


@pytest.mark.parametrize("case", golden_scales(), ids=lambda c: f"{c['file']} {c['case']}")
def test_scale_is_that_of_the_reference(case):
    options = case["options"]
    preprocessor = dp.Preprocessor(
        crop=options.get("crop", False),
        crop_max=False,
        use_components=options.get("crop_components", False),
        size=options["size"],
        filter=options.get("filter", "triangle"),
        volume_handler=options.get("volume", "keep"),
    )
    _, told = dp.preprocess_u8_with_metadata(CORPUS / case["file"], preprocessor)
    assert [told.resize.scale_x, told.resize.scale_y] == case["scale"]


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


def test_failing_lets_a_buffer_go_too(compact_corpus):
    content = bytearray((compact_corpus / "crafted" / "j2k_stream_cut.dcm").read_bytes())
    with pytest.raises(dp.PreprocessingError) as caught:
        dp.preprocess_stream_u8(content)
    content.append(0)  # a BufferError if anything held it
    assert caught.value.error == "decode_error"


def test_border_of_half_of_the_image_leaves_it_whole(slices):
    assert dp.preprocess_u8(slices[0], dp.Preprocessor(border_frac=0.5)).shape == (1, 4, 5, 1)
