"""What the documentation shows is what a new user gets: commands are run, and outputs compared.

Options, keys and files of all commands are checked by tests/unit/docs.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import types
from importlib import import_module

import numpy as np
import pydicom
import pytest
import tifffile

import dicom_preprocessing
from tests.conftest import CHECKOUT
from tests.pages import all_blocks, block_of, blocks_of, command_of, read_page, words_of
from tests.workflow.test_configuration import copy_checkout
from tests.workflow.tiny import instance, make_source, save

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

SCRIPTS = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["scripts"]
BONE_SCAN = "1.3.6.1.4.1.5962.1.1.8.1.4.20040826185059.5457"


def run(command, folder):
    """Run a command line, and return what it prints."""
    process = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stdout
    return process.stdout


def call(command, monkeypatch, folder):
    """Run a command of the package in this process, and return its exit status."""
    name, *words = words_of(command)
    module, function = SCRIPTS[os.path.basename(name)].split(":")
    with monkeypatch.context() as patch:
        patch.chdir(folder)
        return getattr(import_module(module), function)(words)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone in which everything is installed, with what ``make run`` printed."""
    folder = copy_checkout(tmp_path_factory.mktemp("new user") / "clone")
    shutil.copytree(CHECKOUT / "examples", folder / "examples")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy2(CHECKOUT / name, folder)
    scripts = folder / ".venv" / "bin"
    scripts.mkdir(parents=True)
    for name, words in {"python": "", "snakemake": "-m snakemake"}.items():
        (scripts / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (scripts / name).chmod(0o755)
    (folder / ".venv" / ".workflow").touch()
    command = command_of("README.md", "make run")
    return folder, run(f"{command} CORES=2", folder)


@pytest.fixture
def finished(clone, monkeypatch):
    """The folder in which ``make run`` has run, as working directory."""
    monkeypatch.chdir(clone[0])
    return clone[0]


def test_make_run_prints_at_its_end_what_the_readme_says(clone):
    folder, printed = clone
    # Only Snakemake has something to say after it.
    *_, last = printed.split("(100%) done\n")
    assert last.startswith(block_of("README.md", "33 files found").text)
    assert len(list((folder / "results" / "images").rglob("*.tiff"))) == 32


@pytest.mark.parametrize("page", ["README.md", "docs/output.md"])
def test_tree_of_results_is_what_is_there(clone, page):
    lines = block_of(page, "results/").text.splitlines()
    names = [line.split()[0] for line in lines if re.match(r"(  )?\S", line)]
    assert names.pop(0) == "results/"
    assert names.pop() == "logs/"
    there = {path.name + "/" * path.is_dir() for path in (clone[0] / "results").iterdir()}
    # Without keep there are no stages.
    assert {re.sub(r"/\{.*", "/", name) for name in names} == there | {"stages/"}
    assert (clone[0] / "logs").is_dir()


def test_tags_are_on_every_page(clone):
    table = read_page("docs/output.md").split("## TIFF tags")[1].split("## ")[0]
    rows = [row.strip("|").split("|") for row in table.splitlines() if row.startswith("|")][2:]
    codes = {int(code) for row in rows for code in row[1].split(",")}
    image = next((clone[0] / "results" / "images").rglob("*.tiff"))
    with tifffile.TiffFile(image) as tiff:
        for page in tiff.pages:
            # None of the examples was flipped.
            assert codes - {65000} <= {tag.code for tag in page.tags}


def test_command_for_own_data_would_index_them(clone, tmp_path):
    """A dry run: tests of the configuration show that keys of the command line reach images."""
    make_source(tmp_path / "data" / "studies", studies=1, instances=1)
    command = command_of("README.md", ".venv/bin/snakemake --cores 8 --quiet rules --config")
    command = command.replace("/data/studies", str(tmp_path / "data" / "studies"))
    printed = run(f"{command} output={tmp_path}/results -n", clone[0])
    assert re.search(r"^index +1$", printed, re.MULTILINE)


def torch_that_iterates():
    """Enough of torch for a loop over a DataLoader."""
    data = types.ModuleType("torch.utils.data")
    data.DataLoader = lambda dataset, **_: iter(dataset)
    data.get_worker_info = lambda: None
    torch = types.ModuleType("torch")
    torch.utils = types.SimpleNamespace(data=data)
    return {"torch": torch, "torch.utils.data": data}


@pytest.fixture
def suspect(tmp_path):
    """The file of which docs/validation.md shows the report."""
    file = pydicom.dcmread(CHECKOUT / "examples" / "studies" / "cr_chest" / "RG1_J2KI.dcm")
    file.PixelRepresentation = 2
    del file.StudyInstanceUID
    file.save_as(tmp_path / "suspect.dcm")
    return tmp_path


def run_python(block, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    capsys.readouterr()
    exec(compile(block.text, block.place, "exec"), {})
    return capsys.readouterr().out


def output_after(block):
    """The output that is shown after a block, if any."""
    blocks = blocks_of(block.page)
    following = blocks[blocks.index(block) + 1 :][:1]
    return following[0].text if following and following[0].language == "text" else None


PAGES_OF_A_FINISHED_RUN = ("README.md", "docs/output.md", "docs/loading.md", "docs/failures.md")


@pytest.mark.parametrize(
    "block",
    [b for b in all_blocks("python") if b.page in PAGES_OF_A_FINISHED_RUN],
    ids=lambda block: block.place,
)
def test_program_runs_after_make_run(block, finished, monkeypatch, capsys):
    if "read_manifest" in block.text and not hasattr(dicom_preprocessing, "read_manifest"):
        pytest.skip("needs read_manifest")
    for name, module in torch_that_iterates().items():
        monkeypatch.setitem(sys.modules, name, module)
    printed = run_python(block, finished, monkeypatch, capsys)
    shown = output_after(block)
    assert shown in (None, printed)


def test_programs_of_other_pages_have_tests_of_their_own():
    others = {b.page for b in all_blocks("python")} - set(PAGES_OF_A_FINISHED_RUN)
    names = ("api", "coordinates", "validation", "volumes")
    assert others == {f"docs/{name}.md" for name in names}


def test_report_on_a_suspect_file(suspect, monkeypatch, capsys):
    command = command_of("docs/validation.md", "dicom-validate")
    assert call(command, monkeypatch, suspect) == 1
    assert capsys.readouterr().out == block_of("docs/validation.md", "suspect.dcm: fail").text
    (program,) = [b for b in blocks_of("docs/validation.md") if b.language == "python"]
    assert run_python(program, suspect, monkeypatch, capsys) == ""


def test_coordinates_of_the_bone_scan(clone, tmp_path, monkeypatch, capsys):
    page = "docs/coordinates.md"
    (tmp_path / "examples").symlink_to(clone[0] / "examples")
    first = command_of(page, ".venv/bin/dicom-preprocess examples/studies/nm_whole_body/JPEG")
    assert call(first, monkeypatch, tmp_path) == 0
    program = block_of(page, "from dicom_preprocessing import geometry_of_tiff")
    assert run_python(program, tmp_path, monkeypatch, capsys) == output_after(program)
    boxes = block_of(page, "sop_instance_uid,label").text
    assert BONE_SCAN in boxes
    (tmp_path / "boxes.csv").write_text(boxes)
    table = block_of(page, ".venv/bin/dicom-preprocess examples/studies/nm_whole_body out")
    for command in table.commands:
        assert call(command, monkeypatch, tmp_path) == 0
    shown = capsys.readouterr()
    assert "3 rows: 1 inside, 1 partly, 1 outside\n" in shown.out + shown.err
    overlay = command_of(page, ".venv/bin/python examples/overlay_boxes.py")
    printed = run(overlay, clone[0])
    assert printed
    assert (clone[0] / "overlay" / "source.png").exists()


def series(folder):
    """Slices of a series, with and without a position in the name."""
    for number in range(1, 4):
        attributes = {
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "ImagePositionPatient": [0, 0, 2 * number],
        }
        save(instance("1.2.3", number, **attributes), folder / f"{number}.dcm")


def test_commands_of_the_manual_run_one_after_another(tmp_path, monkeypatch, capsys):
    """With /data in a folder of the test."""
    data = tmp_path / "data"
    series(data / "studies")
    save(instance("1.2.9", 1), data / "image.dcm")
    for name in ("suspect.dcm", "other.dcm"):
        shutil.copy(data / "image.dcm", tmp_path / name)
    for command in (
        f"dicom-preprocess {data}/studies results/images --layout study/series/sop",
        "dicom-manifest results/images results/manifest.csv",
    ):
        assert call(command, monkeypatch, tmp_path) == 0
    (tmp_path / "boxes.csv").write_text("sop_instance_uid,x,y,width,height\n1.2.3.1.1,4,3,2,2\n")
    commands = [
        command.replace("/data/", f"{data}/")
        for block in blocks_of("docs/commands.md")
        if block.language == "bash"
        for command in block.commands
        if "snakemake" not in command and not command.startswith("make")
    ]
    assert len(commands) == 14
    for command in commands:
        assert call(command, monkeypatch, tmp_path) == 0, command
    made = ["image.tiff", "out/manifest.csv", "out.parquet", "mapped.csv", "preview", "stats.json"]
    made += ["small/manifest.csv", "half/manifest.csv", "volumes/slices.csv"]
    made += ["benchmark/report.html"]
    assert [name for name in made if not (tmp_path / name).exists()] == []
    assert np.any(np.frombuffer((tmp_path / "image.tiff").read_bytes(), np.uint8))


def test_readme_without_snakemake(tmp_path, monkeypatch, capsys):
    make_source(tmp_path / "data" / "studies", studies=1, instances=1)
    command = command_of("README.md", "dicom-preprocess /data/studies")
    command = command.replace("/data/", f"{tmp_path}/data/")
    assert call(command, monkeypatch, tmp_path) == 0
    assert len(list((tmp_path / "out").rglob("*.tiff"))) == 1


def test_modules_are_workflows(clone, tmp_path):
    """The one from a clone, and beside it the one from a tag, of the same clone."""
    local, fetched = (block.text for block in all_blocks("snakemake"))
    fetched = re.sub(r"github\(.*?\)", '"dicom-preprocessing/Snakefile"', fetched)
    fetched = fetched.replace("dicom_preprocessing", "fetched").replace("preprocess_", "fetched_")
    (tmp_path / "Snakefile").write_text(f"{local}\n\n{fetched}")
    (tmp_path / "dicom-preprocessing").symlink_to(clone[0])
    rules = set(run(f"{sys.executable} -m snakemake --list-rules", tmp_path).split())
    assert {"train", "preprocess_index", "preprocess_write", "fetched_index"} <= rules


FIGURES = {
    ("README.md", "results/"),
    ("docs/output.md", "results/"),
    ("docs/output.md", "x' = "),
    ("docs/architecture.md", "source ── index"),
    ("docs/architecture.md", "DicomPreprocessingError"),
    ("docs/pixels.md", "R = Y"),
    ("docs/pixels.md", "v = Rescale"),
    ("docs/pixels.md", "v <= c"),
}
"""Texts that are not output: trees and formulas."""

COMPARED = {
    ("README.md", "33 files found"),
    ("README.md", "(7, 512, 512, 1)"),
    ("docs/output.md", "(7, 512, 512) uint16"),
    ("docs/validation.md", "suspect.dcm: fail"),
    ("docs/coordinates.md", "[[259.2, 61.3]"),
    ("docs/coordinates.md", "sop_instance_uid,label"),
    ("config/README.md", "config key 'size'"),
    ("config/README.md", "config key 'sizes'"),
    ("config/README.md", "config keys 'size' and"),
}
"""Texts that tests compare with what programs print, or give to them."""


def test_every_text_is_compared_or_a_figure():
    known = FIGURES | COMPARED
    found = [
        [(page, start) for page, start in known if b.page == page and b.text.startswith(start)]
        for b in all_blocks("text")
        if b.page != "docs/volumes.md"  # tests/unit/docs/test_volumes.py compares them
    ]
    assert [len(keys) for keys in found] == [1] * len(found)
    assert {key for keys in found for key in keys} == known
