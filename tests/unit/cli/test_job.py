"""Jobs of the workflow: what they leave when they fail."""

import errno

import pytest

from dicom_preprocessing.cli.job import _removed_if_the_disk_is_full


@pytest.mark.parametrize(
    ("number", "is_left"), [(errno.ENOSPC, False), (errno.EDQUOT, False), (errno.EIO, True)]
)
def test_a_full_disk_gets_room_for_the_message(tmp_path, number, is_left):
    images = tmp_path / "1.2"
    images.mkdir()
    (images / "3.tiff").write_bytes(b"II*")
    with pytest.raises(OSError, match="injected"), _removed_if_the_disk_is_full(images):
        raise OSError(number, "injected")
    assert images.exists() is is_left
