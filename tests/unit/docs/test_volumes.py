"""docs/volumes.md: messages are those of the product, programs run, pictures are drawn."""

import re
import sys

import nibabel
import numpy as np
import pytest
from PIL import Image

from dicom_preprocessing import geometry_of_tiff
from dicom_preprocessing.cli.preprocess import main as preprocess
from dicom_preprocessing.config.stacking import VERDICTS
from tests import draw_pictures
from tests.conftest import CHECKOUT
from tests.pages import blocks_of, command_of, read_page, words_of
from tests.unit.processing.test_volume import CORONAL, SAGITTAL, Series, run

PAGE = "docs/volumes.md"
STEPS = tuple(range(-250, -210, 5))
PICTURES = ("stack-gap.png", "stack-uneven.png")
MAX_BYTES = 150_000


def add_all(series, distances=STEPS, **attributes):
    for mm in distances:
        series.add(mm, value=5, **attributes)


def scouts(series):
    series.add(0, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], orientation=CORONAL)
    series.add(0, orientation=SAGITTAL)
    add_all(series)


def gap(series):
    add_all(series, (*STEPS[:4], *STEPS[6:]))


def uneven(series):
    add_all(series, (0, 3, 6, 9, 12.8, 15, 18))


def different_at_one_position(series):
    add_all(series)
    series.add(-235, value=9)


def same_at_one_position(series):
    add_all(series)
    series.add(-235, value=5)


def tilted(series):
    for number in range(6):
        y = 5 * number * np.tan(np.deg2rad(15))
        series.add(0, ImagePositionPatient=[-120, f"{y:.3f}", 5 * number])


def rescales(series):
    for number, mm in enumerate(STEPS):
        series.add(mm, RescaleSlope=(1.25, 1.31, 0.98)[number % 3], RescaleIntercept=0)


def lone(series):
    series.add(0)


def without_positions(series):
    for number in (3, 1, 2):
        series.add(InstanceNumber=number)


def conflicting(series):
    add_all(series)
    series.add(-240, value=9, SOPInstanceUID=f"{series.uid}.3")


def frames_of_reference(series):
    for number, mm in enumerate(STEPS):
        series.add(mm, FrameOfReferenceUID=f"1.2.{number // 4}")


def broken(series):
    for number, mm in enumerate(STEPS):
        series.add(mm, **({"PixelData": b"\1\2"} if number == 2 else {}))


def spacings(series):
    for mm, spacing in ((0, 0.5), (5, 0.5), (10, 0.6)):
        series.add(mm, PixelSpacing=[spacing, spacing])


def windows(series):
    for number, mm in enumerate(STEPS):
        series.add(mm, WindowCenter=300 + number, WindowWidth=700)


CASES = [
    (scouts, {}),
    (gap, {}),
    (gap, {"stack": {"gap": "warn"}}),
    (uneven, {}),
    (different_at_one_position, {}),
    (different_at_one_position, {"stack": {"duplicate_position": "first"}}),
    (same_at_one_position, {}),
    (tilted, {}),
    (rescales, {}),
    (lone, {"stack": {"single": "drop"}}),
    (without_positions, {}),
    (frames_of_reference, {}),
    (conflicting, {"duplicates": "fail"}),
    (broken, {}),
    (spacings, {}),
    (windows, {"intensity": "voi"}),
]
"""Series and settings that give the messages of the page."""


def messages_of(folder, make, values):
    """What failures.csv and warnings.csv would say of a series in the folder ``chest``."""
    make(Series(folder / "chest"))
    result = run("chest", folder / "out", **values)
    found = {f"{f.error}: {f.message}" for f in result.excluded.values()}
    for receipt in result.receipts:
        if receipt.error:
            found.add(f"{receipt.error}: {receipt.message}")
        elif receipt.has_image:
            found |= {f"{w.code}: {w.message}" for w in receipt.parse_warnings()}
    return found


