"""TIFFs: every tag with type, count and value, the bytes, and what is read back."""

import errno
import json
import struct
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile

from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.recipe import STAGE_VERSIONS, make_chain
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import writing
from dicom_preprocessing.imaging.frames import LazyFrames
from dicom_preprocessing.imaging.geometry import CropBox, Flip, Geometry, Padding, Size
from dicom_preprocessing.tiff import writer as tiff
from dicom_preprocessing.tiff.writer import read_frames, read_info, write_tiff
from dicom_preprocessing.version import __version__
from tests.limits import largest_file
from tests.unit.datasets import SERIES_UID, SOP_UID, STUDY_UID, colour, grey, image_of, pages_of

BYTE, ASCII, SHORT, LONG, RATIONAL, FLOAT = 1, 2, 3, 4, 5, 11
COMPRESSORS = ("packbits", "lzw", "uncompressed", "deflate", "zstd")

# Source 20 x 10, flipped, crop 6 x 4 at (3, 2), doubled, padded to 17 x 11.
FULL = Geometry(
    Size(20, 10),
    flip=Flip(20, 10, horizontal=True, vertical=True),
    crop=CropBox(3, 2, 6, 4),
    resized=Size(12, 8),
    padding=Padding(1, 2, 4, 1),
)


def chain_of(**config):
    return make_chain(parse_config(config)[0], "write")


STEPS = chain_of(crop=True, crop_max=True, size=[17, 11], filter="lanczos3", padding="center")


def full_image(pages=3, **facts):
    """An image of 17 x 11 to which everything was done."""
    frames = np.arange(pages * 11 * 17, dtype=np.uint16).reshape(pages, 11, 17, 1)
    stated = {"source_rows": 10, "source_columns": 20, "pixel_spacing": (0.14, 0.2)}
    return image_of(frames, FULL, **(stated | facts))


def plain_image():
    return grey([[1, 2, 3], [4, 5, 6]])


@pytest.fixture
def written(tmp_path):
    """Write an image to a file."""

    def written(image, *, compressor="packbits", chain=None, name="image.tiff"):
        path = tmp_path / name
        write_tiff(path, image, compressor=compressor, chain=chain or chain_of())
        return path

    return written


def tags_of(path):
    """Type, count and value of the tags of each page, by code."""
    with tifffile.TiffFile(path) as file:
        return [
            {tag.code: (int(tag.dtype), tag.count, tag.value) for tag in page.tags}
            for page in file.pages
        ]


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
        pages = tags_of(written(full_image(), chain=STEPS))
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

    def test_total_at_the_limit_is_told(self, written, monkeypatch):
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
        assert "==" not in tiff.SOFTWARE


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
        steps = description_of(written(full_image(), chain=STEPS))["steps"]
        assert sorted(steps) == ["crop", "decode", "pad", "resize"]
        assert steps["crop"] == {
            "border_frac": None,
            "crop": True,
            "crop_components": False,
            "crop_max": True,
        }
        assert steps["pad"] == {"padding": "center", "size": [17, 11]}

    def test_filter_is_told(self, written):
        steps = description_of(written(full_image(), chain=STEPS))["steps"]
        assert steps["resize"]["filter"] == "lanczos3"

    def test_steps_that_did_not_run_are_left_out(self, written):
        assert list(description_of(written(plain_image()))["steps"]) == ["decode"]

    def test_stage_versions(self, written):
        assert description_of(written(plain_image()))["versions"] == dict(STAGE_VERSIONS)

    def test_fingerprint_is_that_of_the_chain(self, written):
        found = description_of(written(full_image(), chain=STEPS))["fingerprint"]
        assert found == STEPS.fingerprint
        assert len(found) == 16

    def test_nothing_else_is_told(self, written):
        assert sorted(description_of(written(full_image(), chain=STEPS))) == [
            "background",
            "fingerprint",
            "frame_spacing",
            "source",
            "steps",
            "versions",
        ]

    def test_is_on_every_page(self, written):
        pages = tags_of(written(full_image()))
        assert len({page[270] for page in pages}) == 1


