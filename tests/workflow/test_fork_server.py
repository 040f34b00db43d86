"""The process from which jobs are forked: what a job sees, and that nothing is left behind."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from dicom_preprocessing.config import Limits, parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.table import IndexFolder, IndexRequest, format_inventory
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.results.layout import ResultsFolder
from dicom_preprocessing.results.receipts import read_receipts
from tests.workflow.conftest import CHECKOUT, new_project
from tests.workflow.tiny import make_source

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="jobs are new processes elsewhere")

SCRIPTS = CHECKOUT / "scripts"


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone, or gone while it was read
        return False


@contextmanager
def serving():
    """A folder and a process that stands for Snakemake's; the server is up."""
    parent = subprocess.Popen(["sleep", "600"])
    folder = Path(tempfile.mkdtemp(prefix="dp-"))
    place = f"{folder}:{parent.pid}"
    run(place, "pass")
    wait_for((folder / "socket").exists)
    yield place
    parent.kill()
    parent.wait()
    wait_for(lambda: not folder.exists())


@pytest.fixture(scope="module")
def place():
    """A server that lives on: it takes a second to start."""
    with serving() as shared:
        yield shared


@pytest.fixture
def own_place():
    """A server that a test may kill."""
    with serving() as own:
        yield own


def command(place, code, *arguments):
    """Command and environment of a client that runs ``code``."""
    folder = Path(tempfile.mkdtemp())
    (folder / "job.py").write_text(code)
    shutil.copy2(SCRIPTS / "run_job.py", folder)
    (folder / "fork_server.py").symlink_to(SCRIPTS / "fork_server.py")
    words = [sys.executable, "-I", "-S", str(folder / "run_job.py"), *arguments]
    return words, os.environ | {"DP_FORK_SERVER": place}


def run(place, code, *arguments, **options):
    words, environment = command(place, code, *arguments)
    environment |= options.pop("env", {})
    return subprocess.run(
        words, env=environment, capture_output=True, text=True, check=False, **options
    )


LOADED = "import sys; print('numpy' in sys.modules)"


def test_job_has_its_libraries_loaded(place):
    assert run(place, LOADED).stdout == "True\n"


@pytest.mark.parametrize("place", ["", "off", "/nowhere:1"])
def test_job_runs_in_a_new_process_without_a_server(place):
    assert run(place, LOADED).stdout == "False\n"


def test_job_is_not_served_with_another_interpreter(place, tmp_path):
    other = tmp_path / "python"
    other.symlink_to(sys.executable)
    words, environment = command(place, LOADED)
    done = subprocess.run(
        [str(other), *words[1:]], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "False\n"


def test_job_gets_arguments_folder_environment_and_input(place, tmp_path):
    code = "import os, sys; print(sys.argv[1:], os.getcwd(), os.environ['X'], sys.stdin.read())"
    done = run(place, code, "a b", "é", cwd=tmp_path, env={"X": "y=z"}, input="in")
    assert done.stdout == f"['a b', 'é'] {tmp_path} y=z in\n"


def test_environment_of_one_job_is_not_that_of_the_next(place):
    run(place, "import os; os.environ['LEFT'] = '1'", env={"GIVEN": "1"})
    code = "import os; print('LEFT' in os.environ, 'GIVEN' in os.environ)"
    assert run(place, code).stdout == "False False\n"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("raise SystemExit(0)", 0),
        ("raise SystemExit(3)", 3),
        ("raise SystemExit('no')", 1),
        ("1 / 0", 1),
        ("import os; os.kill(os.getpid(), 9)", 137),
        ("import os; os.kill(os.getpid(), 11)", 139),
    ],
)
def test_exit_status_is_that_of_the_script(place, code, status):
    assert run(place, code).returncode == status


def test_bug_shows_its_traceback(place):
    assert "ZeroDivisionError" in run(place, "1 / 0").stderr


ENDLESS = """
import os, pathlib, subprocess, sys, time
child = os.fork()
if child:
    pathlib.Path(sys.argv[1]).write_text(f"{os.getpid()} {child}")
time.sleep(600)
"""


@pytest.fixture
def endless(own_place, tmp_path):
    """A client whose job runs on, and the processes of that job."""
    words, environment = command(own_place, ENDLESS, str(tmp_path / "pids"))
    client = subprocess.Popen(words, env=environment)
    wait_for(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text())
    yield client, [int(word) for word in (tmp_path / "pids").read_text().split()]
    client.kill()
    client.wait()


def test_job_dies_with_its_client(endless):
    client, pids = endless
    client.kill()
    client.wait()
    for pid in pids:
        wait_for(lambda pid=pid: not is_alive(pid))


def test_job_dies_with_snakemake(endless, own_place):
    client, pids = endless
    os.kill(int(own_place.rpartition(":")[2]), signal.SIGKILL)
    for pid in pids:
        wait_for(lambda pid=pid: not is_alive(pid))
    assert client.wait(timeout=60) == 1


def test_client_of_a_dead_server_says_so(endless, own_place):
    client, pids = endless
    server = int(Path(f"/proc/{pids[0]}/stat").read_text().split()[3])
    os.kill(server, signal.SIGKILL)
    assert client.wait(timeout=60) == 1
    wait_for(lambda: not is_alive(pids[0]))
    os.kill(pids[1], signal.SIGKILL)
    assert run(own_place, LOADED).stdout == "False\n"
    for name in ("socket", "lock"):
        (Path(own_place.rpartition(":")[0]) / name).unlink()
    Path(own_place.rpartition(":")[0]).rmdir()


