"""Fragments of encapsulated pixel data, and the frames that they belong to (PS3.5 A.4)."""

from __future__ import annotations

from itertools import pairwise
from operator import contains
from typing import TYPE_CHECKING, Final

import numpy as np

from dicom_preprocessing.decode.streams.deflated import is_frame as is_deflated_frame
from dicom_preprocessing.decode.streams.info import END
from dicom_preprocessing.decode.streams.recognition import RECOGNITION_BYTES, recognise_stream
from dicom_preprocessing.dicom.contradictions import decide
from dicom_preprocessing.dicom.pixel_data import ByteRange
from dicom_preprocessing.dicom.transfer_syntaxes import (
    DEFLATED_IMAGE_FRAME,
    ENCAPSULATED_UNCOMPRESSED,
    NATIVE,
)
from dicom_preprocessing.errors import DecodeError, ShortPixelDataError
from dicom_preprocessing.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pydicom.uid import UID

    from dicom_preprocessing.dicom.description import Description
    from dicom_preprocessing.dicom.pixel_data import PixelData
    from dicom_preprocessing.image_warnings import ImageWarnings

FrameFragments = tuple[ByteRange, ...]
"""Ranges that make the stream of a frame when they are joined."""

BASIC_BYTES: Final = 4
"""Of an offset of a basic offset table (PS3.5 A.4)."""
MAX_OFFSET: Final = (1 << 32) - 1
END_WITHIN: Final = 10
"""Bytes at the end of a fragment that may have an end marker, which padding may follow."""


def find_frame_fragments(
    pixel_data: PixelData,
    description: Description,
    number_of_frames: int,
    warnings: ImageWarnings,
    frame_bytes: int | None = None,
) -> list[FrameFragments]:
    """Find the stream of each frame.

    Fragments without bytes do not count. Where there are as many others as frames, each is a frame.
    Otherwise a frame starts with each fragment that starts a stream; without such starts an offset
    table decides, if it points at fragments, else the length of native or deflated frames that have
    one fragment each, and else the fragments with an end marker.

    Parameters
    ----------
    pixel_data : PixelData
    description : Description
        May have an extended offset table (PS3.3 C.7.6.3.1.8).
    number_of_frames : int
    warnings : ImageWarnings
        Takes those about fragments and frames.
    frame_bytes : int or None
        Of a frame without compression, if they are known.

    Returns
    -------
    list of tuple of ByteRange
        One per frame.

    Raises
    ------
    ShortPixelDataError
        There are fewer frames.
    DecodeError
        The fragments do not follow each other.
    """
    table, stored = split_items(pixel_data)
    if table is None:
        warnings.add("no_offset_table", "the first item is no offset table, but starts a stream")
        table = NO_TABLE
    fragments, n = [f for f in stored if f.length], number_of_frames
    if len(fragments) < n:
        raise ShortPixelDataError(
            f"{plural(len(fragments), 'fragment')} cannot hold {plural(n, 'frame')}"
        )
    # A length that is not a multiple of four bytes is damage; the rest may be right.
    size = table.length - table.length % BASIC_BYTES
    basic = np.frombuffer(pixel_data.source.read(table.offset, size), "<u4").tolist()
    tables = {"extended": _extended_offsets(description), "basic": basic}
    if len(fragments) == n:
        frames: list[FrameFragments] = [(fragment,) for fragment in fragments]
    else:
        is_frame = _make_frame_test(description.transfer_syntax_uid, pixel_data, frame_bytes)
        frames = _group(
            fragments, stored, pixel_data, tables, number_of_frames=n, is_frame=is_frame
        )
    if len(frames) < n:
        raise ShortPixelDataError(f"the stream ends before the last of {n} frames")
    if len(frames) > n:
        message = f"there are {len(frames)} frames, and Number of Frames is {n}: others are ignored"
        warnings.add("excess_frames", message)
    for fault in _find_table_faults(description, table.length, tables, frames, stored):
        warnings.add("offset_table_wrong", fault)
    return frames[:n]


