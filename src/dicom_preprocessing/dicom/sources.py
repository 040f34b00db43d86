"""Bytes that can be read at any offset: of a file, in memory, or inflated on the way."""

from __future__ import annotations

import os
import weakref
import zlib
from threading import Lock
from typing import Final, Protocol

from dicom_preprocessing.errors import DamagedError, UnreadableError
from dicom_preprocessing.files import close_read_file, read_at

CHUNK: Final = 65536
"""Bytes that are read ahead, or inflated at once; most headers are shorter."""

KEPT_BYTES: Final = 1 << 28
"""Inflated bytes that stay in memory; nearly every data set has fewer."""

BLOCK: Final = 1 << 24
"""Bytes between two kept states of an inflater, each of which takes 40 KB."""

MAX_INFLATED: Final = 1 << 33
"""Bytes to which a data set may inflate: the longest element has half of them."""

MAX_MEMBERS: Final = 1 << 20
"""Members of a gzip stream: 10 seconds of the smallest, which are empty."""

MEMBER_CHUNK: Final = 1024
"""Bytes that are read first of a member behind another one, which may be very short."""

GZIP_HEAD: Final = b"\x1f\x8b\x08"
"""The first bytes of a member of a gzip stream (RFC 1952 2.3.1)."""

DEFLATE_WRAPPERS: Final = {
    "no": -zlib.MAX_WBITS,
    "a zlib": zlib.MAX_WBITS,
    "a gzip": zlib.MAX_WBITS | 16,
}
"""Window bits of zlib by wrapper; PS3.5 A.5 and 8.2.16 have none."""

MAX_PARSED: Final = 1 << 27
"""Bytes of small elements that a reader goes through: 40 seconds of the smallest."""

SMALL_STEP: Final = 256
"""Bytes that are skipped at the end of a chunk in which there were small elements."""


