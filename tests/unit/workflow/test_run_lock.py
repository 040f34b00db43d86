"""Locks of runs: who may run beside whom, what is left of the dead, and what is not known."""

import dataclasses
import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_preprocessing.cli.preprocess import main as dicom_preprocess
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.workflow import holder as holders
from dicom_preprocessing.workflow import run_lock
from dicom_preprocessing.workflow.holder import NAMESPACE_OF_HOST, Holder, Life, judge
from dicom_preprocessing.workflow.run_lock import (
    HELD,
    REGISTER,
    WORKING_REGISTER,
    hold_output,
    hold_working_directory,
    release_output,
)

RESULTS_REGISTER = os.path.join("results", REGISTER)

PROGRAM = """
import dataclasses, os, sys, time
from pathlib import Path
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.workflow.holder import Holder
from dicom_preprocessing.workflow.run_lock import hold_output, hold_working_directory
shard = tuple(map(int, sys.argv[2].split(","))) if "," in sys.argv[2] else None
collects = sys.argv[2] == "collection"
output = str(Path(sys.argv[1], "results"))
task = Holder(task="a run", output=output, folder=sys.argv[1], shard=shard, is_collection=collects)
print("ready", flush=True)
sys.stdin.readline()
try:
    hold_output(output, task)
    hold_working_directory(Path(sys.argv[1]), task)
except OutputError as error:
    print(f"refused: {error}", flush=True)
else:
    print("held", flush=True)
sys.stdin.readline()
"""
"""Holds the results and the working directory from a line of its input to the next."""

UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


def make_task(folder, **values):
    return Holder(task="a run", output=str(folder / "results"), folder=str(folder), **values)


class Process:
    """Another process, by default the only one, that tries to hold the folders."""

    def __init__(self, folder, kind="run", wrapper=()):
        words = [*wrapper, sys.executable, "-c", PROGRAM, str(folder), kind]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.say()

    def say(self):
        return self.process.stdout.readline().strip()

    def go(self):
        print(file=self.process.stdin, flush=True)
        return self

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def end(self):
        """Let it end as runs do."""
        self.process.communicate("\n", timeout=30)


@pytest.fixture
def start(tmp_path):
    """Start a process that tries to hold the folders; what it says is the second result."""
    started = []

    def call(kind="run", wrapper=(), folder="."):
        started.append(Process(tmp_path / folder, kind, wrapper))
        return started[-1], started[-1].go().say()

    yield call
    for process in started:
        if not process.process.stdout.closed:
            process.kill()


@pytest.fixture
def folder(tmp_path):
    yield tmp_path
    for register in list(HELD):
        run_lock._release(register)


def files(folder, register=RESULTS_REGISTER):
    return sorted((folder / register).iterdir()) if (folder / register).is_dir() else []


def leave_a_lock(folder, name="0.output.lock", path="results/manifest.csv"):
    """A lock of Snakemake's."""
    lock = folder / ".snakemake" / "locks" / name
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text(f"{path}\n")
    return lock


def plant(folder, register=RESULTS_REGISTER, name="planted", **values):
    """The file of a holder, by default of this process, which has not locked it."""
    (folder / register).mkdir(parents=True, exist_ok=True)
    task = make_task(folder).locate(os.stat(folder).st_dev)
    path = folder / register / f"{name}.json"
    path.write_text(dataclasses.replace(task, **values).to_json())
    return path


NO_PROCESS = {"pid": 2**30}
OTHER_HOST = {"host": "far", "boot": "another", "pid": 1234}


# Two processes


@pytest.mark.parametrize(
    ("first", "second", "may"),
    [
        ("run", "run", False),
        ("run", "0,2", False),
        ("0,2", "run", False),
        ("0,2", "1,2", True),
        ("0,2", "0,2", False),
        ("0,2", "1,3", False),
        ("0,2", "collection", True),
        ("collection", "0,2", True),
        ("collection", "collection", False),
        ("run", "collection", False),
    ],
)
def test_who_may_run_beside_whom(start, first, second, may):
    assert start(first)[1] == "held"
    assert (start(second)[1] == "held") is may


