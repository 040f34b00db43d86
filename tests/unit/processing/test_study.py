"""The job of a study: which images it writes and what its receipt says of each file."""

import errno
import os
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from pydicom.uid import RLELossless

from dicom_preprocessing.cli.job import stage_main
from dicom_preprocessing.config import KEEPABLE, STAGES, parse_config
from dicom_preprocessing.config.recipe import make_chain
from dicom_preprocessing.errors import OutputError, UnreadableError
from dicom_preprocessing.imaging.geometry import CropBox, Geometry, Padding, Size
from dicom_preprocessing.imaging.image import Facts
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.table import inventory_digest, inventory_text, read_inventory
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.processing import instance as instance_module
from dicom_preprocessing.processing import study as study_module
from dicom_preprocessing.processing.instance import Target, instances, process_instance
from dicom_preprocessing.processing.study import KeptStage, run_from_inventory, run_from_stage
from dicom_preprocessing.results.receipts import Receipt, read_receipts, write_receipts
from tests.conftest import needs_byte_names
from tests.unit.datasets import compressed, data_set_of, pages_of, rle, save

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

BLACK, RED, BLUE = [0, 0, 0], [255, 0, 0], [0, 0, 255]
COLOUR = [
    [BLACK, BLACK, BLACK, BLACK],
    [BLACK, RED, BLACK, BLACK],
    [BLACK, BLACK, BLUE, BLACK],
]
"""RGB is not windowed, so these are the decoded values."""


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def entries_of(*paths):
    """Entries of the only study below the paths."""
    index = build_index(find_files([str(path) for path in paths]))
    (entries,) = index.studies.values()
    return entries


def target_of(folder, stage="write", **values):
    config, _ = parse_config(values)
    root = folder / ("images" if stage == "write" else f"stages/{stage}")
    return Target(root, make_chain(config, stage))


class Runs:
    """Runs of one study in a folder of their own."""

    def __init__(self, folder, entries, **values):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.values = folder, values
        self.study = entries[0].study_instance_uid
        self.inventory = folder / "inventory.jsonl"
        self.inventory.write_text(inventory_text(entries))

    def receipt(self, stage):
        return self.folder / f"{stage}.jsonl"

    def from_inventory(self, stage="write"):
        target = target_of(self.folder, stage, **self.values)
        return run_from_inventory(self.inventory, target, self.receipt(stage))

    def from_stage(self, kept, stage="write"):
        target = target_of(self.folder, stage, **self.values)
        before = KeptStage(kept, self.folder / "stages" / kept, self.study, self.receipt(kept))
        return run_from_stage(before, target, self.receipt(stage))

    def images(self):
        """Bytes of each final image by its path."""
        root = self.folder / "images"
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def run(folder, *paths, **values):
    """Receipts by file name after a whole job."""
    receipts = Runs(folder, entries_of(*paths), **values).from_inventory()
    return {os.path.basename(receipt.source_path): receipt for receipt in receipts}


def outcomes(receipts):
    return {name: r.error or r.state for name, r in receipts.items()}


def cut(path, size):
    """Shorten a file."""
    path.write_bytes(path.read_bytes()[:-size])
    return path


# Images


def test_image_holds_the_decoded_pixels(tmp_path, source, write_dicom):
    run(tmp_path, write_dicom(source / "a.dcm", COLOUR))
    assert pages_of(tmp_path / "images/1.2.3/1.2.3.1.1.tiff").tolist() == [COLOUR]


def test_all_steps_are_carried_out_in_order(tmp_path, source, write_dicom):
    path = write_dicom(source / "a.dcm", COLOUR)
    run(tmp_path, path, crop=True, size=[6, 4], filter="nearest", padding="center")
    assert pages_of(tmp_path / "images/1.2.3/1.2.3.1.1.tiff").tolist() == [
        [
            [BLACK, RED, RED, BLACK, BLACK, BLACK],
            [BLACK, RED, RED, BLACK, BLACK, BLACK],
            [BLACK, BLACK, BLACK, BLUE, BLUE, BLACK],
            [BLACK, BLACK, BLACK, BLUE, BLUE, BLACK],
        ]
    ]


