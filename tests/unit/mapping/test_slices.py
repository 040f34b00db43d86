"""Boxes on pages: from stored frames and files of stacks, and back."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from dicom_preprocessing.cli.map import main
from dicom_preprocessing.mapping.slices import SliceIndex
from dicom_preprocessing.results.manifest import write_manifest
from dicom_preprocessing.results.slice_table import SliceRow, write_slices
from dicom_preprocessing.tiff.writer import write_tiff
from tests.unit.datasets import image_of
from tests.unit.imaging.test_coordinates import RECIPE
from tests.unit.mapping.tables import EDGES, ROW

BOX = "3,1,5,2"
MAPPED = ("3.0", "2.0", "7.0", "4.0")
COLUMNS = ("mapped_left", "mapped_top", "mapped_right", "mapped_bottom")

ROW = replace(ROW, source_frames=1)
OBJECT = replace(
    ROW, sop_instance_uid="1.2.2", path="1.2/1.2.2.tiff", num_frames=3, source_frames=4
)
"""Of four stored frames, of which the third is no page."""
STACK = replace(ROW, sop_instance_uid="1.2.5", path="1.2/1.2.5.tiff", num_frames=2, source_frames=3)
"""Of the files 1.2.5, 1.2.3 and 1.2.4, of which the last is no page."""


def slices_of(row, *slices):
    return [
        SliceRow(
            path=row.path, page=page, sop_instance_uid=sop, source_path="x.dcm", source_frame=frame
        )
        for page, sop, frame in slices
    ]


SLICES = [
    *slices_of(OBJECT, (1, "1.2.2", 4), (2, "1.2.2", 1), (3, "1.2.2", 2)),
    *slices_of(STACK, (1, "1.2.5", 1), (2, "1.2.3", 1), (None, "1.2.4", 1)),
]


@pytest.fixture(autouse=True)
def tables(results):
    folder = results / "results"
    write_manifest([ROW, OBJECT, STACK], folder / "manifest.csv")
    write_slices(SLICES, folder / "slices.csv")
    return folder


class TestToOutput:
    @pytest.mark.parametrize("name", ["frame", "slice"])
    @pytest.mark.parametrize(("frame", "page"), [(4, "1"), (1, "2"), (2, "3"), ("2.0", "3")])
    def test_stored_frame_is_a_page(self, mapped, name, frame, page):
        status, (row,), _ = mapped(f"{EDGES},{name}", f"1.2.2,{BOX},{frame}")
        assert (row["mapped_path"], row["mapped_page"]) == ("1.2/1.2.2.tiff", page)
        assert tuple(row[column] for column in COLUMNS) == MAPPED
        assert (row["mapped_state"], status) == ("inside", 0)

    @pytest.mark.parametrize("frame", [3, 5, 0, -1, "x", "1.5", "1e99"])
    def test_frame_without_page_cannot_be_mapped(self, mapped, frame):
        status, (row,), err = mapped(f"{EDGES},frame", f"1.2.2,{BOX},{frame}")
        assert [row[column] for column in (*COLUMNS, "mapped_page")] == [""] * 5
        assert (row["mapped_state"], status) == ("no_page", 1)
        assert "error: 1 row could not be mapped: see the column mapped_state" in err

    def test_box_without_frame_is_on_all_pages(self, mapped):
        status, (row,), _ = mapped(f"{EDGES},frame", f"1.2.2,{BOX},")
        assert (row["mapped_page"], row["mapped_state"], status) == ("", "inside", 0)

    def test_table_without_frames_gets_no_columns_of_pages(self, mapped):
        _, (row,), _ = mapped(EDGES, f"1.2.2,{BOX}")
        assert not {"mapped_page", "mapped_path"} & set(row)

    @pytest.mark.parametrize(("sop", "page"), [("1.2.5", "1"), ("1.2.3", "2")])
    @pytest.mark.parametrize("frame", ["", ",1", ",-"])
    def test_file_of_a_stack_is_found_by_its_uid(self, mapped, sop, page, frame):
        columns = f"{EDGES},frame" if frame else EDGES
        status, (row,), _ = mapped(columns, f"{sop},{BOX}{frame.replace('-', '')}")
        assert (row["mapped_path"], row["mapped_page"]) == ("1.2/1.2.5.tiff", page)
        assert (row["mapped_state"], status) == ("inside", 0)

    @pytest.mark.parametrize("line", [f"1.2.4,{BOX},1", f"1.2.4,{BOX},", f"1.2.3,{BOX},2"])
    def test_file_of_a_stack_without_page_or_frame_cannot_be_mapped(self, mapped, line):
        status, (row,), _ = mapped(f"{EDGES},frame", line)
        assert (row["mapped_state"], status) == ("no_page", 1)

    def test_path_and_uid_name_a_slice(self, mapped):
        _, rows, _ = mapped(
            f"path,{EDGES}", f"1.2/./1.2.5.tiff,1.2.3,{BOX}", f"1.2/1.2.5.tiff,1.2.9,{BOX}"
        )
        assert [(row["mapped_page"], row["mapped_state"]) for row in rows] == [
            ("2", "inside"),
            ("", "no_page"),
        ]

    def test_path_alone_names_all_pages_of_a_stack_and_no_one_frame(self, mapped):
        columns = "path,left,top,right,bottom,frame"
        lines = [f"1.2/1.2.5.tiff,{BOX},", f"1.2/1.2.5.tiff,{BOX},1"]
        _, rows, _ = mapped(columns, *lines)
        assert [(row["mapped_page"], row["mapped_state"]) for row in rows] == [
            ("", "inside"),
            ("", "no_page"),
        ]

    def test_path_decides_for_an_image_that_is_no_stack(self, mapped):
        _, rows, _ = mapped(
            f"path,{EDGES}", f"1.2/1.2.2.tiff,9.9,{BOX}", f"1.2/1.2.1.tiff,9.9,{BOX}"
        )
        assert [row["mapped_state"] for row in rows] == ["inside", "inside"]

    def test_image_of_one_page_and_frame_needs_no_slices(self, mapped):
        lines = [f"1.2.1,{BOX},1", f"1.2.1,{BOX},2", f"1.2.1,{BOX},"]
        _, rows, _ = mapped(f"{EDGES},frame", *lines)
        assert [(row["mapped_page"], row["mapped_state"]) for row in rows] == [
            ("1", "inside"),
            ("", "no_page"),
            ("", "inside"),
        ]

    def test_image_without_box_is_no_trouble(self, mapped):
        status, (row,), _ = mapped(f"{EDGES},frame", "1.2.2,,,,,3")
        assert (row["mapped_state"], status) == ("no_box", 0)

    @pytest.mark.parametrize("manifest", ["results", "results/images", "results/manifest.csv"])
    def test_folders_of_results_are_their_manifest(self, mapped, tables, manifest):
        (tables / "images").mkdir()
        lines = [f"1.2.2,{BOX},1", f"1.2.3,{BOX},"]
        options = ["--manifest", manifest]
        status, rows, _ = mapped(f"{EDGES},frame", *lines, options=options)
        assert [row["mapped_page"] for row in rows] == ["2", "2"]
        assert status == 0

    @pytest.mark.parametrize(
        ("line", "state"), [(f"1.2.2,{BOX},1", "no_page"), (f"1.2.3,{BOX},1", "unknown_image")]
    )
    def test_missing_table_is_named_where_rows_need_it(self, mapped, tables, line, state):
        (tables / "slices.csv").unlink()
        _, rows, err = mapped(f"{EDGES},frame", line, f"1.2.2,{BOX},")
        assert [row["mapped_state"] for row in rows] == [state, "inside"]
        assert err.count("error: there is no results/slices.csv, which says what frames") == 1

    def test_missing_table_is_no_matter_where_no_row_needs_it(self, mapped, tables):
        (tables / "slices.csv").unlink()
        assert "slices.csv" not in mapped(f"{EDGES},frame", f"1.2.2,{BOX},")[2]
        write_manifest([ROW], tables / "manifest.csv")
        status, _, err = mapped(f"{EDGES},frame", f"1.2.1,{BOX},2", f"7,{BOX},1")
        assert status == 1
        assert "slices.csv" not in err

    def test_slice_in_two_studies_needs_its_study(self, mapped, tables):
        other = replace(STACK, study_instance_uid="1.9", path="1.9/1.2.5.tiff")
        write_manifest([STACK, other], tables / "manifest.csv")
        write_slices(
            [*SLICES, *slices_of(other, (1, "1.2.3", 1), (2, "1.2.5", 1))], tables / "slices.csv"
        )
        lines = [f"{study},1.2.3,{BOX}" for study in ("", "1.9", "1.2", "1.7")]
        _, rows, _ = mapped(f"study_instance_uid,{EDGES}", *lines)
        assert [(row["mapped_page"], row["mapped_state"]) for row in rows] == [
            ("", "several_images"),
            ("1", "inside"),
            ("2", "inside"),
            ("", "unknown_image"),
        ]

    def test_slice_of_an_image_that_was_removed_from_the_manifest_is_unknown(self, mapped, tables):
        write_manifest([OBJECT], tables / "manifest.csv")
        _, (row,), _ = mapped(EDGES, f"1.2.3,{BOX}")
        assert row["mapped_state"] == "unknown_image"

    def test_types_of_new_columns_do_not_depend_on_their_values(self, results, mapped):
        for lines in ([f"1.2.2,{BOX},1"], [f"1.2.2,{BOX},3"], []):
            mapped(f"{EDGES},frame", *lines, options=["-o", "mapped.parquet"])
            schema = pq.read_schema(results / "mapped.parquet")
            types = [str(schema.field(f"mapped_{name}").type) for name in ("path", "page")]
            assert types == ["string", "int64"]


class TestChoiceOfPages:
    """Where pages are between frames, several are nearest to one."""

    @pytest.mark.parametrize(
        ("frames", "pages"),
        [
            ((1, 1, 2, 2, 2, 3, 3), [1, 4, 7]),
            ((1, 1, 2, 2, 3), [1, 3, 5]),
            ((1, 1, 1), [1]),
            ((1, 2, 2), [1, 3]),
        ],
    )
    def test_ends_are_at_the_ends_and_others_in_the_middle(self, tables, mapped, frames, pages):
        row = replace(OBJECT, num_frames=len(frames), source_frames=3)
        write_manifest([row], tables / "manifest.csv")
        slices = ((page, "1.2.2", frame) for page, frame in enumerate(frames, 1))
        write_slices(slices_of(row, *slices), tables / "slices.csv")
        lines = [f"1.2.2,{BOX},{frame}" for frame in range(1, max(frames) + 1)]
        _, rows, _ = mapped(f"{EDGES},frame", *lines)
        assert [int(row["mapped_page"]) for row in rows] == pages

    def test_minimal_manifests_do(self):
        image = {"path": "a.tiff", "sop_instance_uid": "1"}
        assert SliceIndex().find_page(image, "1", None) == ("a.tiff", None, None, None)
        assert SliceIndex().find_page(image, "1", 1) == "no_page"


class TestToSource:
    @pytest.mark.parametrize(
        ("line", "sop", "frame"),
        [
            ("1.2/1.2.2.tiff,,{},1", "1.2.2", "4"),
            (",1.2.2,{},3", "1.2.2", "2"),
            ("1.2/1.2.5.tiff,,{},2", "1.2.3", "1"),
            (",1.2.5,{},2", "1.2.3", "1"),
            (",1.2.4,{},1", "1.2.5", "1"),
            (",1.2.1,{},1", "1.2.1", "1"),
            (",1.2.5,{},", "", ""),
        ],
    )
    def test_page_is_a_frame_of_a_file(self, mapped, line, sop, frame):
        columns = f"path,{EDGES},page"
        status, (row,), _ = mapped(columns, line.format("3,2,7,4"), to="source")
        assert (row["mapped_sop_instance_uid"], row["mapped_frame"]) == (sop, frame)
        assert tuple(row[column] for column in COLUMNS) == ("3.0", "1.0", "5.0", "2.0")
        assert (row["mapped_state"], status) == ("inside", 0)

    @pytest.mark.parametrize(("sop", "page"), [("1.2.2", 4), ("1.2.2", 0), ("1.2.1", 2)])
    def test_page_that_is_not_there_cannot_be_mapped(self, mapped, sop, page):
        status, (row,), _ = mapped(f"{EDGES},page", f"{sop},3,2,7,4,{page}", to="source")
        assert (row["mapped_frame"], row["mapped_state"], status) == ("", "no_page", 1)

    def test_table_without_pages_gets_no_columns_of_frames(self, mapped):
        _, (row,), _ = mapped(f"{EDGES},frame", "1.2.2,3,2,7,4,9", to="source")
        assert not {"mapped_frame", "mapped_sop_instance_uid"} & set(row)
        assert row["mapped_state"] == "inside"

    def test_way_there_and_back(self, mapped):
        lines = [f"1.2.2,{BOX},{frame}" for frame in (1, 2, 4)] + [
            f"1.2.3,{BOX},",
            f"1.2.5,{BOX},1",
        ]
        _, there, _ = mapped(f"{EDGES},frame", *lines)
        names = ("mapped_path", *COLUMNS, "mapped_page")
        back = [",".join(row[name] for name in names) for row in there]
        _, rows, _ = mapped("path,left,top,right,bottom,page", *back, to="source")
        found = [(row["mapped_sop_instance_uid"], row["mapped_frame"]) for row in rows]
        assert found == [
            ("1.2.2", "1"),
            ("1.2.2", "2"),
            ("1.2.2", "4"),
            ("1.2.3", "1"),
            ("1.2.5", "1"),
        ]
        assert {tuple(row[column] for column in COLUMNS) for row in rows} == {
            ("3.0", "1.0", "5.0", "2.0")
        }


class TestTables:
    def test_two_columns_of_frames_are_refused(self, mapped):
        status, _, err = mapped(f"{EDGES},frame,slice", f"1.2.2,{BOX},1,1")
        message = "error: boxes have a column frame and a column slice: rename one of them\n"
        assert (status, err) == (1, message)

    def test_new_columns_must_be_new(self, mapped):
        status, _, err = mapped(f"{EDGES},frame,mapped_page", f"1.2.2,{BOX},1,1")
        assert (status, err) == (1, "error: boxes already have a column mapped_page: rename it\n")

    def test_table_of_another_version_is_reported(self, mapped, tables):
        (tables / "slices.csv").write_text("path,page,sop_instance_uid,source_path,position\n")
        status, _, err = mapped(f"{EDGES},frame", f"1.2.2,{BOX},1")
        assert status == 1
        assert err == (
            "error: results/slices.csv is not a table of slices: it has no column source_frame\n"
        )

    def test_unreadable_table_is_reported(self, mapped, tables):
        (tables / "slices.csv").write_bytes(b"path\n\xff\n")
        status, _, err = mapped(f"{EDGES},frame", f"1.2.2,{BOX},1")
        assert status == 1
        assert err.startswith("error: results/slices.csv: cannot be read: ")

    def test_row_without_path_is_nobodys(self, mapped, tables):
        with (tables / "slices.csv").open("a") as file:
            file.write(",1,1.2.2,x.dcm,1,,,,\n")
        assert mapped(f"{EDGES},frame", f"1.2.2,{BOX},1")[0] == 0

    def test_table_beside_a_manifest_in_parquet_is_read(self, mapped, tables):
        write_manifest([ROW, OBJECT, STACK], tables / "manifest.parquet")
        options = ["--manifest", "results/manifest.parquet"]
        _, (row,), _ = mapped(EDGES, f"1.2.3,{BOX}", options=options)
        assert row["mapped_page"] == "2"


def write_volume(folder):
    """The image of OBJECT below a folder."""
    frames = np.zeros((3, 14, 16, 1), np.uint8)
    frames[1:, :, :8] = np.array([1, 200])[:, np.newaxis, np.newaxis, np.newaxis]
    (folder / "1.2").mkdir(parents=True)
    image = image_of(frames, source_rows=14, source_columns=16)
    write_tiff(folder / OBJECT.path, image, compressor="packbits", recipe=RECIPE)


class TestFolderOfTiffs:
    def test_table_in_it_is_read(self, results, mapped):
        write_volume(results / "tiffs")
        write_slices(SLICES, results / "tiffs" / "slices.csv")
        options = ["--manifest", "tiffs"]
        _, (row,), _ = mapped(f"{EDGES},frame", f"1.2.2,{BOX},1", options=options)
        assert (row["mapped_page"], row["mapped_state"]) == ("2", "inside")

    def test_previews_show_the_pages_of_the_boxes(self, results, mapped):
        write_volume(results / "results" / "images")
        lines = [f"1.2.2,{BOX},1", f"1.2.2,{BOX},2", "1.2.2,4,2,6,3,2", f"1.2.2,{BOX},"]
        status, _, err = mapped(f"{EDGES},frame", *lines, options=["--preview", "seen"])
        assert (status, err) == (0, "4 rows: 4 inside\n")
        names = sorted(path.name for path in (results / "seen").iterdir())
        assert names == ["1.2_1.2.2.png", "1.2_1.2.2_page2.png", "1.2_1.2.2_page3.png"]

    def test_preview_of_a_page_that_the_tiff_lacks_is_reported(self, results, mapped, tables):
        write_volume(results / "results" / "images")
        write_slices(slices_of(OBJECT, (7, "1.2.2", 1)), tables / "slices.csv")
        status, _, err = mapped(f"{EDGES},frame", f"1.2.2,{BOX},1", options=["--preview", "seen"])
        assert status == 1
        assert "1.2.2.tiff: found 3 pages; expected page 7" in err


class TestUpright:
    """Of an image of 10 x 8, whose crop 6 x 4 at (2, 1) is doubled."""

    @pytest.mark.parametrize(
        ("flip", "expected"),
        [
            ((True, True), ("3.0", "2.0", "7.0", "4.0")),
            ((False, False), ("3.0", "2.0", "7.0", "4.0")),
            # Mirrored by orient: the box is at columns 5 to 7 of the mirrored image.
            ((True, False), ("7.0", "2.0", "11.0", "4.0")),
            # Turned, and mirrored back.
            ((False, True), ("7.0", "2.0", "11.0", "4.0")),
        ],
    )
    def test_box_is_turned_and_not_mirrored(self, tables, mapped, flip, expected):
        row = replace(ROW, flip_h=flip[0], flip_v=flip[1])
        write_manifest([row], tables / "manifest.csv")
        _, (there,), _ = mapped(EDGES, f"1.2.1,{BOX}", options=["--boxes", "upright"])
        assert tuple(there[column] for column in COLUMNS) == expected
        line = ",".join(("1.2.1", *expected))
        _, (back,), _ = mapped(EDGES, line, to="source", options=["--boxes", "upright"])
        assert tuple(back[column] for column in COLUMNS) == ("3.0", "1.0", "5.0", "2.0")

    def test_stored_is_the_default(self, tables, mapped):
        write_manifest([replace(ROW, flip_h=True, flip_v=True)], tables / "manifest.csv")
        for options in ([], ["--boxes", "stored"]):
            _, (row,), _ = mapped(EDGES, "1.2.1,5,6,7,7", options=options)
            assert tuple(row[column] for column in COLUMNS) == MAPPED

    def test_other_choices_are_wrong_usage(self, capsys):
        with pytest.raises(SystemExit) as stopped:
            main(["boxes.csv", "--to", "output", "--boxes", "turned"])
        assert stopped.value.code == 2
        assert "invalid choice: 'turned'" in capsys.readouterr().err
