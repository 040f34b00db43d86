"""The compressors by their names in the configuration: how pages are written, and known again."""

from __future__ import annotations

from dataclasses import dataclass

from dicom_preprocessing.tiff.numbers import Compression


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressor:
    """How the strip of a page is packed.

    Parameters
    ----------
    codes : tuple of int
        Values of the tag Compression: the one that is written, and others that mean the same.
    is_predicted : bool
        Whether differences between neighbours are packed instead of samples.
    growth : float
        How much larger it may make noise.
    """

    codes: tuple[int, ...]
    is_predicted: bool = False
    growth: float = 1

    @property
    def code(self) -> int:
        """The value of the tag Compression."""
        return self.codes[0]


# The names are those of config.model.COMPRESSORS, which comes before; a test compares them.
COMPRESSORS = {
    "packbits": Compressor(codes=(Compression.PACKBITS,)),
    "lzw": Compressor(codes=(Compression.LZW,), growth=1.5),  # up to 12 bits for 8
    "uncompressed": Compressor(codes=(Compression.NONE,)),
    "deflate": Compressor(codes=(Compression.DEFLATE, Compression.OLD_DEFLATE), is_predicted=True),
    "zstd": Compressor(codes=(Compression.ZSTD,), is_predicted=True),
}


def compressor_of(code: int) -> str | None:
    """The name of the compressor of a tag Compression, None for one that is not written here."""
    return next((name for name, packed in COMPRESSORS.items() if code in packed.codes), None)
