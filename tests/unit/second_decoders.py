"""What other programs make of a file, and how far it is from what this package makes of it.

Stored pixels by pylibjpeg through pydicom, GDCM through SimpleITK, DCMTK's tools, and highdicom;
display pixels by pydicom, DCMTK's tools and highdicom.
"""

import tempfile
from pathlib import Path
from types import SimpleNamespace

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
from tests.unit.oracles import dcmtk, high_dicom

CORPUS = data_folder("corpus")
PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"
LOSSY = {f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 53, 55, 81, 91, 203)}

DCMTK_YBR = 2
"""Levels by which DCMTK's conversion of YCbCr, in whole numbers, differs from that by fractions."""

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


def by_dcmtk(path, data_set, layout):
    """Stored pixels, None where DCMTK's tools read nothing."""
    syntax = syntax_of(data_set)
    with tempfile.TemporaryDirectory() as folder:
        if layout.is_monochrome:
            return dcmtk.store(path, syntax, layout, Path(folder))
        return dcmtk.display(path, syntax, layout, Path(folder))


def differences(path, data_set, layout, stored):
    """Largest difference to each program that reads the file."""
    found = {}
    if dcmtk.is_installed:
        other = by_dcmtk(path, data_set, layout)
        if other is not None:
            difference = largest_difference(other, stored)
            is_ybr = layout.photometric_interpretation.startswith("YBR")
            found["dcmtk"] = 0.0 if is_ybr and difference <= DCMTK_YBR else difference
    if high_dicom.is_installed:
        other = high_dicom.store(path, layout)
        if other is not None:
            other = unwrapped(other, data_set, layout, stored)
            found["highdicom"] = largest_difference(other, stored)
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


def display_differences(path, data_set, layout, stored):
    """Largest difference to each program that displays the image, in what is allowed of it."""
    if not layout.is_monochrome or layout.is_float or layout.bits_stored == 1:
        return {}
    values, _ = display_values(data_set, stored, layout)
    found = {
        "pydicom": compare_with_pydicom(values, data_set, layout, stored),
        "highdicom": compare_with_highdicom(values, path, data_set, layout),
        "dcmtk": compare_with_dcmtk(values, path, data_set, layout, stored),
    }
    return {name: value for name, value in found.items() if value is not None}


def compare_with_highdicom(values, path, data_set, layout):
    """Difference in levels; the result is truncated here, so that less than one is right."""
    if not high_dicom.is_installed or describe(data_set).top.voi_luts:
        return None
    # It decodes by itself: one level of a lossy stream is many of a narrow window.
    if syntax_of(data_set) in LOSSY:
        return None
    other = high_dicom.display(path, data_set, layout, np.iinfo(values.dtype).max)
    return None if other is None else largest_difference(values, other)


def compare_with_dcmtk(values, path, data_set, layout, stored):
    """Difference in what is allowed, see ``dcmtk_tolerance``."""
    top = describe(data_set).top
    windows = top.windows()
    if top.voi_luts:
        options = ("+Wl", "1")
    elif windows is not None and windows[0].is_usable:
        options = ("+Wi", "1")
    else:
        return None
    if not dcmtk.is_installed:
        return None
    with tempfile.TemporaryDirectory() as folder:
        other = dcmtk.display(path, syntax_of(data_set), layout, Path(folder), *options)
    if other is None:
        return None
    difference = np.abs(values.astype(np.float64) - other)
    if not top.voi_luts:
        modality = np.asarray(modality_of(data_set, layout, stored), np.float64)
        difference[high_dicom.find_lower_bound(modality, windows[0])] = 0
    return float(difference.max()) / dcmtk_tolerance(top, np.iinfo(values.dtype).max)


def dcmtk_tolerance(top, highest):
    """Levels by which DCMTK's display values may differ.

    It rounds where this package truncates; it keeps modality values as whole numbers; and it takes
    the entries of a VOI LUT of n bits in 2**n steps, not in 2**n - 1.
    """
    if top.voi_luts:
        return 1 + highest / 2 ** top.voi_luts[0].descriptor.values[2]
    rescale = top.rescale() or Rescale()
    is_whole = float(rescale.slope).is_integer() and float(rescale.intercept).is_integer()
    return 1 if is_whole else 1 + highest / max(1.0, top.windows()[0].width - 1)


def compare_with_pydicom(values, data_set, layout, stored):
    """Difference in what is allowed, one level of 8 bits or two of 16; None without any."""
    if not is_comparable(data_set, layout):
        return None
    top = np.iinfo(values.dtype).max
    other, at_bound = displayed_by_pydicom(data_set, layout, stored)
    if layout.photometric_interpretation == "MONOCHROME1":
        other = 1 - other
    difference = np.abs(values[..., 0] - other * top)
    difference[at_bound] = 0
    return float(difference.max()) / (1 if top == 255 else 2)


def show_case(program, path):
    """Display pixels of a file that contradicts itself, by pydicom's reading of its header.

    None where the program reads nothing. Grey pixels are shown by DCMTK alone.
    """
    try:
        data_set = pydicom.dcmread(path, force=True)
        samples, photometric = data_set.SamplesPerPixel, data_set.PhotometricInterpretation
        if program == "dcmtk":
            is_grey = samples == 1 and "PALETTE" not in photometric
            return _show_by_dcmtk(path, data_set, is_grey=is_grey)
        if samples == 1:
            return None
        if program == "gdcm":
            return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path))
        return pixel_array(data_set, decoding_plugin=program)
    except Exception:  # noqa: BLE001  # whatever pydicom or the program cannot read
        return None


def _show_by_dcmtk(path, data_set, *, is_grey):
    layout = SimpleNamespace(
        bits_stored=data_set.BitsStored, number_of_frames=int(data_set.get("NumberOfFrames", 1))
    )
    options = ()
    if is_grey and layout.bits_stored > 1:
        options = ("+Wl", "1") if "VOILUTSequence" in data_set else ("+Wi", "1")
    syntax = syntax_of(data_set)
    with tempfile.TemporaryDirectory() as folder:
        shown = dcmtk.display(path, syntax, layout, Path(folder), *options)
    # Single bits are 0 and 128.
    return 255 * (shown > 0) if layout.bits_stored == 1 and shown is not None else shown
