"""Open a DICOM file: decide by its content whether it is one, and read its header or all of it.

A file with the DICM prefix and an incomplete data set is damaged, so that a cut copy is never taken
for a report without an image. Where the data set has another encoding than the file says, it is
read in its own.
"""

from __future__ import annotations

import logging
import warnings
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom.charset import convert_encodings, default_encoding
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from dicom_preprocessing.dicom.common_header import complete_description, describe_slice
from dicom_preprocessing.dicom.data_set import FileMeta, describe, header_of, read_file_meta
from dicom_preprocessing.dicom.detection import (
    DETECTION_BYTES,
    PREAMBLE,
    PREFIX,
    Detection,
    find_data_set,
    find_encoding,
)
from dicom_preprocessing.dicom.element_header import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    LONG_HEADER,
    META_GROUP,
    Encoding,
)
from dicom_preprocessing.dicom.elements import attributes_of
from dicom_preprocessing.dicom.header import (
    CHARACTER_SET,
    clear_own,
    complete_header,
    may_be_grouped_slice,
    read_plain_header,
)
from dicom_preprocessing.dicom.header_pattern import (
    HeaderPattern,
    HeaderPatterns,
    KnownHeader,
    make_pattern,
)
from dicom_preprocessing.dicom.keywords import (
    HEADER_TAGS,
    HOLOGIC_SLICES,
    PER_FRAME,
    PIXEL_KEYWORDS,
    READ_TAGS,
    SHARED,
    tags_of,
)
from dicom_preprocessing.dicom.pixel_data import PixelData, locate_pixel_data
from dicom_preprocessing.dicom.scanning import ParseError, Scan, scan_elements, scan_rest
from dicom_preprocessing.dicom.sources import (
    DEFLATE_WRAPPERS,
    ByteSource,
    FileSource,
    InflatedSource,
    MemorySource,
    ReadAhead,
)
from dicom_preprocessing.dicom.transfer_syntaxes import NATIVE, is_known_syntax, name_uid
from dicom_preprocessing.errors import DamagedError, FileError, NotDicomError
from dicom_preprocessing.image_warnings import ImageWarning
from dicom_preprocessing.text import plural

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator

    from pydicom.dataset import Dataset

    from dicom_preprocessing.dicom.description import CommonHeader, Description
    from dicom_preprocessing.dicom.header import Header

    PathLike = str | bytes | os.PathLike[str]

GE_PRIVATE: Final = UID("1.2.840.113619.5.2")
"""Implicit VR little endian with pixels in big endian, of GE (its conformance statements)."""

PATTERNS: Final[HeaderPatterns[CommonHeader]] = HeaderPatterns()
"""Of the series whose images were described last."""

UNKNOWN_SIZE: Final = 1 << 62
"""In place of the size of a data set that is not inflated yet."""


class ImageFile(NamedTuple):
    """The description of an image, and the location of its pixels."""

    description: Description
    pixel_data: PixelData | None


@dataclass(slots=True)
class _OpenedFile:
    """A file whose data set has been found.

    Parameters
    ----------
    ahead : ReadAhead
        Of the source of the data set, inflated where it is deflated.
    offset : int
        Of its first element.
    encoding : Encoding
        In which its elements parse.
    meta : FileMeta
        The file meta information.
    has_prefix : bool
        Whether the file has the DICM prefix.
    is_deflated : bool
    warnings : list of ImageWarning
    """

    ahead: ReadAhead
    offset: int
    encoding: Encoding
    meta: FileMeta
    has_prefix: bool
    is_deflated: bool = False
    warnings: list[ImageWarning] = field(default_factory=list)

    @property
    def source(self) -> ByteSource:
        """What is read ahead of."""
        return self.ahead.source


