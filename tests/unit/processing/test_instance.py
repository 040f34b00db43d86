"""One SOP instance: its image, where it goes, bad files, and several files of one instance."""

import os
import re
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from pydicom.uid import RLELossless

from dicom_preprocessing.config import KEEPABLE
from dicom_preprocessing.decode import pixels as pixels_module
from dicom_preprocessing.errors import UnreadableError
from dicom_preprocessing.imaging.geometry import CropBox, Geometry, Padding, Size
from dicom_preprocessing.imaging.image import SourceInfo
from dicom_preprocessing.processing import instance as instance_module
from dicom_preprocessing.processing.instance import group_by_instance, process_instance
from dicom_preprocessing.results.receipts import Receipt
from tests.conftest import needs_fork
from tests.unit.datasets import compressed, data_set_of, pages_of, rle, save
from tests.unit.study_runs import StudyRuns, entries_of, outcomes, run, target_of, truncate

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


BLACK, RED, BLUE = [0, 0, 0], [255, 0, 0], [0, 0, 255]


COLOUR = [
    [BLACK, BLACK, BLACK, BLACK],
    [BLACK, RED, BLACK, BLACK],
    [BLACK, BLACK, BLUE, BLACK],
]


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
    assert receipt["a.dcm"].parse_geometry() == Geometry(
        source=Size(4, 3),
        crop=CropBox(1, 1, 2, 2),
        resized=Size(4, 4),
        padding=Padding(1, 0, 1, 0),
    )


def test_receipt_of_an_image_tells_what_the_manifest_needs(tmp_path, source, write_dicom):
    path = write_dicom(source / "a.dcm", COLOUR, Modality="US", PixelSpacing=[0.5, 0.25])
    receipt = run(tmp_path, path)["a.dcm"]
    assert replace(receipt, seconds={}, recipe="", inventory="") == Receipt(
        source_path=str(path),
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.1",
        sop_instance_uid="1.2.3.1.1",
        attempt=1,
        state="written",
        stage="write",
        output="1.2.3/1.2.3.1.1.tiff",
        source_info=receipt.source_info,
        geometry=Geometry(Size(4, 3)).as_dict(),
        frames=1,
        channels=3,
        dtype="uint8",
    )
    assert receipt.parse_source_info() == SourceInfo(
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.1",
        sop_instance_uid="1.2.3.1.1",
        modality="US",
        source_rows=3,
        source_columns=4,
        source_frames=1,
        spacing_source="pixel",
        pixel_spacing=(0.25, 0.5),
        photometric_interpretation="RGB",
    )


def test_image_has_the_uids_of_the_index_not_of_the_file(tmp_path, source, write_dicom):
    (entry,) = entries_of(write_dicom(source / "a.dcm"))
    indexed = replace(entry, series_instance_uid="1.2.9", sop_instance_uid="1.2.9.1")
    (receipt,) = process_instance([indexed], target_of(tmp_path))
    facts = receipt.parse_source_info()
    assert facts.study_instance_uid == "1.2.3"
    assert (facts.series_instance_uid, facts.sop_instance_uid) == ("1.2.9", "1.2.9.1")


def test_receipt_tells_the_seconds_of_each_step(tmp_path, source, write_dicom):
    receipt = run(tmp_path, write_dicom(source / "a.dcm"), crop=True, size=[8, 8])["a.dcm"]
    assert list(receipt.seconds) == ["decode", "crop", "resize", "pad", "write"]
    assert all(spent >= 0 for spent in receipt.seconds.values())


def test_kept_stage_is_not_compressed(tmp_path, source, write_dicom):
    runs = StudyRuns(tmp_path, entries_of(write_dicom(source / "a.dcm")), compressor="lzw")
    runs.from_inventory("decode")
    with tifffile.TiffFile(tmp_path / "stages/decode/1.2.3/1.2.3.1.1.tiff") as tiff:
        assert tiff.pages[0].compression == 1


def test_final_image_is_compressed_as_configured(tmp_path, source, write_dicom):
    run(tmp_path, write_dicom(source / "a.dcm"), compressor="lzw")
    with tifffile.TiffFile(tmp_path / "images/1.2.3/1.2.3.1.1.tiff") as tiff:
        assert tiff.pages[0].compression == 5


# Layout


