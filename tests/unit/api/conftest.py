"""What tests of the direct API share."""

import numpy as np
import pytest

from tests.unit.api.files import ramp, write_shown_file


@pytest.fixture
def measured(tmp_path):
    """Four frames, 3 mm apart, of 7 by 9 pixels of 2 by 1 mm."""
    frames = np.random.default_rng(5).integers(0, 200, (4, 9, 7), np.uint8)
    return write_shown_file(
        tmp_path / "measured.dcm", *frames, PixelSpacing=[1, 2], SpacingBetweenSlices=3
    )


@pytest.fixture
def slices(tmp_path):
    """Three files of 4 rows and 5 columns: 50, 51 and 52 with a border of 0 at left and top."""
    return [write_shown_file(tmp_path / f"{i}.dcm", ramp(50 + i)) for i in range(3)]
