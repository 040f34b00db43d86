"""A TIFF of one page in memory, with the tags that libtiff needs to decode it."""

from __future__ import annotations

import functools
import struct

from dicom_preprocessing.tiff.directories import (
    CLASSIC,
    CLASSIC_HEADER,
    INLINE,
    WHOLE_NUMBERS,
    PageFormat,
)
from dicom_preprocessing.tiff.numbers import Photometric, Tag, TagType


@functools.lru_cache(maxsize=16)
def make_single_page_head(
    order: str,
    form: PageFormat,
    *,
    coding: tuple[int, int],
    tile: tuple[int, int] | None,
    rows_per_strip: int,
    segments: int,
) -> tuple[bytes, int, int]:
    """Make all that precedes the pixels in a TIFF of one page.

    Parameters
    ----------
    order : str
        Byte order, < or >.
    form : PageFormat
    coding : (int, int)
        Compression and predictor.
    tile : (width, length) or None
    rows_per_strip : int
        Without meaning where there are tiles.
    segments : int
        Number of strips or tiles.

    Returns
    -------
    (bytes, int, int)
        The bytes, and the offsets in them of the arrays of 32 bits for offsets and counts of the
        segments, which are 0.
    """
    n, bits = form.samples, 8 * form.dtype.itemsize
    blank = (0,) * segments
    # Decides nothing here: samples are decoded without a conversion of colours.
    photometric = Photometric.BLACK_IS_ZERO if n == 1 else Photometric.RGB
    tags: list[tuple[int, int, tuple[int, ...]]] = [
        (Tag.WIDTH, TagType.LONG, (form.columns,)),
        (Tag.LENGTH, TagType.LONG, (form.rows,)),
        (Tag.BITS, TagType.SHORT, (bits,) * n),
        (Tag.COMPRESSION, TagType.SHORT, coding[:1]),
        (Tag.PHOTOMETRIC, TagType.SHORT, (photometric,)),
        (Tag.SAMPLES, TagType.SHORT, (n,)),
        (Tag.PLANAR, TagType.SHORT, (1,)),
        (Tag.PREDICTOR, TagType.SHORT, coding[1:]),
        (Tag.SAMPLE_FORMAT, TagType.SHORT, ({"u": 1, "i": 2, "f": 3}[form.dtype.kind],) * n),
    ]
    if tile is None:
        tags += [
            (Tag.STRIP_OFFSETS, TagType.LONG, blank),
            (Tag.ROWS_PER_STRIP, TagType.LONG, (rows_per_strip,)),
            (Tag.STRIP_COUNTS, TagType.LONG, blank),
        ]
    else:
        tags += [
            (Tag.TILE_WIDTH, TagType.LONG, tile[:1]),
            (Tag.TILE_LENGTH, TagType.LONG, tile[1:]),
            (Tag.TILE_OFFSETS, TagType.LONG, blank),
            (Tag.TILE_COUNTS, TagType.LONG, blank),
        ]
    # TIFF 6.0, section 2: entries are in ascending order of tags.
    content, offsets = _make_directory(order, sorted(tags))
    is_tiled = tile is not None
    return (
        content,
        offsets[Tag.TILE_OFFSETS if is_tiled else Tag.STRIP_OFFSETS],
        offsets[Tag.TILE_COUNTS if is_tiled else Tag.STRIP_COUNTS],
    )


def _make_directory(
    order: str, tags: list[tuple[int, int, tuple[int, ...]]]
) -> tuple[bytes, dict[int, int]]:
    """Make header and directory of a classic TIFF; the offset of the values by tag."""
    mark = b"II" if order == "<" else b"MM"
    entries = struct.pack(f"{order}2sHLH", mark, CLASSIC, CLASSIC_HEADER, len(tags))
    # Behind the entries are the offset of the next directory, 0, and the values that fit in none.
    long_values_start, long_values = len(entries) + 12 * len(tags) + INLINE, b""
    offsets = {}
    for tag, tag_type, values in tags:
        content = struct.pack(f"{order}{len(values)}{WHOLE_NUMBERS[tag_type]}", *values)
        offsets[tag] = len(entries) + 8
        if len(content) > INLINE:
            offsets[tag] = long_values_start + len(long_values)
            long_values += content
            content = struct.pack(f"{order}L", offsets[tag])
        entries += struct.pack(f"{order}HHL4s", tag, tag_type, len(values), content)
    return entries + bytes(INLINE) + long_values, offsets
