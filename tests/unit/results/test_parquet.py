"""Parquet files of a few bytes that stand for much more, and sound ones that look alike."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.errors import SourceError
from dicom_preprocessing.results import parquet
from dicom_preprocessing.results.parquet_pages import read_pages
from dicom_preprocessing.results.tables import load_table

NESTED = {
    "texts": pa.array([["a", "b"], None, ["a"]]),
    "struct": pa.array([{"a": "x", "b": 1}, None, {"a": "y", "b": 2}]),
    "map": pa.array([[("a", "q")], None, []], pa.map_(pa.string(), pa.string())),
    "large": pa.array([["a", "b"], None, ["a"]], pa.large_list(pa.large_string())),
    "fixed": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int8(), 2)),
    "bytes": pa.array([b"1", None, b"23"]),
    "view": pa.array(["a", None, "bc"]).cast(pa.string_view()),
    "dictionary": pa.array(["a", None, "a"]).dictionary_encode(),
    "a.b": pa.array(["a", None, "a"]),
    "null": pa.nulls(3),
}


def saved(folder, columns, **options):
    path = folder / "m.parquet"
    pq.write_table(pa.table(columns), path, **options)
    return path


def repeated(text, count, kind=None):
    cells = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array([text]))
    return cells if kind is None else cells.cast(kind)


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_columns_of_every_kind_are_read(tmp_path, compression, version):
    path = saved(tmp_path, NESTED, compression=compression, data_page_version=version)
    found = load_table(path)
    for name, cells in NESTED.items():
        assert pa.array(found[name]).to_pylist() == cells.to_pylist(), name
    assert list(load_table(path, columns=["map", "a.b"]).columns) == ["map", "a.b"]


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"x": repeated("y" * 200_000, 3000)}, {}, "bytes of text in"),
        ({"x": repeated("y" * 200_000, 3000, pa.string())}, {"store_schema": False}, "of text in"),
        ({"x": repeated("y" * 200_000, 3000, pa.large_binary())}, {}, "bytes of text in"),
        ({"x": pa.array([["y" * 10**6] * 500], pa.list_(pa.string()))}, {}, "bytes of text in"),
        ({"x": [{"a": "y" * 10**6}] * 500}, {}, "bytes of text in"),
        ({"x": ["y" * 200_000_000]}, {}, r"pages of \d+ bytes and more in"),
        ({"x": ["y" * 17_000_000]}, {}, "a cell of 17000000 bytes; expected 16777216 at most"),
        ({"x": pa.array([[0] * 20_000_000], pa.list_(pa.int8()))}, {}, r"\d+ values and more in"),
        ({f"x{n}": pa.nulls(900_000) for n in range(15)}, {}, r"\d+ values and more in"),
        ({"x": pa.array([b"y" * 10**6] * 200, pa.binary(10**6))}, {}, r"pages of \d+ bytes"),
    ],
)
def test_few_bytes_are_not_expanded(tmp_path, columns, options, message):
    path = saved(tmp_path, columns, compression="zstd", **options)
    assert os.path.getsize(path) < 200_000
    before = pa.total_allocated_bytes()
    pa.default_memory_pool().release_unused()
    with pytest.raises(SourceError, match=rf"m\.parquet: cannot be read: .*{message}"):
        load_table(path)
    assert pa.total_allocated_bytes() - before < 2**20


def test_texts_that_repeat_the_one_before_are_read_a_few_at_a_time(tmp_path, monkeypatch):
    texts = pa.array(["y" * 1000 + str(n) for n in range(5000)])
    options = {"use_dictionary": False, "column_encoding": {"x": "DELTA_BYTE_ARRAY"}}
    path = saved(tmp_path, {"x": texts}, **options)
    assert load_table(path)["x"].tolist() == texts.to_pylist()
    monkeypatch.setattr(parquet, "BYTES_OF_ANY", 10**6)
    with pytest.raises(SourceError, match="bytes of text in"):
        load_table(path)


def test_rows_at_once_have_bounded_texts(tmp_path, monkeypatch):
    path = saved(tmp_path, {"x": repeated("y" * 1000, 100)})
    monkeypatch.setattr(parquet, "BYTES_AT_ONCE", 10_000)
    blocks = [count for count, _ in parquet.read_parquet(path, None, 1000)]
    assert blocks == [10] * 10


def test_sizes_are_those_of_the_headers_of_pages(tmp_path):
    path = saved(tmp_path, {"x": ["y" * 2_000_000]}, compression="zstd")
    with path.open("rb") as file:
        chunk = pq.read_metadata(path).row_group(0).column(0)
        start = chunk.dictionary_page_offset
        pages = list(read_pages(file, start, chunk.total_compressed_size, chunk.num_values))
    assert [page.values for page in pages] == [0, 1]
    assert pages[0].nbytes == 2_000_004


@given(st.binary(max_size=200))
def test_headers_of_any_bytes_are_pages_or_an_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "pages"
    path.write_bytes(content)
    with path.open("rb") as file:
        try:
            pages = list(read_pages(file, 0, len(content), 10))
        except ValueError:
            return
    assert all(page.nbytes >= 0 for page in pages)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([["a.tiff"]], "column path has a list in each row; expected text"),
        ([{"a": "a.tiff"}], "column path has a struct in each row; expected text"),
    ],
)
def test_path_that_is_no_text(tmp_path, cells, message):
    with pytest.raises(SourceError, match=rf"m\.parquet: {message}"):
        load_table(saved(tmp_path, {"path": cells}), {"path": str})
