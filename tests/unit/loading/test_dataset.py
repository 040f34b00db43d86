"""Images of a manifest: what comes, in which order, with torch and without."""

import csv
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile

import dicom_preprocessing
from dicom_preprocessing import Sample, TiffDataset, convert
from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.errors import LoadError, SourceError
from dicom_preprocessing.imaging.geometry import CropBox, Geometry, Size
from dicom_preprocessing.loading import dataset
from dicom_preprocessing.results.manifest import row_of_tiff, write_manifest
from dicom_preprocessing.tiff.writer import write_tiff
from tests.unit.datasets import image_of

GEOMETRY = Geometry(Size(20, 10), crop=CropBox(3, 2, 6, 4))
N, FRAMES = 12, 5


def image(number, frames=FRAMES):
    """Frames whose values tell image and frame."""
    values = 100 * number + np.arange(frames).reshape(frames, 1, 1, 1)
    return np.broadcast_to(values, (frames, 4, 6, 1)).astype(np.uint16)


@pytest.fixture
def results(tmp_path):
    """Images as the workflow writes them, with both manifests."""
    root = tmp_path / "images"
    recipe = make_recipe(parse_config({})[0], "write")
    rows = []
    for number in range(N):
        path = root / f"1.{number:02}" / f"1.{number:02}.1.tiff"
        path.parent.mkdir(parents=True)
        source_info = {"source_rows": 10, "source_columns": 20}
        made = image_of(image(number), GEOMETRY, **source_info)
        write_tiff(path, made, compressor="lzw" if number % 2 else "uncompressed", recipe=recipe)
        rows.append(row_of_tiff(path, root))
    for name in ("manifest.csv", "manifest.parquet"):
        write_manifest(rows, tmp_path / name)
    return tmp_path


def numbers(samples):
    return [int(sample.image[0, 0, 0, 0]) // 100 for sample in samples]


def edit_csv(manifest, **changes):
    """Set cells of the first row."""
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0] |= changes
    with manifest.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


class TestSources:
    @pytest.mark.parametrize("name", ["manifest.csv", "manifest.parquet", "", "images"])
    def test_give_the_same_samples(self, results, name):
        images = TiffDataset(str(results / name))
        assert len(images) == N
        sample = images[3]
        assert np.array_equal(sample.image, image(3))
        assert sample.geometry == GEOMETRY
        assert sample.row == TiffDataset(results / "manifest.csv")[3].row
        row = sample.row
        assert (row["path"], row["width"], row["flip_h"]) == ("1.03/1.03.1.tiff", 6, False)
        assert (row["spacing_x"], row["scale_x"]) == (None, 1.0)

    def test_root_is_where_it_is_named(self, results):
        (results / "images").rename(results / "moved")
        images = TiffDataset(results / "manifest.csv", root=results / "moved")
        assert numbers(images) == list(range(N))

    def test_manifest_beside_its_images(self, results):
        (results / "manifest.csv").rename(results / "images" / "manifest.csv")
        assert numbers(TiffDataset(results / "images")) == list(range(N))

    def test_images_of_results_have_the_rows_of_their_manifest(self, results):
        edit_csv(results / "manifest.csv", modality="MR")
        assert TiffDataset(results / "images")[0].row["modality"] == "MR"

    def test_columns_of_others_are_kept(self, results):
        table = pq.read_table(results / "manifest.parquet")
        labels = pa.array([f"label {n}" for n in range(N)])
        pq.write_table(table.append_column("label", labels), results / "labelled.parquet")
        assert TiffDataset(results / "labelled.parquet")[7].row["label"] == "label 7"

    def test_rows_may_repeat_an_image(self, results):
        lines = (results / "manifest.csv").read_text().splitlines()
        (results / "twice.csv").write_text("\n".join([lines[0], lines[2], lines[1], lines[2]]))
        assert numbers(TiffDataset(results / "twice.csv")) == [1, 0, 1]

    def test_images_without_geometry(self, tmp_path):
        (tmp_path / "1.2").mkdir()
        tifffile.imwrite(tmp_path / "1.2" / "1.2.3.tif", np.full((4, 5), 7, np.uint8))
        (sample,) = TiffDataset(tmp_path)
        assert sample.geometry is None
        assert sample.row["study_instance_uid"] == "1.2"
        assert sample.image.shape == (1, 4, 5, 1)


