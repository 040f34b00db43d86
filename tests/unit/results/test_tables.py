"""Tables as files: csv as text, parquet typed or as text, and what is wrong with others."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dicom_preprocessing.errors import SourceError
from dicom_preprocessing.results.tables import load_columns, load_text_rows


def saved(folder, text, name="table.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.fixture
def parquet(tmp_path):
    path = tmp_path / "table.PARQUET"
    pq.write_table(pa.table({"path": ["a", None], "width": [7, None]}), path)
    return path


def test_csv_is_text(tmp_path):
    path = saved(tmp_path, 'path,width\n"a,b",007\n\nc,\n')
    rows = [{"path": "a,b", "width": "007"}, {"path": "c", "width": ""}]
    assert load_text_rows(path) == rows
    assert load_columns(path).to_pylist() == rows


def test_byte_order_mark_of_a_spreadsheet_is_no_part_of_a_name(tmp_path):
    assert load_text_rows(saved(tmp_path, "\ufeffpath\na\n")) == [{"path": "a"}]


def test_csv_without_rows_has_its_columns(tmp_path):
    path = saved(tmp_path, "path,width\n")
    assert load_text_rows(path) == []
    assert load_columns(path).column_names == ["path", "width"]


def test_parquet_keeps_its_types(parquet):
    assert load_columns(parquet).column("width").to_pylist() == [7, None]


def test_parquet_as_text(parquet):
    assert load_text_rows(parquet) == [{"path": "a", "width": "7"}, {"path": "", "width": ""}]


@pytest.mark.parametrize("load", [load_columns, load_text_rows])
class TestErrors:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", r"table\.csv: cannot be read: the first line has no names of columns"),
            ("path,path\n", "the first line names a column twice: path, path"),
            ("path,width\na\n", "row 1 has 1 cells instead of 2"),
            ('path\n"a\n', "unexpected end of data"),
        ],
    )
    def test_csv(self, tmp_path, load, text, message):
        with pytest.raises(SourceError, match=message):
            load(saved(tmp_path, text))

    def test_bytes_that_are_not_utf_8(self, tmp_path, load):
        (tmp_path / "table.csv").write_bytes(b"path\n\xff\n")
        with pytest.raises(
            SourceError, match=r"table\.csv: cannot be read: it is not text in UTF-8$"
        ):
            load(tmp_path / "table.csv")

    def test_text_that_is_named_parquet(self, tmp_path, load):
        with pytest.raises(SourceError, match=r"a\.parquet: cannot be read: "):
            load(saved(tmp_path, "path\n", "a.parquet"))

    def test_missing_file(self, tmp_path, load):
        with pytest.raises(SourceError, match=r"none\.csv: cannot be read: .*No such file"):
            load(tmp_path / "none.csv")
