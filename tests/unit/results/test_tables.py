"""Tables as files: typed columns, those of others, parts, and what is wrong with files."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dicom_preprocessing.errors import SourceError
from dicom_preprocessing.results import tables
from dicom_preprocessing.results.tables import as_records, load_in_parts, load_table, read_rows

TYPES = {"path": str, "width": int, "spacing": float, "flip": bool}


def saved(folder, text, name="table.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def of_parquet(folder, **columns):
    pq.write_table(pa.table(columns), folder / "table.PARQUET")
    return folder / "table.PARQUET"


def values(table, name):
    return [row[name] for row in as_records(table)]


def test_csv_without_types_is_text(tmp_path):
    path = saved(tmp_path, 'path,width\n"a,b",007\n\nNA,\n')
    rows = [{"path": "a,b", "width": "007"}, {"path": "NA", "width": ""}]
    assert as_records(load_table(path)) == rows


def test_byte_order_mark_of_a_spreadsheet_is_no_part_of_a_name(tmp_path):
    assert as_records(load_table(saved(tmp_path, "\ufeffpath\na\n"))) == [{"path": "a"}]


def test_csv_without_rows_has_its_columns_and_their_types(tmp_path):
    table = load_table(saved(tmp_path, "path,width\n"), TYPES)
    assert table.dtypes.astype(str).to_dict() == {"path": "string", "width": "Int64"}
    assert table.empty


def test_parquet_without_rows_has_its_columns_and_their_types(tmp_path):
    path = of_parquet(tmp_path, path=pa.array([], pa.string()), n=pa.array([], pa.int8()))
    table = load_table(path, TYPES)
    assert table.dtypes.astype(str).to_dict() == {"path": "string", "n": "int8[pyarrow]"}


@pytest.fixture(params=["csv", "parquet"])
def typed(request, tmp_path):
    """A table with a row of values and one without, from a file of each kind."""
    if request.param == "csv":
        path = saved(tmp_path, "path,width,spacing,flip\n1.20,512,0.5,true\n,,,\n")
    else:
        path = of_parquet(
            tmp_path,
            path=["1.20", None],
            width=[512, None],
            spacing=[0.5, None],
            flip=[True, None],
        )
    return load_table(path, TYPES)


def test_dtypes_do_not_depend_on_the_file(typed):
    dtypes = {"path": "string", "width": "Int64", "spacing": "float64", "flip": "boolean"}
    assert typed.dtypes.astype(str).to_dict() == dtypes


def test_uid_stays_text_and_what_is_empty_is_unknown(typed):
    first, second = as_records(typed)
    assert first == {"path": "1.20", "width": 512, "spacing": 0.5, "flip": True}
    assert second == dict.fromkeys(TYPES)
    assert type(first["width"]) is int


@pytest.mark.parametrize("cell", ["0.0", "0", "+0", "-0.0", "0e3"])
def test_whole_numbers_of_other_programs_are_whole(tmp_path, cell):
    table = load_table(saved(tmp_path, f"width\n{cell}\n"), TYPES)
    assert str(table["width"].dtype) == "Int64"
    assert values(table, "width") == [0]


def test_column_with_a_gap_that_pandas_wrote_is_whole(tmp_path):
    frame = pd.DataFrame({"width": [512, None, 0], "flip": [True, None, False]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        table = load_table(tmp_path / name, TYPES)
        assert values(table, "width") == [512, None, 0]
        assert values(table, "flip") == [True, None, False]


@pytest.mark.parametrize(
    ("cell", "value"), [("1", True), ("0", False), ("1.0", True), ("0.0", False)]
)
def test_truths_that_others_wrote_as_numbers_are_truths(tmp_path, cell, value):
    assert values(load_table(saved(tmp_path, f"flip\n{cell}\n"), TYPES), "flip") == [value]
    of_number = of_parquet(tmp_path, flip=[type(float(cell))(cell), None])
    assert values(load_table(of_number, TYPES), "flip") == [value, None]


@pytest.mark.parametrize("cell", ["1.152921504606847e+18", "9007199254740993.0", "2", "no"])
def test_what_is_not_exact_any_more_is_an_error(tmp_path, cell):
    name = "flip" if len(cell) < 3 else "width"
    with pytest.raises(SourceError, match=rf"^row 1 of .*: {name} is"):
        load_table(saved(tmp_path, f"{name}\n{cell}\n"), TYPES)


def test_inode_of_more_than_53_bits_is_exact(tmp_path):
    for path in (
        saved(tmp_path, "width\n9007199254740993\n"),
        of_parquet(tmp_path, width=[9007199254740993]),
    ):
        assert values(load_table(path, TYPES), "width") == [9007199254740993]


def test_parquet_of_others_keeps_its_types(tmp_path):
    table = load_table(of_parquet(tmp_path, label=pa.array([7, None], pa.int8())), TYPES)
    assert str(table["label"].dtype) == "int8[pyarrow]"
    assert values(table, "label") == [7, None]


def test_uids_that_a_program_took_for_integers_are_text(tmp_path):
    assert values(load_table(of_parquet(tmp_path, path=[12]), TYPES), "path") == ["12"]


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_parts_are_the_rows_in_their_order(tmp_path, name):
    frame = pd.DataFrame({"path": list("abcde"), "width": range(5), "other": range(5)})
    save = frame.to_csv if name.endswith("csv") else frame.to_parquet
    save(tmp_path / name, index=False)
    parts = list(load_in_parts(tmp_path / name, TYPES, columns=("path", "width"), rows=2))
    assert [values(part, "path") for part in parts] == [["a", "b"], ["c", "d"], ["e"]]
    assert [part.index.tolist() for part in parts] == [[0, 1], [2, 3], [4]]
    assert list(parts[0].columns) == ["path", "width"]


def test_rows_are_those_of_the_data_frame(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 2)
    path = saved(tmp_path, "path,width,spacing,flip,other\na,7,0.5,true,x\n'=b,,,,\na,-1,1,0,y\n")
    names = ("path", "width", "spacing", "flip")
    assert list(read_rows(path, TYPES, names)) == as_records(load_table(path, TYPES, columns=names))


class TestErrors:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", r"table\.csv: cannot be read: the first line has no names of columns"),
            ("path,path\n", "the first line names a column twice: path, path"),
            ("path,width\na\n", "row 1 has 1 cells instead of 2"),
            ('path\n"a\n', "unexpected end of data"),
            ("path,width\na,7\nb,7.5\n", r"row 2 of .*table\.csv: width is '7\.5'"),
            ("path,width\na,wide\n", "row 1 of .*: width is 'wide'"),
            ("path,width\na,inf\n", "row 1 of .*: width is 'inf'"),
            ("path,width\na,9223372036854775808\n", "row 1 of .*: width is '9223372036854775808'"),
            ("spacing\nfar\n", "row 1 of .*: spacing is 'far'"),
            ("flip\nmaybe\n", "row 1 of .*: flip is 'maybe'"),
        ],
    )
    def test_csv(self, tmp_path, text, message):
        path = saved(tmp_path, text)
        with pytest.raises(SourceError, match=message):
            load_table(path, TYPES)
        with pytest.raises(SourceError, match=message):
            list(read_rows(path, TYPES, TYPES))

    def test_row_of_a_later_part_has_its_number(self, tmp_path):
        path = saved(tmp_path, "width\n1\n2\nthree\n")
        with pytest.raises(SourceError, match="row 3 of"):
            list(load_in_parts(path, TYPES, rows=2))

    def test_row_of_a_later_block_has_its_number(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tables, "ROWS_AT_ONCE", 2)
        path = saved(tmp_path, "width\n1\n2\nthree\n")
        with pytest.raises(SourceError, match="row 3 of"):
            list(read_rows(path, TYPES, TYPES))

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({"path": [1.5]}, r"row 1 of .*: path is 1\.5"),
            ({"width": [0.5]}, r"row 1 of .*: width is 0\.5"),
            ({"width": [True]}, "row 1 of .*: width is True"),
            ({"flip": [2]}, "row 1 of .*: flip is 2"),
        ],
    )
    def test_parquet(self, tmp_path, columns, message):
        with pytest.raises(SourceError, match=message):
            load_table(of_parquet(tmp_path, **columns), TYPES)

    def test_parquet_with_a_name_twice(self, tmp_path):
        table = pa.Table.from_arrays([pa.array(["a"])] * 2, names=["path", "path"])
        pq.write_table(table, tmp_path / "a.parquet")
        with pytest.raises(SourceError, match="the first line names a column twice: path, path"):
            load_table(tmp_path / "a.parquet")

    def test_bytes_that_are_not_utf_8(self, tmp_path):
        (tmp_path / "table.csv").write_bytes(b"path\n\xff\n")
        with pytest.raises(
            SourceError, match=r"table\.csv: cannot be read: it is not text in UTF-8$"
        ):
            load_table(tmp_path / "table.csv")

    def test_text_that_is_named_parquet(self, tmp_path):
        with pytest.raises(SourceError, match=r"a\.parquet: cannot be read: "):
            load_table(saved(tmp_path, "path\n", "a.parquet"))

    def test_other_suffix(self, tmp_path):
        with pytest.raises(SourceError, match=r"a\.txt: a table must end in \.csv or \.parquet"):
            load_table(saved(tmp_path, "path\n", "a.txt"))

    @pytest.mark.parametrize("name", ["none.csv", "none.parquet"])
    def test_missing_file(self, tmp_path, name):
        with pytest.raises(SourceError, match=rf"{name}: cannot be read: .*No such file"):
            load_table(tmp_path / name)


def test_few_bytes_have_no_millions_of_rows(tmp_path):
    rows = pa.nulls(40_000_000, pa.string())
    pq.write_table(pa.table({"path": rows}), tmp_path / "m.parquet")
    with pytest.raises(
        SourceError, match=r"m\.parquet: cannot be read: 40000000 rows in \d+ bytes"
    ):
        load_table(tmp_path / "m.parquet")


def test_values_that_python_has_not_are_an_error_of_the_table(tmp_path):
    days = pa.array([2**31 - 1], pa.int32()).cast(pa.date32())
    pq.write_table(pa.table({"path": ["a"], "day": days}), tmp_path / "m.parquet")
    with pytest.raises(SourceError, match=r"m\.parquet: cannot be read"):
        load_table(tmp_path / "m.parquet")
