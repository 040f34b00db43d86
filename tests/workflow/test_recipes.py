"""A run by a recipe: the others are tested on the same functions in tests/unit/test_recipes.py."""

import numpy as np
import pytest
import tifffile

from dicom_preprocessing import geometry_of_tiff, read_manifest
from tests.unit.processing.test_volume import CORONAL, Series
from tests.workflow.conftest import CHECKOUT, Project, rows

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
RECIPE = CHECKOUT / "config" / "recipes" / "chest-ct.yaml"


@pytest.fixture
def chests(tmp_path):
    """Two patients: one with slices of 2.5 mm and a scout, and one who lacks a slice."""
    project = Project(tmp_path / "a project", config={"source": "source"})
    common = {"SOPClassUID": CT_IMAGE, "BitsStored": 12, "HighBit": 11, "PixelSpacing": [0.5, 0.5]}
    common |= {"PixelRepresentation": 0, "SliceThickness": 2.5, "Manufacturer": "ACME"}
    whole, broken = (Series(project.source / name, f"1.2.{name}") for name in ("3", "4"))
    pixels = np.zeros((1, 8, 6), np.int16)
    for number in range(5):
        pixels[:, :4] = 100 + 100 * number
        mm = -20 + 2.5 * number
        whole.add(mm, pixels=pixels, StudyInstanceUID="1.2.3", **common)
        if number != 2:
            broken.add(mm, pixels=pixels, StudyInstanceUID="1.2.4", **common)
    scout = common | {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    whole.add(0, pixels=pixels, orientation=CORONAL, StudyInstanceUID="1.2.3", **scout)
    return project


def test_chest_ct_is_volumes_of_1_mm_in_hounsfield_units(chests):
    pytest.importorskip("dicom_preprocessing.results.slice_table")
    run = chests.run("--configfile", str(RECIPE), "config.yaml")
    assert (
        "10 files found: 5 written as 1 image, 1 skipped (not_selected 1), 4 failed" in run.output
    )
    (image,) = read_manifest(chests.results).to_dict("records")
    assert (image["dtype"], image["num_frames"], image["volume"]) == ("int16", 11, 1)
    assert [image[f"spacing_{axis}"] for axis in "xyz"] == [1, 1, 1]
    assert (image["position_z"], image["Manufacturer"], image["warnings"]) == (-20, "ACME", 0)
    path = chests.results / "images" / image["path"]
    # 40 HU per mm, and the air below is not mixed in.
    assert tifffile.imread(path)[:, 0, 0].tolist() == [-900 + 40 * mm for mm in range(11)]
    assert geometry_of_tiff(path).affine()[:3, :3].tolist() == np.eye(3).tolist()
    failed = {row["source_path"]: row for row in rows(chests.results / "failures.csv")}
    assert failed.pop("source/3/006.dcm")["message"].startswith("preset ct: exclude ImageType=")
    assert {row["error"] for row in failed.values()} == {"volume_error"}
    (message,) = {row["message"] for row in failed.values()}
    assert message.startswith("gap: slices seem to be missing along the normal")
    assert message.endswith("from -17.5 to -12.5 mm (2 steps)")
    pages = rows(chests.results / "slices.csv")
    assert [row["page"] for row in pages] == [str(page) for page in range(1, 12)]
    assert {row["source_path"] for row in pages} == {
        f"source/3/{number:03}.dcm" for number in range(1, 6)
    }
    assert chests.run("--configfile", str(RECIPE), "config.yaml").is_noop
