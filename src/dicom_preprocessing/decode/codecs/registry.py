"""The decoders of each transfer syntax, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from numpy.typing import NDArray
from pydicom.pixels.decoders import pylibjpeg
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import UID, RLELossless

from dicom_preprocessing.decode.codecs import (
    deflated,
    jpeg,
    jpeg_2000,
    jpeg_ls,
    jpeg_xl,
    rle,
    uncompressed,
)
from dicom_preprocessing.decode.codecs.runner import runner_of
from dicom_preprocessing.dicom.transfer_syntaxes import (
    DEFLATED_IMAGE_FRAME,
    ENCAPSULATED_UNCOMPRESSED,
    JPEG,
    JPEG_2000,
    JPEG_LS,
    JPEG_XL,
)
from dicom_preprocessing.errors import (
    MESSAGE_LIMIT,
    DecodeError,
    InternalError,
    UnsupportedPixelsError,
    is_bug,
    print_traceback,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Plugin = Callable[[bytes, DecodeRunner], NDArray[Any]]
"""From the stream of a frame and the header to stored values, (rows, columns, samples)."""


@dataclass(frozen=True, slots=True)
class CodecFamily:
    """Transfer syntaxes with the same decoders: imagecodecs first, then pylibjpeg if any."""

    syntaxes: tuple[UID, ...]
    first: Plugin
    second: Plugin | None = None


FAMILIES: Final = (
    CodecFamily(JPEG, jpeg.decode),
    CodecFamily(JPEG_LS, jpeg_ls.decode),
    CodecFamily(JPEG_2000, jpeg_2000.decode, jpeg_2000.decode_with_pylibjpeg),
    CodecFamily(JPEG_XL, jpeg_xl.decode),
    CodecFamily((RLELossless,), rle.decode, rle.decode_with_pylibjpeg),
    CodecFamily((DEFLATED_IMAGE_FRAME,), deflated.decode),
    CodecFamily((ENCAPSULATED_UNCOMPRESSED,), uncompressed.decode),
)


def plugins_of(syntax: UID) -> dict[str, Plugin]:
    """Return the decoders of a transfer syntax by name, in the order in which they are tried."""
    # Decoders that other installed packages (GDCM, Pillow) add to pydicom are left out: results
    # must not depend on what else an environment has.
    plugins: dict[str, Plugin] = {}
    for family in FAMILIES:
        if syntax in family.syntaxes:
            plugins["imagecodecs"] = family.first
            if family.second is not None and pylibjpeg.is_available(syntax):
                plugins["pylibjpeg"] = family.second
    return plugins


def decode_stream(
    stream: bytes, syntax: UID, options: Mapping[str, Any]
) -> tuple[NDArray[Any], str]:
    """Decode a frame with the first decoder that succeeds.

    Parameters
    ----------
    stream : bytes
    syntax : UID
        One of ``ENCAPSULATED``.
    options : mapping
        The header as options of pydicom's decoders.

    Returns
    -------
    (rows, columns, samples), integers of Bits Allocated
        Stored values.
    str
        Photometric Interpretation of the result.

    Raises
    ------
    DecodeError
        Every decoder raised an error.
    UnsupportedPixelsError
        The stream is whole, and of a kind that no decoder reads.
    InternalError
        Every decoder raised an error, and one of those was a bug of this package.
    """
    messages: list[str] = []
    bug: BaseException | None = None
    for name, plugin in plugins_of(syntax).items():
        # A new one for each, since a decoder may correct the header before it fails.
        runner = runner_of(syntax, options)
        try:
            values = plugin(stream, runner)
        except (MemoryError, KeyboardInterrupt, SystemExit, UnsupportedPixelsError):
            raise
        # pylibjpeg's RLE decoder is in Rust, whose panics are no Exception.
        except BaseException as error:  # noqa: BLE001
            messages.append(f"{name}: {type(error).__name__}: {error}")
            if is_bug(error):
                # Another decoder may still give the pixels, but not hide the bug from the log.
                print_traceback(error)
                bug = bug or error
        else:
            return values, str(runner.photometric_interpretation)
    if bug is not None:
        raise InternalError.from_exception(bug) from bug
    raise DecodeError("; ".join(messages)[:MESSAGE_LIMIT])
