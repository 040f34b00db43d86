"""Results of the reference program for real files.

The cases and how to compare them are described in tests/data/README.md.
"""

import csv
import hashlib
import json

import numpy as np
import pytest

from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.decode.stage import decode
from dicom_preprocessing.imaging.crop import crop
from dicom_preprocessing.imaging.pad import pad
from dicom_preprocessing.imaging.resize import resize
from tests.conftest import data_folder

# Real files break the standard in many ways, of which pydicom warns.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

CORPUS, GOLDEN = data_folder("corpus"), data_folder("golden")
LOSSY = {f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 53, 55, 81, 91, 203)}


def transfer_syntaxes():
    """Transfer Syntax UID of each file of the corpus."""
    with (CORPUS / "expected.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"]: row["transfer_syntax_uid"] for row in csv.DictReader(file)}


def cases_by_file():
    cases = {}
    for case in json.loads((GOLDEN / "cases.json").read_text(encoding="utf-8")):
        cases.setdefault(case["file"], []).append(case)
    return cases


CASES = cases_by_file()
SYNTAXES = transfer_syntaxes()


FLIP = (
    "the reference looks for the laterality at the top level only; here Frame Laterality of the "
    "functional groups counts too, so that Patient Orientation P\\L of a left CC is turned"
)
VOI_LUT = (
    "the reference shifts the 12-bit entries of the VOI LUT to 16 bits, so that white is 65,520; "
    "here entries are brought to full range, as C.11.2.1.1 lets them span"
)

PADDING = (
    "Pixel Padding Value 0 up to Range Limit 30 is background here (C.7.5.1.1.2); the reference "
    "shows it as the window of the configuration does, grey"
)

ASPECT = (
    "Pixel Aspect Ratio is 4:3 and there is no spacing: size keeps the proportions of the picture "
    "(C.7.6.3.1.7), where the reference keeps those of the grid"
)

EXCEPTIONS = {
    ("fo-dicom/GH133.dcm", "window"): PADDING,
    ("pydicom-data/SC_rgb_2frame.dcm", "components"): (
        "the reference looks at colour frames one by one and loses rows 90 to 99, which are "
        "foreground in the first frame only; here the maximum over frames decides, as for grey"
    ),
    ("pydicom-data/explicit_VR-UN.dcm", "window"): (
        "with slope 1 and intercept 0 the value 98 in window 40, 400 is 42,415 by C.11.2.1.2.1, "
        "here and with pydicom; the reference, for which all elements of this file are of VR UN, "
        "gives 65,535"
    ),
    **{
        (file, case["case"]): ASPECT
        for file in ("pydicom-data/color-pl.dcm", "pydicom-data/color-px.dcm")
        for case in CASES.get(file, ())
        if case["options"].get("size")
    },
    **{
        ("dicom-utils/jpeg2k_3d.dcm", case["case"]): FLIP
        for case in CASES.get("dicom-utils/jpeg2k_3d.dcm", ())
    },
    **{
        ("fo-dicom/GH133.dcm", case["case"]): VOI_LUT
        for case in CASES.get("fo-dicom/GH133.dcm", ())
        if case["case"] != "window"  # which takes the place of the VOI LUT
    },
}
ALL_CASES = 1031
"""Of the full set; the selection in tests/data has fewer."""


def problems_of(file):
    """What differs in each case of a file."""
    decoded = {}
    found = {}
    for case in CASES[file]:
        config, _ = parse_config(case["options"])
        settings = make_recipe(config, "pad").settings
        key = json.dumps(settings["decode"])
        if key not in decoded:
            decoded[key] = decode(CORPUS / file, **settings["decode"])
        image = crop(decoded[key], **settings["crop"])
        image = pad(resize(image, **settings["resize"]), **settings["pad"])
        problems = [*geometry_problems(image, case), *pixel_problems(image.frames, case)]
        if problems:
            found[case["case"]] = problems
    return found


def geometry_problems(image, case):
    box, area = image.geometry.crop_box, image.geometry.active_area
    if case["crop_origin"]:
        found = [[box.left, box.top], [box.width, box.height]]
        if found != [case["crop_origin"], case["crop_size"]]:
            yield f"crop {found}, not {[case['crop_origin'], case['crop_size']]}"
    if case["active_area"] and list(area) != case["active_area"]:
        yield f"active area {list(area)}, not {case['active_area']}"


def pixel_problems(frames, case):
    kind = list(frames.shape), str(frames.dtype)
    if kind != (case["shape"], case["dtype"]):
        yield f"{kind}, not {(case['shape'], case['dtype'])}"
        return
    content = np.ascontiguousarray(frames, frames.dtype.newbyteorder("<")).tobytes()
    if hashlib.sha256(content).hexdigest() == case["sha256"]:
        return
    if not case["array"]:
        yield "other pixels (the golden array is not there)"
        return
    with np.load(GOLDEN / f"{case['file']}.npz") as arrays:
        expected = arrays[case["case"]]
    difference = np.abs(frames.astype(np.int64) - expected.astype(np.int64))
    if SYNTAXES[case["file"]] in LOSSY:
        levels = 2 if case["dtype"] == "uint8" else 0.005 * 65535
        if np.mean(difference <= levels) < 0.999:
            yield f"{np.mean(difference > levels):.1%} of pixels differ by more than {levels}"
    elif case["case"] == "nearest_zero":
        # The reference computes the sample position in float32.
        if np.mean(difference == 0) < 0.97:
            yield f"{np.mean(difference != 0):.1%} of pixels differ"
    elif difference.max() > tolerance(case):
        yield f"{np.mean(difference > 0):.1%} of pixels differ, by up to {difference.max()}"


def tolerance(case):
    """Levels by which a pixel may differ."""
    if "size" not in case["options"] or case["case"] == "maxpool_center":
        return 0
    return 1 if case["dtype"] == "uint8" or case["case"] == "interpolate" else 2


@pytest.mark.parametrize("file", CASES)
def test_results_are_those_of_the_reference(file):
    found = problems_of(file)
    assert {case: what for case, what in found.items() if (file, case) not in EXCEPTIONS} == {}


@pytest.mark.parametrize(
    ("file", "case"),
    [(f, c) for f, c in EXCEPTIONS if c in {case["case"] for case in CASES.get(f, ())}],
)
def test_exception_is_still_needed(file, case):
    assert case in problems_of(file)


def test_exceptions_are_few():
    """Besides the two pictures whose pixels are not square, of which each has ten cases."""
    assert sum(reason is not ASPECT for reason in EXCEPTIONS.values()) <= 0.03 * ALL_CASES


def test_there_are_golden_results_for_many_files():
    assert len(CASES) >= 28
