"""What of the time of an image is which part, and the least that it could take.

Start-up is left out: everything is imported before the first pass, and images are processed one
after the other in this process, as one worker of `dicom-preprocess` does. In each pass every part
runs over the same files, and the whole over them too; figures are medians of the passes.

The floor of an image is the time of three libraries and nothing else: bare reading of its pixel
bytes, or its codec on its streams; the product with the weights of the resize, which are made
before, in float64 and by bands as in the product; and PackBits by imagecodecs of all rows of the
finished pixels, of which the product packs blank ones at the edges once.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import imagecodecs
import numpy as np

from dicom_preprocessing.decode.codecs.registry import decode_stream
from dicom_preprocessing.decode.codecs.runner import IMAGE_WARNINGS, RESOLUTION_LEVEL
from dicom_preprocessing.decode.fragments import find_frame_fragments
from dicom_preprocessing.decode.pixel_format import read_pixel_format
from dicom_preprocessing.decode.pixels import decoder_options, stored_frames
from dicom_preprocessing.decode.reduced_resolution import reduce_codestream
from dicom_preprocessing.decode.stage import DecodeSettings, decode_opened, make_values
from dicom_preprocessing.decode.streams.jpeg_2000 import codestream_of
from dicom_preprocessing.dicom import reading
from dicom_preprocessing.dicom.header_pattern import HeaderPatterns
from dicom_preprocessing.dicom.reading import open_image
from dicom_preprocessing.dicom.transfer_syntaxes import NATIVE
from dicom_preprocessing.image_warnings import ImageWarnings
from dicom_preprocessing.imaging.crop import crop
from dicom_preprocessing.imaging.geometry import Size
from dicom_preprocessing.imaging.resize import (
    Passes,
    kernel_bands,
    kernel_weights,
    resize,
    sample_grids,
)
from dicom_preprocessing.imaging.sampling import halve
from dicom_preprocessing.processing.instance import process_instance, run_stages
from dicom_preprocessing.processing.timing import StageTimer
from dicom_preprocessing.tiff.writer import write_tiff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from dicom_preprocessing.decode.pixel_format import PixelFormat
    from dicom_preprocessing.dicom.description import Description
    from dicom_preprocessing.dicom.pixel_data import PixelData
    from dicom_preprocessing.imaging.image import Image
    from dicom_preprocessing.index.table import InventoryEntry
    from dicom_preprocessing.processing.instance import OutputSpec

    Work = Callable[[], object]
    Group = Sequence[InventoryEntry]

BATCH_BYTES = 256 << 20
"""Of stored pixels that are held in memory."""


@dataclass(frozen=True)
class Shares:
    """CPU time of an image, ms: all, the floor, and the parts of all.

    ``codec_ms`` is bare reading where pixels are not compressed. ``pixels_ms`` is windows, crop,
    resize and pad; ``tiff_ms`` compressing and writing; ``snakemake_ms`` what the workflow takes
    more than the command.
    """

    total_ms: float
    floor_ms: float
    codec_ms: float
    pixels_ms: float
    header_ms: float
    tiff_ms: float
    snakemake_ms: float = 0.0

    @property
    def ratio(self) -> float:
        """How often the floor would fit in."""
        return self.total_ms / self.floor_ms

    @property
    def rest_ms(self) -> float:
        """What no part explains: Python around them, and checks of stored values."""
        known = self.codec_ms + self.pixels_ms + self.header_ms + self.tiff_ms
        return self.total_ms - known - self.snakemake_ms

    def record(self) -> dict[str, float]:
        """All figures, for JSON."""
        return asdict(self) | {"ratio": self.ratio, "rest_ms": self.rest_ms}

    def cells(self) -> str:
        """The figures as text, below those of ``HEAD``."""
        return (
            f"{self.total_ms:>9.2f}{self.floor_ms:>9.2f}{self.ratio:>8.2f}{self.codec_ms:>9.2f}"
            f"{self.pixels_ms:>9.2f}{self.header_ms:>9.2f}{self.tiff_ms:>9.2f}{self.rest_ms:>9.2f}"
        )


HEAD = "{:>9}{:>9}{:>8}{:>9}{:>9}{:>9}{:>9}{:>9}".format(
    "ms", "floor ms", "x floor", "codec", "pixels", "header", "TIFF", "rest"
)


class Parts(NamedTuple):
    """What is measured of an image, by name, and the pixels that it starts from."""

    works: dict[str, Work]
    pixels: tuple[NDArray[Any], ...]

    def seconds_of(self, name: str) -> float:
        """Seconds of CPU time of a part, whose input is in the cache as its predecessor left it."""
        for array in self.pixels:
            array.max()
        return cpu_of(self.works[name])


def measure(groups: Sequence[Group], target: OutputSpec, *, passes: int) -> Shares:
    """Measure images of one file each; the first pass is not counted."""
    seconds: dict[str, float] = defaultdict(float)
    for batch in batches(groups, BATCH_BYTES):
        parts = [parts_of(group, target) for group in batch]
        for name, found in in_turn(parts, target.root, 1 + passes).items():
            seconds[name] += statistics.median(found[1:])
    return Shares(**{f"{name}_ms": 1000 * s / len(groups) for name, s in seconds.items()})


def batches(groups: Sequence[Group], limit: int) -> Iterator[list[Group]]:
    """Cut groups where their stored pixels would exceed ``limit`` bytes."""
    batch: list[Group] = []
    held = 0
    for group in groups:
        size = stored_bytes(Path(group[0].path))
        if batch and held + size > limit:
            yield batch
            batch, held = [], 0
        batch.append(group)
        held += size
    if batch:
        yield batch


def in_turn(parts: Sequence[Parts], root: Path, passes: int) -> dict[str, list[float]]:
    """Seconds of CPU time of each part over all files, by pass; they write below ``root``."""
    seconds = defaultdict(list)
    for _ in range(passes):
        root.mkdir(parents=True)
        for name in parts[0].works:
            reading.PATTERNS = HeaderPatterns()  # a header is not known because of another part
            seconds[name].append(sum(part.seconds_of(name) for part in parts))
        put_aside(root)  # replacing a file costs more than making one
    return seconds


def put_aside(folder: Path) -> None:
    """Give a folder another name, until the benchmark removes all that it has made.

    Files take longer to be made soon after others were removed: ext4 looks for an inode that was
    not in use a moment ago.
    """
    folder.rename(folder.with_name(f"{folder.name}.{time.time_ns()}"))


def cpu_of(work: Work) -> float:
    """Seconds of CPU time, all threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


