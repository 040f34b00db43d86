"""Photometric Interpretation: its spelling, and what it must be where it is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dicom_preprocessing.decode.colour import PALETTE, STREAM_TRANSFORMS, YCBCR
from dicom_preprocessing.decode.fragments import find_frame_fragments
from dicom_preprocessing.decode.streams.info import StreamError
from dicom_preprocessing.decode.streams.jpeg import START_OF_IMAGE, colour_by_marker, read_jpeg
from dicom_preprocessing.decode.streams.jpeg_2000 import codestream_of, read_jpeg_2000
from dicom_preprocessing.dicom.contradictions import decide
from dicom_preprocessing.errors import FileError
from dicom_preprocessing.image_warnings import ImageWarnings
from dicom_preprocessing.text import make_printable

if TYPE_CHECKING:
    from dicom_preprocessing.dicom.description import Description
    from dicom_preprocessing.dicom.pixel_data import PixelData

MONOCHROME: Final = ("MONOCHROME1", "MONOCHROME2")
COLOUR: Final = ("RGB", *STREAM_TRANSFORMS, *YCBCR)

DEFINED: Final = (*MONOCHROME, PALETTE, *COLOUR, "HSV", "ARGB", "CMYK", "YBR_PARTIAL_422", "XYB")
"""Those that the standard has or had, whether or not they can be converted."""


def _take_letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).upper()


BY_LETTERS: Final = {_take_letters(known): known for known in (*MONOCHROME, PALETTE, *COLOUR)}
"""Photometric Interpretations by their letters and digits alone."""


def clean_photometric(stated: str) -> str:
    """Return a Photometric Interpretation as the standard spells it, an unknown one as it is."""
    return BY_LETTERS.get(_take_letters(stated), stated)


def read_photometric(
    description: Description, pixel_data: PixelData | None, warnings: ImageWarnings
) -> str:
    """Return Photometric Interpretation, with a warning if it is misspelled or assumed.

    Empty if there is none and none can be assumed.
    """
    attribute = description.pixel.photometric_interpretation
    stated = next(filter(None, attribute.texts()), "")
    if not stated:
        assumed = assume_photometric(description, pixel_data)
        if assumed:
            message = f"Photometric Interpretation is missing; the pixels are {assumed}"
            warnings.add("photometric_assumed", message)
        return assumed
    photometric = clean_photometric(stated)
    if photometric != stated or attribute.has_several:
        spelled = [text for text in attribute.texts() if _take_letters(text) in BY_LETTERS]
        written = make_printable(attribute.describe_for_message(spelled))
        message = f"Photometric Interpretation {written} is read as {photometric}"
        warnings.add("photometric_spelling", message)
    return photometric


def assume_photometric(description: Description, pixel_data: PixelData | None) -> str:
    """Return the one Photometric Interpretation that an image without it can have, empty if none.

    PALETTE COLOR if there are palettes for the one sample; for three samples the colour that the
    stream of the first frame tells.
    """
    samples = description.pixel.samples_per_pixel.integer()
    if samples == 1:
        is_complete = all(lut.data.values or lut.segmented.values for lut in description.palette)
        return PALETTE if is_complete else ""
    if samples != len("RGB") or pixel_data is None:
        return ""
    frames = description.number_of_frames() or 1
    try:
        ranges = find_frame_fragments(pixel_data, description, frames, ImageWarnings())[0]
        return find_colour(pixel_data.stream(ranges)) or ""
    except (FileError, StreamError):
        return ""


def find_colour(stream: bytes) -> str | None:
    """Return the colour that the markers of a stream with three components tell, if they do.

    Raises
    ------
    StreamError
        The stream is damaged, or of another kind than JPEG and JPEG 2000.
    """
    if stream.startswith(START_OF_IMAGE):
        jpeg = read_jpeg(stream)
        row = "jpeg_lossless_colour" if jpeg.is_lossless else "jpeg_colour"
        return decide(row, colour_by_marker(jpeg)).value
    info = read_jpeg_2000(codestream_of(stream))
    by_stream = {
        "sampling": "YBR_FULL" if info.is_subsampled else None,
        "component transform": "RGB" if info.has_component_transform else None,
    }
    return decide("jpeg_2000_colour", by_stream).value