def read_header(path: PathLike, keywords: frozenset[str] = frozenset()) -> Header:
    """Read the header of a DICOM file without its pixels.

    Parameters
    ----------
    path : path
    keywords : frozenset of str
        Of attributes that are read besides.

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
    ahead = ReadAhead(_open(path))
    head, _ = ahead.chunk_from(0, LONG_HEADER)
    patterns = _patterns_of_headers(keywords)
    known = patterns.find(head)
    header = None if known is None else complete_header(known.common, known.own)
    if header is not None:
        return header
    plain = read_plain_header(head, keywords)
    tags = _tags_of_headers(keywords)
    if plain is not None:
        patterns.learn(clear_own(plain), partial(_make_pattern, head, tags))
        return plain
    opened = _find_data_set(ahead)
    header, data_set, scan = _read_header_of(opened, tags, keywords)
    if may_be_grouped_slice(header):
        header, data_set, scan = _read_header_of(opened, {*tags, SHARED, PER_FRAME}, keywords)
    if header.sop_class_uid == MediaStorageDirectoryStorage:
        raise FileError("a DICOMDIR lists files and is not an image", error="dicomdir")
    _require_complete(opened, scan)
    if not opened.has_prefix:
        _require_image_attributes(data_set)
    return header


@lru_cache(maxsize=1)
def _patterns_of_headers(_keywords: frozenset[str]) -> HeaderPatterns[Header]:
    """Patterns of headers with attributes of these keywords."""
    return HeaderPatterns()


@cache
def _tags_of_headers(keywords: frozenset[str]) -> frozenset[int]:
    """Tags that are read of a header with attributes of these keywords."""
    return frozenset((*HEADER_TAGS, *tags_of(keywords), CHARACTER_SET))


def _make_pattern(
    head: bytes, read: Collection[int], common: CommonHeader | None = None
) -> HeaderPattern | None:
    """Make the pattern of a header, of the first bytes of a file and nothing else.

    Parameters
    ----------
    head : bytes
    read : collection of int
        Tags that are read.
    common : CommonHeader or None
        Of the description of an image: the bytes must give the same one, which they do not if the
        file changed while it was read.

    Returns
    -------
    HeaderPattern or None
        None if the bytes need a warning, end before the pixel data, or ``make_pattern`` makes none.
    """
    try:
        opened = _find_data_set(ReadAhead(MemorySource(head)))
        scan = _scan_header(opened, read)
    except FileError:
        return None
    is_stated = is_known_syntax(opened.meta.transfer_syntax_uid) and not opened.is_deflated
    if not (opened.has_prefix and is_stated and scan.is_stopped) or opened.warnings:
        return None
    if common is not None and _describe(opened, scan, None).common is not common:
        return None
    return make_pattern(head, scan, meta_end=opened.offset, encoding=opened.encoding, read=read)


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
        The data set cannot be parsed, or ends inside an element.
    """
    ahead = ReadAhead(_open(path))
    head, _ = ahead.chunk_from(0, LONG_HEADER)
    known = PATTERNS.find(head)
    if known is not None:
        image = _open_known(ahead, known)
        if image is not None:
            return image
        ahead = ReadAhead(ahead.source)
    return _open_other(ahead, head)


def _open_known(ahead: ReadAhead, known: KnownHeader[CommonHeader]) -> ImageFile | None:
    """Describe an image with the header of a series; None if ``_open_other`` has to."""
    found: list[ImageWarning] = []
    with _translate_parse_errors(has_prefix=True):
        pixel_data = _locate_pixel_data(ahead, known.end, known.encoding, found)
    description = None if found else complete_description(known.common, known.own)
    return None if description is None else ImageFile(description, pixel_data)


def _open_other(ahead: ReadAhead, head: bytes) -> ImageFile:
    """Describe an image by its elements, and keep the pattern of ``head``, its first bytes."""
    opened = _find_data_set(ahead)
    scan = _scan_header(opened)
    _require_complete(opened, scan)
    pixel_data = None
    if scan.is_stopped:
        with _translate_parse_errors(has_prefix=opened.has_prefix):
            pixel_data = _locate_pixel_data(
                opened.ahead, scan.end, opened.encoding, opened.warnings
            )
        _warn_of_unused(opened)
    description = _describe(opened, scan, pixel_data)
    if description.common is not None:
        make = partial(_make_pattern, head, READ_TAGS, description.common)
        PATTERNS.learn(description.common, make)
    return ImageFile(description, pixel_data)


