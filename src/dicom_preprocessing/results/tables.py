"""Write csv tables, and load those of this project and of its users as data frames.

A table to load is csv or parquet, by its suffix. pandas is imported only then, since jobs and
commands import this module for less.
"""

from __future__ import annotations

import csv
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, get_args, get_type_hints

from dicom_preprocessing.errors import SourceError
from dicom_preprocessing.files import as_record, atomic_write, naming
from dicom_preprocessing.results.parquet import read_parquet
from dicom_preprocessing.text import (
    PARQUET,
    TABLE_SUFFIXES,
    csv_cell,
    escape_formula,
    explain_without_path,
    make_printable,
    require_column_names,
    unescape_formula,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa
    from _typeshed import DataclassInstance

    from dicom_preprocessing.results.parquet import Block

Cells = tuple[object, ...]
"""A row of a table to write, in the order of its columns."""


class Unsigned(int):
    """The type of a column of numbers from 0 to 2**64 - 1, as inodes are."""


COLUMN_DTYPES: dict[type, str] = {
    str: "string",
    int: "Int64",
    Unsigned: "UInt64",
    float: "float64",
    bool: "boolean",
}
"""Dtypes of columns whose type is known. Unknown values are NA, in float64 NaN."""

ROWS_AT_ONCE = 20_000
MAX_CELL = 2**24
"""Characters of a cell of a csv table."""
MAX_SHOWN = 100
"""Characters of a bad cell in a message."""
BAD_CELL = (ValueError, TypeError, KeyError, OverflowError)
"""Errors of parsing a cell that is of another type than its column."""

TRUTHS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
INTEGER_RANGES: dict[type, tuple[int, int]] = {int: (-(2**63), 2**63), Unsigned: (0, 2**64)}
"""Lowest number of a type of column, and the one above the highest."""

EXACT_FLOAT_END = 2**53
"""Floats above it do not hold every whole number."""


def column_types(row_type: type[DataclassInstance]) -> dict[str, type]:
    """Types of the columns of a table by name, in their order: those of the fields of its rows."""
    hints = get_type_hints(row_type)
    return {name: (get_args(hint) or (hint,))[0] for name, hint in hints.items()}


def cells_of(row: DataclassInstance) -> Cells:
    """The cells of a row whose fields are the columns."""
    return tuple(map(csv_cell, as_record(row).values()))


def write_cells(columns: Iterable[str], ordered: Iterable[Iterable[object]], path: Path) -> None:
    """Write a csv table from rows that are in order."""
    with atomic_write(path) as file:
        write_lines(columns, ordered, file)


def write_lines(
    columns: Iterable[str],
    ordered: Iterable[Iterable[object]],
    file: IO[str],
    *,
    quote_all: bool = False,
) -> None:
    """Write a csv table to an open file: the one writer of csv.

    Text of ``ordered`` is as ``csv_cell`` or ``escape_formula`` made it; where any has a carriage
    return, ``quote_all`` is needed, as Python before 3.13 does not quote that by itself.
    """
    writer = csv.writer(
        file, lineterminator="\n", quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    )
    writer.writerow(map(escape_formula, columns))
    writer.writerows(ordered)


def read_cells(path: Path) -> Iterator[Cells]:
    """Rows of a csv table of this project as text, without the header.

    Text is as ``csv_cell`` made it, so that the rows can be written again.
    """
    with naming(path), path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        next(reader)
        yield from map(tuple, reader)


def load_table(
    path: Path,
    types: Mapping[str, type] | None = None,
    *,
    columns: Collection[str] | None = None,
) -> pd.DataFrame:
    """Load a complete table.

    Parameters
    ----------
    path : Path
        .csv or .parquet.
    types : mapping, optional
        Types of columns by name, which get the dtype of ``COLUMN_DTYPES``. Empty cells are unknown.
        Other columns have the Arrow type of the parquet file, or are the text of the csv file.
        Names and text of csv are as they were before ``escape_formula``.
    columns : collection of str, optional
        Names of those to load, as far as the table has them; None for all.

    Returns
    -------
    DataFrame
        Row n of the file, from 1, at n - 1.

    Raises
    ------
    SourceError
        It cannot be read as what its suffix says, rows and header do not agree, or a cell is not
        of its column's type.
    """
    import pandas as pd  # noqa: PLC0415  # half a second

    parts = list(load_in_parts(path, types, columns=columns))
    return parts[0] if len(parts) == 1 else pd.concat(parts)


def load_in_parts(
    path: Path,
    types: Mapping[str, type] | None = None,
    *,
    columns: Collection[str] | None = None,
    rows: int = ROWS_AT_ONCE,
) -> Iterator[pd.DataFrame]:
    """Load a table ``rows`` rows at a time: at least one data frame, which may have no row.

    Parameters are those of ``load_table``. Parquet may come in fewer rows at a time.
    """
    import pandas as pd  # noqa: PLC0415

    read = read_parquet if _is_parquet(path) else _read_csv
    start = 0
    with _explain_bad_table(path):
        for count, block in read(path, columns, rows):
            data = {}
            for name, cells in block.items():
                kind = (types or {}).get(name)
                if kind is None:
                    data[name] = pd.array(cells, dtype=pd.ArrowDtype(cells.type))
                else:
                    data[name] = _parse_column(cells, kind, CELL_PARSERS[kind], (name, start, path))
            yield pd.DataFrame(data, index=pd.RangeIndex(start, start + count))
            start += count


def read_rows(
    path: Path, types: Mapping[str, type], columns: Collection[str]
) -> Iterator[dict[str, Any]]:
    """Read rows of a csv table one by one, without pandas, which takes long to be imported.

    Parameters and errors are those of ``load_table``; all columns have a type.

    Yields
    ------
    dict
        Values by column name, None where one is unknown.
    """
    start = 0
    with _explain_bad_table(path):
        for count, block in _read_csv_texts(path, columns, ROWS_AT_ONCE):
            parsed = [
                _parse_cells(cells, CELL_PARSERS[types[name]], (name, start, path))
                for name, cells in block.items()
            ]
            for values in zip(*parsed, strict=True):
                yield dict(zip(block, values, strict=True))
            start += count


def read_column_names(path: Path) -> list[str]:
    """Names of the columns of a table; errors are those of ``load_table``."""
    with _explain_bad_table(path):
        if _is_parquet(path):
            import pyarrow.parquet as pq  # noqa: PLC0415

            with path.open("rb") as opened:
                return list(map(str, pq.read_schema(opened).names))
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(map(unescape_formula, next(csv.reader(file), [])))


def _is_parquet(path: Path) -> bool:
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise SourceError(f"{path}: a table must end in .csv or .parquet")
    return path.suffix.lower() == PARQUET


@contextmanager
def _explain_bad_table(path: Path) -> Iterator[None]:
    """Raise a SourceError that names the table."""
    try:
        yield
    except SourceError:
        raise
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: cannot be read: it is not text in UTF-8") from error
    except MemoryError as error:
        raise SourceError(f"{path}: there is not enough memory for it") from error
    except Exception as error:  # pyarrow and pandas raise nearly anything on bad bytes
        reason = explain_without_path(error).partition("\n")[0]
        raise SourceError(f"{path}: cannot be read: {make_printable(reason)}") from error


def _read_csv(path: Path, columns: Collection[str] | None, rows: int) -> Iterator[Block]:
    import pyarrow as pa  # noqa: PLC0415

    for count, block in _read_csv_texts(path, columns, rows):
        yield count, {name: pa.array(texts, pa.string()) for name, texts in block.items()}


def _read_csv_texts(
    path: Path, columns: Collection[str] | None, rows: int
) -> Iterator[tuple[int, dict[str, list[str]]]]:
    """Yield the number of some rows, and their cells by column: at least once, maybe of no row."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        # A polygon may be longer than csv allows; no cell is longer than its file.
        csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL))
        reader = csv.reader(file, strict=True)
        header = list(map(unescape_formula, next(reader, [])))
        require_column_names(header)
        wanted = {n: i for i, n in enumerate(header) if columns is None or n in columns}
        complete = _complete_rows(reader, len(header))
        cells = list(islice(complete, rows))
        while True:
            yield (
                len(cells),
                {n: [unescape_formula(row[i]) for row in cells] for n, i in wanted.items()},
            )
            cells = list(islice(complete, rows))
            if not cells:
                return


def _complete_rows(reader: Iterator[list[str]], width: int) -> Iterator[list[str]]:
    """Rows of a csv file, without blank lines."""
    for number, row in enumerate((row for row in reader if row), 1):
        if len(row) != width:
            raise ValueError(f"row {number} has {len(row)} cells instead of {width}")
        yield row


def _parse_column(
    cells: pa.Array, kind: type, parse: Callable[[Any], Any], where: tuple[str, int, Path]
) -> Any:  # noqa: ANN401
    """Cells as a column in the dtype of a type; each distinct value is parsed once.

    ``where`` is the name of the column, the number of rows before, and the table, for messages.
    """
    import pandas as pd  # noqa: PLC0415
    import pyarrow as pa  # noqa: PLC0415

    name, start, path = where
    if pa.types.is_nested(cells.type):
        noun = "struct" if pa.types.is_struct(cells.type) else "list"
        expected = {str: "text", bool: "true or false"}.get(kind, "numbers")
        raise SourceError(f"{path}: column {name} has a {noun} in each row; expected {expected}")
    encoded = cells.dictionary_encode()
    parsed: list[Any] = []
    for code, cell in enumerate(encoded.dictionary.to_pylist()):
        try:
            parsed.append(_parse_cell(cell, parse))
        except BAD_CELL:
            number = start + encoded.indices.index(code).as_py() + 1
            raise _make_cell_error(cell, number, name, path) from None
    column = pa.array(parsed, arrow_type(kind)).take(encoded.indices)
    if kind is float:
        return column.to_numpy(zero_copy_only=False)
    return pd.api.types.pandas_dtype(COLUMN_DTYPES[kind]).__from_arrow__(column)


def _parse_cells(
    cells: Sequence[str], parse: Callable[[Any], Any], where: tuple[str, int, Path]
) -> list[Any]:
    """Cells of a csv table as values, as ``_parse_column``; each distinct one is parsed once."""
    name, start, path = where
    parsed: dict[str, Any] = {}
    for cell in dict.fromkeys(cells):
        try:
            parsed[cell] = _parse_cell(cell, parse)
        except BAD_CELL:
            number = start + cells.index(cell) + 1
            raise _make_cell_error(cell, number, name, path) from None
    return [parsed[cell] for cell in cells]


def _parse_cell(cell: Any, parse: Callable[[Any], Any]) -> Any:  # noqa: ANN401  # any cell
    is_known = cell is not None and cell != "" and cell == cell  # noqa: PLR0124  # a NaN is not
    return parse(cell) if is_known else None


def _make_cell_error(cell: object, number: int, name: str, path: Path) -> SourceError:
    return SourceError(f"row {number} of {path}: {name} is {cell!r:.{MAX_SHOWN}}")


def fits_column(value: object, kind: type) -> bool:
    """Whether a column of one of ``COLUMN_DTYPES`` holds a value as it is."""
    if kind in INTEGER_RANGES:
        lowest, end = INTEGER_RANGES[kind]
        return isinstance(value, int) and not isinstance(value, bool) and lowest <= value < end
    return isinstance(value, kind) or (kind is float and type(value) is int)


def arrow_type(kind: type) -> pa.DataType:
    """The type in Arrow and parquet of a column of one of ``COLUMN_DTYPES``."""
    import pyarrow as pa  # noqa: PLC0415

    types = {
        str: pa.string(),
        int: pa.int64(),
        Unsigned: pa.uint64(),
        float: pa.float64(),
        bool: pa.bool_(),
    }
    return types[kind]


def _parse_text(cell: object) -> str:
    """Text; a float is refused, as other programs may have taken a UID for one."""
    if isinstance(cell, float | bytes):
        raise TypeError
    return str(cell)


def _parse_integer(cell: Any, kind: type = int) -> int:  # noqa: ANN401  # any cell
    """An integer of a column's type, also as 0.0, which other programs write beside gaps."""
    if isinstance(cell, bool):
        raise TypeError
    try:
        number = int(cell) if isinstance(cell, str | int) else float(cell)
    except ValueError:
        number = float(cell)
    lowest, end = INTEGER_RANGES[kind]
    is_exact = not isinstance(number, float) or abs(number) < EXACT_FLOAT_END
    if number != int(number) or not is_exact or not lowest <= number < end:
        raise ValueError
    return int(number)


def parse_truth(cell: object) -> bool:
    """Read a truth value, also as 0 and 1, which other programs write; others are a KeyError."""
    return TRUTHS[str(cell).lower()]


CELL_PARSERS: dict[type, Callable[[Any], Any]] = {
    str: _parse_text,
    int: _parse_integer,
    Unsigned: partial(_parse_integer, kind=Unsigned),
    float: float,
    bool: parse_truth,
}


def as_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as Python values by column name, None where a value is unknown."""
    columns = [table[name].astype(object) for name in table.columns]
    values = [column.where(column.notna(), None).tolist() for column in columns]
    names = list(table.columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