class TestFrames:
    def test_all(self, results):
        assert np.array_equal(TiffDataset(results)[2].image, image(2))

    def test_central(self, results):
        assert np.array_equal(TiffDataset(results, frames="central")[2].image, image(2)[2:3])

    def test_list(self, results):
        found = TiffDataset(results, frames=[4, 0, 4])[2].image
        assert np.array_equal(found, image(2)[[4, 0, 4]])

    def test_random_is_one_frame_by_seed_and_epoch(self, results):
        def frames(seed, epoch):
            images = TiffDataset(results, frames="random", seed=seed)
            images.set_epoch(epoch)
            assert {sample.image.shape for sample in images} == {(1, 4, 6, 1)}
            return [int(sample.image[0, 0, 0, 0]) % 100 for sample in images]

        assert frames(1, 0) == frames(1, 0)
        assert len({tuple(frames(*key)) for key in [(1, 0), (1, 1), (2, 0)]}) == 3
        assert {n for epoch in range(6) for n in frames(0, epoch)} == set(range(FRAMES))

    def test_others_are_not_read(self, results, monkeypatch):
        read = []
        real = dataset.load_frames
        monkeypatch.setattr(
            dataset, "load_frames", lambda p, frames, d: read.append(frames) or real(p, frames, d)
        )
        TiffDataset(results, frames="central")[0]
        assert read == [[FRAMES // 2]]

    @pytest.mark.parametrize(
        ("frames", "error", "message"),
        [
            ("first", ValueError, "all, central, random or a list"),
            ([], ValueError, "Frame list cannot be empty"),
            ([-1], OverflowError, "negative"),
        ],
    )
    def test_others_are_errors(self, results, frames, error, message):
        with pytest.raises(error, match=message):
            TiffDataset(results, frames=frames)


class TestValues:
    @pytest.mark.parametrize("dtype", ["uint8", np.uint16, np.float32])
    def test_are_converted(self, results, dtype):
        found = TiffDataset(results, dtype=dtype)[11].image
        assert found.dtype == dtype
        assert np.array_equal(found, convert(image(11), dtype))

    def test_other_dtypes_are_errors(self, results):
        with pytest.raises(ValueError, match="dtype must be one of uint8, uint16, float32"):
            TiffDataset(results, dtype="int16")

    def test_transform(self, results):
        images = TiffDataset(results, transform=lambda sample: sample.image.max())
        assert images[5] == 504
        assert sorted(images.stream()) == [100 * n + 4 for n in range(N)]

    def test_negative_and_missing_numbers(self, results):
        images = TiffDataset(results)
        assert numbers([images[-1]]) == [N - 1]
        with pytest.raises(IndexError):
            images[N]


class TestErrors:
    def test_no_source(self, tmp_path):
        with pytest.raises(SourceError, match="is neither a folder nor a manifest"):
            TiffDataset(tmp_path / "gone.csv")

    def test_no_image(self, tmp_path):
        with pytest.raises(SourceError, match="no image"):
            TiffDataset(tmp_path)

    def test_damaged_tree(self, tmp_path):
        (tmp_path / "a.tiff").touch()
        with pytest.raises(SourceError, match=r"a\.tiff"):
            TiffDataset(tmp_path)

    def test_no_column_of_paths(self, tmp_path):
        (tmp_path / "manifest.csv").write_text("a,b\n1,2\n")
        with pytest.raises(SourceError, match="a manifest has a column path"):
            TiffDataset(tmp_path)

    @pytest.mark.parametrize(
        ("cells", "message"),
        [
            ({"path": ""}, "row 1 of .* has no path"),
            ({"width": "wide"}, "row 1 of .*: width is 'wide'"),
            ({"flip_h": "maybe"}, "row 1 of .*: flip_h is 'maybe'"),
        ],
    )
    def test_cells(self, results, cells, message):
        edit_csv(results / "manifest.csv", **cells)
        with pytest.raises(SourceError, match=message):
            TiffDataset(results)

    @pytest.mark.parametrize(
        ("cells", "message"),
        [
            ({"width": "7"}, r"\(4, 6, 1\); expected \(4, 7, 1\) by its row"),
            ({"num_frames": "6"}, "has 5 frames, its row 6"),
            ({"crop_left": "300"}, "crop box"),
        ],
    )
    def test_rows_that_do_not_fit(self, results, cells, message):
        edit_csv(results / "manifest.csv", **cells)
        with pytest.raises(LoadError, match=rf"row 1 of .*1\.00\.1\.tiff.*{message}"):
            TiffDataset(results)[0]

    def test_gone_image_names_its_row(self, results):
        images = TiffDataset(results)
        images.path(4).unlink()
        for read in (lambda: images[4], lambda: list(images.stream())):
            with pytest.raises(LoadError, match=r"row 5 of .*1\.04\.1\.tiff\): File not found"):
                read()

    def test_damaged_image_names_its_row(self, results):
        images = TiffDataset(results)
        images.path(5).write_bytes(images.path(5).read_bytes()[:-9])
        with pytest.raises(RuntimeError, match=r"row 6 of .*Failed to decode TIFF"):
            images[5]

    def test_missing_frame_names_its_row(self, results):
        with pytest.raises(LoadError, match=r"row 1 of .*Frame index 5 is out of bounds"):
            TiffDataset(results, frames=[5])[0]


class TestInodes:
    def test_are_those_of_the_manifest(self, results, monkeypatch):
        images = TiffDataset(results)
        looked_at = []
        real = images._read_inode
        monkeypatch.setattr(images, "_read_inode", lambda n: looked_at.append(n) or real(n))
        assert images.inodes().tolist() == [images.path(n).stat().st_ino for n in range(N)]
        assert sorted(looked_at) == [0, (N - 1) // 2, N - 1]

    def test_are_looked_up_after_a_copy(self, results):
        edit_csv(results / "manifest.csv", inode="1")
        images = TiffDataset(results)
        assert images.inodes().tolist() == [images.path(n).stat().st_ino for n in range(N)]

    def test_of_a_missing_image(self, results):
        images = TiffDataset(results)
        images.path(0).unlink()
        with pytest.raises(LoadError, match="row 1 of"):
            images.stream()


class TestStream:
    @pytest.mark.parametrize("shuffle", [1, 3, 100])
    @pytest.mark.parametrize("parts", [1, 2, 5, 20])
    def test_every_image_once(self, results, shuffle, parts):
        images = TiffDataset(results)
        found = []
        for part in range(parts):
            found += numbers(images.stream(shuffle=shuffle, shard=(part, parts)))
        assert sorted(found) == list(range(N))

    def test_length_is_that_of_the_shard(self, results):
        images = TiffDataset(results)
        assert [len(images.stream(shard=(n, 5))) for n in range(5)] == [2, 2, 3, 2, 3]

    def test_unshuffled_is_by_inode(self, results):
        images = TiffDataset(results)
        order = np.argsort(images.inodes()).tolist()
        assert numbers(images.stream(shuffle=1)) == order

    def test_unshuffled_by_row(self, results):
        stream = TiffDataset(results).stream(shuffle=1, by_inode=False)
        assert numbers(stream) == list(range(N))

    def test_reading_is_by_inode_from_a_random_place(self, results):
        images = TiffDataset(results)
        stream = images.stream(shuffle=4)
        inodes = images.inodes()
        starts = set()
        for epoch in range(8):
            read = inodes[stream.reading_order(epoch)].astype(np.int64)
            assert (np.diff(read) < 0).sum() <= 1
            starts.add(int(read[0]))
        assert len(starts) > 2

    def test_parts_are_contiguous(self, results):
        stream = TiffDataset(results).stream(shuffle=1)
        order = stream.reading_order(0)
        assert [stream.reading_order(0, n, 3) for n in range(3)] == [
            order[0:4],
            order[4:8],
            order[8:12],
        ]

    def test_buffer_keeps_images_near_their_place(self, results):
        stream = TiffDataset(results).stream(shuffle=3)
        read = stream.reading_order(0)
        given = numbers(stream)
        assert given != read
        assert all(read.index(number) <= place + 2 for place, number in enumerate(given))

    def test_is_the_same_again_by_seed_and_epoch(self, results):
        def orders(seed):
            stream = TiffDataset(results, seed=seed).stream()
            return [numbers(stream) for _ in range(3)]

        first, second, third = orders(7)
        assert orders(7) == [first, second, third]
        assert first != second != third
        assert orders(8)[0] != first
        stream = TiffDataset(results, seed=7).stream()
        stream.set_epoch(2)
        assert numbers(stream) == third

    def test_random_frames_do_not_depend_on_the_order(self, results):
        images = TiffDataset(results, frames="random", seed=3)
        here = sorted(int(s.image[0, 0, 0, 0]) for s in images)
        assert sorted(int(s.image[0, 0, 0, 0]) for s in images.stream()) == here

    def test_can_be_sent_to_another_process(self, results):
        stream = TiffDataset(results, seed=7).stream()
        again = pickle.loads(pickle.dumps(stream))
        assert numbers(again) == numbers(stream)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"shuffle": 0}, "shuffle must be at least 1"),
            ({"shard": (2, 2)}, "0 <= index < count"),
            ({"shard": (-1, 2)}, "0 <= index < count"),
        ],
    )
    def test_wrong_settings(self, results, settings, message):
        with pytest.raises(ValueError, match=message):
            TiffDataset(results).stream(**settings)