def _locate_pixel_data(
    ahead: ReadAhead, offset: int, encoding: Encoding, warnings: list[ImageWarning]
) -> PixelData:
    """Locate the pixel data element at ``offset``, and look at what follows it.

    Raises
    ------
    DecodeError
        The file ends inside the header of the element or of a fragment.
    DamagedError
        It ends inside an element that follows.
    ParseError
        Nothing says where the value ends.
    """
    pixel_data = locate_pixel_data(ahead.source, offset, encoding, warnings.append)
    cut = scan_rest(ahead, pixel_data.end, encoding, warnings.append)
    if cut:
        raise DamagedError.cut(cut)
    return pixel_data


def _read_header_of(
    opened: _OpenedFile, tags: Collection[int], keywords: frozenset[str]
) -> tuple[Header, Dataset, Scan]:
    """Read the elements of these tags, and the header that they make."""
    scan = _scan_header(opened, tags)
    data_set = _make_data_set(opened, scan)
    data_set.set_original_encoding(*opened.encoding, _read_character_set(data_set))
    header = header_of(
        data_set, meta=opened.meta, keywords=keywords, has_pixel_data=scan.is_stopped
    )
    return header, data_set, scan


def _warn_of_unused(opened: _OpenedFile) -> None:
    """Warn of bytes behind a deflated data set, which may have one of padding (PS3.5 A.5)."""
    unused = opened.source.unused if isinstance(opened.source, InflatedSource) else b""
    if unused not in (b"", b"\0"):
        found = plural(len(unused), "byte")
        message = f"{found} or more behind the deflated data set: not part of it, ignored"
        opened.warnings.append(ImageWarning("trailing_bytes", message))


def describe_without_pixels(path: PathLike) -> Description:
    """Describe an image whose pixel data element cannot be located.

    Raises
    ------
    NotDicomError, UnreadableError, DamagedError
        As for ``read_header``.
    """
    opened = _find_data_set(ReadAhead(_open(path)))
    return _describe(opened, _scan_header(opened), None)


def silence_pydicom_warnings() -> None:
    """Silence pydicom, since the state of a file says what is wrong with it."""
    warnings.filterwarnings("ignore", module="pydicom")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def _open(path: PathLike | memoryview) -> ByteSource:
    return MemorySource(path) if isinstance(path, memoryview) else FileSource(path)


def _find_data_set(ahead: ReadAhead) -> _OpenedFile:
    """Read the file meta information, and find the encoding of the data set behind it.

    Raises
    ------
    NotDicomError, DamagedError
        As for ``read_header``.
    """
    source = ahead.source
    head = ahead.read(0, DETECTION_BYTES)
    has_prefix = head[PREAMBLE : PREAMBLE + len(PREFIX)] == PREFIX
    start = PREAMBLE + len(PREFIX) if has_prefix else find_data_set(head, source.size)
    if start is None:
        raise NotDicomError("starts with neither the DICM prefix nor a data set")
    with _translate_parse_errors(has_prefix=has_prefix):
        meta = _scan_meta(ahead, start)
    if meta.cut:
        raise _make_damage_error(DamagedError.cut(meta.cut), has_prefix=has_prefix)
    if not source.reaches(meta.end + 1):
        raise _make_damage_error(DamagedError.empty(), has_prefix=has_prefix)
    file_meta = read_file_meta(meta.as_data_set())
    opened = _OpenedFile(ahead, meta.end, EXPLICIT_LITTLE, file_meta, has_prefix)
    opened.warnings += meta.warnings
    _find_encoding(opened)
    return opened