class TestPrivacy:
    @pytest.mark.parametrize("uid", [STUDY_UID, SERIES_UID, SOP_UID])
    def test_no_uid_is_inside(self, written, uid):
        path = written(full_image(), chain=STEPS, compressor="uncompressed")
        assert uid.encode() not in path.read_bytes()

    def test_no_path_is_inside(self, written, tmp_path):
        content = written(full_image(), chain=STEPS).read_bytes()
        assert str(tmp_path).encode() not in content
        assert b"image.tiff" not in content

    @pytest.mark.parametrize("code", [269, 306, 315, 316], ids=str)
    def test_no_name_date_artist_or_host_is_told(self, written, code):
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


class TestBytes:
    @pytest.mark.parametrize("compressor", COMPRESSORS)
    def test_are_the_same_twice(self, written, compressor):
        first = written(full_image(), compressor=compressor, chain=STEPS, name="first.tiff")
        second = written(full_image(), compressor=compressor, chain=STEPS, name="second.tif")
        assert first.read_bytes() == second.read_bytes()

    def test_are_little_endian_classic_tiff(self, written):
        assert written(plain_image()).read_bytes()[:4] == b"II*\0"

    def test_are_classic_tiff_up_to_the_limit(self, written, monkeypatch):
        monkeypatch.setattr(tiff, "BIGTIFF_FROM", full_image().frames.nbytes)
        assert written(full_image()).read_bytes()[:4] == b"II*\0"

    def test_are_bigtiff_above_the_limit(self, written, monkeypatch):
        monkeypatch.setattr(tiff, "BIGTIFF_FROM", full_image().frames.nbytes - 1)
        assert written(full_image()).read_bytes()[:4] == b"II+\0"

    def test_of_bigtiff_are_read_back(self, written, monkeypatch):
        monkeypatch.setattr(tiff, "BIGTIFF_FROM", 0)
        image = full_image()
        assert pages_of(written(image)).tolist() == image.frames.tolist()

    @pytest.mark.parametrize(("pages", "is_big"), [(61_000, False), (66_000, True)])
    def test_limit_is_near_4_gib_uncompressed(self, tmp_path, monkeypatch, pages, is_big):
        asked = []

        def no_writer(*_, bigtiff, **__):
            asked.append(bigtiff)
            raise OSError(errno.ENOSPC, "not really written")

        monkeypatch.setattr(tifffile, "TiffWriter", no_writer)
        frames = np.broadcast_to(np.zeros((1, 1, 1, 1), np.uint8), (pages, 256, 256, 1))
        with pytest.raises(OSError, match="not really written"):
            write_tiff(tmp_path / "a", image_of(frames), compressor="packbits", chain=chain_of())
        assert asked == [is_big]


def sample(dtype, samples):
    """Values of every size, with runs and without."""
    values = np.random.default_rng(3).integers(0, 2**16, (2, 7, 9, samples)).astype(dtype)
    values[:, 2:4] = 5
    return values


class TestRoundTrip:
    @pytest.mark.parametrize("samples", [1, 3])
    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    @pytest.mark.parametrize("compressor", COMPRESSORS)
    def test_pixels(self, written, compressor, dtype, samples):
        frames = sample(dtype, samples)
        found = pages_of(written(image_of(frames), compressor=compressor))
        assert found.dtype == dtype
        assert np.array_equal(found, frames)

    @pytest.mark.parametrize("dtype", ["int16", "float32"])
    @pytest.mark.parametrize("compressor", COMPRESSORS)
    def test_grey_of_other_dtypes(self, written, compressor, dtype):
        frames = (sample("uint16", 1).astype(np.int32) - 30000).astype(dtype)
        found = pages_of(written(image_of(frames), compressor=compressor))
        assert found.dtype == dtype
        assert np.array_equal(found, frames)

    @pytest.mark.parametrize("compressor", ["packbits", "lzw", "uncompressed"])
    def test_single_bits(self, written, compressor):
        frames = sample("uint16", 1) > 100
        found = tifffile.imread(written(image_of(frames), compressor=compressor))
        assert np.array_equal(found, frames[..., 0])

    @pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 1, 9, 1), (3, 9, 1, 1), (3, 1, 1, 3)])
    def test_thin_shapes(self, written, shape):
        frames = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
        found = pages_of(written(image_of(frames)))
        assert found.shape == shape
        assert np.array_equal(found, frames)

    def test_views_are_written_as_they_look(self, written):
        frames = sample("uint16", 1)[:, ::-1, 6:1:-1]
        assert np.array_equal(pages_of(written(image_of(frames))), frames)

    def test_tifffile_reads_the_pages(self, written):
        frames = sample("uint16", 1)
        assert np.array_equal(tifffile.imread(written(image_of(frames))), frames[..., 0])


