"""What the markers of any kind of stream tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

END: Final = b"\xff\xd9"
"""End of image (JPEG, JPEG-LS), end of codestream (JPEG 2000)."""


class StreamError(ValueError):
    """The stream is cut, or none of the kind that it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamInfo:
    """What the markers of a stream tell.

    Parameters
    ----------
    rows, columns, components : int
    precision : int
        Bits of a sample.
    is_lossless : bool
        The stream gives back exactly what was put in.
    is_ended : bool
        The end marker is there.
    """

    rows: int
    columns: int
    components: int
    precision: int
    is_lossless: bool
    has_end_marker: bool
