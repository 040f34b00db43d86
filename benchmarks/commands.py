"""What one more image costs through the command, and through the reference program.

Time of a run over many images minus that over few, so that start-up is left out. Programs take
turns, pass by pass; figures are medians of the passes.
"""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import floors
import images
import startup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    Program = Callable[[Path], "Used"]
    """Runs on a source, and gives what it took."""

CORES = 2
FEW = 2
"""Images of the short run: as many as cores, so that all are busy in both runs."""

REFERENCE = "reference"
REFERENCE_OPTIONS = ("--crop", "--crop-max", "--size", "384,512")
"""``images.LIKE_SETTINGS`` in the words of the reference program."""

ENVIRONMENT = startup.ENVIRONMENT | {"RAYON_NUM_THREADS": str(CORES)}
"""The reference program has a thread for each core, unless this says how many."""


@dataclass(frozen=True)
class Used:
    """CPU time of a process and its children, and wall time, ms."""

    cpu: float
    wall: float


@dataclass(frozen=True)
class CommandCost:
    """A row of the table: ms an image.

    ``cpu_ms`` is CPU time of `dicom-preprocess -j 1`; the others are wall time on two cores, None
    without the reference program, or where it did not write all images.
    """

    row: str
    images: int
    cpu_ms: float
    floor_ms: float
    wall_ms: float | None = None
    reference_ms: float | None = None

    @property
    def ratio(self) -> float:
        """How often the floor would fit in."""
        return self.cpu_ms / self.floor_ms

    @property
    def reference_ratio(self) -> float | None:
        """Time of the reference program over that of the command."""
        if self.wall_ms is None or self.reference_ms is None:
            return None
        return self.reference_ms / self.wall_ms

    def record(self) -> dict[str, object]:
        """All figures, for JSON."""
        return asdict(self) | {"ratio": self.ratio, "reference_ratio": self.reference_ratio}


def own_command(source: Path, output: Path, *, jobs: int) -> list[str]:
    """Words that run `dicom-preprocess`."""
    words = [*startup.command("dicom-preprocess"), str(source), str(output)]
    return [*words, "-j", str(jobs), "-q", *images.LIKE_SETTINGS]


def reference_command(program: Path, source: Path, output: Path) -> list[str]:
    """Words that run the reference program."""
    return [str(program), *REFERENCE_OPTIONS, str(source), str(output)]


def measure(
    cost: images.ImageCost, folder: Path, *, reference: Path | None, passes: int
) -> CommandCost:
    """Measure the files of a row in ``folder``: the command on one core, both programs on two."""
    files, output, counts = images.files_in(folder / "source"), folder / "images", {}
    for count in (len(files), FEW):
        path = folder / f"{count}.txt"
        path.write_text("".join(f"{file}\n" for file in files[:count]))
        counts[path] = count
    programs: dict[str, Program] = {
        "one core": lambda source: run(
            own_command(source, output, jobs=1), output, images=counts[source]
        )
    }
    if reference is not None:
        programs["two cores"] = lambda source: run(
            own_command(source, output, jobs=CORES), output, images=counts[source]
        )
        programs[REFERENCE] = lambda source: run(
            reference_command(reference, source, output), output, images=counts[source]
        )
    found = in_turn(programs, list(counts), passes)
    more = len(files) - FEW
    used = {name: marginal(*by_source, images=more) for name, by_source in found.items()}
    return CommandCost(
        row=cost.row,
        images=len(files),
        cpu_ms=used["one core"].cpu,
        floor_ms=cost.shares.floor_ms,
        wall_ms=used["two cores"].wall if "two cores" in used else None,
        reference_ms=used[REFERENCE].wall if REFERENCE in used else None,
    )


def run(words: Sequence[str], output: Path, *, images: int) -> Used:
    """Run a program that writes so many TIFFs to a folder, which is put aside afterwards.

    Raises
    ------
    RuntimeError
        It failed, or wrote fewer.
    """
    used = Used(*startup.time_of(words, ENVIRONMENT))
    require_images(output, images)
    floors.put_aside(output)
    return used


def require_images(folder: Path, images: int) -> None:
    """Raise a RuntimeError unless so many TIFFs are below a folder."""
    written = sum(1 for _ in folder.rglob("*.tif*"))
    if written != images:
        raise RuntimeError(f"{folder}: {written} of {images} images were written")


def in_turn(
    programs: Mapping[str, Program], sources: Sequence[Path], passes: int
) -> dict[str, list[list[Used]]]:
    """What each program took for each source, by pass.

    Without the reference program where it does not write all images: then its time says nothing.
    """
    found: dict[str, list[list[Used]]] = defaultdict(lambda: [[] for _ in sources])
    left = dict(programs)
    for _ in range(passes):
        for name, program in list(left.items()):
            try:
                for number, source in enumerate(sources):
                    found[name][number].append(program(source))
            except RuntimeError as error:
                if name != REFERENCE:
                    raise
                print(f"left out: {error}", file=sys.stderr)
                del left[name]
    return {name: found[name] for name in left}


def marginal(many: Sequence[Used], few: Sequence[Used], *, images: int) -> Used:
    """What each of the ``images`` that few runs lack took: medians of the passes."""
    pairs = list(zip(many, few, strict=True))
    cpu = statistics.median(long.cpu - short.cpu for long, short in pairs)
    wall = statistics.median(long.wall - short.wall for long, short in pairs)
    return Used(cpu / images, wall / images)


def table(rows: Sequence[CommandCost]) -> Iterator[str]:
    """The rows as text."""
    yield (
        f"{'through the command':<20}{'images':>8}{'ms':>9}{'x floor':>8}"
        f"{'2 cores':>9}{'reference':>11}{'ratio':>7}"
    )
    for m in rows:
        own = f"{m.row:<20}{m.images:>8}{m.cpu_ms:>9.2f}{m.ratio:>8.2f}"
        yield f"{own}{cell(m.wall_ms, 9)}{cell(m.reference_ms, 11)}{cell(m.reference_ratio, 7)}"


def cell(value: float | None, width: int) -> str:
    """A figure of a table, or a dash."""
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.2f}"
