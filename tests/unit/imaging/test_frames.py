"""Frames that are made when they are asked for."""

import errno
import gc
import os
import tempfile
import threading

import numpy as np
import pytest

from dicom_preprocessing.imaging import frames as module
from dicom_preprocessing.imaging.crop import crop
from dicom_preprocessing.imaging.frames import (
    THREADS,
    LazyFrames,
    combine_frames,
    frame_threads,
    map_frames,
    map_in_order,
    map_indexed,
    select_frames,
    spool_frames,
)
from dicom_preprocessing.imaging.pad import pad
from dicom_preprocessing.imaging.resize import resize
from dicom_preprocessing.imaging.volume import interpolate, max_intensity
from tests.limits import limit_file_size
from tests.unit.datasets import image_of


class Maker:
    """Lazy frames of 2 x 3 pixels whose values are their number; ``made`` lists who was asked."""

    def __init__(self, count, *, is_cheap=False):
        self.made = []
        self.frames = LazyFrames((count, 2, 3, 1), np.dtype(np.uint16), self.make, is_cheap)

    def make(self, number):
        self.made.append(number)
        return np.full((2, 3, 1), number, np.uint16)


def values(frames):
    return np.asarray(frames)[:, 0, 0, 0].tolist()


class TestLazily:
    def test_nothing_is_made_until_it_is_asked_for(self):
        maker = Maker(4)
        doubled = map_frames(maker.frames, lambda frame: 2 * frame)
        assert maker.made == []
        assert doubled[3].ravel().tolist() == [6] * 6
        assert maker.made == [3]

    def test_last_frame_by_a_negative_number(self):
        assert Maker(4).frames[-1][0, 0, 0] == 3

    def test_number_behind_the_last_is_an_error(self):
        with pytest.raises(IndexError):
            Maker(4).frames[4]

    def test_steps_follow_each_other(self):
        chosen = select_frames(map_frames(Maker(5).frames, lambda frame: frame + 10), [4, 0])
        assert values(map_indexed(chosen, lambda i, frame: frame * (i + 1))) == [14, 20]

    def test_made_of_several(self):
        frames = Maker(3).frames
        sums = combine_frames(frames, 2, lambda i: frames[i] + frames[i + 1])
        assert values(sums) == [1, 3]

    def test_shape_dtype_and_bytes(self):
        small = map_frames(
            Maker(4).frames, lambda f: f[:1].astype(float), shape=(1, 3, 1), dtype=float
        )
        assert (small.shape, small.dtype, small.nbytes, len(small)) == ((4, 1, 3, 1), float, 96, 4)
        assert np.asarray(small).shape == (4, 1, 3, 1)

    def test_frames_in_memory_stay_in_memory(self):
        frames = np.arange(6, dtype=np.uint8).reshape(3, 1, 2, 1)
        assert map_frames(frames, lambda frame: frame + 1).tolist() == (frames + 1).tolist()
        assert select_frames(frames, [2]).tolist() == frames[2:].tolist()
        assert spool_frames(frames) is frames


def _is_spool(cell):
    return isinstance(cell.cell_contents, module._Spool)


