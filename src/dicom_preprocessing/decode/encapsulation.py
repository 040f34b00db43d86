"""Whether pixel data is native or has streams, and of which kind: by what it is.

The transfer syntax decides only where pixel data does not say what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydicom.uid import RLELossless

from dicom_preprocessing.decode.bits import BYTE_BITS
from dicom_preprocessing.decode.fragments import find_frame_fragments, read_head, split_items
from dicom_preprocessing.decode.streams.recognition import (
    RECOGNITION_BYTES,
    count_rle_segments,
    read_stream_shape,
    recognise_stream,
)
from dicom_preprocessing.dicom.transfer_syntaxes import (
    ENCAPSULATED,
    ENCAPSULATED_UNCOMPRESSED,
    NATIVE,
    are_alike,
    is_known_syntax,
    name_kind,
    name_uid,
)
from dicom_preprocessing.errors import (
    DecodeError,
    FileError,
    ShortPixelDataError,
    UnsupportedTransferSyntaxError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydicom.uid import UID

    from dicom_preprocessing.decode.fragments import FrameFragments
    from dicom_preprocessing.decode.pixel_format import PixelFormat
    from dicom_preprocessing.dicom.description import Description
    from dicom_preprocessing.dicom.pixel_data import PixelData
    from dicom_preprocessing.image_warnings import ImageWarnings

ITEM_TAGS: Final = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
"""Tag of an item, little and big endian."""


class Streams(NamedTuple):
    """The streams of frames.

    Parameters
    ----------
    frames : sequence of FrameFragments
    syntax : UID
        Transfer syntax of streams that do not say what they are.
    stated : UID
        TransferSyntaxUID of the file, empty where it has none.
    """

    frames: Sequence[FrameFragments]
    syntax: UID
    stated: UID

    def warn_of_kind(self, found: UID, warnings: ImageWarnings) -> None:
        """Add a warning if a stream is of another kind than the file states."""
        if not self.stated or are_alike(found, self.stated):
            return
        code = "stream_contradicts_syntax" if is_known_syntax(self.stated) else "unknown_syntax"
        kind = name_kind(found)
        warnings.add(code, f"the stream is {kind}, the transfer syntax is {name_uid(self.stated)}")


def find_streams(
    description: Description,
    pixel_format: PixelFormat,
    pixel_data: PixelData,
    warnings: ImageWarnings,
) -> Streams | None:
    """Find the streams of encapsulated pixel data, None of native pixel data.

    What the pixel data is decides, not the transfer syntax: it has fragments or not.

    Raises
    ------
    ShortPixelDataError, DecodeError
        As for ``stored_frames``.
    UnsupportedTransferSyntaxError
        It has fragments of which no decoder is known.
    """
    syntax, n = description.transfer_syntax_uid, pixel_format.number_of_frames
    stated = description.stated_syntax
    if pixel_data.items is None:
        is_native = _has_native_length(pixel_data, pixel_format)
        if is_native and syntax in NATIVE:
            return None
        head = pixel_data.source.read(pixel_data.value.offset, RECOGNITION_BYTES)
        if not is_native and _starts_stream(head, pixel_data, pixel_format):
            _require_one_frame(pixel_data, pixel_format)
            if syntax not in NATIVE:  # else decoding compares the kinds
                message = f"the stream is not in fragments, which {name_uid(syntax)} needs"
                warnings.add("stream_contradicts_syntax", message)
            return Streams([(pixel_data.value,)], syntax, stated)
        has_items = head.startswith(ITEM_TAGS)
        if syntax in NATIVE and not (has_items and _may_be_items(pixel_data, pixel_format)):
            return None
        if is_native and not has_items:
            message = (
                f"the pixel data has no fragments, which {name_uid(syntax)} needs: it is native"
            )
            warnings.add("stream_contradicts_syntax", message)
            return None
        if has_items:
            message = "fragments are in a value of stated length, without a sequence delimiter"
            warnings.add("no_sequence_delimiter", message)
    if syntax not in NATIVE and syntax not in ENCAPSULATED:
        _require_known_stream(pixel_data, syntax)
    frames = find_frame_fragments(pixel_data, description, n, warnings, pixel_format.frame_bytes)
    return Streams(frames, syntax, stated)


def _require_known_stream(pixel_data: PixelData, syntax: UID) -> None:
    """Raise UnsupportedTransferSyntaxError unless the first fragment is of a known codec."""
    _, fragments = split_items(pixel_data)
    first = next((f for f in fragments if f.length), None)
    if first is None or recognise_stream(read_head(pixel_data, first)) is None:
        raise make_unknown_stream_error(syntax)


def _has_native_length(pixel_data: PixelData, pixel_format: PixelFormat) -> bool:
    """Whether the value has the bytes of native frames, and at most one of padding."""
    return pixel_data.value.length - pixel_format.native_bytes in (0, 1)


def _may_be_items(pixel_data: PixelData, pixel_format: PixelFormat) -> bool:
    """Whether a value that starts with the tag of an item cannot be native, or is all items."""
    is_short = pixel_data.value.length < pixel_format.native_bytes
    return is_short or pixel_data.consists_of_items()


def _starts_stream(head: bytes, pixel_data: PixelData, pixel_format: PixelFormat) -> bool:
    """Whether the value starts a stream whose header says what the file says."""
    samples, kind = pixel_format.samples_per_pixel, recognise_stream(head)
    if kind == RLELossless:
        # PS3.5 G.2: its header has no size, but a segment for each byte of a pixel.
        return count_rle_segments(head) == samples * pixel_format.bits_held // BYTE_BITS
    stated = pixel_format.rows, pixel_format.columns, samples
    whole = [pixel_data.value]
    return kind is not None and read_stream_shape(pixel_data.stream(whole), samples) == stated


def _require_one_frame(pixel_data: PixelData, pixel_format: PixelFormat) -> None:
    """Raise an error if streams without fragments are those of several frames."""
    frames, length = pixel_format.number_of_frames, pixel_data.value.length
    if frames > 1:
        error = ShortPixelDataError if length < pixel_format.native_bytes else DecodeError
        raise error(f"{length} bytes of streams without fragments do not say where frames start")


def make_unknown_stream_error(stated: UID) -> FileError:
    """Make the error of a stream of no known codec, under a transfer syntax without a decoder."""
    if stated in NATIVE:
        return DecodeError(
            f"the pixel data has fragments of no known codec, and the syntax is {name_uid(stated)}"
        )
    return UnsupportedTransferSyntaxError(f"no decoder for transfer syntax {name_uid(stated)}")


def find_stream_syntax(
    head: bytes, length: int, stated: UID, options: Mapping[str, Any]
) -> UID | None:
    """Return the transfer syntax by which a stream is decoded: that of the stream, else the stated.

    Parameters
    ----------
    head : bytes
        The first bytes of the stream.
    length : int
        Bytes of all of it.
    stated : UID
    options : mapping
        As of ``decoder_options``.

    Returns
    -------
    UID or None
        None if neither has a decoder.
    """
    found = recognise_stream(head)
    if found is not None and not are_alike(found, stated):
        return found
    if stated in ENCAPSULATED:
        return stated
    frame = options["rows"] * options["columns"] * options["samples_per_pixel"]
    native = -(-frame * options["bits_allocated"] // BYTE_BITS)
    is_native = stated in NATIVE and length in (native, native + native % 2)
    return ENCAPSULATED_UNCOMPRESSED if is_native else None
