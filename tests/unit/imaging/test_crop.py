"""The crop box, on arrays that can be checked by eye."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dicom_preprocessing.image_warnings import ImageWarning, ImageWarnings
from dicom_preprocessing.imaging.crop import (
    _foreground_of,
    crop,
    find_foreground,
    largest_component,
)
from dicom_preprocessing.imaging.frames import frame_threads
from dicom_preprocessing.imaging.geometry import CropBox
from dicom_preprocessing.imaging.image import DisplayLut, luma
from tests.unit.datasets import codes_of, colour, grey, image_of, messages_of, planes

WARNING = "nothing but background: the image was not cropped"


def box_of(image, **settings):
    return crop(image, **settings).geometry.crop


def image_from_text(*rows, dtype=np.uint8):
    """An image from text: digits are values, a dot is 0, M the highest value."""
    top = np.iinfo(dtype).max
    values = {".": 0, "M": top} | {str(d): d for d in range(10)}
    return grey([[values[c] for c in row] for row in rows], dtype=dtype)


class TestForeground:
    def test_box_ends_at_the_first_and_last_foreground_lines(self):
        image = image_from_text(
            "......",
            "..3...",
            "....7.",
            "......",
        )
        assert box_of(image) == CropBox(left=2, top=1, width=3, height=2)

    def test_kept_pixels_are_those_of_the_box(self):
        image = image_from_text(
            "......",
            "..3...",
            "....7.",
            "......",
        )
        assert planes(crop(image)) == [[[3, 0, 0], [0, 0, 7]]]

    def test_foreground_at_every_edge_keeps_all(self):
        image = image_from_text("1..", "..1")
        assert box_of(image) == CropBox(0, 0, 3, 2)

    def test_single_foreground_pixel(self):
        image = image_from_text("...", "..1", "...")
        assert box_of(image) == CropBox(2, 1, 1, 1)

    def test_lowest_16_bit_value_above_zero_is_foreground(self):
        image = grey([[0, 1, 0]], dtype=np.uint16)
        assert box_of(image) == CropBox(1, 0, 1, 1)

    def test_highest_value_is_foreground_without_crop_max(self):
        image = image_from_text("M.5..")
        assert box_of(image) == CropBox(0, 0, 3, 1)

    def test_background_of_the_facts_takes_the_place_of_zero(self):
        image = grey([[7, 7, 0, 7]], background=7)
        assert box_of(image) == CropBox(2, 0, 1, 1)

    def test_switched_off_it_returns_the_image_itself(self):
        image = image_from_text(".1.")
        assert crop(image, crop=False) is image

    def test_crop_gives_no_warning(self):
        assert messages_of(crop(image_from_text(".1."))) == []

    @given(st.data())
    def test_box_is_that_of_the_foreground_of_all_frames(self, data):
        """Frames are searched outside of what those before have found, and by threads."""
        n, samples = data.draw(st.integers(1, 5)), data.draw(st.sampled_from([1, 3]))
        # More lines than are searched at once, of which few have foreground.
        frames = np.zeros((n, 70, 75, samples), np.uint8)
        places = st.tuples(*(st.integers(0, size - 1) for size in frames.shape))
        for place in data.draw(st.lists(places, max_size=4)):
            frames[place[:3]] = data.draw(st.sampled_from([1, 20, 255]))
        crop_max = data.draw(st.booleans())
        grey = luma(frames)
        is_foreground = ((grey != 0) & ~(crop_max & (grey == 255))).any(axis=0)
        with frame_threads(data.draw(st.sampled_from([1, 2]))):
            found = find_foreground(frames, crop_max=crop_max)
        if not is_foreground.any():
            assert found is None
            return
        rows, columns = np.nonzero(is_foreground)
        top, left = int(rows.min()), int(columns.min())
        height, width = int(rows.max()) + 1 - top, int(columns.max()) + 1 - left
        assert found.box == CropBox(left, top, width, height)

    @given(st.data())
    def test_box_is_inside_the_image_and_not_empty(self, data):
        width, height = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
        n = data.draw(st.integers(1, 3))
        shape = (n, height, width)
        frames = data.draw(arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, 255])))
        image = crop(
            image_of(frames[..., np.newaxis]),
            crop_max=data.draw(st.booleans()),
            crop_components=data.draw(st.booleans()),
            border_frac=data.draw(st.none() | st.floats(0, 0.49)),
        )
        box = image.geometry.crop
        assert 0 <= box.left < box.right <= width
        assert 0 <= box.top < box.bottom <= height
        kept = frames[:, box.top : box.bottom, box.left : box.right]
        assert np.array_equal(image.frames[..., 0], kept)


class TestForegroundOfStoredValues:
    @given(st.data())
    def test_is_where_the_lookup_is_neither_background_nor_ignored(self, data):
        dtype = np.dtype(data.draw(st.sampled_from(["u1", "i1", "u2", "i2", "i4"])))
        bits = data.draw(st.integers(2, min(8, 8 * dtype.itemsize)))
        low = 0 if dtype.kind == "u" else -(1 << (bits - 1))
        count = 1 << bits
        first, last = sorted(data.draw(st.tuples(*[st.integers(0, count)] * 2)))
        table = np.full(count, 7, np.uint16)
        table[:first], table[last:] = 0, 65535
        values = st.integers(low, low + count - 1)
        stored = data.draw(arrays(dtype, (3, 5, 1), elements=values))
        lookup = DisplayLut(table, low)
        for ignored in (None, 65535):
            foreground = _foreground_of(0, ignored, lookup)(stored)
            display = lookup(stored)[..., 0]
            assert np.array_equal(foreground, (display != 0) & (display != (ignored or 0)))


class TestFrames:
    def test_box_is_the_union_over_frames(self):
        image = grey(
            [[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
            [[0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]],
        )
        assert box_of(image) == CropBox(1, 0, 2, 2)

    def test_every_frame_is_cut_alike(self):
        image = grey(
            [[0, 1, 0, 0], [0, 0, 0, 0]],
            [[0, 0, 0, 0], [0, 0, 2, 0]],
        )
        assert planes(crop(image)) == [[[1, 0], [0, 0]], [[0, 0], [0, 2]]]

    def test_blank_frames_do_not_count(self):
        blank = [[0, 0, 0], [0, 0, 0]]
        image = grey(blank, [[0, 0, 0], [0, 0, 9]], blank)
        assert box_of(image) == CropBox(2, 1, 1, 1)

    def test_blank_frames_are_kept(self):
        blank = [[0, 0, 0], [0, 0, 0]]
        image = crop(grey(blank, [[0, 0, 0], [0, 8, 9]], blank))
        assert planes(image) == [[[0, 0]], [[8, 9]], [[0, 0]]]

    def test_all_blank_keeps_the_whole_image(self):
        image = crop(image_from_text("...", "..."))
        assert image.geometry.crop == CropBox(0, 0, 3, 2)
        assert planes(image) == [[[0, 0, 0], [0, 0, 0]]]

    def test_all_blank_warns(self):
        assert messages_of(crop(image_from_text("...", "..."))) == [WARNING]

    def test_warning_is_added_to_earlier_ones(self):
        earlier = ImageWarnings([ImageWarning("window_unusable", "earlier")])
        image = grey([[0]], warnings=earlier)
        assert messages_of(crop(image)) == ["earlier", WARNING]
        assert messages_of(image) == ["earlier"]


class TestCropMax:
    def test_highest_value_is_background(self):
        image = image_from_text(
            "MMMMM",
            "M..5M",
            "MMMMM",
        )
        assert box_of(image, crop_max=True) == CropBox(3, 1, 1, 1)

    def test_highest_value_is_that_of_the_dtype(self):
        image = grey([[255, 0, 65535]], dtype=np.uint16)
        assert box_of(image, crop_max=True) == CropBox(0, 0, 1, 1)

    def test_next_to_highest_value_is_foreground(self):
        image = grey([[0, 254, 255]])
        assert box_of(image, crop_max=True) == CropBox(1, 0, 1, 1)

    def test_frames_of_zero_and_highest_value_only_do_not_count(self):
        image = grey([[255, 0, 255, 0]], [[0, 7, 0, 255]], [[255, 255, 255, 255]])
        assert box_of(image, crop_max=True) == CropBox(1, 0, 1, 1)

    def test_nothing_but_zero_and_highest_value_keeps_the_whole_image(self):
        image = crop(image_from_text("M.M", "M.."), crop_max=True)
        assert image.geometry.crop == CropBox(0, 0, 3, 2)
        assert messages_of(image) == [WARNING]


class TestColour:
    def test_luma_decides(self):
        # (2126 * 4 + 7152 * 0 + 722 * 2) / 10000 = 0.99, truncated to 0; with blue 3 it is 1.06.
        image = colour([[[4, 0, 2], [0, 0, 0], [4, 0, 3]]])
        assert box_of(image) == CropBox(2, 0, 1, 1)

    def test_green_weighs_most(self):
        # luma of red 4 is 0.85, of green 2 is 1.43, of blue 13 is 0.94
        image = colour([[[4, 0, 0], [0, 2, 0], [0, 0, 13]]])
        assert box_of(image) == CropBox(1, 0, 1, 1)

    def test_every_channel_is_cut(self):
        image = colour([[[0, 0, 0], [10, 20, 30]]])
        assert crop(image).frames.tolist() == [[[[10, 20, 30]]]]

    def test_crop_max_takes_white_as_background(self):
        image = colour([[[255, 255, 255], [255, 255, 0], [0, 0, 0]]])
        assert box_of(image, crop_max=True) == CropBox(1, 0, 1, 1)

    def test_16_bit_white_is_background_with_crop_max(self):
        image = colour([[[65535] * 3, [65535, 65535, 0], [0, 0, 0]]], dtype=np.uint16)
        assert box_of(image, crop_max=True) == CropBox(1, 0, 1, 1)


class TestComponents:
    def test_smaller_component_is_dropped(self):
        image = image_from_text(
            "........",
            ".99.....",
            ".999..2.",
            "........",
        )
        assert box_of(image, crop_components=True) == CropBox(1, 1, 3, 2)

    def test_without_components_the_label_stays(self):
        image = image_from_text(
            "........",
            ".99.....",
            ".999..2.",
            "........",
        )
        assert box_of(image) == CropBox(1, 1, 6, 2)

    def test_area_decides_not_brightness_or_extent(self):
        image = image_from_text(
            "22...9..",
            "22...9..",
            "22...9..",
            ".....9..",
        )
        assert box_of(image, crop_components=True) == CropBox(0, 0, 2, 3)

    def test_diagonal_neighbours_are_not_connected(self):
        image = image_from_text(
            "22..",
            "22..",
            "..2.",
            "...2",
        )
        assert box_of(image, crop_components=True) == CropBox(0, 0, 2, 2)

    def test_of_equal_areas_the_last_in_row_order_is_kept(self):
        image = image_from_text(
            "22.....",
            "....33.",
            ".......",
        )
        assert box_of(image, crop_components=True) == CropBox(4, 1, 2, 1)

    def test_order_of_equal_areas_is_that_of_their_first_pixels(self):
        # The left one reaches further down, the right one starts later.
        image = image_from_text(
            "2......",
            "2..333.",
            "2......",
        )
        assert box_of(image, crop_components=True) == CropBox(3, 1, 3, 1)

    def test_in_one_row_the_right_one_is_the_last(self):
        image = image_from_text("22.33")
        assert box_of(image, crop_components=True) == CropBox(3, 0, 2, 1)

    def test_8_bit_value_1_is_not_foreground(self):
        image = image_from_text(
            "1111.2.",
            "1111...",
        )
        assert box_of(image, crop_components=True) == CropBox(5, 0, 1, 1)

    def test_without_any_component_the_box_of_the_foreground_stays(self):
        image = image_from_text("..1.1.")
        assert box_of(image, crop_components=True) == CropBox(2, 0, 3, 1)

    def test_16_bit_values_below_386_are_not_foreground(self):
        # (385 + 128) // 257 = 1, (386 + 128) // 257 = 2
        image = grey([[385, 385, 385, 0, 386, 0]], dtype=np.uint16)
        assert box_of(image, crop_components=True) == CropBox(4, 0, 1, 1)

    def test_frames_join_by_their_maximum(self):
        image = grey(
            [[9, 9, 0, 0, 0, 0, 9, 9, 9]],
            [[0, 0, 9, 9, 9, 0, 0, 0, 0]],
        )
        assert box_of(image, crop_components=True) == CropBox(0, 0, 5, 1)

    def test_crop_max_takes_the_highest_value_for_background_there_too(self):
        image = image_from_text(
            "5.......",
            ".MMMMM..",
            "......77",
        )
        assert box_of(image, crop_max=True, crop_components=True) == CropBox(6, 2, 2, 1)

    def test_maximum_over_frames_can_hide_a_pixel_with_crop_max(self):
        image = grey([[5, 5, 5, 0, 5, 5]], [[255, 255, 5, 0, 0, 0]])
        found = box_of(image, crop_max=True, crop_components=True)
        assert found == CropBox(4, 0, 2, 1)

    def test_colour_components_are_those_of_luma(self):
        red, dim = [200, 0, 0], [4, 0, 3]  # luma 42 and 1
        image = colour([[dim, dim, dim, [0, 0, 0], red]])
        assert box_of(image, crop_components=True) == CropBox(4, 0, 1, 1)

    def test_component_is_looked_for_inside_the_foreground_box_only(self):
        # Shrunk by half from column 1 on, the samples are columns 2, 4, 6, ...; from column 0 on
        # they would be 1, 3, 5, ... and find the pixels of value 9.
        width = 2 * 512
        row = np.zeros(1 + width, np.uint8)
        row[1] = row[width] = 1
        row[2:12:2] = 5
        row[3:21:2] = 9
        frames = row[np.newaxis, np.newaxis, :, np.newaxis]
        found = find_foreground(frames, crop_components=True)
        # Five adjacent samples of value 5, then zeros: thumbnail columns 0 .. 4.
        assert found.box == CropBox(1, 0, 10, 1)

    def test_component_with_less_than_half_of_the_foreground_gives_a_warning(self):
        image = crop(grey([[9, 9, 0, 9, 0, 9, 0, 9]]), crop_components=True)
        assert messages_of(image) == ["crop_components kept less than half of the foreground"]

    def test_component_with_half_of_the_foreground_gives_no_warning(self):
        image = crop(grey([[9, 9, 0, 9, 0, 9]]), crop_components=True)
        assert messages_of(image) == []


class TestThumbnail:
    def test_512_pixels_are_not_shrunk(self):
        row = np.zeros(512, np.uint8)
        row[0] = row[511] = 3
        row[101:104] = 9
        image = grey([row.tolist()])
        assert box_of(image, crop_components=True) == CropBox(101, 0, 3, 1)

    def test_1024_pixels_are_sampled_at_every_second(self):
        # Thumbnail column i shows source column floor((i + 0.5) * 2) = 2 i + 1.
        row = np.zeros(1024, np.uint8)
        row[0] = row[1023] = 2
        row[101:108] = 9  # samples 101, 103, 105, 107: thumbnail columns 50 .. 53
        image = grey([row.tolist()])
        assert box_of(image, crop_components=True) == CropBox(100, 0, 8, 1)

    def test_box_is_mapped_back_outwards(self):
        # 700 columns to 512: column l starts at floor(l * 700/512), column r ends at ceil(...).
        row = np.zeros(700, np.uint8)
        row[0] = row[699] = 2
        row[200:300] = 9
        sampled = [i for i in range(512) if 200 <= (2 * i + 1) * 700 // 1024 < 300]
        assert (sampled[0], sampled[-1]) == (146, 218)
        # 146 * 700/512 = 199.6 and 219 * 700/512 = 299.4
        image = grey([row.tolist()])
        assert box_of(image, crop_components=True) == CropBox(199, 0, 101, 1)

    def test_longer_side_decides_the_factor_of_both(self):
        # 6 x 1024 becomes 3 x 512; rows 1, 3, 5 and columns 1, 3, ... are sampled.
        plane = np.zeros((6, 1024), np.uint8)
        plane[0, 0] = plane[5, 1023] = 2
        plane[3:5, 11:15] = 9  # seen in thumbnail row 1, columns 5 and 6
        image = image_of(plane[np.newaxis, ..., np.newaxis])
        assert box_of(image, crop_components=True) == CropBox(10, 2, 4, 2)

    def test_short_side_keeps_a_line(self):
        row = np.zeros(2048, np.uint8)
        row[0] = row[2047] = 2
        row[402:411] = 9  # samples 402, 406, 410
        image = grey([row.tolist()])
        assert box_of(image, crop_components=True) == CropBox(400, 0, 12, 1)

    def test_sides_are_rounded_half_away_from_zero(self):
        # 5 rows of a 1024 wide image: 2.5 rounds to 3, sampled at floor((i + 0.5) * 5/3): 0, 2, 4.
        plane = np.zeros((5, 1024), np.uint8)
        plane[0, 1] = plane[0, 1023] = plane[4, 0] = 2
        plane[2, 11:19:2] = 9
        image = image_of(plane[np.newaxis, ..., np.newaxis])
        # thumbnail row 1: floor(1 * 5/3) = 1 to ceil(2 * 5/3) = 4
        assert box_of(image, crop_components=True) == CropBox(10, 1, 8, 3)


class TestBorder:
    def test_ignored_edge_does_not_hold_the_box_open(self):
        image = image_from_text(
            "2.........",
            "..........",
            "....3.....",
            "..........",
            "..........",
            "..........",
            "..........",
            "..........",
            "..........",
            ".........2",
        )
        # one line is ignored at each edge and given back: (4, 2) grows by 1
        assert box_of(image, border_frac=0.1) == CropBox(3, 1, 3, 3)

    def test_fraction_of_each_axis_is_truncated(self):
        image = grey([[5 if (x, y) == (9, 4) else 0 for x in range(19)] for y in range(9)])
        # trunc(19 * 0.1) = 1 in x, trunc(9 * 0.1) = 0 in y
        assert box_of(image, border_frac=0.1) == CropBox(8, 4, 3, 1)

    def test_grown_box_is_clamped(self):
        image = image_from_text(*["5" * 20] * 10)
        assert box_of(image, border_frac=0.2) == CropBox(0, 0, 20, 10)

    def test_broken_line_at_the_right_is_ignored_too(self):
        # 10 * 0.25 = 2.5: columns 2 .. 6 are searched, the box grows by 2.
        image = image_from_text("222.4..222")
        tall = grey(*[[image.frames[0, 0, :, 0].tolist()] * 10])
        assert box_of(tall, border_frac=0.25) == CropBox(0, 0, 7, 9)

    def test_foreground_in_the_ignored_edge_only_keeps_the_whole_image(self):
        image = crop(image_from_text(*["2........."] + [".........."] * 9), border_frac=0.1)
        assert image.geometry.crop == CropBox(0, 0, 10, 10)
        assert messages_of(image) == [WARNING]

    def test_image_too_small_for_the_border_stays_whole(self):
        image = crop(image_from_text("5"), border_frac=0.4)
        assert image.geometry.crop == CropBox(0, 0, 1, 1)

    def test_zero_is_no_border(self):
        assert box_of(image_from_text("2..3."), border_frac=0) == CropBox(0, 0, 4, 1)

    def test_component_is_looked_for_within_the_border(self):
        rows = ["2222222222", *[".........."] * 8, ".........."]
        rows[4] = "...33....."
        rows[6] = ".......3.."
        found = box_of(image_from_text(*rows), border_frac=0.1, crop_components=True)
        assert found == CropBox(2, 3, 4, 3)


class TestLargestComponent:
    def test_empty_mask_has_none(self):
        assert largest_component(np.zeros((2, 2), bool)) is None

    def test_mask_of_the_component_only(self):
        mask = np.array([[1, 0, 1], [1, 0, 0], [1, 0, 1]], bool)
        assert largest_component(mask).tolist() == [
            [True, False, False],
            [True, False, False],
            [True, False, False],
        ]

    def test_arms_that_join_later_are_one(self):
        mask = np.array([[1, 0, 1], [1, 1, 1]], bool)
        assert largest_component(mask).tolist() == mask.tolist()

    @pytest.mark.parametrize("mirrored", [False, True])
    def test_tie_goes_by_first_pixel_whatever_the_shape(self, mirrored):
        # Both have 5 pixels. Labelling may meet a lower arm of the U first.
        mask = np.array(
            [
                [0, 0, 0, 0, 0, 1, 0],
                [1, 0, 1, 0, 0, 1, 0],
                [1, 1, 1, 0, 1, 1, 0],
                [0, 0, 0, 0, 1, 0, 0],
            ],
            bool,
        )
        mask = mask[:, ::-1] if mirrored else mask
        columns = np.flatnonzero(largest_component(mask).any(axis=0)).tolist()
        assert columns == ([4, 5, 6] if mirrored else [0, 1, 2])


class TestRegion:
    IMAGE = (
        "11....",
        "..22..",
        "...2.3",
        "......",
    )

    def image(self, **source_info):
        return grey(
            [[{".": 0}.get(c, ord(c) - ord("0")) for c in row] for row in self.IMAGE],
            **{"region": (1, 0, 5, 3)} | source_info,
        )

    def test_is_kept_without_crop(self):
        image = crop(self.image(), crop=False, region="ultrasound")
        assert image.geometry.crop == CropBox(1, 0, 4, 3)
        assert planes(image) == [[[1, 0, 0, 0], [0, 2, 2, 0], [0, 0, 2, 0]]]

    def test_none_ignores_it(self):
        image = self.image()
        assert crop(image, crop=False) is image
        assert box_of(image) == CropBox(0, 0, 6, 3)

    def test_foreground_is_sought_inside(self):
        assert box_of(self.image(), region="ultrasound") == CropBox(1, 0, 3, 3)

    def test_component_is_sought_inside(self):
        found = box_of(self.image(), region="ultrasound", crop_components=True)
        assert found == CropBox(2, 1, 2, 2)

    def test_border_is_that_of_the_region(self):
        found = box_of(self.image(region=(0, 0, 6, 4)), region="ultrasound", border_frac=0.25)
        assert found == CropBox(1, 0, 4, 4)

    def test_a_region_of_background_is_kept_and_has_a_warning(self):
        image = crop(self.image(region=(0, 3, 6, 4)), region="ultrasound")
        assert image.geometry.crop == CropBox(0, 3, 6, 1)
        assert codes_of(image) == ["only_background"]

    @pytest.mark.parametrize(("modality", "codes"), [("US", ["region_unknown"]), ("CT", [])])
    @pytest.mark.parametrize("cropped", [True, False])
    def test_ultrasound_without_a_region_has_a_warning(self, modality, codes, cropped):
        image = self.image(region=None, modality=modality)
        found = crop(image, crop=cropped, region="ultrasound")
        assert codes_of(found) == codes
        assert found.geometry.crop == (CropBox(0, 0, 6, 3) if cropped else None)

    @given(st.data())
    def test_box_is_within_the_region(self, data):
        region = data.draw(st.tuples(*(st.integers(0, 3),) * 2, st.integers(4, 6), st.just(4)))
        found = box_of(
            self.image(region=region),
            region="ultrasound",
            border_frac=data.draw(st.none() | st.floats(0, 0.49)),
            crop_components=data.draw(st.booleans()),
        )
        left, top, right, bottom = region
        assert left <= found.left < found.right <= right
        assert top <= found.top < found.bottom <= bottom
