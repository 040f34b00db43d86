"""What `make` says while it sets up .venv, and which Pythons it refuses; none of them is real."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")

FAKE = """#!{python}
import os, runpy, sys
from pathlib import Path

me, arguments = Path(sys.argv[0]), sys.argv[1:]
settings = dict(line.split("=", 1) for line in Path({settings!r}).read_text().splitlines())
if arguments[:1] == ["-c"]:
    if "ensurepip" in arguments[1]:
        sys.exit(settings.get("ensurepip") == "none")
    version = me.with_name(me.name + ".version").read_text()
    sys.version_info = tuple(map(int, version.split(".")))
    exec(arguments[1])
elif arguments[:2] == ["-m", "venv"]:
    made = Path(arguments[2], "bin")
    made.mkdir(parents=True)
    for suffix in ("", ".version"):
        there = made / ("python" + suffix)
        there.write_text(me.with_name(me.name + suffix).read_text())
        there.chmod(0o755)
elif arguments[:2] == ["-m", "pip"]:
    with Path({called!r}).open("a") as file:
        print(*arguments, file=file)
    print(Path({pip!r}).read_text(), end="")
    sys.exit(int(settings.get("pip", 0)))
else:
    sys.executable = str(me)
    sys.argv = arguments
    runpy.run_path(arguments[0], run_name="__main__")
"""

INSTALLED = """\
Looking in links: /wheels
Collecting numpy>=2.1 (from dicom-preprocessing==0.1.0)
  Downloading numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.whl (16.9 MB)
Collecting jsonschema>=4.20 (from dicom-preprocessing==0.1.0)
  Downloading jsonschema-4.26.0-py3-none-any.whl (90 kB)
