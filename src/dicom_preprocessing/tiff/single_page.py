"""A TIFF of one page in memory, for pages that libtiff decodes: what it needs and no more."""

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
    kind: PageFormat,
    *,
    coding: tuple[int, int],
    tile: tuple[int, int] | None,
    rows_per_strip: int,
    parts: int,
) -> tuple[bytes, int, int]:
    """What stands before the pixels of a TIFF of one page; where its offsets and counts stand."""
    n, bits = kind.samples, 8 * kind.dtype.itemsize
    blank = (0,) * parts
    photometric = Photometric.BLACK_IS_ZERO if n == 1 else Photometric.RGB
    tags: list[tuple[int, int, tuple[int, ...]]] = [
        (Tag.WIDTH, TagType.LONG, (kind.columns,)),
        (Tag.LENGTH, TagType.LONG, (kind.rows,)),
        (Tag.BITS, TagType.SHORT, (bits,) * n),
        (Tag.COMPRESSION, TagType.SHORT, coding[:1]),
        (Tag.PHOTOMETRIC, TagType.SHORT, (photometric,)),
        (Tag.SAMPLES, TagType.SHORT, (n,)),
        (Tag.PLANAR, TagType.SHORT, (1,)),
        (Tag.PREDICTOR, TagType.SHORT, coding[1:]),
        (Tag.SAMPLE_FORMAT, TagType.SHORT, ({"u": 1, "i": 2, "f": 3}[kind.dtype.kind],) * n),
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
    content, places = _directory_of(order, sorted(tags))
    by_tile = tile is not None
    return (
        content,
        places[Tag.TILE_OFFSETS if by_tile else Tag.STRIP_OFFSETS],
        places[Tag.TILE_COUNTS if by_tile else Tag.STRIP_COUNTS],
    )


def _directory_of(
    order: str, tags: list[tuple[int, int, tuple[int, ...]]]
) -> tuple[bytes, dict[int, int]]:
    """Header and one directory of a classic TIFF, and where the values of each tag stand."""
    mark = b"II" if order == "<" else b"MM"
    entries = struct.pack(f"{order}2sHLH", mark, CLASSIC, CLASSIC_HEADER, len(tags))
    rest_at, rest, places = len(entries) + 12 * len(tags) + INLINE, b"", {}
    for code, kind, values in tags:
        content = struct.pack(f"{order}{len(values)}{WHOLE_NUMBERS[kind]}", *values)
        places[code] = len(entries) + 8
        if len(content) > INLINE:
            places[code] = rest_at + len(rest)
            rest += content
            content = struct.pack(f"{order}L", places[code])
        entries += struct.pack(f"{order}HHL4s", code, kind, len(values), content)
    return entries + bytes(INLINE) + rest, places
