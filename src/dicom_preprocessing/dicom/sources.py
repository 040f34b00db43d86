"""Bytes that can be read at any offset: of a file, in memory, or inflated on the way."""

from __future__ import annotations

import os
import weakref
import zlib
from typing import Final, Protocol

from dicom_preprocessing.errors import UnreadableError
from dicom_preprocessing.files import read_at

CHUNK: Final = 65536
"""Bytes that are read ahead, or inflated at once; most headers are shorter."""


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
        except OSError as error:
            raise UnreadableError.from_os_error(error) from error
        weakref.finalize(self, os.close, self.descriptor)
        self.size = os.fstat(self.descriptor).st_size

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
    """A file that is opened for each read, since a volume may have more files than can be open."""

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

    Parameters
    ----------
    source : ByteSource
    start : int
        Offset of the deflated bytes.
    window_bits : int
        As of zlib: negative for bytes without a wrapper.
    """

    def __init__(self, source: ByteSource, start: int, window_bits: int) -> None:
        self._source, self._offset = source, start
        self._inflater = zlib.decompressobj(window_bits)
        self._inflated = bytearray()
        self.unused = b""

    @property
    def size(self) -> int:
        """Number of inflated bytes, all of which are inflated for it."""
        while self._inflate():
            pass
        self.unused = self._inflater.unused_data or self.unused
        self.unused += self._source.read(self._offset, CHUNK)
        self._source, self._offset = MemorySource(b""), 0  # so that a file does not stay open
        return len(self._inflated)

    def read(self, offset: int, length: int) -> bytes:
        """Read ``length`` bytes from ``offset``, fewer at the end.

        Raises
        ------
        zlib.error
            The bytes are not deflated, or damaged.
        """
        self.reaches(offset + length)
        return bytes(self._inflated[offset : offset + length])

    def reaches(self, end: int) -> bool:
        """Whether there are bytes up to the offset ``end``."""
        while len(self._inflated) < end and self._inflate():
            pass
        return end <= len(self._inflated)

    def _inflate(self) -> bool:
        """Inflate one more chunk; False at the end."""
        if self._inflater.eof:
            return False
        deflated = self._inflater.unconsumed_tail
        if not deflated:
            deflated = self._source.read(self._offset, CHUNK)
            self._offset += len(deflated)
        chunk = self._inflater.decompress(deflated, CHUNK)
        self._inflated += chunk
        return bool(chunk or deflated)


class ReadAhead:
    """A source that reads chunks, for readers of many small parts in ascending order."""

    def __init__(self, source: ByteSource, size: int = CHUNK) -> None:
        self.source = source
        self._size = size
        self._start, self._chunk = 0, b""

    def read(self, offset: int, length: int) -> bytes:
        """Read ``length`` bytes from ``offset``, fewer at the end."""
        start = offset - self._start
        if start < 0 or start + length > len(self._chunk):
            if length > self._size:
                return self.source.read(offset, length)
            self._start, self._chunk, start = offset, self.source.read(offset, self._size), 0
        return self._chunk[start : start + length]

    def reaches(self, end: int) -> bool:
        """Whether there are bytes up to the offset ``end``."""
        return self.source.reaches(end)
