"""JPEG 2000 (ITU-T T.800) by OpenJPEG, and HTJ2K (T.814) by OpenJPH where its result is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import imagecodecs
import numpy as np
from pydicom.pixels.decoders import pylibjpeg

from dicom_preprocessing.decode.codecs.components import (
    convert_components,
    decide_components,
    subsampled_components,
)
from dicom_preprocessing.decode.codecs.ignored_exceptions import note_ignored_exceptions
from dicom_preprocessing.decode.codecs.runner import (
    RESOLUTION_LEVEL,
    require_shape,
    reshape_samples,
    shape_of,
    warnings_of,
)
from dicom_preprocessing.decode.codecs.samples import stored_values
from dicom_preprocessing.decode.colour import YBR_FULL
from dicom_preprocessing.decode.streams.info import END, StreamError
from dicom_preprocessing.decode.streams.jp2 import box_with_luma_second, clear_component_transform
from dicom_preprocessing.decode.streams.jpeg_2000 import codestream_of, read_jpeg_2000
from dicom_preprocessing.dicom.transfer_syntaxes import HTJ2K_REVERSIBLE
from dicom_preprocessing.errors import UnsupportedPixelsError
from dicom_preprocessing.imaging.frames import THREADS

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.pixels.decoders.base import DecodeRunner

    from dicom_preprocessing.decode.streams.jpeg_2000 import Jpeg2000Info


UNDONE: Final = ("YBR_RCT", "YBR_ICT")
"""Photometric Interpretations of streams with a component transform (PS3.5 8.2.4)."""

WITHOUT_TRANSFORM: Final = {"YBR_RCT": "RGB", "YBR_ICT": YBR_FULL, "XYB": "RGB"}
"""What components are if the header has the name of a transform, and the stream has none.