class ByteSource(Protocol):
    """Bytes that can be read at any offset, by several threads."""

    @property
    def size(self) -> int:
        """Number of bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """Read ``length`` bytes from ``offset``, fewer at the end."""

    def reaches(self, end: int) -> bool:
        """Whether there are bytes up to the offset ``end``."""


class FileSource:
    """An open file, which is closed when nothing refers to the object.

    Raises
    ------
    UnreadableError
        It cannot be opened or read.
    """

    def __init__(self, path: str | bytes | os.PathLike[str]) -> None:
        # Not by open() and a copy of its descriptor: 3 of the 57 microseconds of a header.
        try:
            self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            weakref.finalize(self, close_read_file, self.descriptor)
            self.size = os.fstat(self.descriptor).st_size
        except OSError as error:
            raise UnreadableError.from_os_error(error) from error

    def read(self, offset: int, length: int) -> bytes:
        """Read ``length`` bytes from ``offset``, fewer at the end."""
        try:
            return read_at(self.descriptor, offset, max(0, min(length, self.size - offset)))
        except OSError as error:
            raise UnreadableError.from_os_error(error) from error

    def reaches(self, end: int) -> bool:
        """Whether there are bytes up to the offset ``end``."""
        return end <= self.size


class PathSource:
    """A file that is opened for each read."""

    def __init__(self, path: str | bytes | os.PathLike[str], size: int) -> None:
        self.path, self.size = path, size

    def read(self, offset: int, length: int) -> bytes:
        """Read ``length`` bytes from ``offset``, fewer at the end."""
        return FileSource(self.path).read(offset, length)

    def reaches(self, end: int) -> bool:
        """Whether there are bytes up to the offset ``end``."""
        return end <= self.size


class MemorySource:
    """Bytes in memory, which are copied only when they are read."""

    def __init__(self, content: bytes | memoryview) -> None:
        self.content = content
        self.size = len(content)

    def read(self, offset: int, length: int) -> bytes:
        """Read ``length`` bytes from ``offset``, fewer at the end."""
        return bytes(self.content[offset : offset + length])

    def reaches(self, end: int) -> bool:
        """Whether there are bytes up to the offset ``end``."""
        return end <= self.size


class InflatedSource:
    """A deflated source, inflated as far as it was read.

    Where they are a gzip stream, all of its members are inflated (RFC 1952 2.2).

    A few megabytes may inflate to a thousand times as many. So only the first ``KEPT_BYTES`` stay
    in memory; what is behind them is inflated again where it is read again, from states of the
    inflater that are kept at intervals.

    Parameters
    ----------
    source : ByteSource
    start : int
        Offset of the deflated bytes.
    window_bits : int
        As of zlib: negative for bytes without a wrapper.
    """

    def __init__(self, source: ByteSource, start: int, window_bits: int) -> None:
        self.start, self.window_bits = start, window_bits
        self._source = source
        self._state = Inflater(window_bits, start)
        self._kept = bytearray()
        self._states: list[Inflater] = []
        self._blocks: dict[int, bytes] = {}
        self._lock = Lock()
        self._unused: bytes | None = None

    @property
    def size(self) -> int:
        """Number of inflated bytes, all of which are inflated for it."""
        self.reaches(MAX_INFLATED + 1)
        return self._state.end

    @property
    def unused(self) -> bytes:
        """Up to ``CHUNK`` bytes, or a few more, behind the deflated ones; all are inflated."""
        with self._lock:
            while self._inflate():
                pass
            if self._unused is None:
                self._unused = self._state.read_behind(self._source, CHUNK)
                if not self._states:
                    self._source = MemorySource(b"")  # so that a file does not stay open
            return self._unused

    def read(self, offset: int, length: int) -> bytes:
        """Read ``length`` bytes from ``offset``, fewer at the end.

        Raises
        ------
        zlib.error
            The bytes are not deflated, or damaged.
        DamagedError
            They inflate to more than ``MAX_INFLATED``, or have too many members.
        """
        end = offset + length
        if not self.reaches(end):
            end = self._state.end
        if end <= len(self._kept):
            return bytes(self._kept[offset:end])
        with self._lock:
            parts = [bytes(self._kept[offset:end])]
            at = max(offset, len(self._kept))
            while at < end:
                number, start = divmod(at - KEPT_BYTES, BLOCK)
                parts.append(self._read_block(number)[start : start + end - at])
                at += len(parts[-1])
        return b"".join(parts)

    def reaches(self, end: int) -> bool:
        """Whether there are bytes up to the offset ``end``; errors as for ``read``."""
        if end > self._state.end:
            with self._lock:
                while self._state.end < end and self._inflate():
                    pass
        return end <= self._state.end

    def _inflate(self) -> bool:
        """Inflate one more chunk that is kept, or one block behind them; False at the end."""
        state = self._state
        if state.is_ended:
            return False
        if state.end < KEPT_BYTES:
            inflated = state.inflate(self._source, min(CHUNK, KEPT_BYTES - state.end))
            self._kept += inflated
        else:
            self._states.append(state.copy())
            inflated = state.inflate(self._source, BLOCK)
            self._hold(len(self._states) - 1, inflated)
        if state.end > MAX_INFLATED:
            raise DamagedError(f"the data set inflates to more than {MAX_INFLATED >> 30} GiB")
        return bool(inflated)

    def _read_block(self, number: int) -> bytes:
        """Return a block behind the kept bytes, inflated once more unless it was among the last."""
        if number not in self._blocks:
            self._hold(number, self._states[number].copy().inflate(self._source, BLOCK))
        return self._blocks[number]

    def _hold(self, number: int, block: bytes) -> None:
        """Hold a block and the one before it: a read may go over the end of a block."""
        last = list(self._blocks.items())[-1:]
        self._blocks = dict(last) | {number: block}


class InflatedPathSource:
    """A deflated file that was inflated once, and is opened and inflated for each read.

    Raises
    ------
    DamagedError
        It does not inflate any more.
    """

    def __init__(
        self, path: str | bytes | os.PathLike[str], start: int, window_bits: int, size: int
    ) -> None:
        self.path, self.start, self.window_bits, self.size = path, start, window_bits, size

    def read(self, offset: int, length: int) -> bytes:
        """Read ``length`` bytes from ``offset``, fewer at the end."""
        inflated = InflatedSource(FileSource(self.path), self.start, self.window_bits)
        try:
            return inflated.read(offset, length)
        except zlib.error as error:
            raise DamagedError.unparsable(error) from error

    def reaches(self, end: int) -> bool:
        """Whether there are bytes up to the offset ``end``."""
        return end <= self.size


def reopen_for_reads(source: ByteSource, path: str | bytes | os.PathLike[str]) -> ByteSource:
    """Return the source of a path as one that holds neither a file nor inflated bytes.

    A volume may have more files than can be open, and more pixels than fit in memory.
    """
    if isinstance(source, FileSource):
        return PathSource(path, source.size)
    if isinstance(source, InflatedSource):
        return InflatedPathSource(path, source.start, source.window_bits, source.size)
    return source


class Inflater:
    """A state of an inflater: it has taken bytes up to ``offset``, and given ``end`` bytes.

    Parameters
    ----------
    window_bits : int
        One of ``DEFLATE_WRAPPERS``.
    offset : int
        Of the deflated bytes in a source.
    chunk : int or None
        Bytes of the source that are read at once.
    """

    __slots__ = ("_chunk", "_inflater", "_members", "_window_bits", "end", "is_ended", "offset")

    def __init__(self, window_bits: int, offset: int, chunk: int | None = None) -> None:
        self._window_bits, self.offset, self.end = window_bits, offset, 0
        self._inflater = zlib.decompressobj(window_bits)
        self._chunk, self._members = CHUNK if chunk is None else chunk, 1
        self.is_ended = False

    def copy(self) -> Inflater:
        """Return a state that goes on by itself."""
        copied = Inflater.__new__(Inflater)
        for name in Inflater.__slots__:
            setattr(copied, name, getattr(self, name))
        copied._inflater = self._inflater.copy()  # noqa: SLF001  # of this class
        return copied

    def inflate(self, source: ByteSource, length: int) -> bytes:
        """Inflate ``length`` bytes, fewer only at the end; errors as of ``InflatedSource.read``."""
        parts = [self.inflate_member(source, length)]
        missing = length - len(parts[0])
        while missing and self.start_member(source):
            parts.append(self.inflate_member(source, missing))
            missing -= len(parts[-1])
        return b"".join(parts)

    def inflate_member(self, source: ByteSource, length: int) -> bytes:
        """Inflate ``length`` bytes, fewer at the end of a member of a gzip stream."""
        parts, missing = [], length
        while missing and not self._inflater.eof:
            deflated = self._inflater.unconsumed_tail
            if not deflated:
                deflated = source.read(self.offset, self._chunk)
                self.offset += len(deflated)
                self._chunk = max(self._chunk, min(2 * self._chunk, CHUNK))
            parts.append(self._inflater.decompress(deflated, missing))
            missing -= len(parts[-1])
            if not (parts[-1] or deflated):  # the deflated bytes are cut
                break
        self.end += length - missing
        return b"".join(parts)

    @property
    def has_member_end(self) -> bool:
        """Whether a member of a gzip stream, or the one stream of another kind, is inflated."""
        return self._inflater.eof

    @property
    def position(self) -> int:
        """Offset in the source behind a member that was inflated, while ``has_member_end``."""
        return self.offset - len(self._inflater.unused_data)

    def start_member(self, source: ByteSource) -> bool:
        """Start the next member of a gzip stream, if one was inflated and another one follows.

        Raises
        ------
        DamagedError
            There were ``MAX_MEMBERS`` already.
        """
        if self.is_ended or not self._inflater.eof:
            return False
        start = self.position
        is_gzip = self._window_bits == DEFLATE_WRAPPERS["a gzip"]
        if not is_gzip or source.read(start, len(GZIP_HEAD)) != GZIP_HEAD:
            self.is_ended = True
            return False
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise DamagedError(f"a gzip stream has more than {MAX_MEMBERS} members")
        self._inflater = zlib.decompressobj(self._window_bits)
        self.offset, self._chunk = start, min(MEMBER_CHUNK, CHUNK)
        return True

    def read_behind(self, source: ByteSource, length: int) -> bytes:
        """Read ``length`` bytes, or a few more, behind the member that was inflated."""
        return self._inflater.unused_data + source.read(self.offset, length)


class ReadAhead:
    """A source that reads chunks, for readers of many small parts in ascending order."""

    def __init__(self, source: ByteSource, size: int = CHUNK) -> None:
        self.source = source
        self._size = size
        self._start, self._chunk = 0, b""
        self._parsed = 0

    def read(self, offset: int, length: int) -> bytes:
        """Read ``length`` bytes from ``offset``, fewer at the end.

        Raises
        ------
        DamagedError
            More than ``MAX_PARSED`` bytes were of small parts.
        """
        start = offset - self._start
        if start < 0 or start + length > len(self._chunk):
            if length > self._size:
                return self.source.read(offset, length)
            self._count(offset)
            self._start, self._chunk, start = offset, self.source.read(offset, self._size), 0
        return self._chunk[start : start + length]

    def restart(self) -> None:
        """Count small parts anew, for a reader that begins once more."""
        self._parsed = 0

    def chunk_from(self, offset: int, length: int) -> tuple[bytes, int]:
        """Return a chunk with ``length`` bytes from ``offset``, if they are there, and their place.

        Errors are those of ``read``; ``length`` is at most that of a chunk.
        """
        self.read(offset, length)
        return self._chunk, offset - self._start

    def _count(self, offset: int) -> None:
        """Count the last chunk, of which the next one is at ``offset``, if it had small parts."""
        if offset < self._start + len(self._chunk) + SMALL_STEP:
            self._parsed += len(self._chunk)
        if self._parsed > MAX_PARSED:
            raise DamagedError(
                f"more than {MAX_PARSED >> 20} MiB of small elements, which no image needs"
            )

    def reaches(self, end: int) -> bool:
        """Whether there are bytes up to the offset ``end``."""
        return self.source.reaches(end)
