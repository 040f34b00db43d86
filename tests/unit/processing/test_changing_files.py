"""Files that change in the middle of being read, at each read, in each way."""

import os
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from dicom_preprocessing.dicom import reading, sources
from dicom_preprocessing.dicom.header_pattern import HeaderPatterns
from dicom_preprocessing.index import scan as scan_module
from dicom_preprocessing.index.scan import scan_file
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.processing.instance import process_instance
from tests.unit.datasets import data_set_of, save
from tests.unit.study_runs import entries_of, target_of

FRAMES = 4
SETTINGS = {
    "plain": {},
    "all steps": {"crop": True, "size": [9, 7], "padding": "center"},
    "stored": {"intensity": "stored"},
}


def vanish(path):
    path.unlink()


def shrink(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    os.truncate(path, 0)


def grow(path):
    with path.open("ab") as file:
        file.write(bytes(10))


def overwrite(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 3 :] = os.urandom(len(content) - len(content) // 3)
    path.write_bytes(content)
    os.utime(path, ns=(5, 5))  # a clock may be coarse


def replace_by_another(path):
    other = path.with_name("other")
    other.write_bytes(path.read_bytes()[:-2])
    other.replace(path)


def become_a_folder(path):
    path.unlink()
    path.mkdir()


CHANGES = (vanish, shrink, empty, grow, overwrite, replace_by_another, become_a_folder)


@pytest.fixture
def changing(monkeypatch):
    """Let something happen before a read of a source; tells how many reads there were.

    Its header is not one of a series that is known already, or is one: that needs fewer reads.
    """

    @contextmanager
    def changing(at, change, *, is_known=False):
        reads = SimpleNamespace(count=0)
        read = sources.read_at

        def read_at(*arguments):
            if reads.count == at:
                change()
            reads.count += 1
            return read(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(sources, "read_at", read_at)
            if not is_known:
                patch.setattr(reading, "PATTERNS", HeaderPatterns())
            yield reads
        if reads.count <= at:
            change()

    return changing


def make_file(path, *, is_compressed):
    pixels = np.random.default_rng(1).integers(0, 200, (FRAMES, 9, 11), np.uint8)
    pixels[:, :2] = 0
    made = data_set_of(pixels)
    if is_compressed:
        made.compress(RLELossless, pixels, generate_instance_uid=False)
    return save(path, made, RLELossless if is_compressed else ExplicitVRLittleEndian)


@pytest.mark.parametrize(
    ("settings", "is_known"), [*((name, False) for name in SETTINGS), ("plain", True)]
)
@pytest.mark.parametrize("is_compressed", [False, True], ids=["native", "compressed"])
def test_no_image_is_made_of_a_file_that_changes_while_it_is_read(
    tmp_path, changing, settings, is_known, is_compressed
):
    source, spec = tmp_path / "source" / "a.dcm", target_of(tmp_path, **SETTINGS[settings])
    source.parent.mkdir()
    entries = entries_of(make_file(source, is_compressed=is_compressed))
    for _ in range(2):
        process_instance(entries, spec)
    assert reading.PATTERNS.find(source.read_bytes()) is not None
    with changing(-1, lambda: None, is_known=is_known) as reads:
        (receipt,) = process_instance(entries, spec)
    assert receipt.is_written
    image = spec.root / receipt.output
    expected, kept = image.read_bytes(), source.read_bytes()
    for at in range(reads.count):
        for change in CHANGES:
            image.unlink()
            work = partial(change, source)
            with changing(at, work, is_known=is_known):
                (receipt,) = process_instance(entries, spec)
            assert (receipt.error, receipt.transient) == ("source_changed", True), (at, change)
            assert list(image.parent.iterdir()) == [], (at, change)
            source.rmdir() if source.is_dir() else source.unlink(missing_ok=True)
            source.write_bytes(kept)
            entries = entries_of(source)
            assert process_instance(entries, spec)[0].is_written
            assert image.read_bytes() == expected


@pytest.mark.parametrize("has_pixels", [True, False])
def test_file_that_changes_while_its_header_is_read_is_not_called_damaged(
    tmp_path, changing, has_pixels
):
    source = tmp_path / "source" / "a.dcm"
    source.parent.mkdir()
    make_file(source, is_compressed=False)
    if not has_pixels:
        source.write_bytes(source.read_bytes().split(b"\xe0\x7f\x10\x00")[0])
    kept = source.read_bytes()
    with changing(-1, lambda: None) as reads:
        before = scan_file(find_files([str(source)])[0])
    for at in range(reads.count):
        for change in CHANGES:
            (seen,) = find_files([str(source)])
            with changing(at, lambda: change(source)):  # noqa: B023
                scan = scan_file(seen)
            # A header that was read whole is checked by the job that decodes the file.
            is_image = scan.header is not None and scan.header.has_pixel_data
            assert is_image or (scan.error, scan.transient) == ("source_changed", True), change
            source.rmdir() if source.is_dir() else source.unlink(missing_ok=True)
            source.write_bytes(kept)
            assert scan_file(find_files([str(source)])[0]) == before


def test_file_that_changes_before_its_digest_is_no_duplicate(tmp_path, write_dicom):
    path = write_dicom(tmp_path / "a.dcm")
    (seen,) = find_files([str(path)])
    scan = scan_file(seen)
    assert scan_module.add_digest((seen, scan)).sha256
    grow(path)
    assert scan_module.add_digest((seen, scan)).error == "source_changed"