An encoder that had YCbCr in hand chose ICT, whose formula is the same as that of YBR_FULL.
"""

PIXELS_PER_THREAD: Final = 1 << 18
"""Pixels for which OpenJPEG gets a thread: two are no faster than one for an image of 512x512."""


def decode(stream: bytes, runner: DecodeRunner) -> NDArray[Any]:
    """Decode a frame with imagecodecs, see ``registry.decode_stream``."""
    # PS3.5 A.4.4 has no JP2 boxes, but some writers add them, and a decoder would go by their
    # colour instead of Photometric Interpretation.
    codestream = codestream_of(stream)
    info = _read_header(codestream, runner)
    # Every tile-part is complete, else the header would not have been read; but OpenJPEG requires
    # the end marker.
    if not info.has_end_marker:
        codestream += END
    if info.is_subsampled:
        values = _decode_subsampled(codestream, info, runner)
    elif _is_for_openjph(info, runner):
        values = _decode_htj2k(codestream)
    else:
        threads = _count_threads(info)
        values = np.asarray(imagecodecs.jpeg2k_decode(codestream, numthreads=threads))
    return _to_stored_values(reshape_samples(values, runner), info, runner)


def decode_with_pylibjpeg(stream: bytes, runner: DecodeRunner) -> NDArray[Any]:
    """Decode a frame with pylibjpeg-openjpeg."""
    codestream = codestream_of(stream)
    info = _read_header(codestream, runner)
    if info.is_subsampled:
        values = _decode_subsampled(codestream, info, runner)
    else:
        values = _ask_pylibjpeg(codestream, info, runner)
    return _to_stored_values(values, info, runner)


def _ask_pylibjpeg(stream: bytes, info: Jpeg2000Info, runner: DecodeRunner) -> NDArray[Any]:
    """Return the samples that pylibjpeg-openjpeg decodes, subsampled ones repeated."""
    # pydicom's plugin sets Bits Allocated to the size of decoded samples, which it takes from this
    # option; the header's value is needed again.
    allocated = runner.bits_allocated
    runner.set_option("j2k_precision", info.precision)
    frame = pylibjpeg._decode_frame(stream, runner)  # noqa: SLF001  # pydicom's plugin
    dtype = runner.pixel_dtype
    runner.set_option("bits_allocated", allocated)
    rows, columns, samples = shape_of(runner)
    # Where the image begins inside the reference grid, the plugin returns zeros behind it.
    values = np.frombuffer(frame, dtype, rows * columns * samples)
    return values.reshape(rows, columns, samples)


def _decode_subsampled(codestream: bytes, info: Jpeg2000Info, runner: DecodeRunner) -> NDArray[Any]:
    """Decode three components of which the second and third have fewer samples, unconverted.

    Raises
    ------
    UnsupportedPixelsError
        The first is subsampled, or the image begins between two samples.
    """
    _require_upsampling(info)
    # Not by imagecodecs, which converts two of the subsamplings to RGB, with values that are cut
    # and not rounded, and refuses the others.
    raw = clear_component_transform(codestream) if info.has_component_transform else codestream
    values = _ask_pylibjpeg(box_with_luma_second(raw), info, runner)
    return values[..., [1, 0, 2]]


def _require_upsampling(info: Jpeg2000Info) -> None:
    """Require that samples can be repeated: a sample is at the first of its pixels (T.800 B.2)."""
    (x, y), is_luma_full = info.origin, info.sampling[0] == (1, 1)
    is_aligned = all(w and h and x % w == 0 and y % h == 0 for w, h in info.sampling)
    if info.components != len("RGB") or not (is_luma_full and is_aligned):
        sizes = ", ".join(f"{w}x{h}" for w, h in info.sampling)
        raise UnsupportedPixelsError(
            f"JPEG 2000 components with a sample for {sizes} pixels from ({x}, {y}) on; "
            "supported are three, the first with one for each pixel"
        )


def _read_header(codestream: bytes, runner: DecodeRunner) -> Jpeg2000Info:
    """Read the markers, and compare them with the header."""
    info = read_jpeg_2000(codestream)
    require_shape((info.rows, info.columns, info.components), runner)
    return info


def _warn_of_sign(stored: NDArray[Any], info: Jpeg2000Info, runner: DecodeRunner) -> None:
    """Warn of grey samples to which the header gives a sign, or from which it takes theirs."""
    is_signed = runner.pixel_representation == 1
    if runner.samples_per_pixel > 1 or info.is_signed == is_signed:
        return
    message = "samples of the stream are signed, Pixel Representation is unsigned"
    if is_signed:
        # Whatever the sign, values without the highest bit are the same.
        if stored.min() >= 0:
            return
        message = "samples of the stream are unsigned, Pixel Representation is signed: it counts"
    warnings_of(runner).add("sign_contradicts_stream", message)


def _to_stored_values(
    values: NDArray[Any], info: Jpeg2000Info, runner: DecodeRunner
) -> NDArray[Any]:
    """Convert samples to stored values, and those of three components to RGB."""
    stored = stored_values(
        values,
        runner,
        precision=info.precision,
        is_signed=info.is_signed,
        is_lossless=info.is_lossless,
    )
    _warn_of_sign(stored, info, runner)
    if info.components == 1:
        return stored
    return convert_components(stored, _decide_colour(info, runner), info.precision, runner)


def _decide_colour(info: Jpeg2000Info, runner: DecodeRunner) -> str:
    """Decide the colour of three components."""
    by_stream = {
        "sampling": subsampled_components(runner) if info.is_subsampled else None,
        # Both component transforms are of RGB, and decoders undo them (T.800 Annex G). Taken for
        # YCbCr once more, as a YBR header may say, the colours would be false.
        "component transform": "RGB" if info.has_component_transform else None,
    }
    return decide_components(
        "jpeg_2000_colour",
        by_stream,
        runner,
        undone=UNDONE if info.has_component_transform and not info.is_subsampled else (),
        without_transform=WITHOUT_TRANSFORM,
    )


def _is_for_openjph(info: Jpeg2000Info, runner: DecodeRunner) -> bool:
    """Whether OpenJPH, which is faster, decodes the stream without an error in its values."""
    return (
        runner.transfer_syntax in HTJ2K_REVERSIBLE
        # It lets overshoot of irreversible streams wrap around: 657 samples of an 8-bit image were
        # 0 where OpenJPEG and the original have 255.
        and info.is_lossless
        # Reversible streams overshoot as well where their finest levels are left out.
        and not runner.get_option(RESOLUTION_LEVEL)
        # It fills a cut stream without an error; read_jpeg_2000 finds a cut by the lengths.
        and info.is_measured
    )


def _count_threads(info: Jpeg2000Info) -> int:
    """Return how many of the threads for this frame OpenJPEG can use; OpenJPH uses one."""
    return max(1, min(THREADS.get(), info.rows * info.columns // PIXELS_PER_THREAD))


def _decode_htj2k(codestream: bytes) -> NDArray[Any]:
    """Decode with OpenJPH.

    Raises
    ------
    StreamError
        OpenJPH reported an error.
    """
    # Errors of OpenJPH reach Python as ignored exceptions, and the result is a blank image.
    with note_ignored_exceptions() as ignored:
        values = np.asarray(imagecodecs.htj2k_decode(codestream))
    if ignored:
        raise StreamError(f"the HTJ2K codestream is damaged: {ignored[-1]}")
    return values
