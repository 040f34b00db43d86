"""Pixels of a page as the bytes of its strip."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from dicom_preprocessing.tiff.numbers import Compression, Predictor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dicom_preprocessing.tiff.compressors import Compressor


def choose_predictor(compressor: Compressor, dtype: np.dtype[Any]) -> int:
    """Return the value of the tag Predictor for pixels of a dtype; bits have no differences."""
    if not compressor.is_predicted or dtype.kind == "b":
        return Predictor.NONE
    return Predictor.FLOATING_POINT if dtype.kind == "f" else Predictor.HORIZONTAL


def encode_strip(pixels: NDArray[Any], compressor: Compressor) -> memoryview:
    """Return the bytes of a strip of all rows.

    Parameters
    ----------
    pixels : (rows, columns, samples), C order, little-endian
        Bits, integers or floating point numbers.
    compressor : Compressor

    Returns
    -------
    memoryview
        Of the pixels themselves where they are not compressed.

    References
    ----------
    TIFF 6.0, sections 9 (PackBits), 13 (LZW) and 14 (differences); its Technical Notes 1 (deflate)
    and 3 (differences of floating point numbers).
    """
    predictor = choose_predictor(compressor, pixels.dtype)
    if pixels.dtype.kind == "b":
        # Each row begins with a new byte, and all are compressed as one.
        pixels = np.packbits(pixels, axis=-2).reshape(1, -1, 1)
    if compressor.code == Compression.NONE:
        return pixels.data
    return memoryview(_compress(_predict(pixels, predictor), compressor.code))


def _predict(pixels: NDArray[Any], predictor: int) -> NDArray[Any]:
    """Return the difference of each sample to the same one of the pixel on its left."""
    if predictor == Predictor.NONE:
        return pixels
    import imagecodecs  # noqa: PLC0415  # slow to import

    is_float = predictor == Predictor.FLOATING_POINT
    encode = imagecodecs.floatpred_encode if is_float else imagecodecs.delta_encode
    encoded: NDArray[Any] = encode(pixels, axis=-2)
    return encoded


def _pack_rows(pixels: NDArray[Any]) -> bytes:
    """Return the PackBits of (rows, columns, samples), each row packed by itself (section 9)."""
    lines = pixels.reshape(len(pixels), -1).view(np.uint8)
    filled = np.bitwise_or.reduce(lines, axis=1).nonzero()[0]
    # A row of zeros takes twice as long as one of noise, and padding may be half of an image.
    top, bottom = (int(filled[0]), int(filled[-1]) + 1) if filled.size else (1, 1)
    blank = _pack_blank_row(lines.shape[1]) if bottom - top < len(lines) else b""
    return blank * top + _pack(pixels[top:bottom]) + blank * (len(lines) - bottom)


def _pack(pixels: NDArray[Any]) -> bytes:
    import imagecodecs  # noqa: PLC0415  # slow to import

    return cast("bytes", imagecodecs.packbits_encode(pixels, axis=-2)) if pixels.size else b""


@lru_cache(maxsize=8)
def _pack_blank_row(size: int) -> bytes:
    """Return the PackBits of a row of zeros of ``size`` bytes."""
    return _pack(np.zeros((1, size, 1), np.uint8))


def _compress(pixels: NDArray[Any], compression: int) -> bytes:
    import imagecodecs  # noqa: PLC0415  # slow to import

    if compression == Compression.PACKBITS:
        return _pack_rows(pixels)
    name = {Compression.LZW: "lzw", Compression.DEFLATE: "deflate", Compression.ZSTD: "zstd"}
    return cast("bytes", getattr(imagecodecs, f"{name[compression]}_encode")(pixels))
