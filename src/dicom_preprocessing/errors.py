"""Everything that can go wrong, in one tree.

``FileError`` and its children are facts about one file: they become rows of failures.csv and the
rest of the study goes on. ``ConfigError`` and ``SourceError`` stop a run before any work.
"""

from __future__ import annotations

import sys
from traceback import format_exception, walk_tb
from typing import TYPE_CHECKING, Final

from dicom_preprocessing.text import explain_without_path, hide_quoted

if TYPE_CHECKING:
    from types import FrameType
    from typing import Self

PACKAGE: Final = __name__.partition(".")[0]

READERS: Final = ("imagecodecs", "openjpeg", "pydicom", "pylibjpeg", "rle", "zlib")
"""Libraries that read bytes of the source, and raise nearly anything where those are bad."""

MESSAGE_LIMIT: Final = 500
"""Characters of a message that a library wrote."""

SKIPPED_ERRORS = ("not_dicom", "no_pixel_data", "dicomdir", "duplicate", "not_selected")
"""Error classes of files that are skipped: nothing is wrong with them."""

FAILED_ERRORS = (
    "unreadable",
    "damaged",
    "missing_attribute",
    "bad_uid",
    "sop_conflict",
    "unsupported_transfer_syntax",
    "unsupported_pixels",
    "decode_error",
    "short_pixel_data",
    "no_spacing",
    "volume_error",
    "limit_time",
    "limit_pixels",
    "limit_memory",
    "codec_crash",
    "source_changed",
    "internal_error",
)
"""Error classes of files that should have become an image and did not."""


class DicomPreprocessingError(Exception):
    """Base of all errors of this package."""


class ConfigError(DicomPreprocessingError, ValueError):
    """The configuration is not usable; the message says which key and what to write instead.

    Parameters
    ----------
    message : str
    summary : str, optional
        The same without the name of the key and the YAML to write, for command line options.
    """

    def __init__(self, message: str, summary: str = "") -> None:
        super().__init__(message)
        self.summary = summary or message


class SourceError(DicomPreprocessingError):
    """The source as a whole is not usable: nothing is there, or nothing can be read."""


class OutputError(DicomPreprocessingError):
    """Results are not what the receipts say; the message says how to rebuild them."""


class KeptStageError(OutputError):
    """The images of a kept stage are not those that were written, or of other settings."""


class PreprocessingError(DicomPreprocessingError, RuntimeError):
    """The direct Python API cannot make an array of a file or buffer.

    Parameters
    ----------
    message : str
    error : str, optional
        One of ``SKIPPED_ERRORS`` or ``FAILED_ERRORS``, empty where the arguments are wrong.
    """

    def __init__(self, message: str, *, error: str = "") -> None:
        super().__init__(message)
        self.error = error


class LoadError(DicomPreprocessingError, RuntimeError):
    """A TIFF cannot be loaded."""


class MissingTiffError(LoadError, FileNotFoundError):
    """There is no TIFF of this name."""


class FileError(DicomPreprocessingError):
    """One file cannot become an image.

    Parameters
    ----------
    message : str
        What was found and what was expected, without names or dates of a patient.
    error : str, optional
        One of ``SKIPPED_ERRORS`` or ``FAILED_ERRORS``; each subclass has its own.
    transient : bool, optional
        True where trying again may help although the file did not change.
    stage : str, optional
        The stage at which it occurred, where that is known.
    """

    error = "decode_error"
    transient = False

    def __init__(
        self,
        message: str,
        *,
        error: str | None = None,
        transient: bool | None = None,
        stage: str = "",
    ) -> None:
        super().__init__(message)
        self.stage = stage
        if error is not None:
            self.error = error
        if transient is not None:
            self.transient = transient

    @property
    def state(self) -> str:
        """``skipped`` or ``failed``."""
        return "skipped" if self.error in SKIPPED_ERRORS else "failed"


class NotDicomError(FileError):
    """The content is not DICOM."""

    error = "not_dicom"


class UnreadableError(FileError):
    """The file system does not give the bytes; it may the next time."""

    error = "unreadable"
    transient = True

    @classmethod
    def from_os_error(cls, error: OSError) -> UnreadableError:
        """Say what the file system said and what to do, without the path."""
        return cls(explain_without_path(error))


