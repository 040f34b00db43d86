"""Commands on folders of any name: they do what they do on a plain one, and write nowhere else."""

import os
import shutil

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dicom_preprocessing import TiffDataset, read_manifest
from dicom_preprocessing.cli import manifest, preprocess, tiff_combine, tiff_resize, tiff_stats
from dicom_preprocessing.cli import map as map_boxes
from tests.unit.mapping.tables import EDGES, written
from tests.workflow.tiny import instance, save

EXAMPLES = int(os.environ.get("DP_HOSTILE_NAMES", "2"))
INTERPRETED = (
    *("~", "~root", "$HOME", "${HOME}", "*", "?", "[a]", "{a}", "http:", "s3:", "file:", "memory:"),
    *("-", "-x", " ", " a", "a ", "a\nb", "a\tb", "'", '"', "%20", "a#b", "a?b", "a&b", "a;b", "|"),
    *("x.gz", "x.zip", "x.bz2", "x.csv", "x.parquet", "x.tiff", "x.dcm", "...", "CON", "\\", "@"),
    *("é", "\u202e", "\u2028", "\x7f", os.fsdecode(b"\xff"), os.fsdecode(b"a\x80\n"), "x" * 255),
)
NAMES = st.sampled_from(INTERPRETED) | st.binary(min_size=1, max_size=12).map(os.fsdecode).filter(
    lambda name: name not in (".", "..") and "/" not in name and "\0" not in name
)


@pytest.fixture
def boxes(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text(f"{EDGES}\n1.2.1,1,1,4,4\n")
    return path


EXPECTED_FILES = {
    *("images/1.2/1.2.1.tiff", "tables/m.csv", "tables/m.parquet", "b.csv", "b.parquet", "s.json"),
    *("resized/1.2/1.2.1.tiff", "resized/manifest.csv", "order.csv"),
    *("combined/1.2/1.5.tiff", "combined/manifest.csv", "combined/slices.csv"),
}


def files_below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def run_all(base, boxes):
    """Every command that reads TIFFs, from folders of a name and into others of it."""
    for suffix in ("csv", "parquet"):
        table = base / "tables" / f"m.{suffix}"
        assert manifest.main([str(base / "images"), str(table)]) == 0
        to = ["--to", "output", "--manifest", str(table), "-o", str(base / f"b.{suffix}")]
        assert map_boxes.main([str(boxes), *to]) == 0
        assert read_manifest(table)["path"].tolist() == ["1.2/1.2.1.tiff"]
        assert len(TiffDataset(table, root=base / "images")) == 1
    assert tiff_stats.main([str(base / "images"), "--json", str(base / "s.json"), "-j", "1"]) == 0
    resize = [str(base / "images"), str(base / "resized"), "-s", "8,8", "-j", "1"]
    assert tiff_resize.main(resize) == 0
    order = base / "order.csv"
    order.write_text("sop_instance_uid,position,series_instance_uid\n1.2.1,1,1.5\n")
    combine = [str(base / "images"), str(base / "combined"), "--table", str(order)]
    assert tiff_combine.main(combine) == 0


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(NAMES)
@example("~")
@example("http:")
@example("x.gz")
@example(os.fsdecode(b"\xff"))
def test_commands_work_in_a_folder_of_any_name(tmp_path, boxes, capsys, name):
    base = tmp_path / "work" / name
    (base / "images").mkdir(parents=True)
    written(base / "images")
    run_all(base, boxes)
    assert files_below(base) == EXPECTED_FILES
    assert os.listdir(tmp_path / "work") == [name]
    shutil.rmtree(tmp_path / "work")
    capsys.readouterr()


@pytest.mark.parametrize(
    "name", ["~", "$HOME", "a{b}", "a*", "x.gz", "http:", os.fsdecode(b"\xff")]
)
def test_dicom_preprocess_works_in_and_from_a_folder_of_any_name(tmp_path, name):
    source, output = tmp_path / name / "source", tmp_path / name / "results"
    save(instance("1.2.3", 1), source / name / f"{name}.dcm")
    assert preprocess.main([str(source), str(output), "-q", "-j", "1", "-s", "8,8"]) == 0
    assert [path.name for path in output.rglob("*.tiff")] == ["1.2.3.1.1.tiff"]
    assert os.listdir(tmp_path) == [name]


COMMANDS = {
    manifest.main: lambda path: [".", path],
    tiff_resize.main: lambda path: [".", path, "-s", "8,8"],
    tiff_combine.main: lambda path: [".", path, "--source", "."],
    tiff_stats.main: lambda path: [".", "--json", path],
    map_boxes.main: lambda path: ["boxes.csv", "--to", "output", "-o", path],
    preprocess.main: lambda path: [".", path],
}


@pytest.mark.parametrize("main", COMMANDS, ids=lambda main: main.__module__.split(".")[-1])
@pytest.mark.parametrize("path", ["~/x.csv", ""])
def test_output_that_the_shell_left_unset_is_wrong_usage(tmp_path, monkeypatch, capsys, main, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(COMMANDS[main](path))
    assert ended.value.code == 2
    assert "~" in capsys.readouterr().err or not path
    assert os.listdir(tmp_path) == []
