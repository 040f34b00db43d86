"""Sources of arrays: paths and buffers, what is told of bad ones, and threads."""

import array
import io
import mmap

import numpy as np
import pytest
from pydicom.uid import RLELossless

import dicom_preprocessing as dp
from dicom_preprocessing.imaging.frames import THREADS
from tests.unit.api.files import CORPUS, DTYPES, EMRI, PLAIN, SMALL, function
from tests.unit.datasets import compressed, data_set_of, rle, save

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


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
        message = r"^Failed to open DICOM file: .*text\.dcm: starts with neither the DICM prefix"
        with pytest.raises(RuntimeError, match=message):
            function(short, metadata=metadata)(path)
        with pytest.raises(RuntimeError, match=message):
            function(short, slices=True, metadata=metadata)([path])

    def test_folder(self, tmp_path, short, metadata):
        with pytest.raises(RuntimeError, match=r"^Failed to open DICOM file: .*directory"):
            function(short, metadata=metadata)(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"no DICOM"])
    def test_buffer_that_is_no_dicom(self, slices, content, short, metadata):
        with pytest.raises(RuntimeError, match="DICOM object: buffer 0: starts with neither"):
            function(short, stream=True, metadata=metadata)(content)
        with pytest.raises(RuntimeError, match="DICOM object: buffer 1: starts with neither"):
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


def test_error_of_a_stream_that_does_not_decode_is_reported():
    cut = CORPUS / "crafted" / "j2k_stream_cut.dcm"
    with pytest.raises(dp.PreprocessingError, match=r"^Failed to prepare image: ") as caught:
        dp.preprocess_u16(cut)
    assert caught.value.error == "decode_error"


def test_no_pixel_data_is_reported():
    path = CORPUS / "cornerstone3D" / "no-pixel-data.dcm"
    with pytest.raises(RuntimeError, match=r"^Failed to prepare image: .*no pixel data element"):
        dp.preprocess_u8(path)


def test_unknown_spacing_is_reported(slices):
    with pytest.raises(RuntimeError, match=r"^Failed to prepare image: .*cannot resample to mm"):
        dp.preprocess_u8(slices[0], dp.Preprocessor(spacing=(1, 1)))


def test_frame_that_does_not_decode_is_reported_with_its_file(tmp_path):
    def coded(name, *streams):
        data_set = data_set_of(np.ones((len(streams), 1, 4), np.uint8))
        return save(tmp_path / name, compressed(data_set, list(streams)), RLELossless)

    whole, path = rle(bytes(range(4))), tmp_path / "damaged.dcm"
    first = coded("whole.dcm", whole)
    coded("damaged.dcm", whole, bytes(66))
    with pytest.raises(RuntimeError, match=r"^Failed to prepare image: slice 1, .*damaged\.dcm: "):
        dp.preprocess_u16_slices([first, path], parallel=True)


def test_failing_lets_a_buffer_go_too(compact_corpus):
    content = bytearray((compact_corpus / "crafted" / "j2k_stream_cut.dcm").read_bytes())
    with pytest.raises(dp.PreprocessingError) as caught:
        dp.preprocess_stream_u8(content)
    content.append(0)  # a BufferError if anything held it
    assert caught.value.error == "decode_error"