class DamagedError(FileError):
    """The file has the DICM prefix, but not a complete data set."""

    error = "damaged"

    @classmethod
    def empty(cls) -> Self:
        """For a file without a data set."""
        return cls("the data set is empty")

    @classmethod
    def cut(cls, missing: str) -> Self:
        """For a file that ends inside an element; ``missing`` says what is not there."""
        return cls(f"the file is cut or damaged: {missing}")

    @classmethod
    def unparsable(cls, reason: object) -> Self:
        """For a file whose bytes are no data set; ``reason`` says where that shows."""
        return cls(f"does not parse as DICOM: {reason}")


class SourceChangedError(FileError):
    """Size or modification time differ from what the index saw."""

    error = "source_changed"
    transient = True


class MissingAttributeError(FileError):
    """A required attribute of the Image Pixel Module is absent or unusable (PS3.3 C.7.6.3)."""

    error = "missing_attribute"


class UnsupportedTransferSyntaxError(FileError):
    """No installed decoder reads this transfer syntax."""

    error = "unsupported_transfer_syntax"


class UnsupportedPixelsError(FileError):
    """The pixel format is not handled by this program."""

    error = "unsupported_pixels"


class DecodeError(FileError):
    """The decoder refused the stream."""

    error = "decode_error"


class ShortPixelDataError(FileError):
    """Fewer pixel bytes or frames than the header announces."""

    error = "short_pixel_data"


class NoSpacingError(FileError):
    """Resampling by spacing needs a spacing that the object does not give."""

    error = "no_spacing"


class VolumeError(FileError):
    """The volume handler cannot work on these frames."""

    error = "volume_error"


class LimitPixelsError(FileError):
    """The header announces more pixels than a file may have."""

    error = "limit_pixels"


class LimitTimeError(FileError):
    """The file took longer than it may."""

    error = "limit_time"
    transient = True


class CodecCrashError(FileError):
    """The process that worked on this file died."""

    error = "codec_crash"
    transient = True


class LimitMemoryError(FileError):
    """The file needed more memory than it may, or than there was."""

    error = "limit_memory"
    transient = True


class InternalError(FileError):
    """A bug of this package, which this file has met."""

    error = "internal_error"

    @classmethod
    def from_exception(cls, error: BaseException) -> Self:
        """Say what was raised, and in which module and line of this package."""
        place = _find_place(error)
        # A message may end in anything, also in other messages: the place must stay.
        text = f"{type(error).__name__}: {hide_quoted(str(error))}"[: MESSAGE_LIMIT - len(place)]
        return cls(f"{text}{place}")


def explain_exception(error: BaseException, otherwise: type[FileError]) -> FileError:
    """Return the error of a file at whose reading an exception was raised that no code foresaw.

    Parameters
    ----------
    error : BaseException
    otherwise : class
        Of the error where the file, and not this package, is at fault.
    """
    if is_bug(error):
        return InternalError.from_exception(error)
    return otherwise(f"{type(error).__name__}: {hide_quoted(str(error))}"[:MESSAGE_LIMIT])


def print_traceback(error: BaseException) -> None:
    """Print how an exception arose, without what messages quote, which may be of a header."""
    lines = "".join(format_exception(error)).splitlines()
    shown = (line if line.startswith("  ") else hide_quoted(line) for line in lines)
    sys.stderr.writelines(f"{line}\n" for line in shown)


def is_bug(error: BaseException) -> bool:
    """Whether an exception arose in this package, and not in a library that reads the source.

    What this package's own classes say was foreseen, and what an OSError says is of the system.
    NumPy and the standard library count to the code that called them.
    """
    if isinstance(error, OSError):
        return False
    # C code has no frame: zlib's errors are known by their class alone.
    if _find_root(type(error).__module__) in (PACKAGE, *READERS):
        return False
    roots = (_find_frame_root(frame) for frame, _ in walk_tb(error.__traceback__))
    known = [root for root in roots if root == PACKAGE or root in READERS]
    return not known or known[-1] == PACKAGE


def _find_frame_root(frame: FrameType) -> str:
    # Frames of Cython have no globals; their file is imagecodecs/_jpeg8.pyx.
    module = frame.f_globals.get("__name__")
    return _find_root(str(module or frame.f_code.co_filename.replace("/", ".")))


def _find_root(module: str) -> str:
    return module.partition(".")[0]


def _find_place(error: BaseException) -> str:
    """Return the innermost module and line of this package, in brackets; empty without any."""
    place = ""
    for frame, line in walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if _find_root(module) == PACKAGE:
            place = f" ({module.removeprefix(f'{PACKAGE}.')}:{line})"
    return place
