"""What tests of reports share."""

import pytest

from dicom_preprocessing import validate_dicom


@pytest.fixture
def report(write_dicom, tmp_path):
    """The report of a file with these attributes."""

    def make(*pixels, decode="frame", **attributes):
        path = write_dicom(tmp_path / "image.dcm", *pixels, **attributes)
        return validate_dicom(path, decode=decode)

    return make
