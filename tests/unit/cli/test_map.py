"""dicom-map: tables of boxes, what becomes of each row, and previews."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dicom_preprocessing.cli.map import main
from dicom_preprocessing.results.manifest import write_manifest
from tests.unit.mapping.tables import EDGES, ROW, written


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

    def test_csv_goes_where_it_is_named(self, results, mapped):
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
            ([f"{EDGES},mapped_left"], "boxes already have a column mapped_left: rename it"),
            ([EDGES, "1.2.1,3"], "boxes.csv: cannot be read: row 1 has 2 cells instead of 5"),
            ([f"{EDGES},left"], "boxes.csv: cannot be read: the first line names a column twice"),
            ([], "boxes.csv: cannot be read: the first line has no names"),
        ],
    )
    def test_unusable_tables_are_reported(self, mapped, lines, message):
        status, rows, err = mapped(*lines)
        assert (status, rows) == (1, [])
        assert err.startswith(f"error: {message}")

    def test_other_content_is_reported(self, results, capsys):
        (results / "boxes.parquet").write_bytes(b"no parquet")
        assert main(["boxes.parquet", "--to", "output"]) == 1
        assert "error: boxes.parquet: cannot be read: " in capsys.readouterr().err

    @pytest.mark.usefixtures("results")
    def test_missing_table_is_reported(self, capsys):
        assert main(["gone.csv", "--to", "output"]) == 1
        assert (
            "error: gone.csv: cannot be read: No such file or directory. What to do: "
            in capsys.readouterr().err
        )

    def test_table_that_is_no_manifest_is_reported(self, mapped):
        options = ["--manifest", "boxes.csv"]
        status, _, err = mapped(EDGES, "1.2.1,3,1,5,2", options=options)
        found = "sop_instance_uid, left, top, right, bottom"
        message = f"error: boxes.csv: a manifest has a column path; found: {found}\n"
        assert (status, err) == (1, message)

    def test_manifest_without_sizes_is_reported(self, results, mapped):
        (results / "m.csv").write_text("path,study_instance_uid,sop_instance_uid,width\n")
        status, _, err = mapped(EDGES, options=["--manifest", "m.csv"])
        assert (status, err) == (1, "error: m.csv is not a manifest: it has no column height\n")

    @pytest.mark.parametrize("name", ["manifest.csv", "manifest.parquet"])
    def test_unreadable_manifest_is_reported(self, results, mapped, name):
        (results / name).write_bytes(b"path\n\xff\n")
        status, rows, err = mapped(EDGES, "1.2.1,3,1,5,2", options=["--manifest", name])
        assert (status, rows) == (1, [])
        assert err.startswith(f"error: {name}: cannot be read: ")

    def test_manifest_without_names_is_reported(self, results, mapped):
        names = {name: pa.nulls(1, pa.string()) for name in ("path", "study_instance_uid")}
        numbers = {"sop_instance_uid": ["1"], "width": [1], "height": [1]}
        pq.write_table(pa.table(names | numbers), results / "m.parquet")
        options = ["--manifest", "m.parquet"]
        status, _, err = mapped(EDGES, "1.2.1,3,1,5,2", options=options)
        message = "error: row 1 of m.parquet has no path\n"
        assert (status, err) == (1, message)

    def test_two_columns_of_one_name_are_reported(self, results, capsys):
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
