"""Tiny DICOM studies, fast to make and to process."""

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

ROWS, COLUMNS = 12, 16

BLANK = bytes(2 * ROWS * COLUMNS)
"""Pixel Data of an instance that gets the warning ``only_background`` when it is cropped."""


def instance(study: str, number: int, *, value: int = 1000, **attributes: object) -> Dataset:
    """A 12-bit grey image, a bright block on black that differs with ``number``."""
    pixels = np.zeros((ROWS, COLUMNS), np.uint16)
    pixels[2:9, 3 : 8 + number % 6] = value + 10 * number
    data_set = Dataset()
    data_set.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    data_set.StudyInstanceUID = study
    data_set.SeriesInstanceUID = f"{study}.1"
    data_set.SOPInstanceUID = f"{study}.1.{number}"
    data_set.PatientName = "Secret^Name"
    data_set.Modality = "OT"
    data_set.InstanceNumber = number
    data_set.SamplesPerPixel = 1
    data_set.PhotometricInterpretation = "MONOCHROME2"
    data_set.Rows, data_set.Columns = pixels.shape
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit = 16, 12, 11
    data_set.PixelRepresentation = 0
    data_set.PixelSpacing = [0.5, 0.5]
    data_set.WindowCenter, data_set.WindowWidth = 2048, 4096
    data_set.PixelData = pixels.tobytes()
    for keyword, attribute in attributes.items():
        setattr(data_set, keyword, attribute)
    return data_set


def save(data_set: Dataset, path: Path) -> Path:
    """Write a data set as Part 10 file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.get("SOPInstanceUID", "1.2.3")
    pydicom.dcmwrite(path, data_set, enforce_file_format=True)
    return path


def make_source(folder: Path, studies: int = 3, instances: int = 2) -> Path:
    """Studies 1.2.1, 1.2.2, ... with files ``{study}/{number}.dcm``."""
    for s in range(1, studies + 1):
        for n in range(1, instances + 1):
            save(instance(f"1.2.{s}", n), folder / f"1.2.{s}" / f"{n}.dcm")
    return folder
