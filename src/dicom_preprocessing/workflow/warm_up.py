"""Process a tiny image, so that libraries have done what they do at first use.

Processes that are forked afterwards need not do it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.index.table import InventoryEntry
from dicom_preprocessing.processing.instance import OutputSpec, process_instance
from dicom_preprocessing.results.receipts import write_receipts

if TYPE_CHECKING:
    from pathlib import Path

UID = "1.2.3"
SIDE = 16


def warm_up(folder: Path) -> None:
    """Write an image and a receipt to an existing folder."""
    path = folder / "image.dcm"
    pydicom.dcmwrite(path, _make_data_set(), enforce_file_format=True)
    status = path.stat()
    entry = InventoryEntry(
        path=str(path),
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        attempt=1,
        study_instance_uid=UID,
        series_instance_uid=UID,
        sop_instance_uid=UID,
        sop_class_uid=SecondaryCaptureImageStorage,
        modality="OT",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        rows=SIDE,
        columns=SIDE,
        number_of_frames=1,
        samples_per_pixel=1,
        bits_allocated=16,
        bits_stored=12,
        instance_number=1,
    )
    config, _ = parse_config({"crop": True, "size": [SIDE // 2, SIDE]})
    spec = OutputSpec(folder, make_recipe(config, "write"))
    write_receipts(folder / "receipt.jsonl", process_instance([entry], spec))


def _make_data_set() -> Dataset:
    """A grey image of 12 bits with a window, as most are."""
    data_set = Dataset()
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data_set.SOPClassUID = SecondaryCaptureImageStorage
    data_set.StudyInstanceUID = data_set.SeriesInstanceUID = data_set.SOPInstanceUID = UID
    data_set.Modality = "OT"
    data_set.SamplesPerPixel, data_set.PhotometricInterpretation = 1, "MONOCHROME2"
    data_set.Rows = data_set.Columns = SIDE
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit = 16, 12, 11
    data_set.PixelRepresentation = 0
    data_set.PixelSpacing = [0.5, 0.5]
    data_set.WindowCenter, data_set.WindowWidth = 2048, 4096
    data_set.PixelData = bytes(range(16)) * (2 * SIDE)
    return data_set