def test_messages_are_those_of_the_product(tmp_path, monkeypatch):
    given = set()
    for number, (make, values) in enumerate(CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        given |= messages_of(folder, make, values)
    texts = "".join(block.text for block in blocks_of(PAGE) if block.language == "text")
    shown = set(re.findall(r"^(?!ValueError)[a-z_]+: .*$", texts, re.MULTILINE))
    assert shown == given


@pytest.mark.parametrize(
    ("distances", "many"),
    [((0, 4, 8, 12, 16, 20, 28, 36, 44), 3), (np.rint(np.arange(12) * 1.25), 3)],
)
def test_steps_of_two_sizes_and_rounded_positions_look_like_gaps(tmp_path, distances, many):
    """As the section on gaps says."""
    add_all(Series(tmp_path / "src"), distances)
    result = run(tmp_path / "src", tmp_path / "out")
    assert set(result.states()) == {"volume_error"}
    assert result.receipts[0].message.count("(2 steps)") == many


def test_each_reason_has_a_section_with_its_default():
    sections = dict(re.findall(r"^### (\w+)\n\n(.*?)\.", read_page(PAGE), re.MULTILINE))
    rows = re.findall(
        r"^\| \[(\w+)\]\(#\w+\) \| (\w+) \| ([\w, ]+) \|", read_page(PAGE), re.MULTILINE
    )
    assert [name for name, *_ in rows] == list(VERDICTS)
    for name, default, others in rows:
        policies = (default, *others.split(", "))
        assert policies == VERDICTS[name].policies
        assert tuple(re.findall(r"`(\w+)`", sections[name])) == policies


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the command of the page was called."""
    made = tmp_path_factory.mktemp("clone")
    (made / "examples").symlink_to(CHECKOUT / "examples")
    command = command_of(PAGE, ".venv/bin/dicom-preprocess examples/studies/ct_head_series")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        assert preprocess([*words_of(command)[1:], "-q"]) == 0
    return made


def test_programs_print_what_is_shown(folder, monkeypatch, capsys):
    """One after another, in one session."""
    monkeypatch.chdir(folder)
    blocks = blocks_of(PAGE)
    session, count = {}, 0
    for block, after in zip(blocks, (*blocks[1:], None), strict=True):
        if block.language != "python" or is_left_out(block.text, folder):
            continue
        capsys.readouterr()
        exec(compile(block.text, block.place, "exec"), session)
        printed = capsys.readouterr().out
        shows = after is not None and after.language == "text" and "print(" in block.text
        assert printed == (after.text if shows else "")
        count += 1
    assert count >= 3


def is_left_out(program, folder):
    """Whether a program needs what is not there."""
    return "read_slices" in program and not (folder / "volumes" / "slices.csv").exists()


def test_the_nifti_has_the_place_of_the_tiff(folder, monkeypatch, capsys):
    test_programs_print_what_is_shown(folder, monkeypatch, capsys)
    image = nibabel.load(folder / "volume.nii.gz")
    geometry = geometry_of_tiff(next(folder.rglob("*.tiff")))
    x, y, z = geometry.to_patient([10, 20, 3])
    assert image.affine @ [10, 20, 3, 1] == pytest.approx([-x, -y, z, 1], abs=1e-3)


def test_uneven_pages_have_no_affine(tmp_path):
    series = Series(tmp_path / "src")
    add_all(series, (0, 3, 6, 9, 12.8, 15.4))
    result = run(tmp_path / "src", tmp_path / "out")
    with pytest.raises(ValueError, match="not evenly spaced") as error:
        geometry_of_tiff(result.output / result.images[0].output).affine()
    assert f"ValueError: {error.value}" in read_page(PAGE)


def test_pictures_are_those_of_the_script(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["draw_pictures", str(tmp_path)])
    draw_pictures.main()
    for name in PICTURES:
        shown = CHECKOUT / "docs" / "images" / name
        assert shown.stat().st_size < MAX_BYTES
        # Another version of a library may draw letters a little differently.
        drawn, kept = (
            np.asarray(Image.open(p).convert("L"), int) for p in (tmp_path / name, shown)
        )
        assert drawn.shape == kept.shape
        assert np.abs(drawn - kept).mean() < 2
