"""What workers of torch's DataLoader read of a folder in some epochs; run as a program.

    with_torch.py FOLDER fork|spawn|forkserver

Prints JSON: for "map" and "stream", and each of two loaders of one dataset, the values of each
iteration.
"""

import json
import sys

from torch.utils.data import DataLoader

from dicom_preprocessing import TiffDataset

EPOCHS = (3, 3, 9, None)  # None: iterate without choosing one


def first_value(sample):
    return int(sample.image[0, 0, 0, 0])


def iterate(images, start_method):
    """Values of each of two loaders, whose workers persist, in each iteration."""
    options = {"batch_size": None, "num_workers": 2, "persistent_workers": True}
    loaders = [
        DataLoader(images, multiprocessing_context=start_method, **options) for _ in range(2)
    ]
    found = [[] for _ in loaders]
    for epoch in EPOCHS:
        if epoch is not None:
            images.set_epoch(epoch)
        for values, loader in zip(found, loaders, strict=True):
            values.append([int(value) for value in loader])
    return found


def main(folder, start_method):
    images = TiffDataset(folder, frames="random", seed=5, transform=first_value)
    kinds = {"map": images, "stream": images.stream(shuffle=3)}
    sys.stdout.write(
        json.dumps({name: iterate(kind, start_method) for name, kind in kinds.items()})
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