def opened(path: Path) -> tuple[Description, PixelFormat, PixelData]:
    """Description, format and pixel data of a file."""
    description, pixel_data = open_image(path)
    if pixel_data is None:
        raise SystemExit(f"{path} has no pixel data")
    return (
        description,
        read_pixel_format(description, pixel_data.keyword, ImageWarnings()),
        pixel_data,
    )


def stored_bytes(path: Path) -> int:
    """Bytes of the decoded frames of a file."""
    _, layout, _ = opened(path)
    pixels = layout.rows * layout.columns * layout.number_of_frames
    return pixels * layout.samples_per_pixel * layout.dtype.itemsize


def parts_of(group: Group, target: OutputSpec) -> Parts:
    """The product, the floor and each part, for the one file of a group."""
    (entry,) = group
    path, recipe = Path(entry.path), target.recipe
    description, pixel_format, pixel_data = opened(path)
    settings = DecodeSettings(**recipe.settings["decode"])
    decoded = _without_second_decode(
        decode_opened(description, pixel_data, **recipe.settings["decode"])
    )
    level = decoded.source_info.resolution_level
    stored = np.asarray(
        stored_frames(description, pixel_format, pixel_data, ImageWarnings(), level)
    )

    def prepare() -> Image:
        values = make_values(description, pixel_format, stored, ImageWarnings(), settings)
        return replace(decoded, frames=values.frames, lookup=values.lookup)

    def process() -> Image:
        image = run_stages(prepare(), recipe, "decode", StageTimer({}))
        return _in_memory(image.to_display_values())

    finished = process()
    cropped = _in_memory(crop(prepare(), **recipe.settings["crop"]))
    resized = resize(cropped, **recipe.settings["resize"])
    read = codec_only(path, cropped.source_info.resolution_level)
    scale = resize_only(cropped, resized.size, recipe.settings["resize"]["filter"])
    frames = list(map(np.ascontiguousarray, finished.frames))
    compressor = recipe.settings["write"]["compressor"]
    written = target.root / f"{entry.sop_instance_uid}.tiff"
    works: dict[str, Work] = {
        "total": lambda: _require_written(group, target),
        "floor": lambda: (read(), scale(), pack(frames)),
        "codec": read,
        "pixels": process,
        "header": lambda: open_image(path),
        "tiff": lambda: write_tiff(written, finished, compressor=compressor, recipe=recipe),
    }
    return Parts(works, (stored, *frames))