def _find_table_faults(
    description: Description,
    basic_length: int,
    tables: Mapping[str, list[int]],
    frames: Sequence[FrameFragments],
    stored: Sequence[ByteRange],
) -> Iterator[str]:
    """Yield how offset tables contradict the frames."""
    for name, offsets in tables.items():
        if offsets and len(offsets) != len(frames):
            found = f"{plural(len(offsets), 'offset')} for {plural(len(frames), 'frame')}"
            yield f"the {name} offset table has {found}, and was ignored"
        elif offsets and not _points_at(offsets, frames, stored):
            yield f"the {name} offset table does not point at the frames, and was ignored"
    if basic_length % BASIC_BYTES:
        yield f"the basic offset table has {basic_length} bytes, and an offset has {BASIC_BYTES}"
    extended = description.extended_offset_table.content()
    lengths = description.extended_offset_table_lengths.content()
    if not tables["extended"]:
        if extended or lengths:
            found = f"{len(extended)} bytes of offsets and {len(lengths)} bytes of lengths"
            yield f"the extended offset table has {found}, and was ignored"
    elif not _are_lengths_of(np.frombuffer(lengths, "<u8").tolist(), frames):
        yield "the lengths of the extended offset table are not those of the frames: ignored"


def _are_lengths_of(lengths: Sequence[int], frames: Sequence[FrameFragments]) -> bool:
    """Whether lengths are those of frames, with or without a byte of padding."""
    own = (sum(fragment.length for fragment in frame) for frame in frames)
    return all(a - b in (0, 1) for a, b in zip(own, lengths, strict=False))


def split_items(pixel_data: PixelData) -> tuple[ByteRange | None, tuple[ByteRange, ...]]:
    """Return the basic offset table, None if it was left out, and the fragments.

    Raises
    ------
    DecodeError
        There are no items.
    """
    items = pixel_data.fragments()
    if not items:
        raise DecodeError("encapsulated pixel data without an offset table")
    # PS3.5 A.4: the first item is the table, which may be empty. If not, its first offset is 0,
    # with which no stream begins that is recognised.
    is_stream = recognise_stream(read_head(pixel_data, items[0])) is not None
    return (None, items) if is_stream else (items[0], items[1:])


NO_TABLE: Final = ByteRange(0, 0)


def _group(
    fragments: Sequence[ByteRange],
    stored: Sequence[ByteRange],
    pixel_data: PixelData,
    tables: Mapping[str, list[int]],
    *,
    number_of_frames: int,
    is_frame: Callable[[ByteRange], bool],
) -> list[FrameFragments]:
    """Return frames of several fragments; ``stored`` has also the fragments without bytes.

    ``is_frame`` tells whether a fragment without a known start is a whole frame.

    Raises
    ------
    DecodeError
        Nothing says where frames start.
    """
    n = number_of_frames
    starts = [recognise_stream(read_head(pixel_data, fragment)) for fragment in fragments]
    # Starts come before the tables, since those of broken writers are common. Followed blindly they
    # gave wrong pixels, and no error.
    by_source = {
        "starts of streams": _group_by_starts(fragments, starts, n),
        "ExtendedOffsetTable": _group_by_offsets(stored, tables["extended"], n),
        "basic offset table": _group_by_offsets(stored, tables["basic"], n),
    }
    frames = decide("fragments_of_frames", by_source).value
    if frames is not None:
        return frames
    if starts[0] is None and all(map(is_frame, {fragments[0], *fragments[n - 1 : n]})):
        return [(fragment,) for fragment in fragments]
    frames = [tuple(fragments)] if n == 1 else _group_by_ends(fragments, pixel_data)
    if len(frames) < n and starts[0] is None:
        raise DecodeError(
            f"nothing says which of {len(fragments)} fragments start the {n} frames: no table, and "
            "no start of a known stream"
        )
    return frames


