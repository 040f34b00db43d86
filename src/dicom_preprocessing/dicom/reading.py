"""Open a DICOM file: decide by its content whether it is one, and read its header or all of it.

pydicom reads a cut file without an error, as far as it goes. Here a file with the DICM prefix and
an incomplete data set is damaged, so that a cut copy is never taken for a report without an image.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_dataset, read_partial
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from dicom_preprocessing.dicom.data_set import describe, header_of, transfer_syntax_of
from dicom_preprocessing.dicom.detection import (
    DETECTION_BYTES,
    HEADER_LENGTH,
    UNDEFINED_LENGTH,
    looks_like_data_set,
)
from dicom_preprocessing.dicom.header import PREAMBLE, read_plain_header
from dicom_preprocessing.dicom.pixel_data import (
    KEYWORDS,
    ByteSource,
    FileSource,
    MemorySource,
    PixelData,
    locate_pixel_data,
    pixel_data_in,
)
from dicom_preprocessing.errors import (
    DamagedError,
    FileError,
    NotDicomError,
    UnreadableError,
    is_bug,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer
    from pydicom.dataset import Dataset, FileDataset
    from pydicom.tag import BaseTag
    from pydicom.uid import UID

    from dicom_preprocessing.dicom.description import Description
    from dicom_preprocessing.dicom.header import Header

    PathLike = str | bytes | os.PathLike[str]

DICOM_HEAD_BYTES: Final = 65536
"""Read of a file at first; most headers are shorter."""


class ImageFile(NamedTuple):
    """The description of an image, and the location of its pixels."""

    description: Description
    pixel_data: PixelData | None


def read_header(path: PathLike) -> Header:
    """Read the header of a DICOM file without its pixels.

    Raises
    ------
    NotDicomError
        Neither the DICM prefix nor a data set is at the start.
    UnreadableError
        The file system raises an error.
    DamagedError
        The data set is cut, or cannot be parsed.
    FileError
        The file is a DICOMDIR (error ``dicomdir``).
    """
    with _open(path) as file:
        plain = read_plain_header(_peek_head(file))
        if plain is not None:
            return plain
        has_prefix = _require_dicom(file)
        data_set, at_pixels = _parse_header(file, has_prefix=has_prefix)
        cut = None if at_pixels else _find_cut(data_set, file)
    header = header_of(data_set, has_pixel_data=at_pixels)
    if header.sop_class_uid == MediaStorageDirectoryStorage:
        raise FileError("a DICOMDIR lists files and is not an image", error="dicomdir")
    if cut is not None:
        raise _make_damage_error(DamagedError.cut(cut), has_prefix=has_prefix)
    if not has_prefix:
        _require_image_attributes(data_set)
    return header


def open_image(path: PathLike | memoryview) -> ImageFile:
    """Describe an image; its pixel data stays in the file until it is asked for.

    Parameters
    ----------
    path : path or memoryview
        A file, or the bytes of one, which must not change.

    Raises
    ------
    NotDicomError, UnreadableError
        As for ``read_header``.
    DecodeError
        The file ends inside the header of the pixel data element or of a fragment.
    DamagedError
        The data set cannot be parsed, or ends inside an element after the pixel data.
    """
    with _open(path) as file:
        data_set, syntax, pixel_data = _open_data_set(file)
    has_pixel_data = pixel_data is not None
    return ImageFile(describe(data_set, syntax=syntax, has_pixel_data=has_pixel_data), pixel_data)


def describe_without_pixels(path: PathLike) -> Description:
    """Describe an image whose pixel data element cannot be located.

    Raises
    ------
    NotDicomError, UnreadableError, DamagedError
        As for ``read_header``.
    """
    with _open(path) as file:
        data_set, at_pixels = _parse_header(file, has_prefix=_require_dicom(file))
    return describe(data_set, has_pixel_data=at_pixels)


def _open_data_set(file: _TruncationDetector) -> tuple[FileDataset, UID, PixelData | None]:
    """Parse a data set and locate its pixel data; the transfer syntax comes with it."""
    has_prefix = _require_dicom(file)
    data_set, at_pixels = _parse_header(file, has_prefix=has_prefix)
    syntax = transfer_syntax_of(data_set)
    if not at_pixels:
        return data_set, syntax, None
    # PS3.5 A.5: all of the data set is deflated, so that the pixels have no offset in the file.
    if syntax == DeflatedExplicitVRLittleEndian:
        file.seek(0)
        data_set = _parse(file, None, has_prefix=has_prefix)
        return data_set, syntax, pixel_data_in(data_set)
    implicit, little_endian = map(bool, data_set.original_encoding)
    pixel_data = locate_pixel_data(
        file.source(), file.tell(), implicit=implicit, little_endian=little_endian
    )
    # What follows the pixel data decides nothing, but shows whether the file is complete.
    if pixel_data.end < pixel_data.source.size:
        file.seek(pixel_data.end)
        with _translate_parse_errors(has_prefix=has_prefix):
            rest = read_dataset(file, implicit, little_endian)
        cut = _describe_cut_element(rest) if len(rest) else None
        if cut is not None:
            raise DamagedError.cut(cut)
    return data_set, syntax, pixel_data


def silence_pydicom_warnings() -> None:
    """Silence pydicom, since the state of a file says what is wrong with it."""
    warnings.filterwarnings("ignore", module="pydicom")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)


class _RawMemory(io.RawIOBase):
    """Bytes in memory as a file, which are copied only when they are read."""

    name = None  # pydicom uses the attribute

    def __init__(self, content: memoryview) -> None:
        self.content = content
        self.position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: len(self.content)}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self.position = base + offset
        return self.position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        target = memoryview(buffer).cast("B")
        content = self.content[self.position : self.position + len(target)]
        target[: len(content)] = content
        self.position += len(content)
        return len(content)


class _TruncationDetector(io.BufferedReader):
    """A file that counts the bytes by which a read fell short."""

    missing = 0

    @property
    def size(self) -> int:
        """Bytes of the file."""
        raw = self.raw
        return len(raw.content) if isinstance(raw, _RawMemory) else os.fstat(self.fileno()).st_size

    def source(self) -> ByteSource:
        """Return the same bytes as a source that is read at any offset."""
        raw = self.raw
        if isinstance(raw, _RawMemory):
            return MemorySource(raw.content)
        return FileSource(self.fileno())

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, and count the missing bytes."""
        data = super().read(size)
        # pydicom tries to read one more element header at the end of a complete file.
        if size is not None and len(data) < size and (data or size != HEADER_LENGTH):
            self.missing = size - len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Seek, and forget the last read."""
        self.missing = 0
        return super().seek(offset, whence)


def _open(path: PathLike | memoryview) -> _TruncationDetector:
    if isinstance(path, memoryview):
        return _TruncationDetector(_RawMemory(path), DICOM_HEAD_BYTES)
    try:
        return _TruncationDetector(open(path, "rb", buffering=0), DICOM_HEAD_BYTES)
    except OSError as error:
        raise UnreadableError.from_os_error(error) from error


def _peek_head(file: _TruncationDetector) -> bytes:
    """Return the first bytes of a file that was just opened, without reading on."""
    try:
        return file.peek()
    except OSError as error:
        raise UnreadableError.from_os_error(error) from error


def _require_dicom(file: _TruncationDetector) -> bool:
    """Return whether the DICM prefix is there.

    Raises
    ------
    NotDicomError
        It is not, and the file does not start like a data set either.
    """
    try:
        size = file.size
        head = file.read(min(size, DETECTION_BYTES))
        file.seek(0)
    except OSError as error:
        raise UnreadableError.from_os_error(error) from error
    if head[PREAMBLE : PREAMBLE + 4] == b"DICM":
        return True
    if looks_like_data_set(head, size):
        return False
    raise NotDicomError("starts with neither the DICM prefix nor a data set")


def _parse_header(file: _TruncationDetector, *, has_prefix: bool) -> tuple[FileDataset, bool]:
    """Parse the data set up to the pixel data; whether there is any comes with it."""
    at_pixels = False

    def stop_at_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        nonlocal at_pixels
        at_pixels = tag in KEYWORDS
        return at_pixels

    return _parse(file, stop_at_pixels, has_prefix=has_prefix), at_pixels


def _parse(file: BinaryIO, stop_when: Any, *, has_prefix: bool) -> FileDataset:  # noqa: ANN401
    with _translate_parse_errors(has_prefix=has_prefix):
        data_set = read_partial(file, stop_when=stop_when, force=True)
    if not len(data_set):
        raise _make_damage_error(DamagedError.empty(), has_prefix=has_prefix)
    return data_set


@contextmanager
def _translate_parse_errors(*, has_prefix: bool) -> Iterator[None]:
    """Turn errors of pydicom into errors of this package."""
    try:
        yield
    except MemoryError:
        raise
    except OSError as error:
        # A damaged length has pydicom seek out of the file; other numbers are of the disk.
        if error.errno in (None, errno.EINVAL):
            raise _make_damage_error(
                DamagedError.from_parser(error), has_prefix=has_prefix
            ) from error
        raise UnreadableError.from_os_error(error) from error
    except Exception as error:  # pydicom and zlib raise nearly anything on bad bytes
        if is_bug(error):
            raise
        raise _make_damage_error(DamagedError.from_parser(error), has_prefix=has_prefix) from error


def _make_damage_error(damaged: DamagedError, *, has_prefix: bool) -> FileError:
    """Return the error, for a file without the prefix as one of a file that is not DICOM."""
    return damaged if has_prefix else NotDicomError(str(damaged))


def _find_cut(data_set: FileDataset, file: _TruncationDetector) -> str | None:
    """Describe where a data set without pixel data is cut, None if it is not."""
    cut = _describe_cut_element(data_set)
    if cut is None and file.missing:
        cut = f"{file.missing} bytes are missing at its end"
    return cut


def _describe_cut_element(data_set: Dataset) -> str | None:
    """Describe what the last element lacks, None if it is complete or pixel data."""
    *_, last = data_set.values()
    if not isinstance(last, RawDataElement) or last.length == UNDEFINED_LENGTH:
        return None
    missing = last.length - len(last.value or b"")
    if missing <= 0 or last.tag in KEYWORDS:
        return None
    return f"{missing} bytes of {last.tag} are missing"


def _require_image_attributes(data_set: FileDataset) -> None:
    """Raise NotDicomError for a data set without prefix that does not look like an image."""
    # Any bytes may happen to parse as elements; these attributes make them credible.
    if "SOPClassUID" in data_set or ("Rows" in data_set and "Columns" in data_set):
        return
    raise NotDicomError("no DICM prefix, no SOP Class UID, no Rows and Columns")
