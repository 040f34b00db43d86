"""The epoch that a dataset's worker processes see: by processes alone, and by those of torch."""

import copy
import importlib.util
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

import dicom_preprocessing
from dicom_preprocessing import TiffDataset
from dicom_preprocessing.loading.epoch import EPOCH_LIMIT, SharedEpoch

N, FRAMES = 12, 50
START_METHODS = multiprocessing.get_all_start_methods()
WITH_TORCH = Path(__file__).with_name("with_torch.py")
ACTIONS = st.lists(st.none() | st.integers(0, 3) | st.integers(0, EPOCH_LIMIT - 1000), max_size=30)


@pytest.fixture
def folder(tmp_path):
    """Images whose values tell image and frame."""
    for number in range(N):
        frames = 100 * number + np.arange(FRAMES).reshape(FRAMES, 1, 1)
        path = tmp_path / f"1.{number:02}" / "1.tiff"
        path.parent.mkdir()
        values = np.broadcast_to(frames, (FRAMES, 2, 3)).astype(np.uint16)
        tifffile.imwrite(path, values, photometric="minisblack")
    return tmp_path


def first_value(sample):
    return int(sample.image[0, 0, 0, 0])


@pytest.fixture
def images(folder):
    return TiffDataset(folder, frames="random", seed=5, transform=first_value)


@given(ACTIONS)
def test_an_iteration_has_the_epoch_that_was_set_and_those_after_it_the_next(actions):
    epoch, expected = SharedEpoch(7), 7
    for action in actions:
        if action is not None:
            epoch.set(action)
            expected = action
        else:
            assert epoch.start_iteration() == expected
            expected += 1
        assert epoch.current == expected


@pytest.mark.parametrize("epoch", [-1, EPOCH_LIMIT, 1 << 70])
def test_epochs_out_of_range_are_errors(images, epoch):
    for kind in (images, images.stream()):
        with pytest.raises(ValueError, match=r"from 0 to 2\*\*63 - 1"):
            kind.set_epoch(epoch)
        assert kind.epoch == 0


def test_epochs_that_are_not_whole_are_errors(images):
    with pytest.raises(TypeError):
        images.set_epoch(1.5)
    images.set_epoch(np.int64(4))
    assert images.epoch == 4


def test_a_stream_starts_at_the_epoch_of_its_dataset_and_has_its_own(images):
    images.set_epoch(4)
    stream, other = images.stream(), images.stream()
    stream.set_epoch(8)
    assert (images.epoch, stream.epoch, other.epoch) == (4, 8, 4)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_of_an_epoch_goes_on_alone(copied):
    epoch = SharedEpoch()
    epoch.set(4)
    epoch.start_iteration()
    again = copied(epoch)
    assert again.current == 5
    again.set(9)
    epoch.set(2)
    assert (epoch.current, again.current) == (2, 9)


class Worker:
    """A process that iterates over a dataset each time that it is asked, as torch's do."""

    def __init__(self, start_method, images):
        context = multiprocessing.get_context(start_method)
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, images), daemon=True)
        self.process.start()
        theirs.close()

    def iterate(self):
        self.connection.send(True)
        assert self.connection.poll(60)
        return self.connection.recv()

    def end(self):
        self.process.kill()
        self.process.join()
        self.connection.close()


def serve(connection, images):
    while connection.recv():
        connection.send(list(images))


@pytest.fixture(params=START_METHODS)
def start_worker(request):
    workers = []

    def start_worker(images):
        workers.append(Worker(request.param, images))
        return workers[-1]

    yield start_worker
    for worker in workers:
        worker.end()


def in_epoch(images, epoch):
    return [images.load(number, epoch) for number in range(N)]


def test_workers_that_persist_see_each_epoch_of_a_dataset(images, start_worker):
    images.set_epoch(1)
    workers = [start_worker(images), start_worker(images)]
    for epoch in (1, 3, 3, 0):
        images.set_epoch(epoch)
        for worker in workers:
            assert worker.iterate() == in_epoch(images, epoch)
    assert in_epoch(images, 1) != in_epoch(images, 3)


def test_workers_that_persist_see_each_epoch_of_a_stream(images, start_worker):
    stream = images.stream(shuffle=3)
    stream.set_epoch(5)
    list(stream)  # which counts here, and in a worker that starts now
    workers = [start_worker(stream), start_worker(stream)]
    assert workers[0].iterate() == in_stream(images, 6)
    for epoch in (5, 3, 3):
        stream.set_epoch(epoch)
        for worker in workers:
            assert worker.iterate() == in_stream(images, epoch)
    assert workers[0].iterate() == in_stream(images, 4)
    assert stream.epoch == 3


def test_a_worker_that_was_killed_holds_up_nobody(images, start_worker):
    first, second = start_worker(images), start_worker(images)
    first.iterate()
    first.process.kill()
    first.process.join()
    images.set_epoch(2)
    assert second.iterate() == in_epoch(images, 2)


def in_stream(images, epoch):
    stream = images.stream(shuffle=3)
    stream.set_epoch(epoch)
    return list(stream)


def in_two_parts(images, epoch):
    """What two workers of a loader give in turns."""
    stream = images.stream(shuffle=3)
    parts = [list(stream._iterate_epoch(epoch, part, 2)) for part in range(2)]
    return [value for values in zip(*parts, strict=True) for value in values]


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="torch is not installed: its wheel has 540 MB; make test-torch installs one for CPUs",
)
@pytest.mark.parametrize("start_method", START_METHODS)
def test_workers_of_torch_see_each_epoch(folder, images, start_method):
    source = Path(dicom_preprocessing.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, WITH_TORCH, folder, start_method],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(source), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "map": [[in_epoch(images, epoch) for epoch in (3, 3, 9, 9)]] * 2,
        "stream": [[in_two_parts(images, epoch) for epoch in (3, 3, 9, 10)]] * 2,
    }
