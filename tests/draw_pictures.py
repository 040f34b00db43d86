"""Draw the pictures of docs/volumes.md: python -m tests.draw_pictures [FOLDER], make pictures.

A made chest is scanned to DICOM files, dicom-preprocess makes volumes of them, and their pages are
shown from the front, each where it lies. The same pictures at each call.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tifffile
from PIL import Image, ImageDraw, ImageFont

from dicom_preprocessing import geometry_of_tiff
from dicom_preprocessing.cli.preprocess import main as preprocess
from tests.conftest import CHECKOUT
from tests.unit.datasets import data_set_of, save

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SIDE, PIXEL = 128, 3.0
"""Pixels of a slice along each side, and their size in mm."""
SCALE = 0.75
"""Pixels of a picture per mm."""
TOP = 264
"""Height of the chest in mm."""
BALL = (-75, 0, 190, 32)
"""x, y, z and radius of a ball in mm."""
INK, PAPER, MARK, VOID = (20, 20, 20), (255, 255, 255), (255, 190, 0), (70, 90, 140)
FONT = ImageFont.load_default(15)


def chest(x: NDArray[Any], y: NDArray[Any], z: NDArray[Any]) -> NDArray[Any]:
    """Hounsfield units of a chest at points in mm, of any shape."""
    rise = z / TOP
    width = 120 + 40 * np.sin(np.pi * np.clip(rise * 1.1, 0, 1))
    values = np.where((x / width) ** 2 + (y / 105) ** 2 < 1, 30, -1000)
    for middle in (-75, 75):
        lung = ((x - middle) / 58) ** 2 + (y / 80) ** 2 + ((z - 105) / 145) ** 2 < 1
        values = np.where(lung & (z > 25), -850, values)
    ribs = (np.abs(((x / (width - 12)) ** 2 + (y / 93) ** 2) - 1) < 0.1) & (z % 30 < 11)
    values = np.where(ribs, 500, values)
    values = np.where(((x - 20) / 55) ** 2 + (y / 50) ** 2 + ((z - 70) / 50) ** 2 < 1, 60, values)
    values = np.where((np.abs(x) < 17) & (y > -20) & (z % 24 < 20), 350, values)
    ball = np.hypot(np.hypot(x - BALL[0], y - BALL[1]), z - BALL[2])
    return np.where(ball < BALL[3], 200, values).astype(np.int16)


def scan(folder: Path, distances: Sequence[float], *, with_scout: bool = False) -> Path:
    """Write slices at distances in mm, and a sagittal scout if asked for."""
    folder.mkdir()
    along = (np.arange(SIDE) - (SIDE - 1) / 2) * PIXEL
    first = along[0]
    for number, z in enumerate(distances, 1):
        pixels = chest(along[np.newaxis], along[:, np.newaxis], np.array(z))
        _save_slice(folder, number, pixels, [1, 0, 0, 0, 1, 0], [first, first, z])
    if with_scout:
        pixels = chest(np.array(0), along[np.newaxis], TOP - along[:, np.newaxis] - 60)
        _save_slice(folder, 0, pixels, [0, 1, 0, 0, 0, -1], [0, first, TOP])
    return folder


def _save_slice(
    folder: Path,
    number: int,
    pixels: NDArray[Any],
    orientation: Sequence[float],
    position: Sequence[float],
) -> None:
    data_set = data_set_of(
        pixels[np.newaxis],
        Modality="CT",
        SOPInstanceUID=f"1.2.3.{number}",
        InstanceNumber=number,
        PixelSpacing=[PIXEL, PIXEL],
        ImageOrientationPatient=list(orientation),
        ImagePositionPatient=[float(value) for value in position],
    )
    save(folder / f"{number:03}.dcm", data_set)


class Slab(NamedTuple):
    """The row of pixels in the middle of a page, and where the page begins and ends in mm."""

    row: NDArray[Any]
    begin: float
    end: float


def make_volumes(source: Path, *options: str) -> list[list[Slab]]:
    """The volumes that dicom-preprocess makes of a folder, from the feet upwards."""
    arguments = ["--series", "stack", "--window", "-150,1500", "-q", *options]
    with tempfile.TemporaryDirectory() as output:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            preprocess([str(source), output, *arguments])
        volumes = [_read_slabs(path) for path in Path(output).rglob("*.tiff")]
    return sorted(volumes, key=lambda slabs: slabs[0].begin)


def _read_slabs(path: Path) -> list[Slab]:
    """Pages are as thick as the way to their neighbours, at most the usual one."""
    pages = tifffile.imread(path)
    z = [position[2] for position in geometry_of_tiff(path).page_positions or ()]
    usual = float(np.median(np.diff(z)))
    ends = [before + min((after - before) / 2, usual) for before, after in pairwise(z)]
    begins = [after - min((after - before) / 2, usual) for before, after in pairwise(z)]
    row = pages.shape[1] // 2
    edges = zip([z[0] - usual / 2, *begins], [*ends, z[-1] + usual / 2], strict=True)
    return [Slab(page[row] >> 8, *edge) for page, edge in zip(pages, edges, strict=True)]


def as_if_even(slabs: Sequence[Slab], step: float) -> list[Slab]:
    """The same pages one behind the other, whatever lies between them."""
    first = slabs[0].begin
    return [Slab(s.row, first + i * step, first + (i + 1) * step) for i, s in enumerate(slabs)]


class Panel:
    """A view from the front with a title above and lines of text below."""

    WIDTH, HEIGHT = round(SIDE * PIXEL * SCALE), round((TOP + 12) * SCALE)
    TITLE, LINE = 26, 19

    def __init__(self, title: str, *lines: str) -> None:
        height = self.TITLE + self.HEIGHT + 6 + self.LINE * len(lines)
        self.image = Image.new("RGB", (self.WIDTH, height), PAPER)
        self.draw = ImageDraw.Draw(self.image)
        self.draw.text((0, 4), title, INK, FONT)
        below = self.TITLE + self.HEIGHT
        self.draw.rectangle((0, self.TITLE, self.WIDTH - 1, below - 1), VOID)
        for number, line in enumerate(lines):
            self.draw.text((0, below + 4 + number * self.LINE), line, INK, FONT)

    def y_of(self, z: float) -> int:
        """Where a height in mm is drawn."""
        return self.TITLE + self.HEIGHT - round((z + 6) * SCALE)

    def x_of(self, x: float) -> int:
        """Where a place across the chest in mm is drawn."""
        return round((x + SIDE * PIXEL / 2) * SCALE)

    def show(self, slabs: Sequence[Slab], *, are_apart: bool = False) -> Panel:
        """Draw pages at their places, with a line between them if they are apart."""
        for slab in slabs:
            top, bottom = self.y_of(slab.end), self.y_of(slab.begin)
            strip = Image.fromarray(slab.row[np.newaxis].astype(np.uint8))
            height = max(1, bottom - top - are_apart)
            strip = strip.resize((self.WIDTH, height), Image.Resampling.BILINEAR)
            self.image.paste(strip, (0, top))
        return self

    def frame(self, slabs: Sequence[Slab]) -> Panel:
        """Draw a frame around a volume."""
        top, bottom = self.y_of(slabs[-1].end), self.y_of(slabs[0].begin)
        self.draw.rectangle((0, top, self.WIDTH - 1, bottom - 1), outline=MARK, width=2)
        return self

    def mark_scout(self) -> Panel:
        """Draw a plane from head to feet as a line."""
        middle = self.x_of(0)
        for y in range(self.TITLE, self.TITLE + self.HEIGHT, 12):
            self.draw.line((middle, y, middle, y + 6), MARK, 2)
        return self

    def mark_ball(self) -> Panel:
        """Draw the circle that the ball is."""
        x, _, z, radius = BALL
        corners = (self.x_of(x - radius), self.y_of(z + radius))
        self.draw.ellipse((*corners, self.x_of(x + radius), self.y_of(z - radius)), None, MARK, 2)
        return self


def join(panels: Sequence[Panel], path: Path) -> None:
    """Write panels side by side."""
    gap = 16
    width = sum(panel.image.width for panel in panels) + gap * (len(panels) + 1)
    picture = Image.new("RGB", (width, max(p.image.height for p in panels) + gap), PAPER)
    left = gap
    for panel in panels:
        picture.paste(panel.image, (left, gap // 2))
        left += panel.image.width + gap
    picture.quantize(64, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        path, optimize=True
    )


def draw_gap(folder: Path, scratch: Path) -> None:
    """A series with a scout and a gap, and what the policies make of it."""
    distances = [z for z in range(0, TOP, 6) if not 96 <= z < 132]
    source = scan(scratch / "gap", distances, with_scout=True)
    ((*warned,),) = make_volumes(source, "--stack", "gap=warn")
    split = make_volumes(source, "--stack", "gap=split")
    (resampled,) = make_volumes(source, "--stack", "gap=warn", "--spacing", "3,3,6")
    count = len(distances)
    found = Panel(f"{count + 1} files", f"{count} slices, and 6 are missing;", "dashed: a scout")
    parts = Panel("gap: split", "two volumes, each without a gap;", "the scout is dropped")
    for volume in split:
        parts.show(volume).frame(volume)
    join(
        [
            found.show(warned, are_apart=True).mark_scout(),
            parts,
            Panel("gap: warn, z of spacing", "one volume; what was not scanned", "is invented")
            .show(resampled)
            .frame(resampled),
        ],
        folder / "stack-gap.png",
    )


def draw_uneven(folder: Path, scratch: Path) -> None:
    """A series of two steps, by positions and as if it were even."""
    distances = [*range(0, 132, 4), *np.arange(132, TOP, 7).tolist()]
    source = scan(scratch / "uneven", distances)
    (pages,) = make_volumes(source)
    (resampled,) = make_volumes(source, "--spacing", "3,3,4")
    height = 2 * BALL[3]
    flat = round(height * 4 / 7)
    join(
        [
            Panel(f"{len(distances)} slices", "4 mm apart below, 7 mm above;", "circle: the ball")
            .show(pages, are_apart=True)
            .mark_ball(),
            Panel("z of spacing: 4 mm", f"by positions: the ball is {height} mm", "high and wide")
            .show(resampled)
            .frame(resampled)
            .mark_ball(),
            Panel("as if even", f"wrong: it is {flat} mm high,", "and lower than it was").show(
                as_if_even(pages, 4)
            ),
        ],
        folder / "stack-uneven.png",
    )


def main() -> None:
    """Draw all pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else CHECKOUT / "docs" / "images"
    with tempfile.TemporaryDirectory() as scratch:
        draw_gap(folder, Path(scratch))
        draw_uneven(folder, Path(scratch))


if __name__ == "__main__":
    main()
