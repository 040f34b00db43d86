"""What tests of volumes share."""

import pytest

from dicom_preprocessing.cli.preprocess import main as preprocess
from tests.unit.tools.series import AXIAL, MM


@pytest.fixture
def dicom(tmp_path, write_dicom):
    """A series of four slices, whose pixels tell the instance number."""

    def dicom(**attributes):
        for number, mm in MM.items():
            stated = {
                "SOPInstanceUID": f"1.2.3.1.{9 - number}",
                "InstanceNumber": number,
                "ImagePositionPatient": [0, 0, mm],
                "ImageOrientationPatient": AXIAL,
                "PixelSpacing": [0.5, 0.25],
                "WindowCenter": 128,
                "WindowWidth": 256,
            }
            pixels = [[0, 10 * number, 0], [0, 200, 0]]
            own = {k: v[number] if isinstance(v, dict) else v for k, v in attributes.items()}
            write_dicom(tmp_path / "dicom" / f"{number}.dcm", pixels, **stated | own)
        return tmp_path / "dicom"

    return dicom


@pytest.fixture
def tree(tmp_path, dicom):
    preprocess([str(dicom()), str(tmp_path / "tree"), "-q", "-j", "1"])
    return tmp_path / "tree"
