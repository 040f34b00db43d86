"""dicom-map: tables of boxes, what becomes of each row, and previews."""

import csv
import io
from dataclasses import replace

import imagecodecs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile

from dicom_preprocessing.cli.map import main
from dicom_preprocessing.imaging.geometry import CropBox, Geometry, Padding, Size
from dicom_preprocessing.mapping.geometry import geometry_of_row, geometry_of_tiff
from dicom_preprocessing.mapping.preview import CUT, WHOLE, draw_box, to_rgb
from dicom_preprocessing.results.manifest import ManifestRow, write_manifest
from dicom_preprocessing.tiff.writer import write_tiff
from tests.unit.datasets import image_of
from tests.unit.imaging.test_coordinates import CHAIN

ROW = ManifestRow(
    study_instance_uid="1.2",
    sop_instance_uid="1.2.1",
    path="1.2/1.2.1.tiff",
    inode=7,
    width=16,
    height=14,
    channels=1,
    num_frames=1,
    crop_left=2,
    crop_top=1,
    crop_width=6,
    crop_height=4,
    active_left=1,
    active_top=2,
    active_right=13,
    active_bottom=10,
    source_columns=10,
    source_rows=8,
)
"""Crop 6 x 4 at (2, 1) of 10 x 8, doubled, padded by 1 and 2 at left and top."""

PLAIN = ManifestRow(
    study_instance_uid="1.3",
    sop_instance_uid="1.3.1",
    path="1.3/1.3.1.tiff",
    inode=8,
    width=10,
    height=8,
    channels=1,
    num_frames=1,
)
"""Of a TIFF that does not tell its geometry."""


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder with results/manifest.csv, as the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    write_manifest([ROW, PLAIN], tmp_path / "results" / "manifest.csv")
    return tmp_path


@pytest.fixture
def mapped(results, capsys):
    """Run the command over a table of text; its status, rows and messages."""

    def mapped(*lines, to="output", options=()):
        (results / "boxes.csv").write_text("".join(f"{line}\n" for line in lines))
        status = main(["boxes.csv", "--to", to, *options])
        out, err = capsys.readouterr()
        return status, list(csv.DictReader(io.StringIO(out))), err

    return mapped


EDGES = "sop_instance_uid,left,top,right,bottom"


class TestRows:
    def test_box_is_mapped_and_other_columns_stay(self, mapped):
        status, rows, err = mapped(f"id,{EDGES},label", '007,1.2.1,3,1,5,2,"a, b"')
        assert status == 0
        assert rows == [
            {
                "id": "007",
                "sop_instance_uid": "1.2.1",
                "left": "3",
                "top": "1",
                "right": "5",
                "bottom": "2",
                "label": "a, b",
                "mapped_left": "3.0",
                "mapped_top": "2.0",
                "mapped_right": "7.0",
                "mapped_bottom": "4.0",
                "mapped_inside": "1.0",
                "mapped_state": "inside",
            }
        ]
        assert err == "1 row: 1 inside\n"

    def test_corner_and_size_stay_so(self, mapped):
        _, (row,), _ = mapped("path,x,y,width,height", "1.2/1.2.1.tiff,3,1,2,1")
        values = [row[f"mapped_{name}"] for name in ("x", "y", "width", "height")]
        assert values == ["3.0", "2.0", "4.0", "2.0"]

    def test_back_to_the_source(self, mapped):
        _, (row,), _ = mapped(EDGES, "1.2.1,3,2,7,4", to="source")
        values = [row[f"mapped_{name}"] for name in ("left", "top", "right", "bottom")]
        assert values == ["3.0", "1.0", "5.0", "2.0"]

    def test_part_outside_is_told(self, mapped):
        status, (row,), _ = mapped(EDGES, "1.2.1,0,1,4,3")
        assert (row["mapped_inside"], row["mapped_state"], status) == ("0.5", "partly", 0)

    def test_outside_is_told_and_has_no_place(self, mapped):
        status, (row,), _ = mapped(EDGES, "1.2.1,0,0,1,1")
        assert (row["mapped_left"], row["mapped_inside"]) == ("", "0.0")
        assert (row["mapped_state"], status) == ("outside", 0)

    @pytest.mark.parametrize("cells", [",,,", " ,nan,NaN,"])
    def test_image_without_box_is_no_trouble(self, mapped, cells):
        status, (row,), _ = mapped(EDGES, f"1.2.1,{cells}")
        assert (row["mapped_state"], row["mapped_inside"], status) == ("no_box", "", 0)

    @pytest.mark.parametrize(
        ("line", "state"),
        [
            ("9.9,3,1,5,2", "unknown_image"),
            (",3,1,5,2", "unknown_image"),
            ("1.3.1,3,1,5,2", "no_geometry"),
            ("1.2.1,5,1,3,2", "bad_box"),
            ("1.2.1,3,1,,2", "bad_box"),
            ("1.2.1,3,1,five,2", "bad_box"),
            ("1.2.1,3,1,inf,2", "bad_box"),
            ("1.2.1,3,1,1_0,2", "bad_box"),
        ],
    )
    def test_what_cannot_be_mapped_is_told_and_fails(self, mapped, line, state):
        status, rows, err = mapped(EDGES, line, "1.2.1,3,1,5,2")
        assert [row["mapped_state"] for row in rows] == [state, "inside"]
        assert rows[0]["mapped_left"] == rows[0]["mapped_inside"] == ""
        assert status == 1
        assert err.splitlines() == [
            f"2 rows: 1 {state}, 1 inside",
            "error: 1 row could not be mapped: see the column mapped_state",
        ]

    def test_order_of_rows_is_kept(self, mapped):
        lines = ["1.2.1,3,1,5,2", "9.9,0,0,1,1", "1.2.1,0,0,1,1", "1.3.1,0,0,1,1"]
        _, rows, _ = mapped(EDGES, *lines)
        states = ["inside", "unknown_image", "outside", "no_geometry"]
        assert [row["mapped_state"] for row in rows] == states

    def test_no_rows(self, mapped):
        status, rows, err = mapped(EDGES)
        assert (status, rows, err) == (0, [], "0 rows: nothing to map\n")