class TestRemembered:
    @pytest.mark.parametrize("count", [1, 2, 3, 20])
    def test_frames_are_made_once(self, count):
        maker = Maker(count)
        kept = spool_frames(maker.frames)
        assert values(kept) == values(kept) == list(range(count))
        assert maker.made == list(range(count))

    def test_more_than_a_few_are_not_kept_in_memory(self):
        maker = Maker(3)
        kept = spool_frames(maker.frames)
        assert kept[1] is not kept[1]
        assert maker.made == [1]

    def test_those_that_cost_no_more_to_make_again_are(self):
        maker = Maker(3, is_cheap=True)
        assert spool_frames(maker.frames) is maker.frames

    def test_without_a_temporary_folder_they_are_made_again(self, monkeypatch):
        def refuse(**_):
            raise OSError(errno.ENOSPC, "no space")

        monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
        maker = Maker(3)
        kept = spool_frames(maker.frames)
        assert values(kept) == values(kept) == [0, 1, 2]
        assert maker.made == [0, 1, 2] * 2

    def test_when_the_disk_is_full_they_are_made_again(self, monkeypatch):
        maker = Maker(3)
        kept = spool_frames(maker.frames)
        assert kept[0][0, 0, 0] == 0

        def refuse(*_):
            raise OSError(errno.ENOSPC, "no space")

        monkeypatch.setattr(module, "write_at", refuse)
        assert values(kept) == values(kept) == [0, 1, 2]
        assert maker.made == [0, 1, 2, 0, 1, 2]  # and the disk is left to others

    def test_write_that_ends_after_another_thread_gave_up_is_not_used(self, monkeypatch):
        maker = Maker(4)
        kept = spool_frames(maker.frames)
        is_halfway, is_given_up = threading.Event(), threading.Event()
        write_at, frame_bytes = module.write_at, 12

        def write(descriptor, offset, content):
            if offset == 2 * frame_bytes:
                raise OSError(errno.ENOSPC, "no space")
            write_at(descriptor, offset, content[:4])
            is_halfway.set()
            is_given_up.wait(30)
            write_at(descriptor, offset + 4, content[4:])

        monkeypatch.setattr(module, "write_at", write)
        slow = threading.Thread(target=lambda: kept[1])
        slow.start()
        is_halfway.wait(30)
        assert kept[2].ravel().tolist() == [2] * 6
        is_given_up.set()
        slow.join()
        assert kept[1].ravel().tolist() == [1] * 6
        assert maker.made == [1, 2, 1]

    @pytest.mark.parametrize(
        "damage",
        [
            pytest.param(lambda content: bytes(len(content)), id="zeros"),
            pytest.param(lambda content: content[:-1] + b"x", id="one byte"),
            pytest.param(lambda content: content[:-1], id="cut"),
            pytest.param(lambda _: b"", id="nothing"),
        ],
    )
    def test_what_comes_back_otherwise_is_made_again(self, monkeypatch, damage):
        maker = Maker(4)
        kept = spool_frames(maker.frames)
        assert values(kept) == [0, 1, 2, 3]
        read_at = module.read_at
        monkeypatch.setattr(module, "read_at", lambda *where: damage(read_at(*where)))
        assert kept[3].ravel().tolist() == [3] * 6
        monkeypatch.setattr(module, "read_at", read_at)
        assert kept[3].ravel().tolist() == [3] * 6
        assert maker.made == [0, 1, 2, 3, 3]

    def test_what_cannot_be_read_is_made_again(self, monkeypatch):
        def refuse(*_):
            raise OSError(errno.EIO, "bad sector")

        maker = Maker(3)
        kept = spool_frames(maker.frames)
        assert values(kept) == [0, 1, 2]
        monkeypatch.setattr(module, "read_at", refuse)
        assert values(kept) == [0, 1, 2]

    def test_no_thread_takes_zeros_for_a_frame_when_the_disk_is_full(self):
        frames = np.random.default_rng(2).integers(1, 2**16, (12, 64, 64, 1)).astype(np.uint16)
        lazy = LazyFrames(frames.shape, frames.dtype, lambda number: frames[number].copy())
        for room in range(0, frames.nbytes, 5003):
            with frame_threads(6), limit_file_size(room):
                kept = spool_frames(lazy)
                for _ in range(2):
                    for number, frame in enumerate(kept):
                        assert np.array_equal(frame, frames[number]), room

    def test_given_up_file_takes_no_room(self):
        frames = np.ones((12, 64, 64, 1))
        kept = spool_frames(LazyFrames(frames.shape, frames.dtype, lambda number: frames[number]))
        (spool,) = [cell.cell_contents for cell in kept.make.__closure__ if _is_spool(cell)]
        with frame_threads(4), limit_file_size(100_000):
            list(kept)
        assert os.fstat(spool.descriptor).st_size == 0

    @pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
    def test_values_come_back_as_they_were(self, dtype):
        frames = np.random.default_rng(1).normal(0, 50, (4, 5, 3, 3)).astype(dtype)
        lazy = LazyFrames(frames.shape, frames.dtype, lambda i: frames[i, ::-1, ::-1])
        kept = spool_frames(lazy)
        for _ in range(2):
            assert np.array_equal(np.asarray(kept), frames[:, ::-1, ::-1])

    def test_file_is_closed_with_the_last_reference(self):
        gc.collect()
        before = len(os.listdir("/proc/self/fd"))
        kept = spool_frames(Maker(3).frames)
        values(kept)
        assert len(os.listdir("/proc/self/fd")) == before + 1
        del kept
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) == before


class TestThreads:
    @pytest.mark.parametrize("threads", [1, 2, 3, 8])
    def test_order_is_kept(self, threads):
        with frame_threads(threads):
            assert list(map_in_order(Maker(20).frames, lambda i, f: (i, int(f[0, 0, 0])))) == [
                (i, i) for i in range(20)
            ]

    def test_several_frames_are_made_at_once(self):
        both = threading.Barrier(2, timeout=30)

        def make(number):
            both.wait()
            return np.zeros((1, 1, 1))

        frames = LazyFrames((4, 1, 1, 1), np.dtype(float), make)
        with frame_threads(2):
            assert len(list(frames)) == 4

    @pytest.mark.parametrize(
        ("threads", "frames", "expected"), [(1, 3, 1), (3, 1, 3), (5, 2, 2), (4, 3, 1), (2, 9, 1)]
    )
    def test_threads_beyond_the_frames_are_for_each_frame(self, threads, frames, expected):
        made = Maker(frames).frames
        with frame_threads(threads):
            assert list(map_in_order(made, lambda *_: THREADS.get())) == [expected] * frames
            assert THREADS.get() == threads

    def test_no_more_than_the_threads_are_ahead(self):
        maker = Maker(20)
        with frame_threads(2):
            frames = iter(maker.frames)
            next(frames)
            assert len(maker.made) <= 2 + 1
            frames.close()
        assert len(maker.made) < 6

    def test_an_error_comes_at_its_frame(self):
        def make(number):
            if number == 5:
                raise ValueError("frame 5")
            return np.zeros((1, 1, 1))

        seen = []
        with frame_threads(3), pytest.raises(ValueError, match="frame 5"):
            seen.extend(LazyFrames((9, 1, 1, 1), np.dtype(float), make))
        assert len(seen) == 5

    @pytest.mark.parametrize("threads", [1, 3])
    def test_stages_give_the_same(self, threads):
        frames = np.random.default_rng(3).integers(0, 3000, (7, 40, 30, 1)).astype(np.uint16)
        frames[:, :, :5] = 0

        def run(source):
            image = crop(image_of(source), crop_components=True)
            image = pad(resize(image, size=(20, 20)), size=(20, 20))
            return np.asarray(image.frames), image.geometry

        lazy = LazyFrames(frames.shape, frames.dtype, lambda i: frames[i])
        expected, geometry = run(frames)
        with frame_threads(threads):
            found, found_geometry = run(lazy)
            assert np.array_equal(max_intensity(lazy), max_intensity(frames))
            assert np.array_equal(np.asarray(interpolate(lazy, 11)), interpolate(frames, 11))
        assert np.array_equal(found, expected)
        assert found_geometry == geometry