TORCH = """
class Dataset: pass
class IterableDataset(Dataset): pass
worker = None
def get_worker_info(): return worker
"""
WITH_TORCH = """
import sys, types
import torch.utils.data
from dicom_preprocessing import TiffDataset, TiffStream
from torch.utils.data import Dataset, IterableDataset
assert issubclass(TiffDataset, Dataset) and not issubclass(TiffDataset, IterableDataset)
assert issubclass(TiffStream, IterableDataset)
stream = TiffDataset(sys.argv[1]).stream(shuffle=3)
parts = []
for number in range(3):
    torch.utils.data.worker = types.SimpleNamespace(id=number, num_workers=3)
    stream.set_epoch(4)
    parts.append([int(s.image[0, 0, 0, 0]) // 100 for s in stream])
torch.utils.data.worker = None
ranges = [sorted(stream.reading_order(4, n, 3)) for n in range(3)]
assert [sorted(part) for part in parts] == ranges, (parts, ranges)
assert sorted(sum(parts, [])) == list(range(len(stream)))
print("done")
"""


def test_torch_datasets_share_the_work_among_workers(results, tmp_path):
    folder = tmp_path / "stub" / "torch" / "utils"
    folder.mkdir(parents=True)
    for place in (folder.parent, folder):
        (place / "__init__.py").touch()
    (folder / "data.py").write_text(textwrap.dedent(TORCH))
    source = Path(dicom_preprocessing.__file__).parents[1]
    path = os.pathsep.join([str(tmp_path / "stub"), str(source)])
    done = subprocess.run(
        [sys.executable, "-c", WITH_TORCH, str(results)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr


def test_sample_has_its_fields_by_name():
    assert Sample._fields == ("image", "geometry", "row")


def test_example_loop_sees_every_image_in_each_epoch(results):
    root = Path(dicom_preprocessing.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, root / "examples" / "training_loop.py", results, "--epochs", "2"],
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        f"epoch 0: {N} images",
        f"epoch 1: {N} images",
    ], done.stderr