STUDY = """
import os, pathlib, sys
sys.path.insert(0, sys.argv[2])
os.environ["DP_RECIPE_1"] = sys.argv[3]
from dicom_preprocessing import processes
from dicom_preprocessing.processing import instance
from dicom_preprocessing.cli.job import main

def fault(path, **settings):
    if path.endswith("2.dcm"):
        {fault}
    return decode(path, **settings)

with open(sys.argv[1], "a") as log:
    log.write(f"{{os.getpid()}} {{processes.shared_limits is not None}}\\n")
decode, instance.decode_stored = instance.decode_stored, fault
sys.exit(main(["write", *sys.argv[4:]], examples=None))
"""
FAULTS = {
    "pass": "",
    "os.kill(os.getpid(), 11)": "codec_crash",
    "os._exit(3)": "codec_crash",
    "while True: pass": "limit_time",
    "held = []\n        while True: held.append(bytes(range(256)) * 4096)": "limit_memory",
}


@pytest.fixture
def study(tmp_path):
    """Arguments of a script that writes a study of three files, and what it leaves."""
    files = find_files([str(make_source(tmp_path / "source", studies=1, instances=3))])
    index = build_index(files)
    inventory = tmp_path / "1.2.1.jsonl"
    inventory.write_text(format_inventory(index.studies["1.2.1"]))

    def arguments(name, settings=None, **limits):
        results = ResultsFolder(tmp_path / name)
        request = IndexRequest.from_working_directory(results.output, [], "first", Limits(**limits))
        IndexFolder(results.output).path.mkdir(parents=True)
        IndexFolder(results.output).request.write_text(request.to_json())
        recipe = make_recipe(parse_config(settings or {})[0], "write").to_json()
        places = ["--images", str(results.study("write", "1.2.1"))]
        places += ["--receipt", str(results.receipt("write", "1.2.1"))]
        log = str(tmp_path / f"{name}.log")
        places += ["--output", str(results.output), "--study", "1.2.1"]
        settings = ["--input", str(inventory), *places, "--recipe", "1"]
        return [log, str(CHECKOUT / "src"), recipe, *settings]

    return arguments


def left_by(folder, name):
    """Receipts without times, files below the folder of images, and the tries of a job."""
    results = ResultsFolder(folder / name)
    told = read_receipts(results.receipt("write", "1.2.1"))
    receipts = [replace(receipt, seconds={}) for receipt in told]
    root = results.images("write")
    images = {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }
    tries = [line.split()[1] for line in (folder / f"{name}.log").read_text().splitlines()]
    return receipts, images, tries


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_costs_one_file_also_in_a_job_without_a_worker(place, tmp_path, study, fault):
    limits = {"seconds": 1 if "time" in FAULTS[fault] else 60, "memory_mb": 200}
    for name, server in (("forked", place), ("new", "off")):
        done = run(server, STUDY.format(fault=fault), *study(name, **limits))
        assert done.returncode == 0, done.stderr
    receipts, images, tries = left_by(tmp_path, "forked")
    assert [r.error for r in receipts] == ["", FAULTS[fault], ""]
    assert (receipts, images) == left_by(tmp_path, "new")[:2]
    assert tries == (["True", "False"] if FAULTS[fault] else ["True"])


def test_job_under_watch_is_not_tried_again_without_its_client(place, tmp_path, study):
    words, environment = command(
        place, STUDY.format(fault="while True: pass"), *study("forked", seconds=60)
    )
    client = subprocess.Popen(words, env=environment)
    wait_for(lambda: list(tmp_path.glob("forked/images/1.2.1/*.1.tiff")))
    client.kill()
    client.wait()
    pid = int((tmp_path / "forked.log").read_text().split()[0])
    wait_for(lambda: not is_alive(pid))
    run(place, "pass")  # the server has been round
    assert (tmp_path / "forked.log").read_text() == f"{pid} True\n"


def servers():
    """Processes of fork servers."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"fork_server.py" in path.read_bytes():
                found.add(path.parent.name)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("end", [None, signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workflow_leaves_no_server_however_it_ends(tmp_path, end):
    before = servers()
    project = new_project(tmp_path)
    make_source(project.source, studies=12)
    process = subprocess.Popen(
        project.command(),
        cwd=project.folder,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    try:
        wait_for(lambda: len(list(project.results.glob("receipts/write/*"))) >= 3, seconds=120)
        if end is not None:
            process.send_signal(end)
        process.wait(timeout=120)
    finally:
        process.kill()  # where it did not end
    wait_for(lambda: servers() <= before)
    wait_for(lambda: not list(tmp_path.glob("dp-*")))


IMPORTS = """
import os, sys
sys.path.insert(0, sys.argv[2])
os.environ["DP_RECIPE_1"] = sys.argv[3]
from dicom_preprocessing.cli.job import main

before = set(sys.modules)
status = main(["write", *sys.argv[4:]], examples=None)
with open(sys.argv[1], "w") as log:
    log.write(" ".join(sorted({*sys.modules} - before | {"pandas", "pyarrow"} & {*sys.modules})))
sys.exit(status)
"""


def test_job_of_a_study_imports_nothing_more_and_has_no_libraries_of_tables(place, tmp_path, study):
    settings = {"crop": True, "crop_components": True, "size": [8, 8]}
    done = run(place, IMPORTS, *study("forked", settings=settings))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "forked.log").read_text() == ""