class TestSameUidInTwoStudies:
    @pytest.fixture(autouse=True)
    def twice(self, results):
        other = replace(ROW, study_instance_uid="1.9", path="1.9/1.2.1.tiff", crop_left=4)
        write_manifest([ROW, other], results / "results" / "manifest.csv")

    def test_is_told(self, mapped):
        status, (row,), _ = mapped(EDGES, "1.2.1,5,1,6,2")
        assert (row["mapped_state"], status) == ("several_images", 1)

    def test_study_decides(self, mapped):
        _, rows, _ = mapped(f"study_instance_uid,{EDGES}", "1.2,1.2.1,5,1,6,2", "1.9,1.2.1,5,1,6,2")
        assert [row["mapped_left"] for row in rows] == ["7.0", "3.0"]

    def test_path_decides(self, mapped):
        _, (row,), _ = mapped(f"path,{EDGES}", "1.9/1.2.1.tiff,1.2.1,5,1,6,2")
        assert row["mapped_left"] == "3.0"


class TestFiles:
    def test_parquet_keeps_its_types(self, results):
        table = pa.table(
            {
                "sop_instance_uid": ["1.2.1", "1.2.1"],
                "reader": pa.array([1, None], pa.int8()),
                "x": pa.array([3, 0], pa.int32()),
                "y": [1.0, 0.0],
                "width": [2.0, 1.0],
                "height": [1.0, 1.0],
            }
        )
        pq.write_table(table, results / "boxes.parquet")
        write_manifest([ROW], results / "manifest.parquet")
        options = ["--manifest", "manifest.parquet", "-o", "out/mapped.parquet"]
        assert main(["boxes.parquet", "--to", "output", *options]) == 0
        found = pq.read_table(results / "out" / "mapped.parquet")
        assert found.select(table.column_names).equals(table)
        assert found["mapped_x"].to_pylist() == [3, None]
        assert found["mapped_width"].to_pylist() == [4, None]
        assert found["mapped_state"].to_pylist() == ["inside", "outside"]

    def test_csv_goes_where_it_is_told(self, results, mapped):
        status, rows, _ = mapped(EDGES, "1.2.1,3,1,5,2", options=["-o", "mapped.csv"])
        assert (status, rows) == (0, [])
        assert (results / "mapped.csv").read_text().splitlines()[1] == (
            "1.2.1,3,1,5,2,3.0,2.0,7.0,4.0,1.0,inside"
        )

    def test_byte_order_mark_and_blank_lines_do_not_matter(self, mapped):
        status, rows, _ = mapped(f"\ufeff{EDGES}", "1.2.1,3,1,5,2", "")
        assert (status, len(rows)) == (0, 1)

    def test_folder_of_tiffs_is_a_manifest(self, results, mapped):
        written(results / "tiffs")
        options = ["--manifest", "tiffs"]
        _, (row,), _ = mapped(EDGES, "1.2.1,3,1,5,2", options=options)
        assert (row["mapped_left"], row["mapped_state"]) == ("3.0", "inside")


