"""Every byte of a TIFF is what tifffile writes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from dicom_preprocessing.config import COMPRESSORS
from dicom_preprocessing.imaging.geometry import Geometry, Size
from dicom_preprocessing.tiff import writer
from dicom_preprocessing.tiff.tags import PageTags
from dicom_preprocessing.tiff.writer import write_pages
from tests.unit.strategies import geometries
from tests.unit.tiff.images import FULL, sample
from tests.unit.tiff.tifffile_writer import write_by_tifffile

DTYPES = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", ">u2", ">f4")
LIMIT = 2**32 - 1
PLAIN = PageTags(geometry=Geometry(Size(9, 7)))
resolutions = st.none() | st.tuples(st.integers(1, LIMIT), st.integers(1, LIMIT))


page_tags = st.builds(
    PageTags,
    geometry=geometries(),
    resolution=st.tuples(resolutions, resolutions),
    description=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60),
)


@st.composite
def volumes(draw):
    """Frames with runs and noise, of strips of odd and even lengths, and views of others."""
    pages, rows, columns = (draw(st.integers(1, most)) for most in (40, 12, 200))
    samples = draw(st.sampled_from([1, 3]))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    frames = random.integers(0, 2**7, (pages, rows, columns, samples)).astype(dtype)
    frames[random.random(frames.shape[:3]) < draw(st.floats(0, 1))] = 5
    return frames[:, ::-1, ::-1] if draw(st.booleans()) else frames


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("layout")


def both(folder, frames, tags, compressor, *, bigtiff=False):
    """The bytes by this project, and those by tifffile."""
    ours, theirs = folder / "ours.tiff", folder / "theirs.tiff"
    write_pages(ours, frames, tags, compressor=compressor)
    write_by_tifffile(theirs, frames, tags, compressor=compressor, bigtiff=bigtiff)
    return ours.read_bytes(), theirs.read_bytes()


@settings(deadline=None, max_examples=150)
@given(volumes(), page_tags, st.sampled_from(COMPRESSORS))
def test_any_pages(folder, frames, tags, compressor):
    ours, theirs = both(folder, frames, [tags], compressor)
    assert ours == theirs


@settings(deadline=None, max_examples=30)
@given(volumes(), page_tags, st.sampled_from(COMPRESSORS))
def test_bigtiff_of_any_pages(folder, frames, tags, compressor):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "BIGTIFF_FROM", 0)
        ours, theirs = both(folder, frames, [tags], compressor, bigtiff=True)
    assert ours == theirs


@settings(deadline=None, max_examples=30)
@given(volumes(), st.lists(page_tags, min_size=40, max_size=40))
def test_pages_with_tags_of_their_own(folder, frames, tags):
    ours, theirs = both(folder, frames, tags, "packbits")
    assert ours == theirs


@settings(deadline=None, max_examples=30)
@given(
    npst.arrays(bool, npst.array_shapes(min_dims=3, max_dims=3, max_side=20)),
    st.sampled_from(["packbits", "lzw", "uncompressed"]),
)
def test_single_bits(folder, bits, compressor):
    ours, theirs = both(folder, bits[..., np.newaxis], [PLAIN], compressor)
    assert ours == theirs


@pytest.mark.parametrize("length", range(8))
def test_descriptions_that_fit_into_their_entry_or_do_not(folder, length):
    tags = [PageTags(geometry=FULL, description="x" * length)]
    ours, theirs = both(folder, sample("uint8", 1), tags, "lzw")
    assert ours == theirs