def test_receipt_tells_the_geometry_of_all_steps(tmp_path, source, write_dicom):
    path = write_dicom(source / "a.dcm", COLOUR)
    receipt = run(tmp_path, path, crop=True, size=[6, 4], filter="nearest", padding="center")
    assert receipt["a.dcm"].image_geometry() == Geometry(
        source=Size(4, 3),
        crop=CropBox(1, 1, 2, 2),
        resized=Size(4, 4),
        padding=Padding(1, 0, 1, 0),
    )


def test_receipt_of_an_image_tells_what_the_manifest_needs(tmp_path, source, write_dicom):
    path = write_dicom(source / "a.dcm", COLOUR, Modality="US", PixelSpacing=[0.5, 0.25])
    receipt = run(tmp_path, path)["a.dcm"]
    assert replace(receipt, seconds={}, chain="", inventory="") == Receipt(
        source_path=str(path),
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.1",
        sop_instance_uid="1.2.3.1.1",
        attempt=1,
        state="written",
        stage="write",
        output="1.2.3/1.2.3.1.1.tiff",
        facts=receipt.facts,
        geometry=Geometry(Size(4, 3)).as_dict(),
        frames=1,
        channels=3,
        dtype="uint8",
    )
    assert receipt.image_facts() == Facts(
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.1",
        sop_instance_uid="1.2.3.1.1",
        modality="US",
        source_rows=3,
        source_columns=4,
        source_frames=1,
        pixel_spacing=(0.25, 0.5),
        photometric_interpretation="RGB",
    )


def test_receipt_tells_the_seconds_of_each_step(tmp_path, source, write_dicom):
    receipt = run(tmp_path, write_dicom(source / "a.dcm"), crop=True, size=[8, 8])["a.dcm"]
    assert list(receipt.seconds) == ["decode", "crop", "resize", "pad", "write"]
    assert all(spent >= 0 for spent in receipt.seconds.values())


def test_kept_stage_is_not_compressed(tmp_path, source, write_dicom):
    runs = Runs(tmp_path, entries_of(write_dicom(source / "a.dcm")), compressor="lzw")
    runs.from_inventory("decode")
    with tifffile.TiffFile(tmp_path / "stages/decode/1.2.3/1.2.3.1.1.tiff") as tiff:
        assert tiff.pages[0].compression == 1


def test_final_image_is_compressed_as_configured(tmp_path, source, write_dicom):
    run(tmp_path, write_dicom(source / "a.dcm"), compressor="lzw")
    with tifffile.TiffFile(tmp_path / "images/1.2.3/1.2.3.1.1.tiff") as tiff:
        assert tiff.pages[0].compression == 5


# Layout


def test_layout_study_sop(tmp_path, source, write_dicom):
    runs = Runs(tmp_path, entries_of(write_dicom(source / "a.dcm")))
    runs.from_inventory()
    assert list(runs.images()) == ["1.2.3/1.2.3.1.1.tiff"]


def test_layout_study_series_sop(tmp_path, source, write_dicom):
    runs = Runs(tmp_path, entries_of(write_dicom(source / "a.dcm")), layout="study/series/sop")
    (receipt,) = runs.from_inventory()
    assert list(runs.images()) == [receipt.output] == ["1.2.3/1.2.3.1/1.2.3.1.1.tiff"]


def test_layout_names_a_missing_series(tmp_path, source, write_dicom):
    path = write_dicom(source / "a.dcm", SeriesInstanceUID=None)
    runs = Runs(tmp_path, entries_of(path), layout="study/series/sop")
    runs.from_inventory()
    assert list(runs.images()) == ["1.2.3/series/1.2.3.1.1.tiff"]


@pytest.mark.parametrize("stage", KEEPABLE)
def test_layout_of_a_kept_stage_is_always_study_sop(tmp_path, source, write_dicom, stage):
    runs = Runs(tmp_path, entries_of(write_dicom(source / "a.dcm")), layout="study/series/sop")
    (receipt,) = runs.from_inventory(stage)
    assert receipt.output == "1.2.3/1.2.3.1.1.tiff"
    assert (tmp_path / "stages" / stage / receipt.output).is_file()


