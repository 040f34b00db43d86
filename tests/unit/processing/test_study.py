"""The job of a study: one by one through files or at once, and what it leaves."""

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_preprocessing import files
from dicom_preprocessing.cli.job import main
from dicom_preprocessing.config import KEEPABLE, STAGES, parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.index.table import digest_inventory, read_inventory
from dicom_preprocessing.processing import study as study_module
from dicom_preprocessing.processing.study import run_from_inventory
from dicom_preprocessing.results.receipts import read_receipts
from dicom_preprocessing.tiff import writer
from tests.unit.study_runs import StudyRuns, entries_of, run, target_of, truncate
from tests.workflow.tiny import instance, save

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


FILES = [
    "crafted/odd_length_8bit_33x35.dcm",
    "crafted/one_pixel.dcm",
    "crafted/one_row_4000_columns.dcm",
    "crafted/us_ybr_full_planar.dcm",
    "dcm_qa_enh/6_1.dcm",
    "dicom-utils/jpeg2k_3d.dcm",
    "highdicom/sm_image.dcm",
    "pydicom-data/SC_rgb_16bit.dcm",
    "torchio/ct_series/IMG0001.dcm",
]


CONFIGS = {
    "default": {},
    "crop": {"crop": True, "crop_max": True, "crop_components": True, "border_frac": 0.05},
    "size": {"size": [40, 41], "filter": "lanczos3"},
    "size and padding": {"crop": True, "size": [37, 24], "padding": "center", "filter": "gaussian"},
    "max-pool": {"size": [16, 24], "filter": "max-pool", "padding": "bottom-right"},
    "spacing": {"spacing": [0.7, 1.3], "filter": "catmull-rom"},
    "spacing with z": {"spacing": [2, 2, 3]},
    "volume": {"volume": "interpolate", "target_frames": 4, "size": [20, 20]},
    "projection": {"volume": "max-intensity", "intensity": "minmax", "padding": "none"},
    "stored": {"intensity": "stored", "crop": True, "size": [30, 20]},
    "layout": {"layout": "study/series/sop", "compressor": "deflate", "size": [20, 20]},
}


@pytest.fixture(scope="module")
def fused(tmp_path_factory, compact_corpus):
    """Runs of all files in one process, by configuration."""
    known = {}

    def run_all(name):
        if name not in known:
            root = tmp_path_factory.mktemp("fused")
            runs = [
                StudyRuns(root / str(number), entries_of(compact_corpus / file), **CONFIGS[name])
                for number, file in enumerate(FILES)
            ]
            known[name] = [(one, one.from_inventory()) for one in runs]
        return known[name]

    return run_all


