"""Deflated frames (RFC 1951), which some writers put into a zlib or gzip wrapper."""

from __future__ import annotations

import zlib
from typing import Final, NamedTuple

from dicom_preprocessing.decode.streams.info import StreamError
from dicom_preprocessing.dicom.sources import DEFLATE_WRAPPERS, Inflater, MemorySource

PADDING: Final = 1
"""Bytes that a frame may have behind its pixels, which make its length even."""


class InflatedFrame(NamedTuple):
    """A frame, the wrapper in which it was deflated, and the bytes behind the deflated ones.

    ``is_ended`` says whether the deflated bytes are complete; of a frame that is too long they are
    inflated no further than that shows.
    """

    content: bytes
    wrapper: str
    behind: bytes
    is_ended: bool

    def has_length(self, length: int) -> bool:
        """Whether the frame is complete, of ``length`` bytes and at most one of padding."""
        return self.is_ended and 0 <= len(self.content) - length <= PADDING


def inflate_frame(stream: bytes, length: int) -> InflatedFrame:
    """Inflate a frame that is due to have ``length`` bytes.

    Without a wrapper, as the standard has it (PS3.5 8.2.16), or in a zlib or gzip wrapper, if only
    that gives the length.

    Raises
    ------
    StreamError
        The stream is not deflated, or damaged.
    """
    found: InflatedFrame | None = None
    for wrapper in DEFLATE_WRAPPERS:
        try:
            inflated = _inflate(stream, wrapper, length)
        except zlib.error:
            continue
        if inflated.has_length(length):
            return inflated
        found = found or inflated
    if found is None:
        raise StreamError(
            "the frame is damaged, or not deflated: with no wrapper, zlib's or gzip's"
        )
    return found


def _inflate(stream: bytes, wrapper: str, length: int) -> InflatedFrame:
    """Inflate a frame in one wrapper; zlib.error where it is in another one, or damaged."""
    source = MemorySource(stream)
    inflater = Inflater(DEFLATE_WRAPPERS[wrapper], 0, chunk=max(1, len(stream)))
    # A few bytes may inflate to gigabytes. The limit is a frame, its padding, and one byte more,
    # which shows that there is too much.
    limit = length + PADDING + 1
    parts = [inflater.inflate_member(source, limit)]
    is_ended, end = inflater.has_member_end, inflater.position
    while is_ended and inflater.start_member(source):
        is_whole = inflater.end >= length
        part = inflater.inflate_member(source, max(1, limit - inflater.end))
        if is_whole and part:  # of another frame
            break
        parts.append(part)
        is_ended, end = inflater.has_member_end, inflater.position
    return InflatedFrame(b"".join(parts), wrapper, stream[end:], is_ended)


def starts_frame(stream: bytes, length: int) -> bool:
    """Whether a stream begins with a whole deflated frame of ``length`` bytes."""
    try:
        return inflate_frame(stream, length).has_length(length)
    except StreamError:
        return False


def is_frame(stream: bytes, length: int) -> bool:
    """Whether a stream is a whole deflated frame of ``length`` bytes, and at most padding."""
    try:
        inflated = inflate_frame(stream, length)
    except StreamError:
        return False
    return inflated.has_length(length) and not inflated.behind.strip(b"\0")