class TestErrors:
    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            (["left,top,right,bottom"], "boxes need a column path or sop_instance_uid"),
            (["path,left,top"], "boxes need the columns left, top, right, bottom or x, y, width"),
            ([f"{EDGES},mapped_left"], "there is a column mapped_left already: rename it"),
            ([EDGES, "1.2.1,3"], "boxes.csv: cannot be read: row 1 has 2 cells instead of 5"),
            ([f"{EDGES},left"], "boxes.csv: cannot be read: no header of different names"),
            ([], "boxes.csv: cannot be read: no header"),
        ],
    )
    def test_unusable_tables_are_told(self, mapped, lines, message):
        status, rows, err = mapped(*lines)
        assert (status, rows) == (1, [])
        assert err.startswith(f"error: {message}")

    def test_other_content_is_told(self, results, capsys):
        (results / "boxes.parquet").write_bytes(b"no parquet")
        assert main(["boxes.parquet", "--to", "output"]) == 1
        assert "error: boxes.parquet: cannot be read: " in capsys.readouterr().err

    @pytest.mark.usefixtures("results")
    def test_missing_table_is_told(self, capsys):
        assert main(["gone.csv", "--to", "output"]) == 1
        assert "No such file or directory: 'gone.csv'" in capsys.readouterr().err

    def test_table_that_is_no_manifest_is_told(self, mapped):
        options = ["--manifest", "boxes.csv"]
        status, _, err = mapped(EDGES, "1.2.1,3,1,5,2", options=options)
        assert (status, err) == (1, "error: boxes.csv is no manifest: it has no column height\n")

    @pytest.mark.parametrize("name", ["manifest.csv", "manifest.parquet"])
    def test_unreadable_manifest_is_told(self, results, mapped, name):
        (results / name).write_bytes(b"path\n\xff\n")
        status, rows, err = mapped(EDGES, "1.2.1,3,1,5,2", options=["--manifest", name])
        assert (status, rows) == (1, [])
        assert err.startswith(f"error: {name}: cannot be read: ")

    def test_manifest_without_names_is_told(self, results, mapped):
        names = {name: pa.nulls(1, pa.string()) for name in ("path", "study_instance_uid")}
        numbers = {"sop_instance_uid": ["1"], "width": [1], "height": [1]}
        pq.write_table(pa.table(names | numbers), results / "m.parquet")
        options = ["--manifest", "m.parquet"]
        status, _, err = mapped(EDGES, "1.2.1,3,1,5,2", options=options)
        message = "error: m.parquet is no manifest: row 1 has no text as path\n"
        assert (status, err) == (1, message)

    def test_two_columns_of_one_name_are_told(self, results, capsys):
        table = pa.Table.from_arrays([pa.array(["1.2.1"])] * 2, names=["path", "path"])
        pq.write_table(table, results / "boxes.parquet")
        assert main(["boxes.parquet", "--to", "output"]) == 1
        assert capsys.readouterr().err.startswith("error: ")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["boxes.csv"], "--to"),
            (["boxes.csv", "--to", "dicom"], "invalid choice"),
            (["boxes.txt", "--to", "output"], "BOXES boxes.txt must end in .csv or .parquet"),
            (["boxes.csv", "--to", "output", "-o", "a.json"], "OUTPUT a.json must end in"),
            (["boxes.csv", "--to", "output", "--manifest", "a.txt"], "MANIFEST a.txt must be"),
        ],
    )
    @pytest.mark.usefixtures("results")
    def test_wrong_usage(self, capsys, arguments, message):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err


def written(images):
    """The image of ROW as a TIFF below a folder."""
    geometry = Geometry(
        Size(10, 8), crop=CropBox(2, 1, 6, 4), resized=Size(12, 8), padding=Padding(1, 2, 3, 4)
    )
    frames = np.full((1, 14, 16, 1), 7, np.uint16)
    frames[0, 0, 0] = 9
    image = image_of(frames, geometry, source_rows=8, source_columns=10)
    (images / "1.2").mkdir(parents=True)
    write_tiff(images / ROW.path, image, compressor="packbits", chain=CHAIN)


