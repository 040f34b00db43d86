"""Numbers of TIFF, each once: tags, types of their values, compressions, predictors, photometrics.

Not enums, of which a member takes longer to look up than a tag to read.
"""

from __future__ import annotations

from typing import Final


class Tag:
    """Tags of TIFF 6.0, its supplements and DNG, and the private tag FLIP of this project."""

    WIDTH: Final = 256
    LENGTH: Final = 257
    BITS: Final = 258
    COMPRESSION: Final = 259
    PHOTOMETRIC: Final = 262
    FILL_ORDER: Final = 266
    IMAGE_DESCRIPTION: Final = 270
    STRIP_OFFSETS: Final = 273
    SAMPLES: Final = 277
    ROWS_PER_STRIP: Final = 278
    STRIP_COUNTS: Final = 279
    X_RESOLUTION: Final = 282
    Y_RESOLUTION: Final = 283
    PLANAR: Final = 284
    RESOLUTION_UNIT: Final = 296
    PAGE_NUMBER: Final = 297
    SOFTWARE: Final = 305
    PREDICTOR: Final = 317
    TILE_WIDTH: Final = 322
    TILE_LENGTH: Final = 323
    TILE_OFFSETS: Final = 324
    TILE_COUNTS: Final = 325
    SAMPLE_FORMAT: Final = 339
    DEFAULT_SCALE: Final = 50718
    DEFAULT_CROP_ORIGIN: Final = 50719
    DEFAULT_CROP_SIZE: Final = 50720
    ACTIVE_AREA: Final = 50829
    FLIP: Final = 65000


class TagType:
    """Types of values; LONG8 is of BigTIFF, the others of TIFF 6.0."""

    BYTE: Final = 1
    ASCII: Final = 2
    SHORT: Final = 3
    LONG: Final = 4
    RATIONAL: Final = 5
    UNDEFINED: Final = 7
    FLOAT: Final = 11
    DOUBLE: Final = 12
    LONG8: Final = 16


class Compression:
    """Values of the tag Compression."""

    NONE: Final = 1
    CCITT_RLE: Final = 2
    CCITT_T4: Final = 3
    CCITT_T6: Final = 4
    LZW: Final = 5
    OLD_JPEG: Final = 6
    JPEG: Final = 7
    DEFLATE: Final = 8
    PACKBITS: Final = 32773
    OLD_DEFLATE: Final = 32946
    APERIO_JPEG_2000_YCBCR: Final = 33003
    JPEG_2000_LOSSY: Final = 33004
    APERIO_JPEG_2000_RGB: Final = 33005
    ALTERNATIVE_JPEG: Final = 33007
    JPEG_2000: Final = 34712
    LOSSY_JPEG: Final = 34892
    LZMA: Final = 34925
    OLD_ZSTD: Final = 34926
    OLD_WEBP: Final = 34927
    PNG: Final = 34933
    ZSTD: Final = 50000
    WEBP: Final = 50001


class Predictor:
    """Values of the tag Predictor."""

    NONE: Final = 1
    HORIZONTAL: Final = 2
    FLOATING_POINT: Final = 3


class Photometric:
    """Values of the tag PhotometricInterpretation."""

    WHITE_IS_ZERO: Final = 0
    BLACK_IS_ZERO: Final = 1
    RGB: Final = 2
    PALETTE: Final = 3
    YCBCR: Final = 6
