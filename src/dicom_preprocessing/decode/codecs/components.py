"""The colour of three decoded components: where stream and header say different things."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dicom_preprocessing.decode.codecs.runner import stated_photometric, warnings_of
from dicom_preprocessing.decode.colour import STREAM_TRANSFORMS, YBR_FULL, YCBCR, to_rgb
from dicom_preprocessing.dicom.contradictions import decide

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from pydicom.pixels.decoders.base import DecodeRunner

    from dicom_preprocessing.image_warnings import ImageWarnings

HEADER: Final = "header"
"""Photometric Interpretation as a source, in rows of ``PRECEDENCES``."""

WITHOUT_TRANSFORM: Final = dict.fromkeys(STREAM_TRANSFORMS, "RGB")
"""What components are under a header that names a transform which their stream does not have.

Transcoders leave the name behind, and what they had in hand was RGB.
"""

NO_TRANSFORM: Final = "which is a transform that the pixels do not have"


def decide_components(
    row: str,
    by_stream: Mapping[str, str | None],
    runner: DecodeRunner,
    *,
    undone: tuple[str, ...] = (),
    without_transform: Mapping[str, str] = WITHOUT_TRANSFORM,
) -> str:
    """Decide what decoded components are, and warn if header and stream disagree.

    Parameters
    ----------
    row : str
        Of ``PRECEDENCES``.
    by_stream : mapping
        Colour by each source in the stream, None where it gives none.
    runner : DecodeRunner
    undone : tuple of str
        Names of the transform that the stream has, and that its decoder undoes.
    without_transform : mapping
        What the names of other transforms mean.

    Returns
    -------
    str
        RGB, YBR_FULL, YBR_PARTIAL_422 or YBR_PARTIAL_420.
    """
    stated = stated_photometric(runner)
    by_source = {**by_stream, HEADER: _name_components(stated, without_transform)}
    decision = decide(row, by_source)
    components = decision.value or ""
    if stated in undone:
        return components
    if decision.overruled:
        sources = [s for s in (decision.source, *decision.overruled) if s != HEADER]
        found = ", ".join(f"the {source} says {by_source[source]}" for source in sources)
        _warn(warnings_of(runner), stated, found, components)
    elif stated in STREAM_TRANSFORMS:
        _warn(warnings_of(runner), stated, NO_TRANSFORM, components)
    return components


def components_by_header(stated: str, warnings: ImageWarnings) -> str:
    """Return what components are whose code defines no colour, and warn of what cannot be."""
    components = _name_components(stated, WITHOUT_TRANSFORM)
    if stated in STREAM_TRANSFORMS:
        _warn(warnings, stated, NO_TRANSFORM, components)
    return components


def subsampled_components(runner: DecodeRunner) -> str:
    """Return what components are of which the second and third are subsampled.

    Only chroma is stored at a lower resolution. A header that is about YCbCr gives the range.
    """
    stated = _name_components(stated_photometric(runner), WITHOUT_TRANSFORM)
    return stated if stated in YCBCR else YBR_FULL


def convert_components(
    values: NDArray[Any], components: str, precision: int, runner: DecodeRunner
) -> NDArray[Any]:
    """Convert stored values to RGB, and tell the runner.

    The middle of chroma is that of the stream's ``precision``, if that is below Bits Stored.
    """
    runner.set_option("photometric_interpretation", "RGB")
    return to_rgb(values, components, min(precision, runner.bits_stored))


def _name_components(stated: str, without_transform: Mapping[str, str]) -> str:
    return YBR_FULL if stated == "YBR_FULL_422" else without_transform.get(stated, stated)


def _warn(warnings: ImageWarnings, stated: str, found: str, components: str) -> None:
    message = f"Photometric Interpretation is {stated}, {found}: pixels are taken for {components}"
    warnings.add("colour_contradicts_header", message)
