"""Checks of a DICOM image by its header alone.

A check is a function of the description that yields findings. An error keeps the file from being
written, or is about a required attribute of the Image Pixel Module (PS3.3 C.7.6.3) that is wrong;
a warning says that something was assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dicom_preprocessing.decode.encapsulation import find_streams
from dicom_preprocessing.decode.fragments import split_items
from dicom_preprocessing.decode.pixel_format import (
    BITS_ALLOCATED,
    FLOAT_BITS_ALLOCATED,
    read_pixel_format,
    require_known_samples,
)
from dicom_preprocessing.decode.values import FUNCTIONS
from dicom_preprocessing.dicom.attribute import Attribute
from dicom_preprocessing.dicom.spacing import find_different_spacings, show_spacing
from dicom_preprocessing.errors import (
    FileError,
    MissingAttributeError,
    UnsupportedPixelsError,
    UnsupportedTransferSyntaxError,
)
from dicom_preprocessing.image_warnings import ImageWarnings
from dicom_preprocessing.index.table import find_path_problem, is_path_part
from dicom_preprocessing.validation.checked_image import (
    IMAGE_ATTRIBUTES,
    U16_MAX,
    CheckedImage,
    Finding,
    Severity,
    count_voi_lut_items,
    find_attributes,
    find_resolution,
    to_snake_case,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_preprocessing.dicom.pixel_data import PixelData


INTEGERS_ONLY: Final = ("BitsStored", "HighBit", "PixelRepresentation")
"""Float Pixel Data has no such attributes (PS3.3 C.7.6.24)."""

OPTIONAL: Final = (
    "RescaleSlope",
    "RescaleIntercept",
    "WindowCenter",
    "WindowWidth",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "SpacingBetweenSlices",
    "PixelPaddingValue",
)
"""Attributes that change the output where they are present."""

POSITIVE_KEYWORDS: Final = ("Rows", "Columns", "SamplesPerPixel")


def required_attributes(image: CheckedImage) -> Iterator[Finding]:
    """The Image Pixel Module has all attributes that it must have, with values of their types."""
    if not image.is_image:
        return
    for keyword in IMAGE_ATTRIBUTES:
        if image.is_float and keyword in INTEGERS_ONLY:
            continue
        attribute = image.attribute(keyword)
        if keyword == "PhotometricInterpretation":
            yield from _photometric(image)
        elif not attribute.is_present:
            code = f"missing_{to_snake_case(keyword)}"
            yield _make_finding(image, code, _severity_without(keyword), "is missing", keyword)
        elif attribute.is_empty:
            severity = _severity_without(keyword)
            yield _make_finding(image, "empty_required_tag", severity, "has no value", keyword)
        else:
            yield from _unsigned_short(image, keyword)


def _severity_without(keyword: str) -> Severity:
    """Return how bad it is that an attribute has no value: Bits Stored replaces High Bit."""
    return "warning" if keyword == "HighBit" else "error"


def _unsigned_short(image: CheckedImage, keyword: str) -> Iterator[Finding]:
    code, number = "invalid_u16_value", image.integer(keyword)
    if number is None:
        message = f"is not a whole number from 0 to {U16_MAX}"
        yield _make_finding(image, code, "error", message, keyword)
    elif number == 0 and keyword in POSITIVE_KEYWORDS:
        yield _make_finding(image, code, "error", "must be above 0", keyword)
    elif image.attribute(keyword).has_several:
        yield _make_finding(image, code, "warning", "has several values: the first counts", keyword)


def _photometric(image: CheckedImage) -> Iterator[Finding]:
    keyword, read = "PhotometricInterpretation", image.photometric_interpretation
    attribute = image.attribute(keyword)
    if not any(attribute.texts()):
        code, message = _describe_no_text(attribute)
        severity: Severity = "warning" if read else "error"
        message = f"{message}: {read} is assumed" if read else message
        yield _make_finding(image, code, severity, message, keyword)
    elif not (read.isascii() and read.isprintable()):
        yield _make_finding(image, "invalid_string_value", "error", "is not text", keyword)
    elif attribute.has_several:
        message = f"has several values: {read} counts"
        yield _make_finding(image, "invalid_string_value", "warning", message, keyword)


def _describe_no_text(attribute: Attribute) -> tuple[str, str]:
    """Return code and message for a Photometric Interpretation without text."""
    if not attribute.is_present:
        return "missing_photometric_interpretation", "is missing"
    if attribute.is_empty:
        return "empty_required_tag", "has no value"
    return "invalid_string_value", "is not text"


def pixel_data(image: CheckedImage) -> Iterator[Finding]:
    """There is a pixel data element with what its transfer syntax requires."""
    keyword, element = image.keyword, image.pixel_data
    if image.broken:
        yield Finding("invalid_pixel_data_value", "error", image.broken, keyword)
    elif element is None:
        message = "is missing" if image.is_image else "is missing: this is not an image"
        yield Finding("missing_pixel_data", "error", message, keyword)
    elif not element.value.length:
        yield Finding("empty_pixel_data", "error", "has no bytes", keyword)
    else:
        yield from _pixel_data_value(image, element)


def _pixel_data_value(image: CheckedImage, element: PixelData) -> Iterator[Finding]:
    code, keyword = "invalid_pixel_data_value", element.keyword
    fragments = split_items(element)[1] if element.items else ()
    if element.items is not None and not any(fragment.length for fragment in fragments):
        yield Finding("empty_pixel_data", "error", "has no fragments", keyword)
        return
    unused = ImageWarnings()  # decoding gives them
    try:
        pixel_format = read_pixel_format(image.description, keyword, unused, element)
    except FileError:
        return  # other checks report what is wrong with the header
    try:
        streams = find_streams(image.description, pixel_format, element, unused)
    except UnsupportedTransferSyntaxError:
        return  # decoding reports it
    except FileError as error:
        yield Finding(code, "error", str(error), keyword)
        return
    if streams is None and element.value.length < pixel_format.native_bytes:
        message = f"has {element.value.length} of {pixel_format.native_bytes} bytes"
        yield Finding(code, "error", message, keyword)


def number_of_frames(image: CheckedImage) -> Iterator[Finding]:
    """Number of Frames is absent, or a positive number."""
    if not image.is_image:
        return
    keyword, (_, source) = "NumberOfFrames", image.number_of_frames
    if source == "default":
        message = "is absent: 1 is assumed"
        yield _make_finding(image, "default_number_of_frames", "info", message, keyword)
    elif source == "invalid":
        message = "is not a positive whole number"
        yield _make_finding(image, "invalid_number_of_frames", "error", message, keyword)


def planar_configuration(image: CheckedImage) -> Iterator[Finding]:
    """Planar Configuration is 0 or 1; it must be present where a pixel has several samples."""
    keyword = "PlanarConfiguration"
    attribute = image.attribute(keyword)
    is_colour = (image.integer("SamplesPerPixel") or 1) > 1
    if attribute.is_empty:
        if is_colour:
            message = "is absent: 0 is assumed, samples pixel by pixel"
            yield _make_finding(image, "default_planar_configuration", "warning", message, keyword)
    elif attribute.integer(-1) not in (0, 1):
        severity: Severity = "error" if is_colour else "warning"
        yield _make_finding(
            image, "invalid_planar_configuration", severity, "is not 0 or 1", keyword
        )


def bits(image: CheckedImage) -> Iterator[Finding]:
    """Bits Allocated can be read, Bits Stored fits it, and High Bit is the highest of them."""
    allocated = image.integer("BitsAllocated")
    if allocated is None:
        return
    supported = FLOAT_BITS_ALLOCATED if image.is_float else BITS_ALLOCATED
    if allocated not in supported:
        message = f"is not one of {', '.join(map(str, supported))}, which can be read"
        yield _make_finding(image, "unsupported_bits_allocated", "error", message, "BitsAllocated")
    stored = image.integer("BitsStored")
    if image.is_float or stored is None:
        return
    if not 1 <= stored <= allocated:
        message = f"is not from 1 to Bits Allocated, {allocated}"
        yield _make_finding(image, "invalid_bits_stored", "error", message, "BitsStored")
        return
    high = image.integer("HighBit")
    if high is None or high == stored - 1:
        return
    is_possible = stored - 1 < high < allocated
    done = "values are moved down" if is_possible else f"{stored - 1} is taken"
    message = f"is not {stored - 1}, Bits Stored - 1: {done}"
    yield _make_finding(image, "invalid_high_bit", "warning", message, "HighBit")


def pixel_representation(image: CheckedImage) -> Iterator[Finding]:
    """Pixel Representation is 0 or 1."""
    number = image.integer("PixelRepresentation")
    if number is not None and number not in (0, 1) and not image.is_float:
        message, keyword = "is not 0 or 1", "PixelRepresentation"
        yield _make_finding(image, "invalid_pixel_representation", "error", message, keyword)


def colour_type(image: CheckedImage) -> Iterator[Finding]:
    """Photometric Interpretation, samples and bits form a known combination."""
    keyword = "PhotometricInterpretation"
    photometric = image.photometric_interpretation
    samples, allocated = (image.integer(name) for name in ("SamplesPerPixel", "BitsAllocated"))
    if not (photometric and samples and allocated):
        return
    try:
        require_known_samples(
            image.description, photometric, samples, allocated, is_float=image.is_float
        )
    except UnsupportedPixelsError as error:
        yield _make_finding(image, "unsupported_output_color_type", "error", str(error), keyword)
    except MissingAttributeError:
        return  # of Planar Configuration, which has its own check


def optional_attributes(image: CheckedImage) -> Iterator[Finding]:
    """Attributes that change the output where they are present."""
    for keyword in OPTIONAL if image.is_image else ():
        attributes = find_attributes(image.description, keyword)
        if attributes and not attributes[0].is_empty:
            value = attributes[0].shorten_for_message()
            yield Finding("optional_tag_present", "info", "is present", keyword, value)
        else:
            message = "has no value" if attributes else "is absent"
            yield Finding("optional_tag_absent", "info", message, keyword)


def voi_lut_function(image: CheckedImage) -> Iterator[Finding]:
    """VOI LUT Function is a known one."""
    if not image.is_image:
        return
    keyword = "VOILUTFunction"
    attributes = find_attributes(image.description, keyword)
    if not attributes:
        message = "is absent: windows are LINEAR"
        yield Finding("voi_lut_function_absent", "info", message, keyword)
    elif attributes[0].is_empty:
        message = "has no value: windows are LINEAR"
        yield Finding("empty_voi_lut_function", "warning", message, keyword, "")
    else:
        function = attributes[0].text().upper()
        is_known = function in FUNCTIONS
        message = "is present" if is_known else "is unknown: windows are LINEAR"
        severity: Severity = "info" if is_known else "warning"
        yield Finding("voi_lut_function_present", severity, message, keyword, function)


def voi_lut_sequence(image: CheckedImage) -> Iterator[Finding]:
    """Whether there is a VOI LUT, which takes precedence over windows."""
    if not image.is_image:
        return
    keyword, count = "VOILUTSequence", count_voi_lut_items(image)
    if count:
        message = "is present and takes precedence over windows"
        yield Finding("voi_lut_sequence_present", "info", message, keyword, f"{count} items")
    else:
        yield Finding("voi_lut_sequence_absent", "info", "is absent", keyword)


def resolution_check(image: CheckedImage) -> Iterator[Finding]:
    """The pixel spacing is known, so that images can be resized by spacing."""
    if not image.is_image:
        return
    resolution = find_resolution(image)
    if "pixels_per_mm_x" in resolution:
        x, y = resolution["pixels_per_mm_x"], resolution["pixels_per_mm_y"]
        yield Finding("resolution_available", "info", f"{x:.6g} x {y:.6g} pixels per mm")
        return
    different = find_different_spacings(image.description)
    if different is not None:
        name, *pair = different
        message = "differs between frames: the image has none"
        shown = " and ".join(map(show_spacing, pair))
        keyword = name.replace(" ", "")
        yield Finding("resolution_unavailable", "warning", message, keyword, shown)
        return
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        for attribute in find_attributes(image.description, keyword)[:1]:
            message = "is not two positive numbers: the pixel spacing is unknown"
            value = attribute.shorten_for_message()
            yield Finding("resolution_unavailable", "warning", message, keyword, value)
            return
    yield Finding("resolution_unavailable", "info", "the pixel spacing is unknown")


def output_naming(image: CheckedImage) -> Iterator[Finding]:
    """Study and SOP Instance UID can become the path of an image."""
    header = image.description.header
    uids = {
        "StudyInstanceUID": header.study_instance_uid,
        "SOPInstanceUID": header.sop_instance_uid,
    }
    bad = {keyword: uid for keyword, uid in uids.items() if not is_path_part(uid)}
    for keyword, uid in bad.items():
        message = f"{find_path_problem(uid)}: only a file of its own name can be written"
        value = Attribute(keyword, (uid,)).shorten_for_message() if uid else None
        yield Finding("directory_output_not_ready", "warning", message, keyword, value)
    if not bad:
        yield Finding("directory_output_ready", "info", "UIDs give the path of the image")


CHECKS: Final[dict[str, Callable[[CheckedImage], Iterator[Finding]]]] = {
    "required_attributes": required_attributes,
    "pixel_data": pixel_data,
    "number_of_frames": number_of_frames,
    "planar_configuration": planar_configuration,
    "bits": bits,
    "pixel_representation": pixel_representation,
    "output_color_type": colour_type,
    "optional_attributes": optional_attributes,
    "voi_lut_function": voi_lut_function,
    "voi_lut_sequence": voi_lut_sequence,
    "resolution": resolution_check,
    "output_naming": output_naming,
}
"""Every check by its name in the report, in the order of the report."""


def _make_finding(
    image: CheckedImage, code: str, severity: Severity, message: str, keyword: str
) -> Finding:
    """A finding about an attribute of the Image Pixel Module, with its value."""
    return Finding(code, severity, message, keyword, image.attribute(keyword).shorten_for_message())
