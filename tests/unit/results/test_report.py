"""The page about a run: its counts, tables and pictures."""

import re
from html import escape

import pytest

from dicom_preprocessing.errors import SourceError
from dicom_preprocessing.image_warnings import WARNING_CODES, ImageWarning, ImageWarnings
from dicom_preprocessing.results import report
from dicom_preprocessing.results.report import write_report
from tests.unit.receipts import HandMadeRun, failed, stack, written
from tests.unit.run_results import Results


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path)


def page_of(results, **settings):
    """The text of the page about a run."""
    results.gather()
    write_report(results.output, settings)
    return (results.output / "report.html").read_text(encoding="utf-8")


def test_counts_are_those_of_the_files(results, write_dicom):
    write_dicom(results.source / "a.dcm")
    (results.source / "notes.txt").write_text("text")
    counts = re.findall(r"<b>(\d+)</b>([a-z ]+)<", page_of(results.run()))
    assert counts == [("2", "files found"), ("1", "written"), ("1", "skipped"), ("0", "failed")]


def test_failed_file_is_an_example_of_its_error(results, write_dicom):
    write_dicom(results.source / "a.dcm")
    bad = write_dicom(results.source / "<b>.dcm", SOPInstanceUID="1.2.3.1.2")
    bad.write_bytes(bad.read_bytes()[:-3])
    text = page_of(results.run())
    assert "short_pixel_data" in text
    assert "&lt;b&gt;.dcm" in text


def test_warnings_of_index_and_images_are_listed_with_their_number(results, write_dicom):
    blank = ((0,) * 4,) * 3
    write_dicom(results.source / "a.dcm", blank)
    write_dicom(results.source / "b.dcm", blank, StudyInstanceUID="1.2.4")
    text = page_of(results.run(crop=True))
    assert "is in 2 studies, each is written: 1.2.3, 1.2.4</li>" in text
    (cells,) = re.findall(r"<tr><td>only_background</td>(.*)</tr>", text)
    assert cells.startswith(
        f'<td class="n">2</td><td>{escape(WARNING_CODES["only_background"])}</td><td>'
    )
    assert "<b>2</b>of them with warnings" in text


def page_of_receipts(folder, *receipts):
    run = HandMadeRun(folder, *receipts)
    run.gather()
    with pytest.MonkeyPatch.context() as patch:  # there are no pixels
        patch.setattr(report, "_render_contact_sheet", lambda *_: "")
        write_report(run.output, {})
    return run.results.report.read_text(encoding="utf-8")


def test_files_and_images_of_stacks_are_counted(tmp_path):
    warnings = ImageWarnings([ImageWarning("stack_gap", "two are missing")])
    receipts = [
        *stack("1", "2", "3", warnings=warnings),
        *stack("5", "4"),
        written("6"),
        failed("7"),
    ]
    text = page_of_receipts(tmp_path, *receipts)
    assert re.findall(r"<b>(\d+)</b>([a-z ]+)<", text) == [
        *(("7", "files found"), ("6", "written"), ("3", "images of them")),
        *(("1", "images with warnings"), ("0", "skipped"), ("1", "failed")),
    ]
    (cells,) = re.findall(r"<tr><td>stack_gap</td>(.*)</tr>", text)
    assert cells.startswith('<td class="n">1</td><td>')


def test_volumes_of_series_are_counted_where_there_are_any(tmp_path):
    text = page_of_receipts(tmp_path, *stack("1", "2", "3"), *stack("5", "4"), written("6"))
    head = re.findall(r"<h2>Written</h2>\n<table><tr>(.*)</tr>\n<tr>(.*)</tr>", text)
    names, cells = (re.findall(r"<t[hd][^>]*>([^<]*)<", part) for part in head[0])
    assert dict(zip(names, cells, strict=True)) == {
        "modality": "CT",
        "samples": "grey",
        "dtype": "uint8",
        "studies": "1",
        "images": "3",
        "volumes": "2",
        "frames": "6",
        "width x height": "4 x 3",
    }


def test_page_of_a_run_without_stacks_mentions_none(results, write_dicom):
    write_dicom(results.source / "a.dcm")
    text = page_of(results.run())
    assert "volumes" not in text
    assert "images of them" not in text


def test_page_of_a_run_without_warnings_mentions_none(results, write_dicom):
    write_dicom(results.source / "a.dcm")
    assert "warning" not in page_of(results.run()).lower()


def test_every_image_of_a_small_run_has_a_picture(results, write_dicom):
    for n in range(3):
        write_dicom(results.source / f"{n}.dcm", SOPInstanceUID=f"1.2.3.1.{n}")
    assert page_of(results.run()).count("data:image/png;base64,") == 3


def test_pictures_of_images_of_several_frames_say_how_many(results, write_dicom):
    write_dicom(results.source / "a.dcm")
    rows = [[0, 1]] * 6
    clip = {"SOPInstanceUID": "1.2.3.1.2", "Rows": 2, "NumberOfFrames": 3}
    write_dicom(results.source / "b.dcm", rows, **clip)
    text = page_of(results.run())
    assert "1 frames" not in text
    assert ", 3 frames<br>" in text


def test_run_without_an_image_has_a_page(results):
    (results.source / "notes.txt").write_text("text")
    assert "not_dicom" in page_of(results.run())


def test_every_study_is_shown_before_a_second_image_of_any(results, write_dicom):
    for n in range(30):
        write_dicom(results.source / f"a{n}.dcm", SOPInstanceUID=f"1.2.3.1.{n}")
    write_dicom(results.source / "b.dcm", StudyInstanceUID="1.2.4")
    text = page_of(results.run())
    assert "A look at 24 of 31 images" in text
    assert "<br>1.2.4/1.2.3.1.1.tiff" in text


@pytest.mark.parametrize("column", ["num_frames", "channels", "width", "sop_instance_uid"])
def test_empty_cell_of_a_manifest_is_explained_if_every_image_has_a_value(
    column, results, write_dicom
):
    write_dicom(results.source / "a.dcm")
    results.run().gather()
    manifest = results.output / "manifest.csv"
    header, row = manifest.read_text().splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=True))
    manifest.write_text(f"{header}\n{','.join((cells | {column: ''}).values())}\n")
    if column == "sop_instance_uid":
        write_report(results.output, {})
        return
    with pytest.raises(SourceError, match=f"row 1 of .*manifest.csv: {column} is empty"):
        write_report(results.output, {})


def test_settings_are_listed_as_yaml(results, write_dicom):
    write_dicom(results.source / "a.dcm")
    text = page_of(results.run(), size=[8, 4], source="<source>")
    assert "<td>size</td><td>[8, 4]</td>" in text
    assert "<td>source</td><td>&lt;source&gt;</td>" in text
