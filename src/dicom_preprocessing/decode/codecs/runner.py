"""The header as input of decoders, in the form of pydicom's plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import UID

from dicom_preprocessing.decode.streams.info import StreamError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dicom_preprocessing.image_warnings import ImageWarnings

STATED_PHOTOMETRIC: Final = "stated_photometric_interpretation"
"""Option of a runner: Photometric Interpretation as the header has it.

pydicom's own option is about the result: plugins set it, and YBR_PARTIAL_422 is passed as
YBR_FULL_422, since pydicom's reader of native pixels has no other subsampling.
"""

IMAGE_WARNINGS: Final = "image_warnings"
"""Option of a runner: the ``ImageWarnings`` of the image."""

HIGH_BIT: Final = "high_bit"
"""Option of a runner: High Bit, where the header has a possible one."""

WIDE_PADDING: Final = "wide_padding"
"""Option of a runner: StoredPadding that has bits above Bits Stored, which are not masked."""
UPPER_BITS: Final = "upper_bits"
"""Option of a runner: the ``UpperBits`` of the image."""

RESOLUTION_LEVEL: Final = "resolution_level"
"""Option of a runner: halvings of width and height at which to decode (JPEG 2000 and HTJ2K)."""


class _LaterTransferSyntax(UID):
    """A transfer syntax that pydicom's dictionary does not have yet."""

    @property
    def is_transfer_syntax(self) -> bool:
        return True


def runner_of(syntax: UID, options: Mapping[str, Any]) -> DecodeRunner:
    """Make the runner that pydicom gives to plugins: the header, which they may correct."""
    runner = DecodeRunner(_LaterTransferSyntax(syntax))
    runner.set_options(**options)
    return runner


def stated_photometric(runner: DecodeRunner) -> str:
    """Return Photometric Interpretation of the header, before pydicom or a plugin corrected it."""
    return str(runner.get_option(STATED_PHOTOMETRIC) or runner.photometric_interpretation)


def warnings_of(runner: DecodeRunner) -> ImageWarnings:
    """Return the warnings of the image."""
    warnings: ImageWarnings = runner.get_option(IMAGE_WARNINGS)
    return warnings


def warn_of_second_stream(warnings: ImageWarnings) -> None:
    """Warn of a stream behind that of a frame, where each frame has fragments of its own."""
    message = "the fragments of a frame have another one behind it, which is ignored"
    warnings.add("excess_frames", message)


def shape_of(runner: DecodeRunner) -> tuple[int, int, int]:
    """Return (rows, columns, samples) by the header."""
    return runner.rows, runner.columns, runner.samples_per_pixel


def require_shape(shape: tuple[int, ...], runner: DecodeRunner) -> None:
    """Compare rows, columns and samples with the header.

    Parameters
    ----------
    shape : (rows, columns) or (rows, columns, samples)
    runner : DecodeRunner

    Raises
    ------
    StreamError
        The header has others.
    """
    # Before decoding, since OpenJPH hangs on some sizes, and a stream may ask for gigabytes.
    rows, columns, samples = (*shape, 1)[:3]
    stated = shape_of(runner)
    if (rows, columns, samples) != stated:
        found, wanted = f"{rows} x {columns} x {samples}", " x ".join(map(str, stated))
        raise StreamError(f"the stream holds {found}, the header says {wanted}")


def reshape_samples(values: NDArray[Any], runner: DecodeRunner) -> NDArray[Any]:
    """Return decoded values as (rows, columns, samples).

    Raises
    ------
    StreamError
        They have another shape than the header says.
    """
    # Once more, since a codec may go by other parts of a damaged stream than the markers read here.
    require_shape(values.shape, runner)
    return values.reshape(shape_of(runner))
