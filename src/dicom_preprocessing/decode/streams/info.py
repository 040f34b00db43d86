"""What the markers of all kinds of streams have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

END: Final = b"\xff\xd9"
"""End of image (JPEG, JPEG-LS), end of codestream (JPEG 2000)."""


class StreamError(ValueError):
    """The stream is cut, of another kind than expected, or contradicts the header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamInfo:
    """Contents of the markers of a stream.

    Parameters
    ----------
    rows, columns, components : int
    precision : int
        Bits of a sample.
    is_lossless : bool
        Whether the coding is reversible.
    has_end_marker : bool
    """

    rows: int
    columns: int
    components: int
    precision: int
    is_lossless: bool
    has_end_marker: bool
