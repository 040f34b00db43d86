"""Frames, and files of them that other programs might have written."""

import numpy as np
import tifffile


def sample(dtype="uint16", *, n=3, samples=1):
    """Frames with runs and noise, all values below 2000."""
    frames = np.random.default_rng(5).integers(0, 2000, (n, 37, 41, samples))
    frames[:, 5:20] = np.arange(n).reshape(n, 1, 1, 1) + 7
    return (frames % 250 if dtype == "uint8" else frames).astype(dtype)


def foreign(path, frames, **settings):
    """Write frames page by page through tifffile."""
    big = settings.pop("bigtiff", False)
    with tifffile.TiffWriter(path, byteorder=settings.pop("byteorder", "<"), bigtiff=big) as file:
        for frame in frames:
            kind = "rgb" if frame.shape[-1] == 3 else "minisblack"
            shown = frame if frame.shape[-1] == 3 else frame[..., 0]
            options = {"photometric": kind, "metadata": None, "contiguous": False} | settings
            file.write(shown, **options)
    return path
