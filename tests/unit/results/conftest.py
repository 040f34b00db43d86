"""Results of small runs."""

import pytest

from tests.unit.run_results import Results
from tests.unit.tools.conftest import dicom, tree

__all__ = ["dicom", "tree"]


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path)


@pytest.fixture
def mixed(results, write_dicom):
    """Two studies, of which one has a bad file, and another file."""
    source = results.source
    write_dicom(source / "a.dcm", PixelSpacing=[0.5, 0.25], Modality="MG")
    bad = write_dicom(source / "b.dcm", SOPInstanceUID="1.2.3.1.2")
    bad.write_bytes(bad.read_bytes()[:-3])
    write_dicom(source / "c.dcm", StudyInstanceUID="1.2.4", SeriesInstanceUID=None)
    (source / "d.txt").write_text("text")
    return results.run(crop=True, size=[8, 4], padding="bottom-right", filter="nearest")