def limits_of(size):
    """Sizes of a file around every kind of place: header, directories, strips, end."""
    return [*range(0, size, 97), *range(size - 40, size)]


class TestNoRoom:
    """Frames of 2400 bytes: less than what C gathers before it writes."""

    @pytest.fixture
    def image(self):
        frames = np.random.default_rng(5).integers(0, 2**12, (3, 30, 40, 1)).astype(np.uint16)
        return image_of(frames)

    @pytest.mark.parametrize("compressor", COMPRESSORS)
    def test_at_any_place_leaves_nothing(self, written, tmp_path, image, compressor):
        path = written(image, compressor=compressor)
        size = path.stat().st_size
        path.unlink()
        for limit in limits_of(size):
            with largest_file(limit), pytest.raises(OSError, match=r"image\.tiff"):
                written(image, compressor=compressor)
            assert list(tmp_path.iterdir()) == [], limit

    @pytest.mark.parametrize("compressor", COMPRESSORS)
    def test_with_just_enough_room_it_is_written(self, written, image, compressor):
        size = written(image, compressor=compressor).stat().st_size
        with largest_file(size):
            path = written(image, compressor=compressor, name="again.tiff")
        assert np.array_equal(pages_of(path), image.frames)

    @pytest.mark.parametrize("compressor", COMPRESSORS)
    def test_that_came_back_between_two_pages_leaves_nothing(
        self, written, tmp_path, image, compressor
    ):
        size = written(image, compressor=compressor).stat().st_size
        (tmp_path / "image.tiff").unlink()
        for limit in range(size // 3 - 200, size // 3, 5):
            with largest_file(limit) as more:

                def make(number, more=more):
                    if number:
                        more()
                    return image.frames[number]

                lazy = LazyFrames(image.frames.shape, image.frames.dtype, make)
                with suppress(OSError):
                    written(image_of(lazy), compressor=compressor)
            for path in tmp_path.iterdir():
                assert np.array_equal(pages_of(path), image.frames), limit
                path.unlink()


class TestWhole:
    """What is looked at before a file gets its name."""

    @pytest.fixture
    def damaged(self, monkeypatch, written):
        """Write an image, and change its bytes before they are looked at."""

        def damaged(change, *, compressor="uncompressed"):
            @contextmanager
            def damaging(path, mode):
                with writing(path, mode) as file:
                    yield file
                path.write_bytes(change(bytearray(path.read_bytes())))

            monkeypatch.setattr(tiff, "writing", damaging)
            return written(full_image(), compressor=compressor)

        return damaged

    @pytest.mark.parametrize("compressor", COMPRESSORS)
    @pytest.mark.parametrize("part", [0, 0.2, 0.5, 0.9, 0.999])
    def test_cut_file(self, damaged, tmp_path, part, compressor):
        with pytest.raises(OSError, match=r"not as it was written.*image\.tiff'") as found:
            damaged(lambda content: content[: int(part * len(content))], compressor=compressor)
        assert found.value.errno == errno.EIO
        assert list(tmp_path.iterdir()) == []

    def test_lost_page(self, damaged):
        def lose(content):
            (first,) = struct.unpack_from("<L", content, 4)
            (count,) = struct.unpack_from("<H", content, first)
            struct.pack_into("<L", content, first + 2 + 12 * count, 0)
            return content

        with pytest.raises(OSError, match="1 pages of 3"):
            damaged(lose)

    @pytest.mark.parametrize(
        ("code", "value", "problem"),
        [
            pytest.param(256, 16, "page 0 is of another kind", id="width"),
            pytest.param(279, 9, "page 0 has 9 bytes of 374|a page of 17 x 11", id="bytes"),
            pytest.param(273, -374, "page 1 has no strip of its own", id="place"),
        ],
    )
    def test_tag_of_the_first_page(self, damaged, code, value, problem):
        def change(content):
            (first,) = struct.unpack_from("<L", content, 4)
            (count,) = struct.unpack_from("<H", content, first)
            for at in range(first + 2, first + 2 + 12 * count, 12):
                if struct.unpack_from("<H", content, at)[0] == code:
                    form = "<H" if struct.unpack_from("<H", content, at + 2)[0] == SHORT else "<L"
                    struct.pack_into(form, content, at + 8, value % len(content))
            return content

        with pytest.raises(OSError, match=problem):
            damaged(change)


class TestFailedWrite:
    @pytest.fixture
    def full_disk(self, monkeypatch):
        """Fail at the second page."""
        write = tifffile.TiffWriter.write
        pages = []

        def fail(self, *arguments, **settings):
            pages.append(1)
            if len(pages) > 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(self, *arguments, **settings)

        monkeypatch.setattr(tifffile.TiffWriter, "write", fail)

    @pytest.mark.usefixtures("full_disk")
    def test_leaves_nothing_behind(self, written, tmp_path):
        with pytest.raises(OSError, match="No space left"):
            written(full_image())
        assert list(tmp_path.iterdir()) == []

    def test_leaves_the_earlier_file_alone(self, written, tmp_path, request):
        before = written(plain_image()).read_bytes()
        request.getfixturevalue("full_disk")
        with pytest.raises(OSError, match="No space left"):
            written(full_image())
        assert [path.name for path in tmp_path.iterdir()] == ["image.tiff"]
        assert (tmp_path / "image.tiff").read_bytes() == before

    def test_at_the_rename_leaves_nothing_behind(self, written, tmp_path, monkeypatch):
        def fail(*_):
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(Path, "replace", fail)
        with pytest.raises(PermissionError):
            written(plain_image())
        assert list(tmp_path.iterdir()) == []

    def test_interrupt_leaves_nothing_behind(self, written, tmp_path, monkeypatch):
        def interrupt(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr(tifffile.TiffWriter, "write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            written(plain_image())
        assert list(tmp_path.iterdir()) == []

    def test_missing_folder_is_an_error(self, tmp_path):
        with pytest.raises(OSError, match="No such file"):
            write_tiff(
                tmp_path / "no" / "a.tiff", plain_image(), compressor="lzw", chain=chain_of()
            )

    def test_success_leaves_the_file_only(self, written, tmp_path):
        written(full_image())
        assert [path.name for path in tmp_path.iterdir()] == ["image.tiff"]


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


def reference_file(path, *, software=b"dicom-preprocessing==0.1.2", pages=1, extra=()):
    """A TIFF like those of the reference program.

    Crop 7 x 4 at (3, 2), doubled to 14 x 8, padded by 1, 2, 2, 1 to 17 x 11.
    """
    geometry = [
        (50718, FLOAT, 2, (2.0, 2.0), False),
        (50719, LONG, 2, (3 + 7 // 2, 2 + 4 // 2), False),  # the centre of the box
        (50720, LONG, 2, (7, 4), False),
        (50829, LONG, 4, (1, 2, 2, 1), False),  # amounts of padding
    ]
    with tifffile.TiffWriter(path) as file:
        for number in range(pages):
            file.write(
                np.full((11, 17), number, np.uint16),
                photometric="minisblack",
                compression="packbits",
                software=False,
                metadata=None,
                contiguous=False,
                extratags=[(305, BYTE, len(software), software, False), *geometry, *extra],
            )
    return path


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
        assert read_info(path) == tiff.TiffInfo(
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


@pytest.mark.parametrize("compressor", COMPRESSORS)
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_pixels_of_a_cut_file_cannot_be_read(written, compressor, part):
    path = written(image_of(sample("uint16", 3)), compressor=compressor)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(OutputError, match=r"image\.tiff: cannot be read as TIFF"):
        pages_of(path)
