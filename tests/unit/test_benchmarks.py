"""What the benchmarks compute from what they measure; the figures themselves are not tested."""

import importlib
import sys

import numpy as np
import pytest

from dicom_preprocessing.dicom.reading import read_header
from dicom_preprocessing.imaging.geometry import Geometry, Size
from dicom_preprocessing.imaging.image import Image, SourceInfo
from dicom_preprocessing.imaging.resize import resize
from tests.conftest import CHECKOUT

BENCHMARKS = CHECKOUT / "benchmarks"

COPIES = """#!/bin/sh
while [ $# -gt 2 ]; do shift; done
mkdir -p "$2"
while read -r file; do
    cp "$file" "$2/$(basename "$file").tiff"
done < "$1"
"""
"""In place of the reference program: copies the files of a list, whatever the options."""


@pytest.fixture(scope="module")
def load():
    """A function that imports a module of the benchmarks, which import each other by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(BENCHMARKS)):
            del sys.modules[name]


@pytest.fixture
def copying_program(tmp_path):
    program = tmp_path / "reference"
    program.write_text(COPIES)
    program.chmod(0o755)
    return program


@pytest.fixture
def two_files(tmp_path):
    """A list of two files."""
    for name in "ab":
        (tmp_path / name).write_text(name)
    (tmp_path / "list.txt").write_text(f"{tmp_path}/a\n{tmp_path}/b\n")
    return tmp_path / "list.txt"


class TestFloors:
    def test_product_gives_the_pixels_of_the_resize(self, load):
        frames = np.random.default_rng(1).integers(0, 65535, (1, 60, 40, 3), np.uint16)
        source_info = SourceInfo(
            study_instance_uid="1",
            series_instance_uid="1.1",
            sop_instance_uid="1.1.1",
            modality="OT",
            source_rows=60,
            source_columns=40,
            source_frames=1,
        )
        image = Image(frames, Geometry(Size(40, 60)), source_info)
        resized = resize(image, size=(20, 30))
        scaled = load("floors").resize_only(image, resized.size, "triangle")()
        assert np.abs(scaled - resized.frames[0].astype(float)).max() <= 1  # halves

    @pytest.mark.parametrize("syntax", ["explicit", "j2k"])
    def test_parts_of_an_image_are_measured(self, load, tmp_path, syntax):
        images = load("images")
        images.files_of(f"ct:{syntax}", tmp_path / "source", scale=0.1, studies=1)
        shares = images.shares_of(tmp_path / "source", tmp_path / "images", passes=1)
        record = shares.record()
        parts = [record[f"{name}_ms"] for name in ("codec", "pixels", "header", "tiff", "floor")]
        assert min(parts) > 0
        assert sum(parts[:-1]) + record["rest_ms"] == pytest.approx(record["total_ms"])

    def test_rest_is_what_no_part_explains(self, load):
        shares = load("floors").Shares(
            total_ms=9, floor_ms=3, codec_ms=1, pixels_ms=2, header_ms=1, tiff_ms=1, snakemake_ms=2
        )
        assert (shares.rest_ms, shares.ratio) == (2, 3)

    def test_files_are_held_up_to_a_limit(self, load, monkeypatch):
        floors = load("floors")
        monkeypatch.setattr(floors, "stored_bytes", lambda path: int(path.name))
        groups = [[type("Entry", (), {"path": size})] for size in ("6", "3", "2", "20", "1")]
        found = [[group[0].path for group in batch] for batch in floors.batches(groups, 10)]
        assert found == [["6", "3"], ["2"], ["20"], ["1"]]


class TestCommands:
    def test_start_up_is_left_out(self, load):
        commands = load("commands")
        many = [commands.Used(cpu, 2 * cpu) for cpu in (110, 120, 500)]
        few = [commands.Used(cpu, 2 * cpu) for cpu in (10, 10, 10)]
        assert commands.marginal(many, few, images=10) == commands.Used(11, 22)

    def test_reference_program_gets_source_and_output(
        self, load, copying_program, two_files, tmp_path
    ):
        commands = load("commands")
        output = tmp_path / "out"
        words = commands.reference_command(copying_program, two_files, output)
        assert commands.run(words, output, images=2).wall > 0
        assert not output.exists()

    def test_program_that_writes_fewer_images_is_an_error(
        self, load, copying_program, two_files, tmp_path
    ):
        commands = load("commands")
        words = commands.reference_command(copying_program, two_files, tmp_path / "out")
        with pytest.raises(RuntimeError, match="2 of 3 images were written"):
            commands.run(words, tmp_path / "out", images=3)

    def test_reference_program_that_fails_is_left_out(self, load, capsys):
        commands = load("commands")

        def fail(_source):
            raise RuntimeError("1 of 2 images were written")

        programs = {"one core": lambda _source: commands.Used(1, 1), commands.REFERENCE: fail}
        found = commands.in_turn(programs, ["many", "few"], 2)
        assert found == {"one core": [[commands.Used(1, 1)] * 2] * 2}
        assert capsys.readouterr().err == "left out: 1 of 2 images were written\n"

    def test_own_command_that_fails_ends_the_benchmark(self, load):
        def fail(_source):
            raise RuntimeError("failed")

        with pytest.raises(RuntimeError, match="failed"):
            load("commands").in_turn({"one core": fail}, ["many"], 1)

    def test_row_without_the_reference_program_has_dashes(self, load):
        commands = load("commands")
        (_, line) = commands.table([commands.CommandCost("ct:rle", 4, cpu_ms=6, floor_ms=3)])
        assert line.split() == ["ct:rle", "4", "6.00", "2.00", "-", "-", "-"]

    def test_ratio_is_the_time_of_the_reference_program_over_ours(self, load):
        cost = load("commands").CommandCost("ct:rle", 4, 6, 3, wall_ms=4, reference_ms=5)
        assert cost.record()["reference_ratio"] == 1.25


RECORDS = [
    {"rule": "index", "starttime": 102.0, "endtime": 103.0},
    {"rule": "write", "starttime": 103.5, "endtime": 105.0},
    {"rule": "write", "starttime": 104.0, "endtime": 107.0},
    {"rule": "manifest", "starttime": 107.5, "endtime": 108.0},
    {"rule": "report", "starttime": 108.0, "endtime": 109.0},
]


class TestWorkflowRuns:
    def test_phases_are_all_of_a_run(self, load):
        phases = load("workflow_runs").phases_of(RECORDS, 100.0, 109.5)
        assert phases == {"start": 2, "index": 1, "studies": 4, "tables": 2, "end": 0.5}

    def test_ratios_are_of_whole_runs_and_of_one_more_image(self, load):
        runs, floors = load("workflow_runs"), load("floors")
        ways = {
            "workflow": runs.Through("workflow", 12, 3, wall_ms=6, cpu_ms=9),
            "command": runs.Through("command", 8, 1, wall_ms=4, cpu_ms=7),
        }
        cost = runs.WorkflowCost(100, ways, floors.Shares(9, 3, 1, 2, 1, 1, 2))
        assert cost.all_ratios() == {"workflow over command": {"total": 1.5, "marginal": 1.5}}

    def test_studies_are_copies_with_uids_of_their_own(self, load, tmp_path):
        counts = load("workflow_runs").make_studies(tmp_path, scale=0.07, slices=3)
        many, few = counts
        assert counts == {many: 60, few: 6}

        def uids_of(path):
            header = read_header(path)
            return header.study_instance_uid, header.sop_instance_uid

        uids = {uids_of(path) for path in many.rglob("*.dcm")}
        assert len(uids) == 60
        assert len({study for study, _ in uids}) == 20
        assert {uids_of(path) for path in few.rglob("*.dcm")} < uids