def _scan_meta(source: ReadAhead, start: int) -> Scan:
    """Scan the file meta information, which is explicit little endian (PS3.10 7.1)."""
    meta = scan_elements(source, start, EXPLICIT_LITTLE, group=META_GROUP)
    if meta.elements:
        return meta
    swapped = scan_elements(source, start, EXPLICIT_BIG, group=META_GROUP)
    return swapped if swapped.elements else meta


def _find_encoding(opened: _OpenedFile) -> None:
    """Set the encoding of the data set, and inflate it where it is deflated.

    Raises
    ------
    DamagedError, NotDicomError
        There are no elements in any encoding.
    """
    syntax = opened.meta.transfer_syntax_uid
    stated = encoding_of(syntax)
    if syntax.is_transfer_syntax and syntax.is_deflated:
        _inflate(opened, syntax)
    encoding, is_complete = _detect(opened.ahead, opened.offset, stated)
    # Deflated, though the transfer syntax does not say so: its bytes may look like one element.
    if not is_complete and not opened.is_deflated:
        _inflate(opened, syntax)
        encoding, _ = _detect(opened.ahead, opened.offset, stated)
    if encoding is None:
        raise _make_damage_error(
            DamagedError.unparsable("there are no elements behind the file meta information"),
            has_prefix=opened.has_prefix,
        )
    opened.encoding = encoding
    if stated is not None and stated != encoding:
        message = f"the data set is {encoding}, its transfer syntax is {name_uid(syntax)}"
        if syntax not in NATIVE:
            message += f", which needs {stated}"
        opened.warnings.append(ImageWarning("encoding_contradicts_syntax", message))


def encoding_of(syntax: UID) -> Encoding | None:
    """Return the encoding of data sets of a transfer syntax, None of one that is not known."""
    if syntax in (ImplicitVRLittleEndian, GE_PRIVATE):
        return IMPLICIT_LITTLE
    if syntax == ExplicitVRBigEndian:
        return EXPLICIT_BIG
    return EXPLICIT_LITTLE if is_known_syntax(syntax) else None


def _detect(ahead: ReadAhead, offset: int, stated: Encoding | None) -> Detection:
    """Find the encoding of elements from ``offset`` on."""
    source = ahead.source
    try:
        head = ahead.read(offset, DETECTION_BYTES)
        # The size of an inflated source is not asked for: all of it would be inflated.
        is_whole = not source.reaches(offset + DETECTION_BYTES + 1)
    except zlib.error:
        return Detection(None, is_complete=False)
    size = len(head) if is_whole else UNKNOWN_SIZE
    if isinstance(source, (FileSource, MemorySource)):
        size = source.size - offset
    return find_encoding(head, size, stated)


def _inflate(opened: _OpenedFile, syntax: UID) -> None:
    """Replace the source by an inflated one, if its bytes are deflated, in whatever wrapper."""
    is_stated = syntax.is_transfer_syntax and syntax.is_deflated
    for wrapper, window_bits in DEFLATE_WRAPPERS.items():
        inflated = ReadAhead(InflatedSource(opened.source, opened.offset, window_bits))
        if not _detect(inflated, 0, None).is_complete:
            continue
        opened.ahead, opened.offset, opened.is_deflated = inflated, 0, True
        found = "deflated" if wrapper == "no" else f"deflated in {wrapper} wrapper"
        if wrapper != "no" or not is_stated:
            message = f"the data set is {found}, its transfer syntax is {name_uid(syntax)}"
            opened.warnings.append(ImageWarning("encoding_contradicts_syntax", message))
        return
    if is_stated and _detect(opened.ahead, opened.offset, EXPLICIT_LITTLE).encoding is not None:
        message = f"the data set is not deflated, its transfer syntax is {name_uid(syntax)}"
        opened.warnings.append(ImageWarning("encoding_contradicts_syntax", message))


