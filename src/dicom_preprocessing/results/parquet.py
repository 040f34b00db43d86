"""Read a parquet file a number of rows at a time, within bounds by the size of the file.

A few bytes may stand for any number of rows, of values in lists, or of long texts: a text of a
dictionary in each row, or one that zeros are inflated to. What pages hold is added up before any is
read, and the longest text of each dictionary tells how many rows may be read at once.
"""

from __future__ import annotations

import os
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any, Final

from dicom_preprocessing.results.parquet_pages import DELTA_BYTE_ARRAY, ParquetPage, read_pages
from dicom_preprocessing.text import require_column_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path
    from typing import BinaryIO

    import pyarrow as pa
    import pyarrow.parquet as pq

Block = tuple[int, "dict[str, pa.Array]"]
"""Number of rows, and columns."""

ROWS_OF_ANY, VALUES_OF_ANY, BYTES_OF_ANY = 1_000_000, 10_000_000, 2**27
"""Rows, values in all columns, and bytes of pages and of text that a file of any size may have."""
PER_BYTE: Final = 100
"""How many of each every byte of the file adds. Rows with a path of their own take 5 and more."""
MAX_TEXT: Final = 2**24
"""Bytes of a text."""
BYTES_AT_ONCE: Final = 2**25
"""Bytes of texts that rows read at once may have, if each has the longest one of its column."""