Installing collected packages: numpy, jsonschema, dicom-preprocessing
Successfully installed dicom-preprocessing-0.1.0 jsonschema-4.26.0 numpy-2.4.6
"""

WITHOUT_NETWORK = """\
Obtaining file:///a
  Installing build dependencies: finished with status 'error'
  error: subprocess-exited-with-error
      WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError(... \
[Errno -3] Temporary failure in name resolution')': /simple/setuptools/
      ERROR: Could not find a version that satisfies setuptools>=77 (from versions: none)
      ERROR: No matching distribution found for setuptools>=77
error: subprocess-exited-with-error
note: This error originates from a subprocess, and is likely not a problem with pip.
"""

FULL_DISK = """\
Collecting numpy>=2.1 (from dicom-preprocessing==0.1.0)
ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device
"""


class Checkout:
    """What `make` needs of a checkout, beside Pythons that only say that they are of a version."""

    def __init__(self, folder):
        self.folder, self.pythons = folder / "checkout", folder / "pythons"
        self.settings, self.called = folder / "settings", folder / "called"
        self.pip = folder / "pip"
        for name in ("Makefile", "envs/install.py", "envs/check_python.sh"):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, self.folder / name)
        for name in ("pyproject.toml", "constraints.txt"):
            (self.folder / name).touch()
        self.pythons.mkdir()
        self.called.touch()
        self.set_up()

    @property
    def venv(self):
        return self.folder / ".venv"

    def add_python(self, name, version):
        paths = {"python": sys.executable, "settings": str(self.settings)}
        paths |= {"called": str(self.called), "pip": str(self.pip)}
        (self.pythons / name).write_text(FAKE.format(**paths))
        (self.pythons / name).chmod(0o755)
        (self.pythons / f"{name}.version").write_text(version)

    def set_up(self, pip_says=INSTALLED, **settings):
        """What pip says, its status (``pip``), and whether there is no ``ensurepip``."""
        self.pip.write_text(pip_says)
        self.settings.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))

    def make(self, *arguments):
        """Status, and what is printed without what make adds of itself."""
        path = f"{self.pythons}{os.pathsep}/usr/bin{os.pathsep}/bin"
        done = subprocess.run(
            ["make", *arguments, ".venv/.workflow"],
            cwd=self.folder,
            env={"PATH": path, "LC_ALL": "C"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        lines = done.stdout.splitlines()
        return done.returncode, [line for line in lines if not line.startswith("make: ")]

    def refuse(self, *arguments):
        """The one line of a call that ends before anything is done."""
        status, (message,) = self.make(*arguments)
        assert status == 2
        return message


@pytest.fixture
def checkout(tmp_path):
    checkout = Checkout(tmp_path)
    checkout.add_python("python3", "3.11.2")
    checkout.add_python("python3.12", "3.12.1")
    return checkout


def test_installation_tells_what_it_is_doing(checkout):
    status, lines = checkout.make()
    assert status == 0
    assert lines[:-1] == [
        "Making .venv with python3 ...",
        "Installing [workflow] into .venv, which takes about a minute ...",
        "  downloading numpy 2.4.6, 16.9 MB",
        "  writing 3 packages",
    ]
    assert lines[-1] in ("Installed in 0 seconds", "Installed in 1 seconds")
    assert (checkout.venv / "pip.log").read_text() == INSTALLED


def test_installation_counts_packages(checkout):
    checkout.set_up("Collecting a\n" * 45)
    assert [line for line in checkout.make()[1] if "found" in line] == [
        "  20 packages found",
        "  40 packages found",
    ]


def test_second_call_installs_nothing_and_says_nothing(checkout):
    checkout.make()
    status, lines = checkout.make()
    assert (status, lines) == (0, [])


REFUSED = {
    "python3.10": "error: python3.10 is Python 3.10, but 3.11, 3.12 or 3.13 is needed. What to do: "
    "make PYTHON=/path/to/python3.12",
    "python3.14": "error: python3.14 is Python 3.14, but 3.11, 3.12 or 3.13 is needed. What to do: "
    "make PYTHON=/path/to/python3.12",
    "none": "error: none was not found or cannot be run. What to do: "
    "make PYTHON=/path/to/python3.12",
    "": "error: found no Python 3.11, 3.12 or 3.13. What to do: install one, or name it: "
    "make PYTHON=/path/to/python3.12",
}


@pytest.mark.parametrize("python", REFUSED)
def test_unsuitable_python_is_refused_before_anything_is_made(checkout, python):
    checkout.add_python("python3.10", "3.10.4")
    checkout.add_python("python3.14", "3.14.0")
    assert checkout.refuse(f"PYTHON={python}") == REFUSED[python]
    assert not checkout.venv.exists()


def test_python_without_ensurepip_is_refused_before_anything_is_made(checkout):
    checkout.set_up(ensurepip="none")
    assert checkout.refuse() == (
        "error: python3 has no module ensurepip, without which it makes no virtual "
        "environment. What to do: on Debian or Ubuntu apt-get install python3.11-venv, elsewhere "
        "make PYTHON=/path/to/python3.12"
    )
    assert not checkout.venv.exists()


def test_environment_of_another_python_than_asked_for_is_not_used(checkout):
    checkout.make()
    assert checkout.refuse("PYTHON=python3.12") == (
        "error: .venv has Python 3.11, but PYTHON=python3.12 is 3.12. What to do: leave PYTHON "
        "out; or make clean, which removes .venv, and run again"
    )


def test_environment_is_used_whatever_python3_is_by_now(checkout):
    checkout.make()
    checkout.add_python("python3", "3.12.1")
    assert checkout.make()[0] == 0
    shutil.rmtree(checkout.pythons)
    assert checkout.make()[0] == 0


def test_environment_of_an_old_python_says_how_to_make_it_anew(checkout):
    checkout.make()
    (checkout.venv / "bin" / "python.version").write_text("3.10.4")
    assert checkout.refuse() == (
        "error: .venv has Python 3.10, but 3.11, 3.12 or 3.13 is needed. What to do: "
        "make clean, which removes .venv, and run again"
    )


def test_environment_whose_python_is_gone_is_made_anew(checkout):
    checkout.make()
    python = checkout.venv / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3.11")
    status, lines = checkout.make()
    assert (status, lines[0]) == (0, "Making .venv with python3 ...")


def test_without_network_it_says_what_to_set_and_the_next_call_installs_all(checkout):
    checkout.set_up(WITHOUT_NETWORK, pip=1)
    status, lines = checkout.make()
    assert status == 2
    assert lines[-2] == "  the package index does not answer, trying again"
    assert lines[-1] == (
        "error: the packages cannot be fetched from https://pypi.org/simple (Temporary failure in "
        "name resolution). What to do: check the network; or set HTTPS_PROXY to a proxy, "
        "PIP_INDEX_URL to another package index, or PIP_NO_INDEX=1 and PIP_FIND_LINKS to a folder "
        "of wheels; then run again (details: .venv/pip.log)"
    )
    checkout.set_up()
    assert checkout.make()[0] == 0
    first, second = checkout.called.read_text().splitlines()
    assert "--ignore-installed" not in first
    assert "--ignore-installed" in second


def test_index_that_was_set_is_named(checkout):
    looking = "Looking in indexes: https://mirror/simple\n"
    checkout.set_up(looking + "ERROR: numpy>=2 (from versions: none)\n", pip=1)
    assert "cannot be fetched from https://mirror/simple. What to do: " in checkout.make()[1][-1]


def test_full_disk_tells_the_free_space(checkout):
    checkout.set_up(FULL_DISK, pip=1)
    pattern = (
        r"error: the disk is full: \.venv has \d+ MB, \S+ has \d+ MB left\. What to do: free .+"
    )
    assert re.fullmatch(pattern, checkout.make()[1][-1])


def test_any_other_error_of_pip_is_reported(checkout):
    checkout.set_up("ERROR: Cannot install a and b\nnote: something\n", pip=1)
    assert checkout.make()[1][-1] == (
        "error: pip could not install the packages: Cannot install a and b (details: .venv/pip.log)"
    )
