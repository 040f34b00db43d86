"""What a decoder is told of the header, in the form that pydicom's plugins know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import UID

from dicom_preprocessing.decode.streams.info import StreamError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

STATED_PHOTOMETRIC: Final = "stated_photometric_interpretation"
"""Option of a runner: Photometric Interpretation as the header has it.

pydicom's own option is what the result is in: plugins set it, and YBR_PARTIAL_422 comes as
YBR_FULL_422 there, since pydicom's reader of native pixels knows no other subsampling.
"""

RESOLUTION_LEVEL: Final = "resolution_level"
"""Option of a runner: halvings of width and height at which to decode (JPEG 2000 and HTJ2K)."""


class _LaterTransferSyntax(UID):
    """A transfer syntax that is younger than pydicom's dictionary."""

    @property
    def is_transfer_syntax(self) -> bool:
        return True


def runner_of(syntax: UID, options: Mapping[str, Any]) -> DecodeRunner:
    """What pydicom hands to plugins: the header, which they may correct."""
    runner = DecodeRunner(_LaterTransferSyntax(syntax))
    runner.set_options(**options)
    return runner


def shape_of(runner: DecodeRunner) -> tuple[int, int, int]:
    """Rows, columns and samples, by the header."""
    return runner.rows, runner.columns, runner.samples_per_pixel


def require_shape(shape: tuple[int, ...], runner: DecodeRunner) -> None:
    """Compare rows, columns and samples, before a decoder is asked for what nobody wants.

    Parameters
    ----------
    shape : (rows, columns) or (rows, columns, samples)
    runner : DecodeRunner

    Raises
    ------
    StreamError
        The header says otherwise.
    """
    rows, columns, samples = (*shape, 1)[:3]
    stated = shape_of(runner)
    if (rows, columns, samples) != stated:
        found, wanted = f"{rows} x {columns} x {samples}", " x ".join(map(str, stated))
        raise StreamError(f"the stream holds {found}, the header says {wanted}")


def reshape_samples(values: NDArray[Any], runner: DecodeRunner) -> NDArray[Any]:
    """What a codec gave as (rows, columns, samples).

    Raises
    ------
    StreamError
        The codec gave another shape than the markers announced: they are not all it reads.
    """
    require_shape(values.shape, runner)
    return values.reshape(shape_of(runner))