def _scan_header(opened: _OpenedFile, wanted: Collection[int] = READ_TAGS) -> Scan:
    """Scan the elements before the pixel data, and read the values of those that are wanted."""
    opened.ahead.restart()
    with _translate_parse_errors(has_prefix=opened.has_prefix):
        scan = scan_elements(
            opened.ahead,
            opened.offset,
            opened.encoding,
            wanted=wanted,
            noted=HOLOGIC_SLICES,
            stop_at=PIXEL_KEYWORDS,
        )
    opened.warnings += scan.warnings
    return scan


def _require_complete(opened: _OpenedFile, scan: Scan) -> None:
    """Raise an error if the data set is cut before its pixel data, or has no element."""
    if scan.cut:
        raise _make_damage_error(DamagedError.cut(scan.cut), has_prefix=opened.has_prefix)
    if scan.end == opened.offset and not scan.is_stopped:
        raise _make_damage_error(DamagedError.empty(), has_prefix=opened.has_prefix)


def _read_character_set(data_set: Dataset) -> list[str]:
    """Python's names of the encodings of text; the default one where the file states none."""
    named = attributes_of(data_set, {CHARACTER_SET: "SpecificCharacterSet"})
    names = [name for attribute in named.values() for name in attribute.texts()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom corrects misspelled names
            return list(convert_encodings(names or [""]))
    except (LookupError, ValueError):  # no such name, or one with a NUL
        return [default_encoding]


def _make_data_set(opened: _OpenedFile, scan: Scan) -> Dataset:
    """Return what was scanned as a data set of pydicom."""
    data_set = scan.as_data_set()
    data_set.set_original_encoding(*opened.encoding)
    return data_set


def _describe(opened: _OpenedFile, scan: Scan, pixel_data: PixelData | None) -> Description:
    syntax = _find_pixel_syntax(opened, pixel_data)
    if not opened.warnings:
        description = describe_slice(
            scan.elements,
            meta=opened.meta,
            syntax=syntax,
            encoding=opened.encoding,
            has_pixel_data=scan.is_stopped,
        )
        if description is not None:
            return description
    return describe(
        _make_data_set(opened, scan),
        meta=opened.meta,
        syntax=syntax,
        has_pixel_data=scan.is_stopped,
        is_little_endian=opened.encoding.is_little_endian,
        warnings=opened.warnings,
    )


def _find_pixel_syntax(opened: _OpenedFile, pixel_data: PixelData | None) -> UID:
    """Find the transfer syntax by which the pixels are read.

    Streams are recognised when they are decoded; here the byte order of native pixels is decided.
    """
    stated, native = opened.meta.transfer_syntax_uid, opened.encoding.native_syntax
    if stated == GE_PRIVATE:
        return ExplicitVRBigEndian
    if not stated or stated in NATIVE:
        is_deflated = opened.is_deflated and native == ExplicitVRLittleEndian
        return DeflatedExplicitVRLittleEndian if is_deflated else native
    if is_known_syntax(stated) or pixel_data is None or pixel_data.items is not None:
        return stated
    message = (
        f"the transfer syntax {name_uid(stated)} is not known: pixels are read as {native.name}"
    )
    opened.warnings.append(ImageWarning("unknown_syntax", message))
    return native


@contextmanager
def _translate_parse_errors(*, has_prefix: bool) -> Iterator[None]:
    """Turn errors of parsing into errors about the file."""
    try:
        yield
    except (ParseError, zlib.error) as error:
        raise _make_damage_error(DamagedError.unparsable(error), has_prefix=has_prefix) from error


def _make_damage_error(damaged: DamagedError, *, has_prefix: bool) -> FileError:
    """Return the error, for a file without the prefix as one of a file that is not DICOM."""
    return damaged if has_prefix else NotDicomError(str(damaged))


def _require_image_attributes(data_set: Dataset) -> None:
    """Raise NotDicomError for a data set without prefix that does not look like an image."""
    # Any bytes may happen to parse as elements; these attributes make them credible.
    if "SOPClassUID" in data_set or ("Rows" in data_set and "Columns" in data_set):
        return
    raise NotDicomError("no DICM prefix, no SOP Class UID, no Rows and Columns")
