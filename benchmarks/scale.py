"""The workflow at 1,000 to 100,000 studies: time and memory of each of its processes.

Studies are of tiny images, so that what is measured is what a study costs beside its pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

if TYPE_CHECKING:
    from pathlib import Path

STUDY_ROOT = "1.2.826.0.1.3680043.10.1000."
FIRST_STUDY, FIRST_IMAGE = 10_000_000, 1000
"""UIDs have no leading zeros, and all the same length."""


def tiny_file(study: str, number: str, side: int = 16) -> Dataset:
    """A grey image of 12 bits."""
    rows, columns = np.mgrid[:side, :side]
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = SecondaryCaptureImageStorage
    made.StudyInstanceUID = study
    made.SeriesInstanceUID = f"{study}.1"
    made.SOPInstanceUID = f"{study}.1.{number}"
    made.Modality = "OT"
    made.InstanceNumber = 1
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.Rows = made.Columns = side
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.PixelRepresentation = 0
    made.PixelData = (rows * columns * 15).astype(np.uint16).tobytes()
    return made


def make_source(folder: Path, studies: int, images: int = 1) -> None:
    """Write studies as fast as a disk takes files: copies of one, with UIDs of the same length."""
    study, number = f"{STUDY_ROOT}{FIRST_STUDY}", f"{FIRST_IMAGE}"
    template = folder / "template"
    folder.mkdir(parents=True)
    pydicom.dcmwrite(template, tiny_file(study, number), enforce_file_format=True)
    content = template.read_bytes()
    template.unlink()
    for s in range(studies):
        place = folder / f"{s // 1000:04d}" / f"{s:07d}"
        place.mkdir(parents=True)
        of_study = content.replace(study.encode(), f"{STUDY_ROOT}{FIRST_STUDY + s}".encode())
        for i in range(images):
            copy = of_study.replace(f".1.{number}".encode(), f".1.{FIRST_IMAGE + i}".encode())
            (place / f"{i:04d}.dcm").write_bytes(copy)
