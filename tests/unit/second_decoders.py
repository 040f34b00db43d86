"""What other programs make of a file: pylibjpeg through pydicom, and GDCM through SimpleITK."""

from pathlib import Path

import numpy as np
import pydicom
import SimpleITK
from pydicom.pixels import apply_modality_lut, apply_voi_lut, apply_windowing, pixel_array

from dicom_preprocessing.decode.modality import modality_values
from dicom_preprocessing.decode.padding import pixel_padding
from dicom_preprocessing.dicom.data_set import describe, transfer_syntax_of
from dicom_preprocessing.dicom.description import Rescale
from dicom_preprocessing.dicom.reading import open_image
from dicom_preprocessing.dicom.transfer_syntaxes import NATIVE
from dicom_preprocessing.errors import FileError
from dicom_preprocessing.image_warnings import ImageWarnings
from tests.conftest import data_folder
from tests.unit.datasets import display_values, pixels_in

CORPUS = data_folder("corpus")
PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"
LOSSY = {f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 53, 55, 81, 91, 203)}

SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)


def load(path):
    """Data set, format and stored pixels, None for what is no image or fails."""
    try:
        layout, stored = pixels_in(path)
    except FileError:
        return None
    # pydicom gives up on a file of which fragments have no delimiter.
    data_set = pydicom.dcmread(path, force=True, stop_before_pixels=True)
    _, pixel_data = open_image(path)
    value = pixel_data.source.read(*pixel_data.value)
    data_set.add_new(layout.keyword, pixel_data.vr or "OW", value)
    data_set[layout.keyword].is_undefined_length = pixel_data.items is not None
    return data_set, layout, stored


def syntax_of(data_set):
    return str(transfer_syntax_of(data_set))


def shape_of(layout):
    samples = 1 if layout.is_monochrome else 3
    return layout.number_of_frames, layout.rows, layout.columns, samples


def modality_of(data_set, layout, stored):
    """Modality values of grey pixels, others as they are."""
    if not layout.is_monochrome:
        return stored
    return modality_values(describe(data_set), stored, layout, ImageWarnings())[0]


def by_pylibjpeg(data_set, layout):
    """Stored pixels, None where pylibjpeg reads nothing."""
    if syntax_of(data_set) in NATIVE or layout.photometric_interpretation == "PALETTE COLOR":
        return None  # pydicom gives indices of a palette
    try:
        return pixel_array(data_set, decoding_plugin="pylibjpeg").reshape(shape_of(layout))
    except Exception:  # noqa: BLE001  # whatever it cannot read
        return None


def by_gdcm(path, data_set, layout):
    """Modality values, None where GDCM reads nothing.

    SimpleITK shows single bits as 0 and 255, and turns MONOCHROME1 into MONOCHROME2: both undone.
    """
    try:
        image = SimpleITK.ReadImage(path)
    except RuntimeError:
        return None
    found = SimpleITK.GetArrayFromImage(image).astype(np.float64)
    if found.size != np.prod(shape_of(layout)):
        return None
    found = found.reshape(shape_of(layout))
    if layout.bits_stored == 1:
        return found / 255
    if layout.photometric_interpretation == "MONOCHROME1":
        pair = describe(data_set).top.rescale() or Rescale()
        return pair.slope * ((1 << layout.bits_stored) - 1) + 2 * pair.intercept - found
    return found


def differences(path, data_set, layout, stored):
    """Largest difference to each program that reads the file."""
    found = {}
    other = by_pylibjpeg(data_set, layout)
    if other is not None:
        found["pylibjpeg"] = largest_difference(unwrapped(other, data_set, layout, stored), stored)
    other = by_gdcm(path, data_set, layout)
    if other is not None:
        values = modality_of(data_set, layout, stored)
        padding = pixel_padding(describe(data_set), layout)
        if padding is not None:  # which is one value here
            other = np.where(padding.covers(stored), values, other)
        difference = largest_difference(other, values)
        is_noise = difference < 1e-6 * max(1.0, np.abs(values).max())
        found["gdcm"] = 0.0 if is_noise else difference
    return found


def largest_difference(one, other):
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max())


def unwrapped(other, data_set, layout, stored):
    """Values of a lossy stream that overshot Bits Stored, which pydicom masks and we clip."""
    if syntax_of(data_set) not in LOSSY or not layout.is_monochrome:
        return other
    top = (1 << layout.bits_stored) - 1
    if top > np.iinfo(other.dtype).max:  # of signed values, which have no such one
        return other
    return np.where((stored == top) & (other < top // 2), top, other)


def disagreements(path, data_set, layout, stored):
    """Differences that are too large; None if no other decoder reads the file."""
    found = differences(path, data_set, layout, stored)
    if not found:
        return None
    if syntax_of(data_set) in LOSSY:
        level = max(1, 2 ** (layout.bits_stored - 8))
        # Decoders differ in how they enlarge chroma; one that agrees is enough.
        return {} if min(found.values()) <= level else found
    return {name: value for name, value in found.items() if value > 0}


def displayed_by_pydicom(data_set, layout, stored):
    """Display values in 0 .. 1 before polarity, and where LINEAR's lower bound matters."""
    values = apply_modality_lut(stored[..., 0], data_set)
    top = describe(data_set).top
    if top.voi_luts:
        shown = apply_voi_lut(values, data_set, prefer_lut=True).astype(np.float64)
        bits = top.voi_luts[0].descriptor.values[2]
        return shown / (2**bits - 1), np.zeros(shown.shape, bool)
    shown = apply_windowing(values, data_set).astype(np.float64)
    low, high = pydicom_range(data_set, layout)
    window = top.windows()[0]
    bound = window.center - 0.5 - (window.width - 1) / 2
    at_bound = (values > bound) & (values <= bound + 0.5) & (window.function == "LINEAR")
    return (shown - low) / (high - low), at_bound


def pydicom_range(data_set, layout):
    """What apply_windowing maps to: the range of stored values after the rescale."""
    bits = layout.bits_stored
    ends = np.array(
        [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if layout.is_signed else [0, 2**bits - 1]
    )
    if "RescaleSlope" in data_set:
        ends = ends * data_set.RescaleSlope + data_set.RescaleIntercept
    return float(ends[0]), float(ends[1])


def is_comparable(data_set, layout):
    """Whether pydicom's functions apply: grey, with a window or a VOI LUT at the top level."""
    if not layout.is_monochrome or layout.is_float or layout.bits_stored == 1:
        return False
    top = describe(data_set).top
    found = top.windows()
    return bool(top.voi_luts) or (found is not None and found[0].is_usable)


def display_difference(data_set, layout, stored):
    """Largest difference to pydicom's display values in what is allowed, None without any.

    Allowed are one level of 8 bits or two of 16.
    """
    if not is_comparable(data_set, layout):
        return None
    values, _ = display_values(data_set, stored, layout)
    top = np.iinfo(values.dtype).max
    other, at_bound = displayed_by_pydicom(data_set, layout, stored)
    if layout.photometric_interpretation == "MONOCHROME1":
        other = 1 - other
    difference = np.abs(values[..., 0] - other * top)
    difference[at_bound] = 0
    return float(difference.max()) / (1 if top == 255 else 2)
