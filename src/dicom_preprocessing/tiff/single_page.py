"""A TIFF of one page in memory, with the tags that libtiff needs to decode it."""

from __future__ import annotations

import functools

from dicom_preprocessing.tiff.directories import CLASSIC_HEADER, PageFormat
from dicom_preprocessing.tiff.new_directory import CLASSIC_LAYOUT, Entry, NewDirectory
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
    entries: list[Entry] = [
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
        entries += [
            (Tag.STRIP_OFFSETS, TagType.LONG, blank),
            (Tag.ROWS_PER_STRIP, TagType.LONG, (rows_per_strip,)),
            (Tag.STRIP_COUNTS, TagType.LONG, blank),
        ]
    else:
        entries += [
            (Tag.TILE_WIDTH, TagType.LONG, tile[:1]),
            (Tag.TILE_LENGTH, TagType.LONG, tile[1:]),
            (Tag.TILE_OFFSETS, TagType.LONG, blank),
            (Tag.TILE_COUNTS, TagType.LONG, blank),
        ]
    directory = NewDirectory(entries, CLASSIC_LAYOUT, order)
    directory.move_to(CLASSIC_HEADER)
    is_tiled = tile is not None
    return (
        CLASSIC_LAYOUT.make_header(order) + directory.content,
        CLASSIC_HEADER + directory.start_of(Tag.TILE_OFFSETS if is_tiled else Tag.STRIP_OFFSETS),
        CLASSIC_HEADER + directory.start_of(Tag.TILE_COUNTS if is_tiled else Tag.STRIP_COUNTS),
    )