@pytest.fixture
def quick(monkeypatch):
    """Do not wait for the disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def without_seconds(receipts):
    return [replace(receipt, seconds={}) for receipt in receipts]


WAYS = [*((stage,) for stage in KEEPABLE), KEEPABLE]


# One by one through files, or all in one process


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("kept", WAYS, ids="-".join)
def test_kept_stages_change_no_byte_and_no_receipt(tmp_path, quick, fused, name, kept):
    for whole, expected in fused(name):
        folder = tmp_path / whole.folder.name
        staged = StudyRuns(folder, read_inventory(whole.inventory), **CONFIGS[name])
        staged.from_inventory(kept[0])
        for before, after in zip(kept, (*kept[1:], "write"), strict=True):
            receipts = staged.from_stage(before, after)
        assert staged.images() == whole.images()
        assert without_seconds(receipts) == without_seconds(expected)


# These have no pixel spacing, and of three the spacing between frames is unknown too.
NO_SPACING = {
    "spacing": {"jpeg2k_3d.dcm"},
    "spacing with z": {"us_ybr_full_planar.dcm", "jpeg2k_3d.dcm", "sm_image.dcm"},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_stages_are_compared_on_images_that_are_written(fused, name):
    receipts = [receipt for _, receipts in fused(name) for receipt in receipts]
    failed = {os.path.basename(r.source_path): r.error for r in receipts if not r.is_written}
    assert failed == dict.fromkeys(NO_SPACING.get(name, ()), "no_spacing")


def test_folder_of_receipts_may_be_removed_while_a_study_is_processed(
    tmp_path, source, write_dicom
):
    runs = StudyRuns(tmp_path / "results", entries_of(write_dicom(source / "a.dcm")))
    receipt = tmp_path / "results" / "receipts" / "write" / "1.2.3.jsonl"
    target = target_of(tmp_path / "results")
    run_from_inventory(runs.inventory, target, receipt)
    assert [line.state for line in read_receipts(receipt)] == ["written"]


def test_second_run_writes_the_same_bytes(tmp_path, source, write_dicom):
    runs = StudyRuns(tmp_path, entries_of(write_dicom(source / "a.dcm")), size=[5, 5])
    runs.from_inventory()
    before = runs.images()
    runs.from_inventory()
    assert runs.images() == before


def test_receipts_tell_the_recipe_of_their_own_stage(tmp_path, source, write_dicom):
    runs = StudyRuns(tmp_path, entries_of(write_dicom(source / "a.dcm")))
    (decoded,), (final,) = runs.from_inventory("decode"), runs.from_stage("decode")
    config, _ = parse_config({})
    digests = [make_recipe(config, stage).digest for stage in ("decode", "write")]
    assert [decoded.recipe, final.recipe] == digests


def test_receipts_of_every_stage_tell_the_inventory(tmp_path, source, write_dicom):
    runs = StudyRuns(tmp_path, entries_of(write_dicom(source / "a.dcm")))
    (decoded,), (final,) = runs.from_inventory("decode"), runs.from_stage("decode")
    assert decoded.inventory == final.inventory == digest_inventory(runs.inventory)


def test_failed_files_are_handed_on_from_stage_to_stage(tmp_path, source, write_dicom):
    write_dicom(source / "a.dcm")
    truncate(write_dicom(source / "b.dcm", SOPInstanceUID="1.2.3.1.2"), 3)
    runs = StudyRuns(tmp_path, entries_of(source))
    decoded = runs.from_inventory("decode")
    final = runs.from_stage("decode")
    assert decoded[1].error == "short_pixel_data"
    assert final[1] == replace(decoded[1], recipe=final[0].recipe)


@pytest.mark.parametrize(("kept", "changed"), [("decode", "intensity"), ("crop", "crop")])
def test_kept_stage_of_other_settings_is_refused(tmp_path, source, write_dicom, kept, changed):
    other = {"intensity": "minmax", "crop": True}[changed]
    runs = StudyRuns(tmp_path, entries_of(write_dicom(source / "a.dcm")))
    runs.from_inventory(kept)
    runs.values = {changed: other}
    message = rf"stages/{kept}/1\.2\.3 was made with other settings .* add --forcerun {kept}$"
    with pytest.raises(OutputError, match=message):
        runs.from_stage(kept)
    assert not runs.receipt("write").exists()


@pytest.mark.parametrize("kept", ["decode", "crop"])
def test_settings_of_later_stages_leave_a_kept_one_as_it_is(tmp_path, source, write_dicom, kept):
    runs = StudyRuns(tmp_path, entries_of(write_dicom(source / "a.dcm")))
    runs.from_inventory(kept)
    runs.values = {"size": [3, 3], "fast_decode": True, "compressor": "lzw"}
    (receipt,) = runs.from_stage(kept)
    assert receipt.is_written


def test_file_that_fails_behind_a_kept_stage_fails_there(tmp_path, source, write_dicom):
    runs = StudyRuns(tmp_path, entries_of(write_dicom(source / "a.dcm")), spacing=[1, 1])
    runs.from_inventory("crop")
    (receipt,) = runs.from_stage("crop")
    assert (receipt.state, receipt.error, receipt.stage) == ("failed", "no_spacing", "resize")


def test_kept_image_that_is_missing_is_an_error_of_the_job(tmp_path, source, write_dicom):
    runs = StudyRuns(tmp_path, entries_of(write_dicom(source / "a.dcm")))
    (receipt,) = runs.from_inventory("decode")
    (tmp_path / "stages/decode" / receipt.output).unlink()
    message = r"1\.2\.3\.1\.1\.tiff: cannot be read as TIFF.* To make it anew: rm -r .*/1\.2\.3,"
    with pytest.raises(OutputError, match=message):
        runs.from_stage("decode")


@pytest.fixture(scope="module")
def kept_run(tmp_path_factory):
    """A study with a kept stage, and what a run without it makes."""
    folder = tmp_path_factory.mktemp("kept")
    for number in (1, 2):
        save(instance("1.2.3", number), folder / "source" / f"{number}.dcm")
    values = {"crop": True, "size": [8, 8]}
    runs = StudyRuns(folder, entries_of(folder / "source"), **values)
    runs.from_inventory()
    whole = runs.images()
    runs.from_inventory("crop")
    return runs, whole, runs.images("crop")


PARTS = st.floats(0, 1, exclude_max=True)


@st.composite
def damages(draw, ways):
    """One of the ways in which the content of a file is lost, as a function of its content."""
    start, length, way = draw(PARTS), draw(PARTS), draw(st.sampled_from(ways))

    def damage(content):
        begin = int(start * len(content))
        end = begin + 1 + int(length * (len(content) - begin))
        flipped = bytes(255 - byte for byte in content[begin:end])
        return {
            "cut": content[:begin],
            "hole": content[:begin] + bytes(len(content[begin:end])) + content[end:],
            "flipped": content[:begin] + flipped + content[end:],
            "longer": content + bytes(end - begin),
            "gone": None,
        }[way]

    return damage


ODD_VALUES = (None, "x", "a\0b", -1, 10**9, 0.5, [], ["x"], {}, {"source": [1]}, True)


@st.composite
def edits(draw):
    """A change of a value somewhere in a receipt, as a function of its content."""
    chance, value = draw(st.randoms(use_true_random=False)), draw(st.sampled_from(ODD_VALUES))

    def edit(content):
        records = [json.loads(line) for line in content.splitlines()]
        place = chance.choice(records)
        while True:
            key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if isinstance(place[key], dict | list) and place[key] and chance.random() < 0.8:
                place = place[key]
                continue
            if chance.random() < 0.2:
                del place[key]
            elif place[key] != value:
                place[key] = value
            else:
                place[key] = "another"
            return "".join(json.dumps(record) + "\n" for record in records).encode()

    return edit


def apply_damage(damage, path):
    content = damage(path.read_bytes())
    path.unlink() if content is None else path.write_bytes(content)


@settings(
    max_examples=int(os.environ.get("DP_KEPT_DAMAGES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    images=st.lists(
        st.none() | damages(["cut", "hole", "flipped", "longer", "gone"]), min_size=2, max_size=2
    ),
    # Without a receipt the workflow makes the stage anew.
    receipt=st.none() | damages(["cut", "hole", "flipped", "longer"]) | edits(),
)
def test_kept_stage_that_is_damaged_is_made_anew(kept_run, images, receipt):
    runs, whole, kept = kept_run
    paths = [runs.folder / "stages/crop" / name for name in kept]
    for path, damage in zip((*paths, runs.receipt("crop")), (*images, receipt), strict=True):
        if damage is not None:
            apply_damage(damage, path)
    assert all(written.is_written for written in runs.from_stage_or_inventory("crop"))
    assert runs.images() == whole
    assert runs.images("crop") == kept


def test_kept_stage_in_whose_place_is_a_file_is_made_anew(kept_run):
    runs, whole, _ = kept_run
    folder = runs.folder / "stages/crop" / runs.study
    shutil.rmtree(folder)
    folder.write_text("a file")
    runs.from_stage_or_inventory("crop")
    assert runs.images() == whole


def test_inventory_that_is_replaced_meanwhile_is_an_error_of_the_job(
    tmp_path, source, write_dicom, monkeypatch
):
    runs = StudyRuns(tmp_path, entries_of(write_dicom(source / "a.dcm")))
    text = runs.inventory.read_text()

    process_all = study_module.process_all

    def replace_it(*args, **kwargs):
        runs.inventory.write_text(text.replace('"attempt": 1', '"attempt": 2'))
        return process_all(*args, **kwargs)

    monkeypatch.setattr(study_module, "process_all", replace_it)
    with pytest.raises(OutputError, match=r"inventory\.jsonl was replaced while its study was"):
        runs.from_inventory()


def test_receipts_are_in_path_order(tmp_path, source, write_dicom):
    for number, name in enumerate(["c.dcm", "a.dcm", "B.dcm"]):
        write_dicom(source / name, SOPInstanceUID=f"1.2.3.1.{number}")
    assert list(run(tmp_path, source)) == ["B.dcm", "a.dcm", "c.dcm"]


def stage_arguments(tmp_path, entries, stage="write"):
    runs = StudyRuns(tmp_path, entries)
    target = target_of(tmp_path, stage)
    receipt = tmp_path / "receipts" / stage / f"{runs.study}.jsonl"
    images = target.root / runs.study
    arguments = ["--input", str(runs.inventory), "--images", str(images)]
    arguments += ["--receipt", str(receipt), "--output", str(tmp_path), "--study", runs.study]
    os.environ["DP_RECIPE_" + target.recipe.digest] = target.recipe.to_json()
    return [stage, *arguments, "--recipe", target.recipe.digest], images, receipt


# Whole studies


@pytest.mark.parametrize("stage", STAGES)
def test_study_without_a_good_file_has_an_empty_folder_and_a_receipt(
    tmp_path, source, write_dicom, stage
):
    path = truncate(write_dicom(source / "a.dcm"), 3)
    arguments, images, receipt = stage_arguments(tmp_path, entries_of(path), stage)
    assert main(arguments, examples=tmp_path) == 0
    assert (os.listdir(images), [r.error for r in read_receipts(receipt)]) == (
        [],
        ["short_pixel_data"],
    )


def test_job_says_what_became_of_a_bad_file(tmp_path, source, write_dicom, capsys):
    path = truncate(write_dicom(source / "a.dcm"), 3)
    arguments, _, _ = stage_arguments(tmp_path, entries_of(path))
    main(arguments, examples=tmp_path)
    assert capsys.readouterr().out == (
        "1.2.3.1.1: failed: short_pixel_data: 9 of 12 bytes of pixel data are there\n"
    )


def test_job_refuses_images_beside_the_layout(tmp_path, source, write_dicom, capsys):
    arguments, images, _ = stage_arguments(tmp_path, entries_of(write_dicom(source / "a.dcm")))
    arguments[arguments.index(str(images))] = str(tmp_path / "elsewhere")
    assert main(arguments, examples=tmp_path) == 1
    assert capsys.readouterr().err == f"error: --images is {tmp_path}/elsewhere, not {images}\n"


def test_nothing_but_images_and_receipt_is_left(tmp_path, source, write_dicom):
    write_dicom(source / "a.dcm")
    truncate(write_dicom(source / "b.dcm", SOPInstanceUID="1.2.3.1.2"), 3)
    work = tmp_path / "work"
    run(work, source)
    files = sorted(str(p.relative_to(work)) for p in work.rglob("*") if p.is_file())
    assert files == ["images/1.2.3/1.2.3.1.1.tiff", "inventory.jsonl", "write.jsonl"]


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_full_disk_fails_the_job(tmp_path, source, write_dicom, monkeypatch):
    monkeypatch.setattr(writer, "encode_strip", no_space)
    with pytest.raises(OSError, match="No space left on device"):
        run(tmp_path, write_dicom(source / "a.dcm"))


def test_full_disk_leaves_no_half_image_and_no_receipt(tmp_path, source, write_dicom, monkeypatch):
    monkeypatch.setattr(writer, "encode_strip", no_space)
    work = tmp_path / "work"
    with pytest.raises(OSError, match="No space left on device"):
        run(work, write_dicom(source / "a.dcm"))
    assert [p.name for p in work.rglob("*") if p.is_file()] == ["inventory.jsonl"]


def test_receipt_is_written_after_the_images_are_durable(
    tmp_path, source, write_dicom, monkeypatch
):
    synced = []
    monkeypatch.setattr(files, "fsync", lambda path: synced.append(Path(path).name))
    monkeypatch.setattr(
        study_module, "write_receipts", lambda path, _receipts: synced.append(path.name)
    )
    run(tmp_path, write_dicom(source / "a.dcm"))
    assert synced == ["1.2.3.1.1.tiff", "1.2.3", "write.jsonl"]