def test_layout_study_sop(tmp_path, source, write_dicom):
    runs = StudyRuns(tmp_path, entries_of(write_dicom(source / "a.dcm")))
    runs.from_inventory()
    assert list(runs.images()) == ["1.2.3/1.2.3.1.1.tiff"]


def test_layout_study_series_sop(tmp_path, source, write_dicom):
    runs = StudyRuns(tmp_path, entries_of(write_dicom(source / "a.dcm")), layout="study/series/sop")
    (receipt,) = runs.from_inventory()
    assert list(runs.images()) == [receipt.output] == ["1.2.3/1.2.3.1/1.2.3.1.1.tiff"]


def test_layout_names_a_missing_series(tmp_path, source, write_dicom):
    path = write_dicom(source / "a.dcm", SeriesInstanceUID=None)
    runs = StudyRuns(tmp_path, entries_of(path), layout="study/series/sop")
    runs.from_inventory()
    assert list(runs.images()) == ["1.2.3/series/1.2.3.1.1.tiff"]


@pytest.mark.parametrize("stage", KEEPABLE)
def test_layout_of_a_kept_stage_is_always_study_sop(tmp_path, source, write_dicom, stage):
    runs = StudyRuns(tmp_path, entries_of(write_dicom(source / "a.dcm")), layout="study/series/sop")
    (receipt,) = runs.from_inventory(stage)
    assert receipt.output == "1.2.3/1.2.3.1.1.tiff"
    assert (tmp_path / "stages" / stage / receipt.output).is_file()


# Bad files


def test_bad_file_costs_only_itself(tmp_path, source, write_dicom):
    write_dicom(source / "a.dcm")
    truncate(write_dicom(source / "b.dcm", SOPInstanceUID="1.2.3.1.2"), 3)
    write_dicom(source / "c.dcm", SOPInstanceUID="1.2.3.1.3")
    assert outcomes(run(tmp_path, source)) == {
        "a.dcm": "written",
        "b.dcm": "short_pixel_data",
        "c.dcm": "written",
    }


def test_bad_file_leaves_no_image(tmp_path, source, write_dicom):
    write_dicom(source / "a.dcm")
    truncate(write_dicom(source / "b.dcm", SOPInstanceUID="1.2.3.1.2"), 3)
    run(tmp_path, source)
    assert os.listdir(tmp_path / "images/1.2.3") == ["1.2.3.1.1.tiff"]