def _require_written(group: Group, target: OutputSpec) -> None:
    (receipt,) = process_instance(group, target)
    if not receipt.is_written:
        raise SystemExit(f"{receipt.source_path}: {receipt.message}")


def pack(frames: Sequence[NDArray[Any]]) -> list[bytes]:
    """PackBits of the rows of frames (rows, columns, samples)."""
    return [imagecodecs.packbits_encode(frame, axis=-2) for frame in frames]


def _in_memory(image: Image) -> Image:
    return replace(image, frames=np.asarray(image.frames))


def _without_second_decode(image: Image) -> Image:
    """An image whose crop decodes another level once only: that is the codec's time."""
    if image.reduction is None:
        return image

    @cache
    def decode_at_level(level: int) -> Image:
        return _in_memory(image.reduction.decode_at_level(level))

    return replace(image, reduction=replace(image.reduction, decode_at_level=decode_at_level))


def codec_only(path: Path, level: int = 0) -> Work:
    """The decoder alone on the streams of a file, in memory; or bare reading of native pixels.

    ``level`` is how often width and height are halved (fast_decode).
    """
    description, layout, pixel_data = opened(path)
    syntax, n = description.transfer_syntax_uid, layout.number_of_frames
    if syntax in NATIVE:
        return partial(_read_bare, path, pixel_data.value.offset, layout.native_bytes // n, n)
    size = halve(Size(layout.columns, layout.rows), level)
    options = decoder_options(description, layout) | {
        "rows": size.height,
        "columns": size.width,
        RESOLUTION_LEVEL: level,
        IMAGE_WARNINGS: ImageWarnings(),
    }
    frames = find_frame_fragments(pixel_data, description, n, ImageWarnings())
    streams = list(map(pixel_data.stream, frames))
    if level:
        streams = [reduce_codestream(codestream_of(stream), level) for stream in streams]

    def work() -> None:
        for stream in streams:
            decode_stream(stream, syntax, options)

    return work


def _read_bare(path: Path, offset: int, frame_bytes: int, frames: int) -> None:
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        for _ in range(frames):
            file.read(frame_bytes)


def resize_only(image: Image, size: Size, kernel: str) -> Work:
    """The product with the weights, to float64 and back; without look-up table or background.

    It returns the last frame.
    """
    frames = np.asarray(image.frames)
    y, x = sample_grids(image)
    _, _, columns, samples = frames.shape
    horizontal = kernel_weights(x, size.width, kernel)
    bands = kernel_bands(y, columns * samples, size.height, kernel)
    passes = [Passes(band, horizontal) for band in bands]
    out = np.empty((size.height, size.width, samples), frames.dtype)

    def work() -> NDArray[Any]:
        for frame in frames:
            _scale(frame, passes, out)
        return out

    return work


def _scale(frame: NDArray[Any], passes: Sequence[Passes], out: NDArray[Any]) -> None:
    for both in passes:
        band = both.vertical
        scaled = both.scale(frame[band.first : band.end].astype(np.float64))
        np.rint(scaled, out=scaled)
        for sample in range(out.shape[2]):
            out[band.top : band.bottom, :, sample] = scaled[:, sample].T
