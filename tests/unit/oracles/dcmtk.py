"""DCMTK's command line tools: stored pixels of grey images, and what is displayed of all."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom

STANDARD = "1.2.840.10008.1.2"
JPEG_LS = (f"{STANDARD}.4.80", f"{STANDARD}.4.81")
DECODERS = {
    **dict.fromkeys((STANDARD, *(f"{STANDARD}.{n}" for n in ("1", "1.99", "2"))), "dcmconv"),
    **dict.fromkeys((f"{STANDARD}.4.{n}" for n in (50, 51, 53, 55, 57, 70)), "dcmdjpeg"),
    **dict.fromkeys(JPEG_LS, "dcmdjpls"),
    f"{STANDARD}.5": "dcmdrle",
}
"""Tools that write a file with native pixels, by transfer syntax; none reads JPEG 2000."""

SECONDS = 20

is_installed = all(map(shutil.which, {*DECODERS.values(), "dcmj2pnm", "dcml2pnm"}))


def store(path, syntax, layout, folder):
    """Stored values (frames, rows, columns, 1) of a grey image, None where nothing is read."""
    tool = DECODERS.get(syntax)
    if tool is None or not layout.is_monochrome:
        return None
    native = folder / "native.dcm"
    native.unlink(missing_ok=True)
    options = ("+te",) if tool == "dcmconv" else ()
    if not _run(tool, *options, path, native) or not native.exists():
        return None
    data_set = pydicom.dcmread(native)
    if layout.keyword not in data_set:
        return None
    return _unpack(data_set[layout.keyword].value, layout)


def _unpack(value, layout):
    """Native little endian values as PS3.5 8.1.1 has them; None if they are too few."""
    shape = (layout.number_of_frames, layout.rows, layout.columns, 1)
    count = int(np.prod(shape))
    if layout.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(value, np.uint8), bitorder="little")
        return bits[:count].reshape(shape) if bits.size >= count else None
    kind = "f" if layout.is_float else "ui"[layout.is_signed]
    itemsize = layout.bits_allocated // 8
    if len(value) < count * itemsize:
        return None
    values = np.frombuffer(value, f"<{kind}{itemsize}", count).reshape(shape)
    if layout.is_float:
        return values
    up = layout.bits_allocated - 1 - layout.high_bit
    return (values << up) >> (layout.bits_allocated - layout.bits_stored)


def display(path, syntax, layout, folder, *options):
    """Values (frames, rows, columns, samples) that dcmj2pnm shows, None where nothing is read.

    8 bits if Bits Stored is at most 8, else 16.
    """
    if syntax not in DECODERS:
        return None
    tool = "dcml2pnm" if syntax in JPEG_LS else "dcmj2pnm"
    for old in folder.glob("shown.*"):
        old.unlink()
    depth = ("--write-raw-pnm",) if layout.bits_stored <= 8 else ("+opn", "16")
    # No overlays: they are no part of the image.
    if not _run(tool, "-O", "+Fa", *depth, *options, path, folder / "shown"):
        return None
    names = [folder / f"shown.{i}{end}" for i in range(layout.number_of_frames) for end in ENDS]
    frames = [_read_pnm(name) for name in names if name.exists()]
    return np.stack(frames) if len(frames) == layout.number_of_frames else None


ENDS = (".pgm", ".ppm")


def _read_pnm(path):
    content = Path(path).read_bytes()
    kind, columns, rows, *_ = content[:100].split()
    shape = int(rows), int(columns), 3 if kind in (b"P3", b"P6") else 1
    count = int(np.prod(shape))
    if kind in (b"P5", b"P6"):
        return np.frombuffer(content, np.uint8, count, len(content) - count).reshape(shape)
    return np.array(content.split()[-count:], np.uint16).reshape(shape)


def _run(tool, *arguments):
    command = [tool, "-q", *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
