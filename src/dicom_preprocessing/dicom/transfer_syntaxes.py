"""The transfer syntaxes whose pixels can be read, by family (PS3.6 Table A-1)."""

from __future__ import annotations

from typing import Final

from pydicom.config import IGNORE
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    AllTransferSyntaxes,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from dicom_preprocessing.text import hide_text, is_uid

NATIVE: Final = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
"""Uncompressed pixels (PS3.5 8.1; A.1, A.2, A.3, and A.5, which deflates the data set)."""

RETIRED_JPEG: Final = tuple(UID(f"1.2.840.10008.1.2.4.{n}") for n in (52, 53, 54, 55, 56))
"""Retired processes of T.81 that libjpeg-turbo decodes: arithmetic coding, spectral selection, full
progression (PS3.5 2001, A.4.1)."""

JPEG: Final = (
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    *RETIRED_JPEG,
)
"""ITU-T T.81 (PS3.5 8.2.1, A.4.1)."""

JPEG_LS: Final = (JPEGLSLossless, JPEGLSNearLossless)
"""ITU-T T.87 (PS3.5 8.2.3, A.4.3)."""

HTJ2K_REVERSIBLE: Final = (HTJ2KLossless, HTJ2KLosslessRPCL)
"""ITU-T T.814 whose codestreams must be reversible."""

JPEG_2000: Final = (JPEG2000Lossless, JPEG2000, *HTJ2K_REVERSIBLE, HTJ2K)
"""ITU-T T.800 (PS3.5 8.2.4, A.4.4), and HTJ2K, which has the same markers (T.814)."""

# pydicom's dictionary does not have the others yet.
JPEG_XL: Final = tuple(UID(f"1.2.840.10008.1.2.4.{n}") for n in (110, 111, 112))
"""ISO/IEC 18181: lossless, recompressed JPEG, and any."""

JPEG_XL_LOSSLESS: Final = JPEG_XL[0]

DEFLATED_IMAGE_FRAME: Final = UID("1.2.840.10008.1.2.8.1")
"""Each frame deflated by itself (PS3.5 8.2.16, A.4.13)."""

ENCAPSULATED_UNCOMPRESSED: Final = UID("1.2.840.10008.1.2.1.98")
"""Each frame as it is, in fragments (PS3.5 A.4.11)."""

BIT_FOR_BIT: Final = (RLELossless, DEFLATED_IMAGE_FRAME, ENCAPSULATED_UNCOMPRESSED)
"""Codecs of bytes, which return every allocated bit, as in native data (RLE: PS3.5 8.2.2, A.4.2,
Annex G)."""

ENCAPSULATED: Final = frozenset((*JPEG, *JPEG_LS, *JPEG_2000, *JPEG_XL, *BIT_FOR_BIT))
"""Encapsulated transfer syntaxes with a decoder (PS3.5 A.4)."""

STREAM_KINDS: Final = {
    "JPEG": (JPEGBaseline8Bit, JPEGExtended12Bit, *RETIRED_JPEG),
    "lossless JPEG": (JPEGLossless, JPEGLosslessSV1),
    "JPEG-LS": JPEG_LS,
    "JPEG 2000": (JPEG2000Lossless, JPEG2000),
    "HTJ2K": (*HTJ2K_REVERSIBLE, HTJ2K),
    "JPEG XL": JPEG_XL,
    "RLE": (RLELossless,),
    "uncompressed": (ENCAPSULATED_UNCOMPRESSED,),
}
"""Transfer syntaxes whose streams start alike, by the name of their kind."""


def is_known_syntax(syntax: UID) -> bool:
    """Whether a transfer syntax is one of the standard."""
    return syntax in AllTransferSyntaxes or syntax in ENCAPSULATED


def are_alike(first: UID, second: UID) -> bool:
    """Whether streams of two transfer syntaxes are of one kind."""
    kinds = STREAM_KINDS.values()
    return first == second or any(first in kind and second in kind for kind in kinds)


def name_kind(syntax: UID) -> str:
    """Return the name of the kind of streams that a transfer syntax has."""
    return next(name for name, kind in STREAM_KINDS.items() if syntax in kind)


def name_uid(text: str) -> str:
    """Return the name of a UID for messages; of text that is none only the length."""
    return UID(text, IGNORE).name if is_uid(text) else hide_text(text)