def test_refusal_says_who_holds_it_and_what_to_do(start, folder):
    other, _ = start()
    with pytest.raises(OutputError) as caught:
        hold_output(folder / "results", make_task(folder))
    message = str(caught.value)
    assert message.startswith(f"output {folder}/results: a run (host ")
    assert f"process {other.process.pid}, since 20" in message
    assert message.endswith(" is running there. Wait until it ends, or stop it, and run again")
    assert len(files(folder)) == 1


def test_what_has_ended_leaves_nothing(start, folder):
    other, _ = start()
    other.end()
    assert not (folder / "results" / REGISTER).exists()
    assert not (folder / WORKING_REGISTER).exists()


def test_killed_run_is_taken_over_and_its_locks_are_removed(start, folder):
    other, _ = start()
    lock = leave_a_lock(folder)
    other.kill()
    hold_output(folder / "results", make_task(folder))
    assert hold_working_directory(folder, make_task(folder)) == []
    assert not lock.exists()
    assert len(files(folder)) == len(files(folder, WORKING_REGISTER)) == 1


def test_locks_stay_while_a_run_with_the_same_results_is_alive(start, folder):
    start()
    lock = leave_a_lock(folder)
    plant(folder, WORKING_REGISTER, **NO_PROCESS)
    assert hold_working_directory(folder, make_task(folder)) == []
    assert lock.exists()


def test_locks_of_another_workflow_stay(start, folder):
    other, _ = start()
    ours, theirs = leave_a_lock(folder), leave_a_lock(folder, "1.input.lock", "their/data")
    other.kill()
    hold_working_directory(folder, make_task(folder))
    assert (ours.exists(), theirs.exists()) == (False, True)


def test_locks_stay_where_nothing_shows_that_their_run_is_dead(folder):
    lock = leave_a_lock(folder)
    assert hold_working_directory(folder, make_task(folder)) == []
    assert lock.exists()


def test_of_runs_that_start_at_once_one_holds(tmp_path):
    """With a dead one to take over."""
    for _ in range(3):
        plant(tmp_path, **NO_PROCESS)
        processes = [Process(tmp_path) for _ in range(4)]
        for process in processes:
            process.go()
        said = [process.say().partition(":")[0] for process in processes]
        for process in processes:
            process.kill()
        assert sorted(said) == ["held", "refused", "refused", "refused"]
        shutil.rmtree(tmp_path / "results")


