"""What other programs make of a file: pylibjpeg through pydicom, and GDCM through SimpleITK."""

from pathlib import Path

import numpy as np
import pydicom
import SimpleITK
from pydicom.pixels import pixel_array

from dicom_preprocessing.decode.attributes import rescale
from dicom_preprocessing.decode.codecs import NATIVE
from dicom_preprocessing.decode.modality import modality_values
from dicom_preprocessing.decode.pixels import pixel_format, stored_pixels
from dicom_preprocessing.dicom_file import read_data_set, transfer_syntax_of
from dicom_preprocessing.errors import FileError
from tests.conftest import data_folder

CORPUS = data_folder("corpus")
PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"
LOSSY = {f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 53, 55, 81, 91, 203)}

SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)


def load(path):
    """Data set, format and stored pixels, None for what is no image or fails."""
    try:
        data_set = read_data_set(path)
        layout = pixel_format(data_set)
        return data_set, layout, stored_pixels(data_set, layout)
    except FileError:
        return None


def syntax_of(data_set):
    return str(transfer_syntax_of(data_set))


def shape_of(layout):
    samples = 1 if layout.is_monochrome else 3
    return layout.number_of_frames, layout.rows, layout.columns, samples


def modality_of(data_set, layout, stored):
    """Modality values of grey pixels, others as they are."""
    return modality_values(data_set, stored, layout)[0] if layout.is_monochrome else stored


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
        slope, intercept = rescale(data_set) or (1, 0)
        return slope * ((1 << layout.bits_stored) - 1) + 2 * intercept - found
    return found