def test_receipt_of_a_bad_file_says_what_was_found(tmp_path, source, write_dicom):
    path = truncate(write_dicom(source / "a.dcm"), 3)
    receipt = run(tmp_path, path)["a.dcm"]
    assert replace(receipt, seconds={}, recipe="", inventory="") == Receipt(
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
    "24 bits allocated": ({"BitsAllocated": 24}, "unsupported_pixels"),
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
    runs = StudyRuns(tmp_path, entries_of(path))
    os.utime(path, ns=(1, 1))
    (receipt,) = runs.from_inventory()
    assert (receipt.error, receipt.transient) == ("source_changed", True)
    assert receipt.message == "the file changed after it was indexed; run again"


def test_file_that_grew_after_the_index_is_tried_again(tmp_path, source, write_dicom):
    path = write_dicom(source / "a.dcm")
    status = path.stat()
    runs = StudyRuns(tmp_path, entries_of(path))
    path.write_bytes(path.read_bytes() + b"\0\0")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert [receipt.error for receipt in runs.from_inventory()] == ["source_changed"]


def test_file_that_vanished_after_the_index_has_changed(tmp_path, source, write_dicom):
    path = write_dicom(source / "a.dcm")
    runs = StudyRuns(tmp_path, entries_of(path))
    path.unlink()
    (receipt,) = runs.from_inventory()
    assert (receipt.error, receipt.transient) == ("source_changed", True)
    assert receipt.message == "the file vanished after it was indexed; run again"


def test_receipt_carries_the_attempt_of_the_inventory(tmp_path, source, write_dicom):
    entries = [replace(e, attempt=3) for e in entries_of(write_dicom(source / "a.dcm"))]
    assert [receipt.attempt for receipt in StudyRuns(tmp_path, entries).from_inventory()] == [3]


@pytest.mark.parametrize("stage", ["crop", "resize", "pad"])
def test_too_little_memory_costs_one_file(tmp_path, source, write_dicom, monkeypatch, stage):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setitem(instance_module.STAGE_FUNCTIONS, stage, fail)
    receipt = run(tmp_path, write_dicom(source / "a.dcm"))["a.dcm"]
    assert (receipt.error, receipt.transient, receipt.stage) == ("limit_memory", True, stage)


def two_files(source, write_dicom):
    good = write_dicom(source / "good.dcm")
    bad = write_dicom(source / "bad.dcm", SOPInstanceUID="1.2.3.1.2")
    return good, bad


@needs_fork
@pytest.mark.parametrize("name", ["decode_stored", "new_receipt"])
def test_bug_costs_one_file_and_not_the_study(tmp_path, source, write_dicom, monkeypatch, name):
    whole = getattr(instance_module, name)
    first_call = []

    def fail(first, *rest, **settings):
        if "bad" in str(first) and not first_call:
            first_call.append(first)
            raise ZeroDivisionError("a bug")
        return whole(first, *rest, **settings)

    monkeypatch.setattr(instance_module, name, fail)
    receipts = run(tmp_path, *two_files(source, write_dicom))
    assert outcomes(receipts) == {"good.dcm": "written", "bad.dcm": "internal_error"}
    assert not receipts["bad.dcm"].transient


@needs_fork
@pytest.mark.parametrize("stage", ["crop", "resize", "pad"])
def test_bug_of_a_stage_says_which_and_where(tmp_path, source, write_dicom, monkeypatch, stage):
    def fail(*_, **__):
        raise ZeroDivisionError("a bug")

    monkeypatch.setitem(instance_module.STAGE_FUNCTIONS, stage, fail)
    receipt = run(tmp_path, write_dicom(source / "a.dcm"))["a.dcm"]
    assert (receipt.error, receipt.stage) == ("internal_error", stage)
    place = r"\(processing\.instance:\d+\)"
    assert re.fullmatch(f"ZeroDivisionError: a bug {place}", receipt.message)


@needs_fork
def test_traceback_of_a_bug_is_in_the_log(tmp_path, source, write_dicom, monkeypatch, capfd):
    def fail(*_, **__):
        raise ZeroDivisionError("a bug")

    monkeypatch.setitem(instance_module.STAGE_FUNCTIONS, "crop", fail)
    run(tmp_path, write_dicom(source / "a.dcm"))
    assert "Traceback" in capfd.readouterr().err


@needs_fork
def test_bug_in_a_frame_is_of_decode(tmp_path, source, write_dicom, monkeypatch):
    def fail(*_):
        raise IndexError("a bug")

    monkeypatch.setattr(pixels_module, "_take_stored_bits", fail)
    path = write_dicom(source / "a.dcm", BitsStored=7, HighBit=6)
    receipt = run(tmp_path, path)["a.dcm"]
    assert (receipt.error, receipt.stage) == ("internal_error", "decode")


@pytest.fixture
def candidates(source, write_dicom):
    """Makes files of one instance with other pixels each; shorter by a few bytes if bad."""

    def make(*names, bad=()):
        for number, name in enumerate(names):
            path = write_dicom(source / name, [[number, 255]])
            if name in bad:
                truncate(path, 1)
        return source

    return make


# Several files of one instance


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


def test_conflict_message_names_the_file_that_comes_first(tmp_path, candidates):
    source = candidates("a.dcm", "b.dcm")
    assert run(tmp_path, source)["b.dcm"].message == (
        f"has the SOP Instance UID of {source}/a.dcm, which differs and comes first in path order"
    )


def test_conflict_message_tells_why_the_first_does_not_decode(tmp_path, candidates):
    source = candidates("a.dcm", "b.dcm", bad={"a.dcm"})
    assert run(tmp_path, source)["a.dcm"].message == (
        f"has the SOP Instance UID of {source}/b.dcm, which decodes; this file does not decode: "
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
    (group,) = group_by_instance(entries[::-1])
    assert [os.path.basename(entry.path) for entry in group] == ["a.dcm", "b.dcm"]


def test_process_instance_gives_a_receipt_for_each_candidate_in_order(tmp_path, candidates):
    entries = entries_of(candidates("a.dcm", "b.dcm", bad={"a.dcm"}))
    receipts = process_instance(entries, target_of(tmp_path))
    assert [(r.source_path, r.state) for r in receipts] == [
        (entries[0].path, "failed"),
        (entries[1].path, "written"),
    ]


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