# One by one through files, or all in one process

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
                Runs(root / str(number), entries_of(compact_corpus / file), **CONFIGS[name])
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


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("kept", WAYS, ids="-".join)
def test_kept_stages_change_no_byte_and_no_receipt(tmp_path, quick, fused, name, kept):
    for whole, expected in fused(name):
        folder = tmp_path / whole.folder.name
        staged = Runs(folder, read_inventory(whole.inventory), **CONFIGS[name])
        staged.from_inventory(kept[0])
        for before, after in zip(kept, (*kept[1:], "write"), strict=True):
            receipts = staged.from_stage(before, after)
        assert staged.images() == whole.images()
        assert without_seconds(receipts) == without_seconds(expected)


# These have no pixel spacing, and of three the spacing between frames is unknown too.
NO_SPACING = {
    "spacing": {"us_ybr_full_planar.dcm", "jpeg2k_3d.dcm"},
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
    runs = Runs(tmp_path / "results", entries_of(write_dicom(source / "a.dcm")))
    receipt = tmp_path / "results" / "receipts" / "write" / "1.2.3.jsonl"
    target = target_of(tmp_path / "results")
    run_from_inventory(runs.inventory, target, receipt)
    assert [line.state for line in read_receipts(receipt)] == ["written"]


def test_second_run_writes_the_same_bytes(tmp_path, source, write_dicom):
    runs = Runs(tmp_path, entries_of(write_dicom(source / "a.dcm")), size=[5, 5])
    runs.from_inventory()
    before = runs.images()
    runs.from_inventory()
    assert runs.images() == before


def test_receipts_tell_the_chain_of_their_own_stage(tmp_path, source, write_dicom):
    runs = Runs(tmp_path, entries_of(write_dicom(source / "a.dcm")))
    (decoded,), (final,) = runs.from_inventory("decode"), runs.from_stage("decode")
    config, _ = parse_config({})
    digests = [make_chain(config, stage).digest for stage in ("decode", "write")]
    assert [decoded.chain, final.chain] == digests


def test_receipts_of_every_stage_tell_the_inventory(tmp_path, source, write_dicom):
    runs = Runs(tmp_path, entries_of(write_dicom(source / "a.dcm")))
    (decoded,), (final,) = runs.from_inventory("decode"), runs.from_stage("decode")
    assert decoded.inventory == final.inventory == inventory_digest(runs.inventory)


def test_failed_files_are_handed_on_from_stage_to_stage(tmp_path, source, write_dicom):
    write_dicom(source / "a.dcm")
    cut(write_dicom(source / "b.dcm", SOPInstanceUID="1.2.3.1.2"), 3)
    runs = Runs(tmp_path, entries_of(source))
    decoded = runs.from_inventory("decode")
    final = runs.from_stage("decode")
    assert decoded[1].error == "short_pixel_data"
    assert final[1] == replace(decoded[1], chain=final[0].chain)


@pytest.mark.parametrize(("kept", "changed"), [("decode", "intensity"), ("crop", "crop")])
def test_kept_stage_of_other_settings_is_refused(tmp_path, source, write_dicom, kept, changed):
    other = {"intensity": "minmax", "crop": True}[changed]
    runs = Runs(tmp_path, entries_of(write_dicom(source / "a.dcm")))
    runs.from_inventory(kept)
    runs.values = {changed: other}
    message = rf"stages/{kept}/1\.2\.3 was made with other settings .* add --forcerun {kept}$"
    with pytest.raises(OutputError, match=message):
        runs.from_stage(kept)
    assert not runs.receipt("write").exists()


@pytest.mark.parametrize("kept", ["decode", "crop"])
def test_settings_of_later_stages_leave_a_kept_one_as_it_is(tmp_path, source, write_dicom, kept):
    runs = Runs(tmp_path, entries_of(write_dicom(source / "a.dcm")))
    runs.from_inventory(kept)
    runs.values = {"size": [3, 3], "fast_decode": True, "compressor": "lzw"}
    (receipt,) = runs.from_stage(kept)
    assert receipt.is_written


def test_file_that_fails_behind_a_kept_stage_fails_there(tmp_path, source, write_dicom):
    runs = Runs(tmp_path, entries_of(write_dicom(source / "a.dcm")), spacing=[1, 1])
    runs.from_inventory("crop")
    (receipt,) = runs.from_stage("crop")
    assert (receipt.state, receipt.error, receipt.stage) == ("failed", "no_spacing", "resize")


def test_kept_image_that_is_missing_is_an_error_of_the_job(tmp_path, source, write_dicom):
    runs = Runs(tmp_path, entries_of(write_dicom(source / "a.dcm")))
    (receipt,) = runs.from_inventory("decode")
    (tmp_path / "stages/decode" / receipt.output).unlink()
    message = r"1\.2\.3\.1\.1\.tiff: cannot be read as TIFF.* To make it anew: rm -r .*/1\.2\.3,"
    with pytest.raises(OutputError, match=message):
        runs.from_stage("decode")


def test_inventory_that_is_replaced_meanwhile_is_an_error_of_the_job(
    tmp_path, source, write_dicom, monkeypatch
):
    runs = Runs(tmp_path, entries_of(write_dicom(source / "a.dcm")))
    text = runs.inventory.read_text()

    process_all = study_module.process_all

    def replace_it(*args, **kwargs):
        runs.inventory.write_text(text.replace('"attempt": 1', '"attempt": 2'))
        return process_all(*args, **kwargs)

    monkeypatch.setattr(study_module, "process_all", replace_it)
    with pytest.raises(OutputError, match=r"inventory\.jsonl was replaced while its study was"):
        runs.from_inventory()


# Bad files


def test_bad_file_costs_only_itself(tmp_path, source, write_dicom):
    write_dicom(source / "a.dcm")
    cut(write_dicom(source / "b.dcm", SOPInstanceUID="1.2.3.1.2"), 3)
    write_dicom(source / "c.dcm", SOPInstanceUID="1.2.3.1.3")
    assert outcomes(run(tmp_path, source)) == {
        "a.dcm": "written",
        "b.dcm": "short_pixel_data",
        "c.dcm": "written",
    }


def test_bad_file_leaves_no_image(tmp_path, source, write_dicom):
    write_dicom(source / "a.dcm")
    cut(write_dicom(source / "b.dcm", SOPInstanceUID="1.2.3.1.2"), 3)
    run(tmp_path, source)
    assert os.listdir(tmp_path / "images/1.2.3") == ["1.2.3.1.1.tiff"]


def test_receipt_of_a_bad_file_says_what_was_found(tmp_path, source, write_dicom):
    path = cut(write_dicom(source / "a.dcm"), 3)
    receipt = run(tmp_path, path)["a.dcm"]
    assert replace(receipt, seconds={}, chain="", inventory="") == Receipt(
        source_path=str(path),
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.1",
        sop_instance_uid="1.2.3.1.1",
        attempt=1,
        state="failed",
        error="short_pixel_data",
        message="9 of 12 bytes of pixel data are there",
        stage="decode",
    )


BAD = {
    "no rows": ({"Rows": None}, "missing_attribute"),
    "no photometric interpretation": ({"PhotometricInterpretation": None}, "missing_attribute"),
    "12 bits allocated": ({"BitsAllocated": 12}, "unsupported_pixels"),
    "empty pixel data": ({"PixelData": b""}, "short_pixel_data"),
    "more frames than pixels": ({"NumberOfFrames": 2}, "short_pixel_data"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_recorded_with_its_error_class(tmp_path, source, write_dicom, name):
    attributes, error = BAD[name]
    receipt = run(tmp_path, write_dicom(source / "a.dcm", **attributes))["a.dcm"]
    assert (receipt.state, receipt.error, receipt.transient) == ("failed", error, False)


@pytest.mark.parametrize("name", ["emri_small_RLE.dcm", "emri_small_jpeg_2k_lossless.dcm"])
def test_cut_in_a_compressed_stream_is_no_damaged_header(tmp_path, source, compact_corpus, name):
    content = (compact_corpus / "pydicom-data" / name).read_bytes()
    (source / name).write_bytes(content[: len(content) // 2])
    receipt = run(tmp_path, source)[name]
    assert receipt.error in {"decode_error", "short_pixel_data"}


def test_file_that_changed_after_the_index_is_tried_again(tmp_path, source, write_dicom):
    path = write_dicom(source / "a.dcm")
    runs = Runs(tmp_path, entries_of(path))
    os.utime(path, ns=(1, 1))
    (receipt,) = runs.from_inventory()
    assert (receipt.error, receipt.transient) == ("source_changed", True)
    assert receipt.message == "the file changed after it was indexed; run again"


def test_file_that_grew_after_the_index_is_tried_again(tmp_path, source, write_dicom):
    path = write_dicom(source / "a.dcm")
    status = path.stat()
    runs = Runs(tmp_path, entries_of(path))
    path.write_bytes(path.read_bytes() + b"\0\0")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert [receipt.error for receipt in runs.from_inventory()] == ["source_changed"]


def test_file_that_vanished_after_the_index_is_unreadable(tmp_path, source, write_dicom):
    path = write_dicom(source / "a.dcm")
    runs = Runs(tmp_path, entries_of(path))
    path.unlink()
    (receipt,) = runs.from_inventory()
    assert (receipt.error, receipt.transient) == ("unreadable", True)


def test_receipt_carries_the_attempt_of_the_inventory(tmp_path, source, write_dicom):
    entries = [replace(e, attempt=3) for e in entries_of(write_dicom(source / "a.dcm"))]
    assert [receipt.attempt for receipt in Runs(tmp_path, entries).from_inventory()] == [3]


@pytest.mark.parametrize("stage", ["crop", "resize", "pad"])
def test_too_little_memory_costs_one_file(tmp_path, source, write_dicom, monkeypatch, stage):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setitem(instance_module.STEPS, stage, fail)
    receipt = run(tmp_path, write_dicom(source / "a.dcm"))["a.dcm"]
    assert (receipt.error, receipt.transient, receipt.stage) == ("limit_memory", True, stage)


def test_bug_is_not_recorded_but_raised(tmp_path, source, write_dicom, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("a bug")

    monkeypatch.setitem(instance_module.STEPS, "crop", fail)
    with pytest.raises(RuntimeError, match="ZeroDivisionError: a bug"):
        run(tmp_path, write_dicom(source / "a.dcm"))


# Several files of one instance


@pytest.fixture
def candidates(source, write_dicom):
    """Makes files of one instance with other pixels each; shorter by a few bytes if bad."""

    def make(*names, bad=()):
        for number, name in enumerate(names):
            path = write_dicom(source / name, [[number, 255]])
            if name in bad:
                cut(path, 1)
        return source

    return make


def test_first_candidate_that_decodes_is_written(tmp_path, candidates):
    receipts = run(tmp_path, candidates("a.dcm", "b.dcm", "c.dcm"))
    assert outcomes(receipts) == {
        "a.dcm": "written",
        "b.dcm": "sop_conflict",
        "c.dcm": "sop_conflict",
    }


def test_other_candidates_are_not_tried(tmp_path, candidates):
    tried = []
    entries = entries_of(candidates("a.dcm", "b.dcm"))
    process_instance(entries, target_of(tmp_path), on_start=tried.append)
    assert [os.path.basename(path) for path in tried] == ["a.dcm"]


def test_second_candidate_is_written_if_the_first_does_not_decode(tmp_path, candidates):
    receipts = run(tmp_path, candidates("a.dcm", "b.dcm", "c.dcm", bad={"a.dcm"}))
    assert outcomes(receipts) == {
        "a.dcm": "sop_conflict",
        "b.dcm": "written",
        "c.dcm": "sop_conflict",
    }


def test_first_candidate_that_cannot_be_read_now_is_tried_again(tmp_path, candidates, monkeypatch):
    decode = instance_module.decode_stored

    def refuse_a(path, **settings):
        if path.endswith("a.dcm"):
            raise UnreadableError("Input/output error")
        return decode(path, **settings)

    monkeypatch.setattr(instance_module, "decode_stored", refuse_a)
    receipts = run(tmp_path, candidates("a.dcm", "b.dcm"))
    assert outcomes(receipts) == {"a.dcm": "sop_conflict", "b.dcm": "written"}
    assert receipts["a.dcm"].transient


def test_memory_that_is_not_enough_is_transient(tmp_path, candidates, monkeypatch):
    def exhausted(*_, **__):
        raise MemoryError

    monkeypatch.setattr(instance_module, "decode_stored", exhausted)
    receipt = run(tmp_path, candidates("a.dcm"))["a.dcm"]
    assert (receipt.error, receipt.transient) == ("limit_memory", True)


def test_conflict_message_tells_that_another_file_comes_first(tmp_path, candidates):
    receipts = run(tmp_path, candidates("a.dcm", "b.dcm"))
    assert receipts["b.dcm"].message == (
        "another file has this SOP Instance UID and other bytes, and comes first"
    )


def test_conflict_message_tells_why_the_first_does_not_decode(tmp_path, candidates):
    receipts = run(tmp_path, candidates("a.dcm", "b.dcm", bad={"a.dcm"}))
    assert receipts["a.dcm"].message == (
        "another file has this SOP Instance UID; this one does not decode: "
        "1 of 2 bytes of pixel data are there"
    )


def test_each_candidate_has_its_own_error_if_none_decodes(tmp_path, candidates, write_dicom):
    source = candidates("a.dcm", bad={"a.dcm"})
    write_dicom(source / "b.dcm", PhotometricInterpretation=None)
    assert outcomes(run(tmp_path, source)) == {
        "a.dcm": "short_pixel_data",
        "b.dcm": "missing_attribute",
    }


def test_later_failure_does_not_bring_the_second_candidate_back(tmp_path, candidates, write_dicom):
    source = candidates("a.dcm")
    write_dicom(source / "b.dcm", PixelSpacing=[1, 1])
    assert outcomes(run(tmp_path, source, spacing=[2, 2])) == {
        "a.dcm": "no_spacing",
        "b.dcm": "sop_conflict",
    }


def test_candidates_are_tried_in_path_order_whatever_their_order(tmp_path, candidates):
    entries = entries_of(candidates("a.dcm", "b.dcm"))
    (group,) = instances(entries[::-1])
    assert [os.path.basename(entry.path) for entry in group] == ["a.dcm", "b.dcm"]


def test_process_instance_gives_a_receipt_for_each_candidate_in_order(tmp_path, candidates):
    entries = entries_of(candidates("a.dcm", "b.dcm", bad={"a.dcm"}))
    receipts = process_instance(entries, target_of(tmp_path))
    assert [(r.source_path, r.state) for r in receipts] == [
        (entries[0].path, "failed"),
        (entries[1].path, "written"),
    ]


def test_receipts_are_in_path_order(tmp_path, source, write_dicom):
    for number, name in enumerate(["c.dcm", "a.dcm", "B.dcm"]):
        write_dicom(source / name, SOPInstanceUID=f"1.2.3.1.{number}")
    assert list(run(tmp_path, source)) == ["B.dcm", "a.dcm", "c.dcm"]


# Whole studies


def stage_arguments(tmp_path, entries, stage="write"):
    runs = Runs(tmp_path, entries)
    target = target_of(tmp_path, stage)
    receipt = tmp_path / "receipts" / stage / f"{runs.study}.jsonl"
    images = target.root / runs.study
    arguments = ["--input", str(runs.inventory), "--images", str(images)]
    arguments += ["--receipt", str(receipt), "--output", str(tmp_path), "--study", runs.study]
    arguments += ["--chain", target.chain.to_json()]
    return arguments, images, receipt


@pytest.mark.parametrize("stage", STAGES)
def test_study_without_a_good_file_has_an_empty_folder_and_a_receipt(
    tmp_path, source, write_dicom, stage
):
    path = cut(write_dicom(source / "a.dcm"), 3)
    arguments, images, receipt = stage_arguments(tmp_path, entries_of(path), stage)
    assert stage_main(stage, arguments) == 0
    assert (os.listdir(images), [r.error for r in read_receipts(receipt)]) == (
        [],
        ["short_pixel_data"],
    )


def test_job_says_what_became_of_a_bad_file(tmp_path, source, write_dicom, capsys):
    path = cut(write_dicom(source / "a.dcm"), 3)
    arguments, _, _ = stage_arguments(tmp_path, entries_of(path))
    stage_main("write", arguments)
    assert capsys.readouterr().out == (
        "1.2.3.1.1: failed: short_pixel_data: 9 of 12 bytes of pixel data are there\n"
    )


def test_nothing_but_images_and_receipt_is_left(tmp_path, source, write_dicom):
    write_dicom(source / "a.dcm")
    cut(write_dicom(source / "b.dcm", SOPInstanceUID="1.2.3.1.2"), 3)
    work = tmp_path / "work"
    run(work, source)
    files = sorted(str(p.relative_to(work)) for p in work.rglob("*") if p.is_file())
    assert files == ["images/1.2.3/1.2.3.1.1.tiff", "inventory.jsonl", "write.jsonl"]


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_full_disk_fails_the_job(tmp_path, source, write_dicom, monkeypatch):
    monkeypatch.setattr(tifffile.TiffWriter, "write", no_space)
    with pytest.raises(OSError, match="No space left on device"):
        run(tmp_path, write_dicom(source / "a.dcm"))


def test_full_disk_leaves_no_half_image_and_no_receipt(tmp_path, source, write_dicom, monkeypatch):
    monkeypatch.setattr(tifffile.TiffWriter, "write", no_space)
    work = tmp_path / "work"
    with pytest.raises(OSError, match="No space left on device"):
        run(work, write_dicom(source / "a.dcm"))
    assert [p.name for p in work.rglob("*") if p.is_file()] == ["inventory.jsonl"]


def test_receipt_is_written_after_the_images_are_durable(
    tmp_path, source, write_dicom, monkeypatch
):
    synced = []
    monkeypatch.setattr(study_module, "fsync", lambda path: synced.append(path.name))
    monkeypatch.setattr(
        study_module, "write_receipts", lambda path, _receipts: synced.append(path.name)
    )
    run(tmp_path, write_dicom(source / "a.dcm"))
    assert synced == ["1.2.3.1.1.tiff", "1.2.3", "write.jsonl"]


# Receipts


def test_receipts_round_trip(tmp_path, source, write_dicom):
    write_dicom(source / "a.dcm", COLOUR, PixelSpacing=["0.5", "0.25"])
    cut(write_dicom(source / "b.dcm", SOPInstanceUID="1.2.3.1.2"), 3)
    written, failed = Runs(tmp_path, entries_of(source), crop=True, size=[7, 5]).from_inventory()
    again, failed_again = read_receipts(tmp_path / "write.jsonl")
    assert failed_again == failed
    # JSON has no tuples: facts are compared as what they are read for.
    assert replace(again, facts=None) == replace(written, facts=None)
    assert again.image_facts() == written.image_facts()


def test_receipts_keep_numbers_exactly(tmp_path, source, write_dicom):
    write_dicom(source / "a.dcm", COLOUR, PixelSpacing=["0.333333333333333", "0.1"])
    runs = Runs(tmp_path, entries_of(source))
    runs.from_inventory()
    (receipt,) = read_receipts(runs.receipt("write"))
    assert receipt.image_facts().pixel_spacing == (0.1, 0.333333333333333)


@needs_byte_names
def test_receipts_keep_names_that_are_not_utf_8(tmp_path, source, write_dicom):
    path = write_dicom(source / os.fsdecode(b"caf\xe9.dcm"))
    (receipt,) = run(tmp_path, path).values()
    write_receipts(tmp_path / "again.jsonl", [receipt])
    (again,) = read_receipts(tmp_path / "again.jsonl")
    assert os.fsencode(again.source_path).endswith(b"caf\xe9.dcm")


def test_receipts_are_one_line_each(tmp_path, source, write_dicom):
    write_dicom(source / "a.dcm")
    write_dicom(source / "b.dcm", SOPInstanceUID="1.2.3.1.2")
    run(tmp_path, source)
    assert len((tmp_path / "write.jsonl").read_text().splitlines()) == 2


def test_what_does_not_decode_fails_at_that_whatever_else_is_wrong(tmp_path):
    pixels = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    broken = compressed(data_set_of(pixels), [rle(bytes(8))])
    good = data_set_of(pixels, PixelSpacing=[1, 1])
    paths = [
        save(tmp_path / "a.dcm", broken, RLELossless),
        save(tmp_path / "b.dcm", good),
    ]
    receipts = run(tmp_path, *paths, spacing=[2, 2])
    assert outcomes(receipts) == {"a.dcm": "sop_conflict", "b.dcm": "written"}
    assert "does not decode" in receipts["a.dcm"].message
