"""Tables of images and boxes, csv and parquet, and changes that no writer would make."""

import datetime as dt
import decimal
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CELLS = ("", "../x.tiff", "../../x.tiff", "/etc/passwd", "1.2/../../x", ".", "..", "/", "a\0b", "~")
CELLS += ("nan", "inf", "-inf", "1e400", "-1", "0", str(10**30), str(2**63), "=1+1", "1_0", "true")
CELLS += ("x" * 5000, "y" * 200_000, "1.2/" * 3000, "é\u2028\r\n", "\ufeff", "manifest.csv/a.tiff")
HEADERS = ("path", "", "PATH", "position", "mapped_left", "left", "sop_instance_uid", "x")
ODD = (
    pa.array([[1], None, []], pa.list_(pa.int64())),
    pa.array([{"a": 1}, None, {}], pa.struct([("a", pa.int64())])),
    pa.array([decimal.Decimal("1e30"), None, decimal.Decimal(0)], pa.decimal128(38, 2)),
    pa.array([2**62, None, -(2**62)], pa.int64()).cast(pa.timestamp("us")),
    pa.array([2**31 - 1, None, 0], pa.int32()).cast(pa.date32()),
    pa.array([dt.timedelta(1), None, dt.timedelta(0)]),
    pa.array([b"\xff\xfe", None, b""], pa.binary()),
    pa.array(["a", None, "../b"]).dictionary_encode(),
    pa.nulls(3),
    pa.array([True, None, False]),
    pa.array([float("nan"), float("inf"), -0.0]),
    pa.array([2**64 - 1, None, 0], pa.uint64()),
    pa.array(["1.2/good.tiff", "../x", "/etc/passwd"], pa.large_string()),
    pa.array([1.5, None, 0], pa.float32()).cast(pa.float16()),
)


def mutate_table(rows, random):
    """Name and content of a table with something odd; ``rows`` are those of a sound one."""
    if random.random() < 0.5:
        return "manifest.csv", mutate_csv(rows, random)
    return "manifest.parquet", mutate_parquet(rows, random)


def mutate_csv(rows, random):
    """A csv table with odd cells, names, bytes or encodings."""
    cells = [list(rows[0]), *([str(row[name]) for name in rows[0]] for row in rows)]
    for _ in range(random.choice((0, 1, 1, 2, 5))):
        row = random.randrange(len(cells))
        choice = random.choice(HEADERS if row == 0 and random.random() < 0.9 else CELLS)
        cells[row][random.randrange(len(cells[row]))] = choice
    if random.random() < 0.1:
        random.choice(cells).append("more")
    quote = random.choice(('"', '"', '"', ""))
    lines = (",".join(f"{quote}{cell}{quote}" for cell in row) for row in cells)
    text = random.choice(("\n", "\n", "\r\n", "\r")).join(lines)
    encoding = random.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"))
    return damage(text.encode(encoding, "replace"), random)


def mutate_parquet(rows, random):
    """A parquet table with columns of odd types, or odd bytes."""
    table = pa.Table.from_pylist(rows)
    for _ in range(random.choice((0, 1, 2, 3))):
        name, odd = random.choice(table.column_names), random.choice(ODD)
        repeated = odd.take(pa.array([n % 3 for n in range(len(table))]))
        table = table.set_column(table.column_names.index(name), name, repeated)
    if random.random() < 0.1:
        table = table.append_column("path", table.column(0))
    if random.random() < 0.1:
        table = table.slice(0, 0)
    if random.random() < 0.2:
        return damage(inflate(random), random)
    file = io.BytesIO()
    pq.write_table(table, file, compression=random.choice(("none", "snappy", "zstd")))
    return damage(file.getvalue(), random)


def inflate(random):
    """A table with a column that takes few bytes and stands for many."""
    count = random.choice((1, 3000, 100_000))
    text = "y" * random.choice((10, 100_000, 20_000_000, 140_000_000))
    cells = repeat(text, count)
    if len(text) * count < 10**8:
        cells = random.choice((cells, cells.cast(pa.string())))
    lists = pa.array([[0] * random.choice((10, 12_000_000))], pa.list_(pa.int8()))
    cells = random.choice((cells, cells, cells, lists, pa.nulls(12_000_000)))
    name = random.choice(("path", "more", "series_instance_uid", "position"))
    columns = {"path": repeat("1.2/good.tiff", len(cells)), name: cells}
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, compression="zstd", store_schema=random.random() < 0.5)
    return file.getvalue()


def repeat(text, count):
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), pa.array([text]))


def damage(content, random):
    """The content, cut or with other bytes, or, mostly, as it is."""
    changed = bytearray(content)
    kind = random.random()
    if kind < 0.1:
        del changed[random.randrange(len(changed) + 1) :]
    elif kind < 0.35:
        for _ in range(random.choice((1, 3, 20))):
            changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)
