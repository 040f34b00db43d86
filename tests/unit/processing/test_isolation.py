"""Files that kill, hang or bloat the process that works on them cost themselves only."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dicom_preprocessing import files, processes
from dicom_preprocessing.config import Limits, parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.errors import CodecCrashError, LimitMemoryError, LimitTimeError
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.processing import instance as instance_module
from dicom_preprocessing.processing import isolation
from dicom_preprocessing.processing.instance import OutputSpec, group_by_instance
from dicom_preprocessing.processing.isolation import call_isolated, process_all
from tests.conftest import needs_fork
from tests.unit.datasets import data_set_of, save

# Files that break the standard make pydicom warn.
pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning:pydicom"), needs_fork]


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def hang():
    while True:
        pass


def bloat():
    held = []
    while True:
        held.append(np.ones(1 << 20))


def be_killed_once(folder):
    def be_killed():
        with suppress(FileExistsError):
            (folder / "killed").touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)

    return be_killed


@pytest.fixture
def outcomes(tmp_path, monkeypatch):
    """A function that processes a folder, in which a file named after a fault has it."""

    def run(source, *, workers=1, in_a_frame=False, **limits):
        decode = instance_module.decode_stored
        faults = {"crash": crash, "hang": hang, "bloat": bloat, "killed": be_killed_once(tmp_path)}

        def faulty(path, **settings):
            fault = faults.get(os.path.basename(path).split(".")[0])
            if fault is not None and not in_a_frame:
                fault()
                fault = None
            image = decode(path, **settings)
            if fault is None:
                return image
            return replace(image, frames=replace(image.frames, make=lambda _: fault()))

        monkeypatch.setattr(instance_module, "decode_stored", faulty)
        index = build_index(find_files([str(source)]))
        groups = [
            group for entries in index.studies.values() for group in group_by_instance(entries)
        ]
        config, _ = parse_config({})
        target = OutputSpec(tmp_path / "images", make_recipe(config, "write"))
        done = process_all(groups, target, limits=Limits(**limits), cores=workers)
        receipts = [receipt for outcome in done for receipt in outcome]
        return {os.path.basename(r.source_path): r for r in receipts}

    return run


def write_files(folder, write_dicom, *names, same=False):
    for n, name in enumerate(names):
        uid = "1.2.3.1.1" if same else f"1.2.3.1.{n}"
        write_dicom(folder / name, [[n, 255]], SOPInstanceUID=uid)
    return folder


FAULTS = {
    "crash.dcm": ("codec_crash", "ended with signal SIGSEGV"),
    "hang.dcm": ("limit_time", "not done after 1 second, which is what limits allow"),
    "bloat.dcm": ("limit_memory", "needs more than 200 MB, which is what limits allow"),
}


@pytest.mark.parametrize("how", [(1, False), (2, False), (1, True), (9, True)], ids=str)
@pytest.mark.parametrize("name", FAULTS)
def test_fault_costs_one_file(tmp_path, write_dicom, outcomes, name, how):
    workers, in_a_frame = how
    error, message = FAULTS[name]
    source = write_files(tmp_path / "source", write_dicom, "a.dcm", name, "z.dcm")
    limits = {"seconds": 1 if error == "limit_time" else 60, "memory_mb": 200}
    receipts = outcomes(source, workers=workers, in_a_frame=in_a_frame, **limits)
    assert {n: r.error or r.state for n, r in receipts.items()} == {
        "a.dcm": "written",
        name: error,
        "z.dcm": "written",
    }
    assert message in receipts[name].message
    assert receipts[name].transient
    left = sorted(path.name for path in (tmp_path / "images/1.2.3").iterdir())
    assert left == ["1.2.3.1.0.tiff", "1.2.3.1.2.tiff"]


@pytest.mark.parametrize("workers", [1, 2])
def test_file_whose_worker_is_killed_from_outside_is_tried_again(
    tmp_path, write_dicom, outcomes, workers
):
    source = write_files(tmp_path / "source", write_dicom, "a.dcm", "killed.dcm", "z.dcm")
    assert all(receipt.is_written for receipt in outcomes(source, workers=workers).values())
    assert (tmp_path / "killed").exists()


@pytest.mark.parametrize("in_a_frame", [False, True])
def test_another_file_of_the_instance_is_tried(tmp_path, write_dicom, outcomes, in_a_frame):
    source = write_files(tmp_path / "source", write_dicom, "crash.dcm", "z.dcm", same=True)
    receipts = outcomes(source, in_a_frame=in_a_frame)
    assert receipts["z.dcm"].is_written
    assert receipts["crash.dcm"].error == "sop_conflict"
    assert "ended with signal SIGSEGV" in receipts["crash.dcm"].message


def test_every_file_may_crash(tmp_path, write_dicom, outcomes):
    source = write_files(tmp_path / "source", write_dicom, "crash.1", "crash.2", same=True)
    assert {r.error for r in outcomes(source).values()} == {"codec_crash"}


def test_too_many_pixels_are_not_decoded(tmp_path, write_dicom, outcomes):
    source = write_files(tmp_path / "source", write_dicom, "hang.dcm")
    receipt = outcomes(source, pixels=1)["hang.dcm"]
    assert (receipt.error, receipt.transient) == ("limit_pixels", False)
    assert receipt.message == "has 2 pixels; limits allow 1"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")
def test_no_process_is_left(tmp_path, write_dicom, outcomes):
    # Tests of other folders may have started the tracker of multiprocessing, which stays.
    before = children_of(os.getpid())
    outcomes(write_files(tmp_path / "source", write_dicom, "crash.dcm", "b.dcm"), workers=2)
    assert children_of(os.getpid()) <= before


def children_of(pid):
    """Processes that a process has started and that are there yet, also those that ended."""
    return set(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())


def test_workers_that_are_ended_by_an_error_leave_nothing(tmp_path, write_dicom, outcomes):
    # Both are about to write: one cannot, and the other, which hangs, is killed.
    source = write_files(tmp_path / "source", write_dicom, "hang.dcm", "b.dcm")
    folder = tmp_path / "images/1.2.3"
    (folder / "1.2.3.1.1.tiff").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        outcomes(source, workers=2, in_a_frame=True, seconds=20)
    assert [path.name for path in folder.iterdir()] == ["1.2.3.1.1.tiff"]


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux kills the children of a dead process"
)
def test_error_that_ends_workers_is_not_hidden_by_leavings(
    tmp_path, write_dicom, outcomes, monkeypatch
):
    def gone(*_, **__):
        raise OSError(errno.EIO, "folder cannot be read")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "remove_partials", gone)
    monkeypatch.setattr(OutputSpec, "write", full)
    for number in range(3):
        uid = f"1.2.3.1.{number}"
        write_dicom(tmp_path / "source" / f"{number}.dcm", SOPInstanceUID=uid)
    with pytest.raises(OSError, match="No space left"):
        outcomes(tmp_path / "source", workers=2)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("name", FAULTS)
def test_fault_costs_one_of_many_files_that_wait(tmp_path, write_dicom, outcomes, name):
    """A worker has the next file already when this one kills it."""
    names = [f"{number:02}.dcm" for number in range(14)]
    source = write_files(tmp_path / "source", write_dicom, *names[:7], name, *names[7:])
    limits = {"seconds": 1 if name == "hang.dcm" else 60, "memory_mb": 200}
    receipts = outcomes(source, workers=2, **limits)
    assert {n: r.error for n, r in receipts.items() if r.error} == {name: FAULTS[name][0]}
    assert len(receipts) == 15


@pytest.mark.parametrize("name", [None, *FAULTS])
def test_watched_job_takes_cores_that_idle(tmp_path, write_dicom, outcomes, monkeypatch, name):
    """The first file by itself, the others in workers, of which a fault costs one file."""
    source = write_files(tmp_path / "source", write_dicom, "a.dcm", "b.dcm", "c.dcm", "d.dcm")
    if name is not None:
        (source / "c.dcm").rename(source / name)
    jobs = processes.RunningJobs()
    jobs.set(1)
    started = []
    start = isolation._Worker.__init__

    def count(self, *arguments, **options):
        started.append(options["threads"])
        start(self, *arguments, **options)

    monkeypatch.setattr(isolation._Worker, "__init__", count)
    monkeypatch.setattr(processes, "IDLE_SECONDS", 0)
    monkeypatch.setattr(processes, "shared_limits", processes.SharedLimits())
    monkeypatch.setattr(processes, "running_jobs", jobs)
    monkeypatch.setenv(processes.CORES_VARIABLE, "2")
    limits = {"seconds": 1 if name == "hang.dcm" else 60, "memory_mb": 200}
    receipts = outcomes(source, **limits)
    assert len(receipts) == 4
    assert [n for n, r in receipts.items() if r.error] == ([name] if name else [])
    assert started[:2] == [1, 1]
    assert not processes.shared_limits.is_set


def test_worker_dies_with_its_supervisor(tmp_path, write_dicom):
    source = write_files(tmp_path / "source", write_dicom, "hang.dcm")
    script = textwrap.dedent(
        f"""
        import sys, time
        sys.path.insert(0, {os.getcwd()!r})
        from dicom_preprocessing.processing import instance
        from dicom_preprocessing.config.recipe import make_recipe
        from dicom_preprocessing.config import Limits, parse_config
        from dicom_preprocessing.index.build import build_index
        from dicom_preprocessing.index.walk import find_files
        from dicom_preprocessing.processing.isolation import process_all
        from pathlib import Path

        def hang(path, **settings):
            import os
            Path({str(tmp_path / "worker")!r}).write_text(str(os.getpid()))
            while True:
                pass

        instance.decode_stored = hang
        index = build_index(find_files([{str(source)!r}]))
        groups = [g for e in index.studies.values() for g in instance.group_by_instance(e)]
        recipe = make_recipe(parse_config({{}})[0], "write")
        target = instance.OutputSpec(Path({str(tmp_path)!r}), recipe)
        list(process_all(groups, target, limits=Limits()))
        """
    )
    supervisor = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 60
    while not (tmp_path / "worker").exists() or not (tmp_path / "worker").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    worker = int((tmp_path / "worker").read_text())
    supervisor.kill()
    supervisor.wait()
    while is_alive(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone, or gone while it was read
        return False


def test_cores_without_an_instance_make_frames(tmp_path, save_frames):
    source = save_frames(tmp_path / "source", frames=9)
    index = build_index(find_files([str(source)]))
    (entries,) = index.studies.values()
    config, _ = parse_config({"crop": True, "size": [8, 8]})
    found = {}
    for cores in (1, 3):
        target = OutputSpec(tmp_path / f"{cores}", make_recipe(config, "write"))
        ((receipt,),) = process_all([entries], target, limits=Limits(), cores=cores)
        assert receipt.frames == 9
        found[cores] = (target.root / receipt.output).read_bytes()
    assert found[1] == found[3]


@pytest.fixture
def save_frames():
    def save_frames(folder, *, frames):
        folder.mkdir()
        pixels = np.random.default_rng(2).integers(0, 4000, (frames, 20, 30)).astype(np.uint16)
        save(folder / "frames.dcm", data_set_of(pixels, bits_stored=12))
        return folder

    return save_frames


class TestIsolated:
    @pytest.mark.parametrize(
        ("function", "error"),
        [(crash, CodecCrashError), (hang, LimitTimeError), (bloat, LimitMemoryError)],
    )
    def test_process_that_ends_or_goes_beyond_a_limit(self, function, error):
        seconds = 1 if function is hang else 60
        with pytest.raises(error):
            call_isolated(function, limits=Limits(seconds=seconds, memory_mb=100))

    def test_value(self):
        assert call_isolated(divmod, 7, 2, limits=Limits()) == (3, 1)

    def test_error_of_the_function(self):
        with pytest.raises(ZeroDivisionError):
            call_isolated(divmod, 7, 0, limits=Limits())