def framed(picture):
    """Where the colours of boxes are."""
    return [np.argwhere((picture == colour).all(axis=-1)).tolist() for colour in (WHOLE, CUT)]


class TestPreview:
    @pytest.mark.parametrize(("to", "box"), [("output", "3,1,5,2"), ("source", "3,2,7,4")])
    def test_shows_the_box_on_the_output(self, results, mapped, to, box):
        written(results / "results" / "images")
        status, _, _ = mapped(EDGES, f"1.2.1,{box}", to=to, options=["--preview", "seen"])
        assert status == 0
        (path,) = (results / "seen").iterdir()
        assert path.name == "1.2_1.2.1.png"
        picture = imagecodecs.png_decode(path.read_bytes())
        assert picture.shape == (14 * 32, 16 * 32, 3)
        assert picture[:32, :32].min() == 255
        green, orange = framed(picture)
        # Around columns 3 to 6 and rows 2 and 3, each 32 pixels wide.
        assert np.min(green, axis=0).tolist() == [2 * 32 - 1, 3 * 32 - 1]
        assert np.max(green, axis=0).tolist() == [4 * 32, 7 * 32]
        assert len(green) == 2 * (4 * 32 + 2) + 2 * 2 * 32
        assert orange == []

    def test_cut_box_has_another_colour(self, results, mapped):
        written(results / "results" / "images")
        mapped(EDGES, "1.2.1,0,1,4,3", options=["--preview", "seen"])
        picture = imagecodecs.png_decode((results / "seen" / "1.2_1.2.1.png").read_bytes())
        green, orange = framed(picture)
        assert green == []
        assert np.min(orange, axis=0).tolist() == [2 * 32 - 1, 32 - 1]

    def test_images_may_lie_elsewhere(self, results, mapped):
        written(results / "elsewhere")
        options = ["--preview", "seen", "--images", "elsewhere"]
        assert mapped(EDGES, "1.2.1,3,1,5,2", options=options)[0] == 0
        assert (results / "seen" / "1.2_1.2.1.png").exists()

    def test_images_may_lie_beside_the_manifest(self, results, mapped):
        written(results / "results")
        assert mapped(EDGES, "1.2.1,3,1,5,2", options=["--preview", "seen"])[0] == 0

    def test_missing_image_is_told(self, mapped):
        status, rows, err = mapped(EDGES, "1.2.1,3,1,5,2", options=["--preview", "seen"])
        assert (status, len(rows)) == (1, 1)
        assert "1.2.1.tiff: cannot be read as TIFF" in err


class TestPicture:
    def test_grey_is_stretched_over_three_samples(self):
        picture = to_rgb(np.array([[[100], [200], [300]]], np.uint16))
        assert picture.tolist() == [[[0] * 3, [127] * 3, [255] * 3]]

    def test_constant_frame_is_black(self):
        assert not to_rgb(np.full((2, 2, 1), 5, np.int16)).any()

    def test_colour_stays(self):
        assert to_rgb(np.array([[[0, 255, 7]]], np.uint8)).tolist() == [[[0, 255, 7]]]

    def test_frame_is_around_the_pixels_of_the_box(self):
        picture = np.zeros((5, 6, 3), np.uint8)
        draw_box(picture, np.array([2.0, 1.0, 4.0, 3.0]), (9, 9, 9))
        expected = [[0, 1, 1, 1, 1, 0], [0, 1, 0, 0, 1, 0], [0, 1, 0, 0, 1, 0], [0, 1, 1, 1, 1, 0]]
        assert (picture[..., 0] > 0).astype(int).tolist() == [*expected, [0] * 6]

    def test_frame_is_cut_at_the_border(self):
        picture = np.zeros((3, 3, 3), np.uint8)
        draw_box(picture, np.array([-2.0, -2.0, 2.0, 2.0]), (9, 9, 9))
        assert (picture[..., 0] > 0).astype(int).tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 1]]


def test_tags_of_the_written_image_are_those_of_the_row(tmp_path):
    written(tmp_path)
    assert geometry_of_tiff(tmp_path / ROW.path) == geometry_of_row(ROW)
    assert tifffile.imread(tmp_path / ROW.path).shape == (14, 16)