def test_second_dicom_preprocess_on_one_output_is_refused(start, folder, write_dicom, capsys):
    source = write_dicom(folder / "source" / "a.dcm")
    words = [str(source.parent), str(folder / "results"), "--quiet"]
    first, _ = start()
    assert dicom_preprocess(words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: output {folder}/results: a run (host ")
    assert [path.name for path in (folder / "results").iterdir()] == [REGISTER]
    first.end()
    assert dicom_preprocess(words) == 0
    assert not (folder / "results" / REGISTER).exists()


@pytest.mark.parametrize("moment", ["open", "write", "rename"])
def test_run_that_is_killed_while_it_locks_is_no_obstacle(folder, moment):
    program = f"""
import os, signal, sys
from dicom_preprocessing.workflow import run_lock
from dicom_preprocessing.workflow.holder import Holder
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if {moment!r} == "rename":
    run_lock.Path.rename = die
elif {moment!r} == "write":
    run_lock.write_at = die
else:
    run_lock.fcntl.flock = die
run_lock.hold_output(sys.argv[1], Holder(task="a run", output="", folder=""))
"""
    words = [sys.executable, "-c", program, str(folder / "results")]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    assert len(files(folder)) == 1
    hold_output(folder / "results", make_task(folder))
    assert [path.suffix for path in files(folder)] == [".json"]


def test_fork_that_ends_releases_nothing(folder):
    hold_output(folder / "results", make_task(folder))
    if (child := os.fork()) == 0:
        release_output(folder / "results")
        os._exit(0)
    os.waitpid(child, 0)
    assert len(files(folder)) == 1


# Containers and hosts


def can_unshare():
    return (
        shutil.which("unshare") is not None
        and subprocess.run([*UNSHARE, "true"], check=False, capture_output=True).returncode == 0
    )


@pytest.mark.skipif(not can_unshare(), reason="needs the right to make a namespace of processes")
@pytest.mark.parametrize("wrappers", [(UNSHARE, UNSHARE), (UNSHARE, ()), ((), UNSHARE)])
def test_containers_of_one_host_know_each_other(start, wrappers):
    first, said = start(wrapper=wrappers[0])
    assert said == "held"
    assert " is running there." in start(wrapper=wrappers[1])[1]
    first.kill()
    assert start(wrapper=wrappers[1])[1] == "held"


def test_holder_on_another_host_is_taken_for_alive(folder):
    path = plant(folder, **OTHER_HOST)
    with pytest.raises(OutputError) as caught:
        hold_output(folder / "results", make_task(folder))
    assert "a run (host far, process 1234, since " in str(caught.value)
    assert "whether that is still running cannot be known here, on host " in str(caught.value)
    assert str(caught.value).endswith(f"if it was killed, remove {path}; then run again")
    path.unlink()
    hold_output(folder / "results", make_task(folder))


def test_locks_of_a_run_on_another_host_stay_and_it_is_said_what_to_do(folder):
    lock, path = leave_a_lock(folder), plant(folder, WORKING_REGISTER, **OTHER_HOST)
    plant(folder, WORKING_REGISTER, "dead", **NO_PROCESS)
    (advice,) = hold_working_directory(folder, make_task(folder))
    assert f"remove {path}" in advice
    assert lock.exists()


HERE = Holder(
    task="a run",
    output="/o",
    folder="/f",
    host="near",
    machine="m",
    boot="b",
    namespace=NAMESPACE_OF_HOST,
    pid=os.getpid(),
    started=holders._find_start("self"),
    device=1,
)


@pytest.mark.parametrize(
    ("differences", "is_locked", "life"),
    [
        ({}, False, Life.ALIVE),
        ({}, True, Life.ALIVE),
        (NO_PROCESS, True, Life.ALIVE),  # a child of it is
        (NO_PROCESS, False, Life.DEAD),
        (NO_PROCESS, None, Life.DEAD),
        ({"started": "1"}, None, Life.DEAD),  # the number belongs to a later process
        ({"pid": 0}, None, Life.DEAD),
        ({"pid": -1}, None, Life.DEAD),
        ({"namespace": "7", **NO_PROCESS}, False, Life.DEAD),
        ({"namespace": "7", **NO_PROCESS}, None, Life.UNKNOWN),
        ({"namespace": "7", "device": 2, **NO_PROCESS}, False, Life.UNKNOWN),
        ({"host": "container", "namespace": "7"}, False, Life.DEAD),
        ({"boot": "before", **NO_PROCESS}, False, Life.DEAD),
        ({"boot": "before", "host": "far"}, False, Life.UNKNOWN),
        ({"boot": "before", "machine": "n"}, False, Life.UNKNOWN),
        ({"boot": "before", "namespace": "7"}, False, Life.UNKNOWN),
        ({"boot": "", **NO_PROCESS}, False, Life.UNKNOWN),
    ],
)
def test_what_is_known_of_a_holder(differences, is_locked, life):
    holder = dataclasses.replace(HERE, **differences)
    assert judge(holder, HERE, is_locked=is_locked) is life


def test_without_proc_the_name_of_the_host_and_the_lock_decide():
    here = dataclasses.replace(HERE, machine="", boot="", namespace="", started="")
    assert judge(here, here, is_locked=True) is Life.ALIVE
    assert judge(here, here, is_locked=False) is Life.DEAD
    assert judge(here, here, is_locked=None) is Life.UNKNOWN
    gone = dataclasses.replace(here, **NO_PROCESS)
    assert judge(gone, here, is_locked=None) is Life.DEAD
    assert judge(dataclasses.replace(gone, host="far"), here, is_locked=False) is Life.UNKNOWN


TEXTS = st.sampled_from(["", "a", "b", NAMESPACE_OF_HOST])


@given(
    holder=st.builds(
        dataclasses.replace,
        st.just(HERE),
        host=TEXTS,
        machine=TEXTS,
        boot=TEXTS,
        namespace=TEXTS,
        started=TEXTS,
        pid=st.sampled_from([os.getpid(), 2**30, 2**70, 0, -1]),
        device=st.integers(0, 1),
    ),
    is_locked=st.sampled_from([True, False, None]),
)
@settings(deadline=None)
def test_holder_of_another_kernel_is_dead_only_after_a_reboot_of_this_machine(holder, is_locked):
    life = judge(holder, HERE, is_locked=is_locked)
    if is_locked:
        assert life is Life.ALIVE
    elif holder.boot != HERE.boot:
        same = ("host", "machine", "namespace")
        is_machine = all(getattr(holder, name) == getattr(HERE, name) for name in same)
        assert life is (Life.DEAD if is_machine and holder.boot else Life.UNKNOWN)


# Files and file systems


@given(
    st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
        ).map(lambda value: json.dumps(value).encode()),
        st.sampled_from([field.name for field in dataclasses.fields(Holder)]).flatmap(
            lambda name: st.sampled_from([None, 1.5, [], {}, True, "x", [1], 10**30]).map(
                lambda value: json.dumps(dataclasses.asdict(HERE) | {name: value}).encode()
            )
        ),
        st.just(b"[" * 60_000),
    )
)
@settings(deadline=None)
def test_file_of_any_bytes_is_a_holder_or_damaged(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("register") / "x.json"
    path.write_bytes(content)
    other = run_lock._judge_file(path, HERE)
    assert other.holder is not None or other.life is Life.UNKNOWN
    assert "\n" not in run_lock._explain(other)


def test_damaged_file_is_taken_for_alive(folder):
    path = plant(folder)
    path.write_text("{")
    with pytest.raises(OutputError, match=r"says that a run is writing there, and not which") as e:
        hold_output(folder / "results", make_task(folder))
    assert f"{path} says" in str(e.value)


def test_where_files_cannot_be_locked_the_process_is_looked_for(start, folder, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    other, _ = start()
    lock = leave_a_lock(folder)
    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OutputError, match=" is running there"):
        hold_output(folder / "results", make_task(folder))
    other.kill()
    hold_output(folder / "results", make_task(folder))
    assert hold_working_directory(folder, make_task(folder)) == []
    assert not lock.exists()


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT])
def test_results_that_cannot_be_written_are_an_error_that_says_what_to_do(
    folder, monkeypatch, code
):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(run_lock, "write_at", fail)
    with pytest.raises(OutputError, match=rf"results: {os.strerror(code)}.*What to do: "):
        hold_output(folder / "results", make_task(folder))
    assert files(folder) == []