def _make_frame_test(
    syntax: UID, pixel_data: PixelData, frame_bytes: int | None
) -> Callable[[ByteRange], bool]:
    """Make a test whether a fragment is a whole frame, by its length: native, or deflated."""
    if frame_bytes is not None and syntax == DEFLATED_IMAGE_FRAME:
        length = frame_bytes
        return lambda fragment: is_deflated_frame(pixel_data.stream([fragment]), length)
    if frame_bytes is not None and syntax in (*NATIVE, ENCAPSULATED_UNCOMPRESSED):
        lengths = (frame_bytes, frame_bytes + frame_bytes % 2)
        return lambda fragment: fragment.length in lengths
    return lambda _: False


def _points_at(
    offsets: Sequence[int], frames: Sequence[FrameFragments], stored: Sequence[ByteRange]
) -> bool:
    """Whether offsets are those of frames, or of fragments without bytes just before them."""
    first = stored[0].offset
    if frames[-1][-1].end - first > MAX_OFFSET:
        return True  # 32 bits of a basic table cannot hold them
    starts = {frame[0].offset for frame in frames}
    places: list[set[int]] = []
    empty: set[int] = set()
    for fragment in stored:
        if not fragment.length:
            empty.add(fragment.offset - first)
        elif fragment.offset in starts:
            places.append({fragment.offset - first, *empty})
            empty = set()
        else:
            empty = set()
    return all(map(contains, places, offsets))


def _group_by_starts(
    fragments: Sequence[ByteRange], starts: Sequence[UID | None], number_of_frames: int
) -> list[FrameFragments] | None:
    """Return frames that start with a fragment of one kind, None if they are too few."""
    indices = [i for i, kind in enumerate(starts) if kind is not None and kind == starts[0]]
    if len(indices) < number_of_frames:
        return None
    return [tuple(fragments[a:b]) for a, b in pairwise([*indices, len(fragments)])]


def read_head(pixel_data: PixelData, fragment: ByteRange) -> bytes:
    """Read the first bytes of a fragment, enough to recognise a stream."""
    return pixel_data.source.read(fragment.offset, min(RECOGNITION_BYTES, fragment.length))


def is_in_parts(frames: Sequence[FrameFragments]) -> bool:
    """Whether a frame has several fragments, which are not empty."""
    return any(sum(fragment.length > 0 for fragment in frame) > 1 for frame in frames)


def _extended_offsets(description: Description) -> list[int]:
    """Return the offsets of the extended offset table, none unless it is complete."""
    # PS3.3 C.7.6.3.1.8: both tables are present, with 64 bits per frame.
    table = description.extended_offset_table.content()
    lengths = description.extended_offset_table_lengths.content()
    if not table or len(table) % 8 or len(table) != len(lengths):
        return []
    return [int(offset) for offset in np.frombuffer(table, "<u8")]


def _group_by_offsets(
    fragments: Sequence[ByteRange], offsets: list[int], number_of_frames: int
) -> list[FrameFragments] | None:
    """Return frames by an offset table, None unless it points at fragments, from the first on."""
    # PS3.5 A.4: offsets are those of item tags, from that of the first fragment on. Differences of
    # the values' offsets are the same, since every item header has 8 bytes.
    indices = {f.offset - fragments[0].offset: i for i, f in enumerate(fragments)}
    ascending = all(a < b for a, b in pairwise(offsets))
    if len(offsets) < max(1, number_of_frames) or offsets[0] != 0 or not ascending:
        return None
    if not indices.keys() >= set(offsets):
        return None
    starts = [indices[offset] for offset in offsets]
    return [tuple(fragments[a:b]) for a, b in pairwise([*starts, len(fragments)])]


def _group_by_ends(fragments: Sequence[ByteRange], pixel_data: PixelData) -> list[FrameFragments]:
    """Return frames that end with a fragment with an end marker; the last may lack it."""
    frames: list[FrameFragments] = []
    frame: list[ByteRange] = []
    for fragment in fragments:
        frame.append(fragment)
        # Only the end is read: within a fragment FF D9 may be the end of a thumbnail.
        tail = min(END_WITHIN, fragment.length)
        if END in pixel_data.source.read(fragment.end - tail, tail):
            frames.append(tuple(frame))
            frame = []
    return [*frames, tuple(frame)] if frame else frames
