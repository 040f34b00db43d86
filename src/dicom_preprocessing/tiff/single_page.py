"""A TIFF of one page in memory, for pages that libtiff decodes: what it needs and no more."""

from __future__ import annotations

import functools
import struct

from dicom_preprocessing.tiff.directories import (
    BITS,
    CLASSIC,
    CLASSIC_HEADER,
    COMPRESSION,
    INLINE,
    LENGTH,
    LONG,
    PHOTOMETRIC,
    PLANAR,
    PREDICTOR,
    ROWS_PER_STRIP,
    SAMPLE_FORMAT,
    SAMPLES,
    SHORT,
    STRIP_COUNTS,
    STRIP_OFFSETS,
    TILE_COUNTS,
    TILE_LENGTH,
    TILE_OFFSETS,
    TILE_WIDTH,
    WHOLE_NUMBERS,
    WIDTH,
    Kind,
)


@functools.lru_cache(maxsize=16)
def head_of_one(
    order: str,
    kind: Kind,
    *,
    coding: tuple[int, int],
    tile: tuple[int, int] | None,
    rows_per_strip: int,
    parts: int,
) -> tuple[bytes, int, int]:
    """What stands before the pixels of a TIFF of one page; where its offsets and counts stand."""
    n, bits = kind.samples, 8 * kind.dtype.itemsize
    blank = (0,) * parts
    tags: list[tuple[int, int, tuple[int, ...]]] = [
        (WIDTH, LONG, (kind.columns,)),
        (LENGTH, LONG, (kind.rows,)),
        (BITS, SHORT, (bits,) * n),
        (COMPRESSION, SHORT, coding[:1]),
        (PHOTOMETRIC, SHORT, (1 if n == 1 else 2,)),
        (SAMPLES, SHORT, (n,)),
        (PLANAR, SHORT, (1,)),
        (PREDICTOR, SHORT, coding[1:]),
        (SAMPLE_FORMAT, SHORT, ({"u": 1, "i": 2, "f": 3}[kind.dtype.kind],) * n),
    ]
    if tile is None:
        tags += [
            (STRIP_OFFSETS, LONG, blank),
            (ROWS_PER_STRIP, LONG, (rows_per_strip,)),
            (STRIP_COUNTS, LONG, blank),
        ]
    else:
        tags += [
            (TILE_WIDTH, LONG, tile[:1]),
            (TILE_LENGTH, LONG, tile[1:]),
            (TILE_OFFSETS, LONG, blank),
            (TILE_COUNTS, LONG, blank),
        ]
    content, places = _directory_of(order, sorted(tags))
    by_tile = tile is not None
    return (
        content,
        places[TILE_OFFSETS if by_tile else STRIP_OFFSETS],
        places[TILE_COUNTS if by_tile else STRIP_COUNTS],
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
