"""Which fragments of encapsulated pixel data make which frame (PS3.5 A.4)."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
from pydicom.encaps import (
    encapsulate,
    generate_fragments,
    parse_basic_offsets,
    parse_fragments,
)

from dicom_preprocessing.dicom_file import value_of
from dicom_preprocessing.errors import DecodeError, ShortPixelDataError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

EMPTY_OFFSET_TABLE: Final = b"\xfe\xff\x00\xe0" + bytes(4)


def frames_of(
    data: bytes, data_set: Dataset, number_of_frames: int, *, is_rle: bool
) -> tuple[bytes, tuple[bytes, bytes] | None]:
    """Encapsulated pixel data and its extended offset table, as far as the tables are of use.

    A table that does not point at fragments is left out, and so are all tables where there are as
    many fragments as frames: each is one then (PS3.5 A.4).

    Parameters
    ----------
    data : bytes
        Value of Pixel Data.
    data_set : Dataset
        May hold an extended offset table.
    number_of_frames : int
    is_rle : bool
        A frame is one fragment then (PS3.5 A.4.2), and empty ones are none.

    Raises
    ------
    ShortPixelDataError
        There are fewer fragments than frames.
    DecodeError
        The fragments do not follow each other.
    """
    buffer = BytesIO(data)
    try:
        basic = parse_basic_offsets(buffer)
        start = buffer.tell()
        count, offsets = parse_fragments(buffer)
    except Exception as error:  # a stream cut anywhere
        raise DecodeError(f"{type(error).__name__}: {error}") from error
    n = number_of_frames
    if count < n:
        raise ShortPixelDataError(f"{count} fragments cannot hold {n} frames")
    if is_rle and count > n:
        frames = [f for f in generate_fragments(buffer) if f][:n]
        return encapsulate(frames, has_bot=False), None
    is_one_each = count == n
    fragments = {offset - start for offset in offsets}
    if basic and (is_one_each or not _leads_to_frames(basic, fragments, n)):
        data = EMPTY_OFFSET_TABLE + data[start:]
    table = value_of(data_set, "ExtendedOffsetTable")
    lengths = value_of(data_set, "ExtendedOffsetTableLengths")
    if is_one_each or not table or not lengths or len(table) % 8 or len(table) != len(lengths):
        return data, None
    is_of_use = _leads_to_frames(np.frombuffer(table, "<u8").tolist(), fragments, n)
    return data, (table, lengths) if is_of_use else None


def _leads_to_frames(table: list[int], fragments: set[int], number_of_frames: int) -> bool:
    """Whether an offset table points at fragments, one after the other from the first on."""
    ascending = all(a < b for a, b in pairwise(table))
    complete = len(table) == number_of_frames and table[0] == 0
    return ascending and complete and fragments.issuperset(table)