def test_results_are_held_once_by_a_process(folder):
    for _ in range(2):
        hold_output(folder / "results", make_task(folder))
        hold_working_directory(folder, make_task(folder))
    assert len(files(folder)) == 1


def test_results_can_be_released(start, folder):
    hold_output(folder / "results", make_task(folder))
    release_output(folder / "results")
    assert start()[1] == "held"


def test_folders_that_were_made_for_the_lock_are_removed_with_it(folder):
    (folder / "mine").mkdir()
    for output in ("mine", "new/results"):
        hold_output(folder / output, make_task(folder))
        release_output(folder / output)
    assert [path.name for path in folder.iterdir()] == ["mine"]


def test_results_are_the_same_by_any_path(start, folder):
    (folder / "link").symlink_to("results")
    start()
    with pytest.raises(OutputError, match=" is running there"):
        hold_output(folder / "link", make_task(folder))


@pytest.mark.parametrize("inner", ["images", "stages/crop", "images/1.2.3/more"])
def test_folder_within_results_that_are_held_is_refused(start, folder, inner):
    other, _ = start()
    with pytest.raises(OutputError, match=rf"{inner}: a run .* is running there"):
        hold_output(folder / "results" / inner, make_task(folder))
    other.kill()
    hold_output(folder / "results" / inner, make_task(folder))


@pytest.mark.parametrize("inner", ["images", "stages/decode"])
def test_results_whose_images_are_held_are_refused(start, folder, inner):
    output = folder / "results" / inner
    output.mkdir(parents=True)
    (folder / "other").mkdir()
    (folder / "other" / "results").symlink_to(output)
    other, said = start(folder="other")
    assert said == "held"
    with pytest.raises(OutputError, match=r"results: a run .* is running there"):
        hold_output(folder / "results", make_task(folder))
    assert files(folder) == []
    other.kill()
    hold_output(folder / "results", make_task(folder))


def test_folder_that_holds_other_results_is_none_of_theirs(start, folder):
    start()
    hold_output(folder, make_task(folder))


def test_refusal_names_the_folder_as_the_user_gave_it(start, folder, monkeypatch):
    start()
    monkeypatch.chdir(folder)
    with pytest.raises(OutputError, match=r"^output results: a run "):
        hold_output(os.path.join("..", folder.name, "results"), make_task(folder), "results")
