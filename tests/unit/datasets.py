"""Images and DICOM data sets made by hand for the unit tests."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from dicom_preprocessing.decode.modality import modality_values
from dicom_preprocessing.decode.pixel_format import PixelFormat, read_pixel_format
from dicom_preprocessing.decode.pixels import stored_frames
from dicom_preprocessing.decode.values import make_display_values
from dicom_preprocessing.dicom.data_set import describe, transfer_syntax_of
from dicom_preprocessing.dicom.keywords import PIXEL_KEYWORDS
from dicom_preprocessing.dicom.pixel_data import ByteRange, PixelData, walk_items
from dicom_preprocessing.dicom.reading import open_image
from dicom_preprocessing.dicom.sources import MemorySource
from dicom_preprocessing.dicom.transfer_syntaxes import NATIVE
from dicom_preprocessing.errors import FileError
from dicom_preprocessing.image_warnings import ImageWarnings
from dicom_preprocessing.imaging.geometry import Geometry, Size
from dicom_preprocessing.imaging.image import Image, SourceInfo
from dicom_preprocessing.tiff.reader import read_frames

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike, DTypeLike, NDArray

STUDY_UID = "1.2.826.0.1.3680043.8.498.11"
SERIES_UID = "1.2.826.0.1.3680043.8.498.22"
SOP_UID = "1.2.826.0.1.3680043.8.498.33"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
BREAST_TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"


def facts_of(frames: NDArray[Any], **changes: Any) -> SourceInfo:
    """SourceInfo of an image that was stored as it is."""
    values: dict[str, Any] = {
        "study_instance_uid": STUDY_UID,
        "series_instance_uid": SERIES_UID,
        "sop_instance_uid": SOP_UID,
        "modality": "OT",
        "source_frames": frames.shape[0],
        "source_rows": frames.shape[1],
        "source_columns": frames.shape[2],
    }
    return SourceInfo(**values | changes)


def image_of(frames: NDArray[Any], geometry: Geometry | None = None, **source_info: Any) -> Image:
    """An image from (n_frames, rows, columns, samples)."""
    whole = Geometry(Size(frames.shape[2], frames.shape[1]))
    return Image(frames, geometry or whole, facts_of(frames, **source_info))


def grey(*frames: ArrayLike, dtype: DTypeLike = np.uint8, **source_info: Any) -> Image:
    """A grey image from nested lists of rows and columns, one for each frame."""
    return image_of(np.array(frames, dtype)[..., np.newaxis], **source_info)


def colour(*frames: ArrayLike, dtype: DTypeLike = np.uint8, **source_info: Any) -> Image:
    """An RGB image from nested lists of rows, columns and samples, one for each frame."""
    return image_of(np.array(frames, dtype), **source_info)


def planes(image: Image) -> list[Any]:
    """Frames of a grey image as nested lists."""
    return image.frames[..., 0].tolist()


def item(**attributes: Any) -> Dataset:
    """A sequence item; lists of data sets become sequences."""
    made = Dataset()
    for keyword, value in attributes.items():
        is_sequence = isinstance(value, list) and value and isinstance(value[0], Dataset)
        setattr(made, keyword, Sequence(value) if is_sequence else value)
    return made


def data_set_of(pixels: NDArray[Any], *, bits_stored: int | None = None, **changes: Any) -> Dataset:
    """An image data set of (n_frames, rows, columns[, samples]).

    Bits Allocated and Pixel Representation (or the float element) come from the dtype. ``changes``
    are attributes by keyword; None leaves one out.
    """
    bits = pixels.dtype.itemsize * 8
    stored = bits_stored or bits
    samples = pixels.shape[3] if pixels.ndim == 4 else 1
    values: dict[str, Any] = {
        "SOPClassUID": SECONDARY_CAPTURE,
        "SOPInstanceUID": SOP_UID,
        "Modality": "OT",
        "StudyInstanceUID": STUDY_UID,
        "SeriesInstanceUID": SERIES_UID,
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": "MONOCHROME2" if samples == 1 else "RGB",
        "NumberOfFrames": len(pixels),
        "Rows": pixels.shape[1],
        "Columns": pixels.shape[2],
        "BitsAllocated": bits,
    }
    raw = pixels.tobytes()
    if pixels.dtype.kind == "f":
        values["FloatPixelData" if bits == 32 else "DoubleFloatPixelData"] = raw
    else:
        values |= {"BitsStored": stored, "HighBit": stored - 1}
        values["PixelRepresentation"] = int(pixels.dtype.kind == "i")
        values["PixelData"] = raw + b"\0" * (len(raw) % 2)
    if samples > 1:
        values["PlanarConfiguration"] = 0
    return item(**{k: v for k, v in (values | changes).items() if v is not None})


def ramp(*values: float, dtype: DTypeLike = np.uint16) -> NDArray[Any]:
    """Pixels of one frame with one row."""
    return np.array([[values]], dtype)


def lut(entries: ArrayLike | bytes, *, first: int = 0, bits: int = 16, count: int = -1) -> Dataset:
    """An item of a LUT sequence; entries in bytes are stored as OW, others as US."""
    is_packed = isinstance(entries, bytes)
    made = Dataset()
    length = len(entries) if count < 0 else count
    made.add_new("LUTDescriptor", "SS" if first < 0 else "US", [length, first, bits])
    made.add_new("LUTData", "OW" if is_packed else "US", entries)
    return made


def format_of(data_set: Dataset) -> PixelFormat:
    """The Image Pixel Module of a data set in memory."""
    return read_pixel_format(describe(data_set), pixel_data_of(data_set).keyword, ImageWarnings())


def stored_pixels(data_set: Dataset) -> NDArray[Any]:
    """All frames of a data set in memory, decoded."""
    described, pixel_format = describe(data_set), format_of(data_set)
    pixel_data = pixel_data_of(data_set)
    return np.asarray(stored_frames(described, pixel_format, pixel_data, ImageWarnings()))


def pixels_in(path: Path) -> tuple[PixelFormat, NDArray[Any]]:
    """Format and decoded frames of a file."""
    description, pixel_data = open_image(path)
    if pixel_data is None:
        raise FileError("there are no pixels", error="no_pixel_data")
    warnings = ImageWarnings()
    pixel_format = read_pixel_format(description, pixel_data.keyword, warnings)
    frames = stored_frames(description, pixel_format, pixel_data, warnings)
    return pixel_format, np.asarray(frames)


def pixel_data_of(data_set: Dataset) -> PixelData:
    """The pixel data element of a data set in memory."""
    for tag, keyword in PIXEL_KEYWORDS.items():
        if tag in data_set:
            element = data_set.get_item(tag)
            value, start = element.value, ByteRange(0, len(element.value))
            source = MemorySource(value)
            return PixelData(keyword, element.VR, source, start, start.end, _items_of(data_set))
    raise AssertionError("there is no pixel data")


def _items_of(data_set: Dataset) -> tuple[ByteRange, ...] | None:
    """Fragments of encapsulated pixel data in memory."""
    if transfer_syntax_of(data_set) in NATIVE:
        return None
    value = data_set.PixelData
    source, within = MemorySource(value), ByteRange(0, len(value))
    return walk_items(source, within)[0] if value.startswith(b"\xfe\xff\x00\xe0") else None


def display_values(
    data_set: Dataset, stored: NDArray[Any], pixel_format: PixelFormat, **settings: Any
) -> tuple[NDArray[Any], list[str]]:
    """Display values of stored ones, looked up where there is a lookup, and the warnings."""
    warnings = ImageWarnings()
    values, lookup = make_display_values(
        describe(data_set), stored, pixel_format, warnings, **settings
    )
    values = values if lookup is None else lookup(values)
    return values, [warning.message for warning in warnings]


def modality_values_of(
    data_set: Dataset, pixels: NDArray[Any]
) -> tuple[NDArray[Any], float, list[str]]:
    """Modality values of (n_frames, rows, columns), the background and the warnings."""
    description, stored = describe(data_set), pixels[..., np.newaxis]
    warnings = ImageWarnings()
    values, background = modality_values(description, stored, format_of(data_set), warnings)
    return np.asarray(values), background, [warning.message for warning in warnings]


def show_stored_values(data_set: Dataset) -> Dataset:
    """Give a VOI LUT that shows each stored value as it is (8 bits unsigned, or 16)."""
    bits = 8 if data_set.BitsStored <= 8 else 16
    first = -(2 ** (bits - 1)) if data_set.PixelRepresentation else 0
    entries = list(range(2**bits))
    packed = b"".join(struct.pack("<H", e) for e in entries)
    data_set.VOILUTSequence = [lut(packed, first=first, bits=bits, count=len(entries) % 65536)]
    return data_set


def functional_groups(
    data_set: Dataset, *, shared: Dataset | None = None, frames: list[Dataset] | None = None
) -> Dataset:
    """Add shared and per-frame functional groups."""
    if shared is not None:
        data_set.SharedFunctionalGroupsSequence = [shared]
    if frames is not None:
        data_set.PerFrameFunctionalGroupsSequence = frames
    return data_set


def compressed(data_set: Dataset, frames: list[bytes], *, fragments: int = 1) -> Dataset:
    """Replace the pixel data by frames that are compressed already."""
    data_set.PixelData = encapsulate(frames, fragments_per_frame=fragments)
    data_set["PixelData"].VR = "OB"
    data_set["PixelData"].is_undefined_length = True
    return data_set


def rle(*segments: bytes) -> bytes:
    """An RLE frame (PS3.5 G) whose segments, most significant byte first, are literal runs."""
    coded = [bytes([len(s) - 1]) + s + b"\x80" * (1 - len(s) % 2) for s in segments]
    starts = [64 + sum(map(len, coded[:i])) for i in range(len(coded))]
    return struct.pack("<16L", len(coded), *starts, *[0] * (15 - len(coded))) + b"".join(coded)


def save(path: Path, data_set: Dataset, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a DICOM file."""
    uid = UID(syntax)
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = uid
    data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    is_known = not uid.is_private
    pydicom.dcmwrite(
        path,
        data_set,
        enforce_file_format=True,
        implicit_vr=uid.is_implicit_VR if is_known else False,
        little_endian=uid.is_little_endian if is_known else True,
    )
    return path


def pages_of(path: Path) -> NDArray[Any]:
    """All pages of a TIFF, (n_frames, rows, columns, samples)."""
    return np.asarray(read_frames(path))


def messages_of(image: Image) -> list[str]:
    """Messages of the warnings of an image."""
    return [warning.message for warning in image.source_info.warnings]


def codes_of(image: Image) -> list[str]:
    """Codes of the warnings of an image."""
    return [warning.code for warning in image.source_info.warnings]
