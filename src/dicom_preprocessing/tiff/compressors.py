"""Compressors by their names in the configuration, and the TIFF tags that they are written with."""

from __future__ import annotations

from dataclasses import dataclass

from dicom_preprocessing.tiff.numbers import Compression


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressor:
    """How the strip of a page is compressed.

    Parameters
    ----------
    codes : tuple of int
        Values of the tag Compression: the one that is written, then others of the same meaning.
    is_predicted : bool
        Whether differences of neighbours are compressed instead of samples.
    growth : float
        Factor by which noise may become larger.
    """

    codes: tuple[int, ...]
    is_predicted: bool = False
    growth: float = 1

    @property
    def code(self) -> int:
        """The value of the tag Compression."""
        return self.codes[0]


# config.model.COMPRESSORS lists the names too, because config may not import tiff; a test compares
# the two.
COMPRESSOR_BY_NAME = {
    "packbits": Compressor(codes=(Compression.PACKBITS,)),
    "lzw": Compressor(codes=(Compression.LZW,), growth=1.5),  # codes of up to 12 bits for 8
    "uncompressed": Compressor(codes=(Compression.NONE,)),
    "deflate": Compressor(codes=(Compression.DEFLATE, Compression.OLD_DEFLATE), is_predicted=True),
    "zstd": Compressor(codes=(Compression.ZSTD,), is_predicted=True),
}


def compressor_of(code: int) -> str | None:
    """Return the name for a value of the tag Compression, None if no compressor writes it."""
    return next((name for name, known in COMPRESSOR_BY_NAME.items() if code in known.codes), None)
