"""A training loop over the images of a run, in which the model is a running mean.

    make run
    .venv/bin/python examples/training_loop.py results --epochs 2

Without torch it iterates in this process. With torch it does the same through a DataLoader.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np

from dicom_preprocessing import Sample, TiffDataset, TiffStream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

SIDE = 64


def prepare(sample: Sample) -> np.ndarray[Any, Any]:
    """One grey image of fixed size, (1, SIDE, SIDE) float32; a real one would augment here.

    The padding is left out by what the geometry tells.
    """
    frame = sample.image[0].mean(axis=-1)
    if sample.geometry is not None:
        left, top, right, bottom = sample.geometry.active_area
        frame = frame[top:bottom, left:right]
    rows = np.linspace(0, frame.shape[0] - 1, SIDE).astype(int)
    columns = np.linspace(0, frame.shape[1] - 1, SIDE).astype(int)
    return frame[np.ix_(rows, columns)][np.newaxis]


def batches(stream: TiffStream, size: int, workers: int) -> Iterable[Any]:
    """Batches of (n, 1, SIDE, SIDE), by a DataLoader where torch is installed."""
    try:
        from torch.utils.data import DataLoader  # noqa: PLC0415
    except ImportError:
        return without_torch(stream, size)
    return DataLoader(stream, batch_size=size, num_workers=workers)


def without_torch(stream: TiffStream, size: int) -> Iterator[np.ndarray[Any, Any]]:
    """The same as arrays."""
    images: list[np.ndarray[Any, Any]] = []
    for image in stream:
        images.append(image)
        if len(images) == size:
            yield np.stack(images)
            images = []
    if images:
        yield np.stack(images)


def main() -> int:
    """Train; print what each epoch saw."""
    parser = argparse.ArgumentParser(description="Iterate over the images of a run.")
    parser.add_argument("source", help="results of a run, a manifest, or a folder of TIFFs")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--workers", type=int, default=0, help="with torch")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    dataset = TiffDataset(
        arguments.source, frames="random", dtype="float32", transform=prepare, seed=arguments.seed
    )
    stream = dataset.stream(shuffle=64)
    for epoch in range(arguments.epochs):
        stream.set_epoch(epoch)  # another order, and other random frames
        seen, total = 0, 0.0
        for batch in batches(stream, arguments.batch_size, arguments.workers):
            seen, total = seen + len(batch), total + float(batch.sum())  # a step of the optimiser
        print(f"epoch {epoch}: {seen} images, mean {total / (seen * SIDE * SIDE):.4f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
