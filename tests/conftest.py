"""Data for the tests: the full set where it is, else the selection in tests/data.

The full set is looked for in $DP_SHARED, then in ../shared beside the checkout.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
COMPACT_DATA = CHECKOUT / "tests" / "data"
FULL_DATA = Path(os.environ.get("DP_SHARED") or CHECKOUT.parent / "shared")


BETTER_THAN_EXPECTED = {
    "pydicom-data/liver_deflate.dcm": "pydicom-data/liver_j2k.dcm",  # deflated frames
    "pydicom-data/liver_rle.dcm": "pydicom-data/liver_j2k.dcm",  # single bits in RLE
    # The stream counts, not the transfer syntax.
    "crafted/codestream_named_explicit_native.dcm": "crafted/study_uid_with_path.dcm",
    "crafted/j2k_stream_named_jpeg_ls.dcm": "crafted/study_uid_with_path.dcm",
    "crafted/private_transfer_syntax.dcm": "crafted/study_uid_with_path.dcm",
}
"""Files that expected.csv calls failed and that are written, with one of the same pixels."""

needs_fork = pytest.mark.skipif(
    sys.platform == "darwin", reason="macOS starts workers anew, without what a test has replaced"
)

needs_byte_names = pytest.mark.skipif(
    sys.platform == "darwin", reason="macOS has no file names that are not UTF-8"
)


def data_folder(name):
    """The folder ``corpus`` or ``golden``, full or compact."""
    full = FULL_DATA / name
    return full if full.is_dir() else COMPACT_DATA / name


@pytest.fixture(scope="session")
def corpus():
    """The full corpus, else the selection."""
    return data_folder("corpus")


@pytest.fixture(scope="session")
def compact_corpus():
    """The selection, which is always there."""
    return COMPACT_DATA / "corpus"


@pytest.fixture(scope="session")
def shared_corpus():
    """The full corpus; skips the test where it is absent."""
    folder = FULL_DATA / "corpus"
    if not folder.is_dir():
        pytest.skip("needs the full corpus: set DP_SHARED to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def write_dicom():
    return _write_dicom


GREY = ((0, 10, 20, 30), (40, 50, 60, 70), (80, 90, 100, 255))
IDENTITY = {
    "StudyInstanceUID": "1.2.3",
    "SeriesInstanceUID": "1.2.3.1",
    "SOPInstanceUID": "1.2.3.1.1",
}


def _write_dicom(path, pixels=GREY, *, syntax="1.2.840.10008.1.2.1", bare=False, **attributes):
    """Write a small DICOM file, with its folder, and return its path.

    ``pixels`` are rows and columns of 8 bits, in lists of RGB for colour, or None for no pixel
    data. ``bare`` leaves out preamble and file meta information. Attributes are set by keyword
    whatever their value, and left out by None.
    """
    import numpy as np
    import pydicom
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    from tests.unit.datasets import data_set_of

    if pixels is None:
        attributes = {"PixelData": None} | attributes
    frames = np.array([GREY if pixels is None else pixels], np.uint8)
    with pydicom.config.disable_value_validation():
        data_set = data_set_of(frames, **IDENTITY | attributes)
        if "PixelData" in data_set:
            data_set["PixelData"].VR = "OB"
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        meta.MediaStorageSOPInstanceUID = "1.2.3.1.1"
        meta.TransferSyntaxUID = UID(syntax)
        path.parent.mkdir(parents=True, exist_ok=True)
        if bare:
            byte_order = {"implicit_vr": meta.TransferSyntaxUID.is_implicit_VR}
            pydicom.dcmwrite(path, data_set, little_endian=True, **byte_order)
        else:
            data_set.file_meta = meta
            pydicom.dcmwrite(path, data_set, enforce_file_format=True)
    return path
