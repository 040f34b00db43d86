"""Which fragments of encapsulated pixel data make which frame (PS3.5 A.4)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from dicom_preprocessing.decode.streams.info import END
from dicom_preprocessing.dicom.contradictions import decide
from dicom_preprocessing.dicom.pixel_data import ByteRange
from dicom_preprocessing.errors import DecodeError, ShortPixelDataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_preprocessing.dicom.description import Description
    from dicom_preprocessing.dicom.pixel_data import PixelData

FrameFragments = tuple[ByteRange, ...]
"""The parts of a frame's stream."""

END_WITHIN: Final = 10
"""Bytes at the end of a fragment that may hold an end marker: it is padded."""


def find_frame_fragments(
    pixel_data: PixelData, description: Description, number_of_frames: int, *, is_rle: bool
) -> list[FrameFragments]:
    """Find the stream of each frame.

    An offset table that does not point at fragments is left out, and so are all tables where there
    are as many fragments as frames: each is one then. Without a table, a frame ends with a fragment
    that has an end marker.

    Parameters
    ----------
    pixel_data : PixelData
    description : Description
        May hold an extended offset table.
    number_of_frames : int
    is_rle : bool
        A frame is one fragment then (PS3.5 A.4.2), and empty ones are none.

    Raises
    ------
    ShortPixelDataError
        There are fewer frames.
    DecodeError
        The fragments do not follow each other.
    """
    items = pixel_data.fragments()
    if not items:
        raise DecodeError("encapsulated pixel data without an offset table")
    table, *fragments = items
    n = number_of_frames
    if len(fragments) < n:
        raise ShortPixelDataError(f"{len(fragments)} fragments cannot hold {n} frames")
    if is_rle and len(fragments) > n:
        return _first([(f,) for f in fragments if f.length], n)
    basic = np.frombuffer(pixel_data.source.read(*table)[: table.length // 4 * 4], "<u4").tolist()
    by_source: dict[str, list[FrameFragments] | None] = {
        "one fragment a frame": [(f,) for f in fragments] if len(fragments) == n else None,
        "ExtendedOffsetTable": _group_by_offsets(fragments, _extended_offsets(description), n),
        "basic offset table": _group_by_offsets(fragments, basic, n),
    }
    grouped = decide("fragments_of_frames", by_source).value
    if grouped is not None:
        return grouped
    return [tuple(fragments)] if n == 1 else _first(_group_by_markers(fragments, pixel_data), n)


def _first(frames: list[FrameFragments], number_of_frames: int) -> list[FrameFragments]:
    if len(frames) < number_of_frames:
        raise ShortPixelDataError(f"the stream ends before the last of {number_of_frames} frames")
    return frames[:number_of_frames]


def _extended_offsets(description: Description) -> list[int]:
    table = description.extended_offset_table.content()
    lengths = description.extended_offset_table_lengths.content()
    if not table or len(table) % 8 or len(table) != len(lengths):
        return []
    return [int(offset) for offset in np.frombuffer(table, "<u8")]


def _group_by_offsets(
    fragments: Sequence[ByteRange], offsets: list[int], number_of_frames: int
) -> list[FrameFragments] | None:
    """Frames by an offset table; None unless it points at fragments, from the first on."""
    numbers = {f.offset - fragments[0].offset: i for i, f in enumerate(fragments)}
    ascending = all(a < b for a, b in pairwise(offsets))
    if len(offsets) != number_of_frames or offsets[0] != 0 or not ascending:
        return None
    if not numbers.keys() >= set(offsets):
        return None
    starts = [numbers[offset] for offset in offsets]
    return [tuple(fragments[a:b]) for a, b in pairwise([*starts, len(fragments)])]


def _group_by_markers(
    fragments: Sequence[ByteRange], pixel_data: PixelData
) -> list[FrameFragments]:
    frames: list[FrameFragments] = []
    frame: list[ByteRange] = []
    for fragment in fragments:
        frame.append(fragment)
        tail = min(END_WITHIN, fragment.length)
        if END in pixel_data.source.read(fragment.end - tail, tail):
            frames.append(tuple(frame))
            frame = []
    return [*frames, tuple(frame)] if frame else frames
