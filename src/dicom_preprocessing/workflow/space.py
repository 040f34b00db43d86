"""Free space, before a run needs it. Standard library only: the Snakefile imports it."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from dicom_preprocessing.config import STAGES
from dicom_preprocessing.text import find_free_bytes, format_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from dicom_preprocessing.config import Config
    from dicom_preprocessing.index.table import PixelCounts, Study


def warn_of_little_space(
    config: Config, output: str, counts: PixelCounts, share: float
) -> Iterator[str]:
    """Yield warnings where less is free than a run may write.

    Parameters
    ----------
    config : Config
    output : str
        Folder of the results.
    counts : PixelCounts
        Of all studies.
    share : float
        How much of them is to be written, 0 to 1.
    """
    needed, free = int(estimate_output_bytes(config, counts) * share), find_free_bytes(output)
    if free is not None and free < needed:
        yield (
            f"the images may take up to {format_bytes(needed)} uncompressed, and "
            f"{format_bytes(free)} are free in {output}: if the disk becomes full, jobs fail, and "
            "the same command goes on once there is room"
        )
    folder = tempfile.gettempdir()
    free = find_free_bytes(folder)
    if share and config.crop and free is not None and free < counts.largest:
        yield (
            f"frames of one image may take {format_bytes(counts.largest)} in temporary files, and "
            f"{format_bytes(free)} are free in {folder}: those that find no room are decoded "
            "twice. TMPDIR sets another folder"
        )


def estimate_output_bytes(config: Config, counts: PixelCounts) -> int:
    """Return the bytes of all kept and final images: uncompressed, not cropped."""
    if not counts.pixels:
        return 0
    has_projections = config.volume not in ("keep", "interpolate")
    frames = counts.files if has_projections else counts.frames
    decoded = resized = counts.nbytes * frames // counts.frames
    if config.size is not None:
        width, height = config.size
        resized = frames * width * height * counts.nbytes // counts.pixels
    first_resized = STAGES.index("resize")
    stages = (*config.keep, "write")
    return sum(resized if STAGES.index(stage) >= first_resized else decoded for stage in stages)


def find_share(studies: Mapping[str, Study], missing: Collection[str]) -> float:
    """Return the part of the pixels of all studies that those in ``missing`` have."""
    weights = {uid: study.megapixels + study.files for uid, study in studies.items()}
    return sum(weights[uid] for uid in missing) / max(1, sum(weights.values()))