def read_parquet(path: Path, columns: Collection[str] | None, rows: int) -> Iterator[Block]:
    """Yield ``rows`` rows at a time, or fewer; at least one block, which may have no row.

    Raises
    ------
    ValueError
        The file has far more than its bytes can hold. pyarrow raises nearly anything else.
    """
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    with path.open("rb") as opened, pq.ParquetFile(opened) as file:
        size, schema = opened.seek(0, os.SEEK_END), file.schema_arrow
        rows_of_file = file.metadata.num_rows
        if rows_of_file > ROWS_OF_ANY + PER_BYTE * size:
            raise ValueError(f"{rows_of_file} rows in {size} bytes")
        require_column_names(schema.names)
        wanted = [name for name in schema.names if columns is None or name in columns]
        leaves = [file.schema.column(number) for number in range(len(file.schema.names))]
        read = [n for n, leaf in enumerate(leaves) if not set(wanted).isdisjoint(_prefixes(leaf))]
        longest = _check_pages(opened, file, read, size)
        flat = [leaf for leaf in leaves if _is_text(leaf) and not leaf.max_repetition_level]
        for leaf in flat:
            if leaf.path in longest and not longest[leaf.path]:
                longest[leaf.path] = _find_longest_text(opened, file, leaf.path)
        # Texts of lists stay in their dictionaries until it is known how long they are without.
        in_lists = [leaf.path for leaf in leaves if _is_text(leaf) and leaf.max_repetition_level]
        encoded = pq.ParquetFile(opened, metadata=file.metadata, read_dictionary=in_lists)
        rows = min(rows, max(1, BYTES_AT_ONCE // max(1, sum(longest.values()))))
        count, left = 0, BYTES_OF_ANY + PER_BYTE * size
        for batch in encoded.iter_batches(rows, columns=wanted):
            count += batch.num_rows
            left -= sum(map(_measure_text, batch.columns))
            if left < 0:
                del batch
                pa.default_memory_pool().release_unused()
                raise ValueError(f"more than {BYTES_OF_ANY} bytes of text in {size} bytes")
            yield (
                batch.num_rows,
                {name: _decode(batch.column(name), schema.field(name).type) for name in wanted},
            )
        if not count:
            empty = schema.empty_table()
            yield 0, {name: empty[name].combine_chunks() for name in wanted}


def _prefixes(leaf: Any) -> Iterator[str]:  # noqa: ANN401  # pyarrow has no types
    """Names that the column of a leaf may have: parts of lists and structs follow a dot."""
    return accumulate(str(leaf.path).split("."), "{}.{}".format)


def _is_text(leaf: Any) -> bool:  # noqa: ANN401
    return bool(leaf.physical_type == "BYTE_ARRAY")


def _check_pages(
    file: BinaryIO, parquet: pq.ParquetFile, leaves: list[int], size: int
) -> dict[str, int]:
    """Return the bytes that a text may have where it may repeat the one before, by column.

    It is 0 for other columns.

    Raises
    ------
    ValueError
        Pages hold more than a file of this size can.
    """
    values = nbytes = 0
    longest: dict[str, int] = {}
    for number in leaves:
        leaf = parquet.schema.column(number)
        has_repeats, largest = False, 0
        if _is_text(leaf) and leaf.logical_type.type == "DECIMAL":
            raise ValueError(f"column {leaf.path} has decimal numbers of any length")
        for page in _read_pages_of(file, parquet, number):
            values += page.values
            # Each value of a fixed length may be one of the dictionary.
            nbytes += page.nbytes + page.values * max(0, leaf.length)
            if page.encoding == DELTA_BYTE_ARRAY:
                if leaf.max_repetition_level:
                    raise ValueError(f"column {leaf.path} has lists in DELTA_BYTE_ARRAY")
                has_repeats = True
            largest = max(largest, page.nbytes)
            if nbytes > BYTES_OF_ANY + PER_BYTE * size:
                raise ValueError(f"pages of {nbytes} bytes and more in {size} bytes")
            if values > VALUES_OF_ANY + PER_BYTE * size:
                raise ValueError(f"{values} values and more in {size} bytes")
        longest[leaf.path] = largest if has_repeats else 0
    return longest


def _read_pages_of(file: BinaryIO, parquet: pq.ParquetFile, number: int) -> Iterator[ParquetPage]:
    """Pages of a leaf in all groups of rows."""
    for group in range(parquet.num_row_groups):
        chunk = parquet.metadata.row_group(group).column(number)
        start = chunk.data_page_offset
        if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < start:
            start = chunk.dictionary_page_offset
        yield from read_pages(file, start, chunk.total_compressed_size, chunk.num_values)


def _find_longest_text(file: BinaryIO, parquet: pq.ParquetFile, path: str) -> int:
    """Return the bytes of the longest text in the dictionaries of a column without lists."""
    import pyarrow.parquet as pq  # noqa: PLC0415

    encoded = pq.ParquetFile(
        file, metadata=parquet.metadata, read_dictionary=[path], pre_buffer=False
    )
    longest = 0
    for group in range(parquet.num_row_groups):
        # The dictionary comes with the first row of its group.
        for batch in islice(encoded.iter_batches(1, row_groups=[group], columns=[path]), 1):
            longest = max([longest, *map(_find_longest, batch.columns)])
    return longest


def _find_longest(cells: pa.Array) -> int:
    """Return the bytes of the longest text of a dictionary, 0 for other columns."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    if pa.types.is_struct(cells.type):
        return max(map(_find_longest, cells.flatten()), default=0)
    if not pa.types.is_dictionary(cells.type):
        return 0
    return _require_short(pc.binary_length(cells.dictionary))


def _require_short(lengths: pa.Array) -> int:
    """Return the largest length.

    Raises
    ------
    ValueError
        It is more than MAX_TEXT.
    """
    import pyarrow.compute as pc  # noqa: PLC0415

    longest = int(pc.max(lengths).as_py() or 0)
    if longest > MAX_TEXT:
        raise ValueError(f"a cell of {longest} bytes; expected {MAX_TEXT} at most")
    return longest


def _measure_text(cells: pa.Array) -> int:
    """Return the bytes of texts outside their dictionaries, those within lists included."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    kind = cells.type
    if pa.types.is_struct(kind):
        return sum(map(_measure_text, cells.flatten()))
    if pa.types.is_map(kind):
        return _measure_text(cells.keys) + _measure_text(cells.items)
    if pa.types.is_nested(kind):
        return _measure_text(cells.flatten())
    is_encoded = pa.types.is_dictionary(kind)
    texts = cells.dictionary if is_encoded else cells
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        texts = cells.cast(pa.large_binary())
    if pa.types.is_primitive(texts.type) or pa.types.is_null(texts.type):
        return 0
    if pa.types.is_decimal(texts.type) or pa.types.is_nested(texts.type):
        return 0
    if is_encoded:
        cells.validate(full=True)  # indices beyond a dictionary
    lengths = pc.binary_length(texts).cast(pa.int64())
    _require_short(lengths)
    return int(pc.sum(lengths.take(cells.indices) if is_encoded else lengths).as_py() or 0)


def _decode(cells: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return a column of the type of the file, whose every value is one of Python.

    That of others would fail later.
    """
    import pyarrow as pa  # noqa: PLC0415

    if cells.type != kind:
        if pa.types.is_dictionary(cells.type):
            cells = cells.dictionary_decode()
        cells = cells.cast(kind)
    cells.validate(full=True)  # text that is not in UTF-8, indices beyond a dictionary
    if not (pa.types.is_primitive(kind) or pa.types.is_string(kind)) or pa.types.is_temporal(kind):
        cells.to_pylist()  # a date in the year 10000
    return cells
