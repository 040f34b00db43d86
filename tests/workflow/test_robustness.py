"""What goes wrong from outside: kills, moves, missing and unreadable sources."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from dicom_preprocessing.workflow.holder import Holder
from dicom_preprocessing.workflow.run_lock import hold_output, release_output
from tests.workflow.conftest import CHECKOUT, Project, fault, rows, tiffs
from tests.workflow.tiny import instance, make_source, save


def snapshot(folder):
    return {
        str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes())
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def manifest_without_inodes(path):
    return [{k: v for k, v in row.items() if k != "inode"} for row in rows(path)]


def test_killed_run_is_finished_by_the_next_plain_run(project):
    make_source(project.source, studies=12)
    project.config["output"] = "undisturbed"
    project.run()
    project.config["output"] = "results"
    process = subprocess.Popen(
        project.command(),
        cwd=project.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while len(list(project.results.glob("receipts/write/*"))) < 3:
        assert time.monotonic() < deadline
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert list(project.folder.glob(".snakemake/locks/*")), "a killed run leaves its locks"
    assert not (project.results / "manifest.csv").exists()

    project.run()
    assert project.images() == tiffs(project.folder / "undisturbed" / "images")
    assert manifest_without_inodes(project.results / "manifest.csv") == manifest_without_inodes(
        project.folder / "undisturbed" / "manifest.csv"
    )
    left = [p.name for p in project.results.rglob(".*") if p.name != ".snakemake_timestamp"]
    assert left == []
    assert project.run().is_noop


def copy_of_checkout(target):
    """The parts of a clone that a run needs, with two tiny studies as its examples."""
    for name in ("Snakefile", "config", "envs", "profiles", "scripts", "src", "workflow"):
        original = CHECKOUT / name
        copy = shutil.copytree if original.is_dir() else shutil.copy2
        copy(original, target / name)
    make_source(target / "examples" / "studies", studies=2)


def test_moved_clone_finds_nothing_to_do(tmp_path):
    first = tmp_path / "first"
    first.mkdir()
    copy_of_checkout(first)
    run = Project(first, checkout=first).run()
    assert run.jobs["write"] == 2
    second = tmp_path / "somewhere" / "else"
    second.parent.mkdir()
    first.rename(second)
    assert Project(second, checkout=second).run().is_noop


@pytest.mark.parametrize("prune", [False, True])
def test_unmounted_source_changes_and_prunes_nothing(finished, prune):
    if prune:
        finished.config["prune"] = True
        finished.run()
    before = snapshot(finished.results)
    finished.source.rename(finished.folder / "unmounted")
    run = finished.run(check=False)
    assert run.returncode == 1
    assert "source source: no such file or folder. Nothing was changed." in run.output
    assert snapshot(finished.results) == before
    (finished.folder / "unmounted").rename(finished.source)
    assert finished.run().is_noop


def test_missing_entry_of_several_is_recorded_and_nothing_is_pruned(finished):
    finished.config |= {"source": ["source/1.2.1", "gone"], "prune": True}
    finished.run()
    failures = (finished.results / "failures.csv").read_text().splitlines()
    assert failures[1].startswith("gone,failed,unreadable,no such file or folder,index,false")
    assert (finished.results / "images" / "1.2.2").is_dir()
    assert "images/1.2.2" in (finished.results / "orphans.txt").read_text()
    assert finished.run().is_noop


def test_empty_source_is_an_error_with_one_message(project):
    shutil.rmtree(project.source)
    project.source.mkdir()
    run = project.run(check=False)
    assert run.returncode == 1
    assert "source source: contains no files" in run.output
    assert not project.results.exists()


@pytest.mark.parametrize("stage", ["index", "write"])
def test_transient_failure_is_tried_three_times_and_then_quiet(project, stage):
    log = project.folder / "tries.log"
    save(instance("1.2.3", 7), project.source / "1.2.3" / "unreadable.dcm")
    project.environment = fault("unreadable", stage, log)
    for attempt in (1, 2, 3):
        run = project.run()
        assert not run.is_noop
        assert log.read_text().count("unreadable") == attempt
        if attempt > 1:
            assert run.studies == ({"1.2.3"} if stage == "write" else set())
    assert project.run().is_noop
    (row,) = rows(project.results / "failures.csv")
    assert (row["error"], row["transient"]) == ("unreadable", "true")

    project.environment = {}
    os.utime(project.source / "1.2.3" / "unreadable.dcm")
    project.run()
    assert "1.2.3/1.2.3.1.7.tiff" in project.images()
    assert project.run().is_noop


def test_transient_failure_that_passes_is_made_good_by_the_next_run(project):
    save(instance("1.2.3", 7), project.source / "1.2.3" / "unreadable.dcm")
    project.environment = fault("unreadable", "write", project.folder / "tries.log")
    project.run()
    assert len(project.images()) == 6
    project.environment = {}
    assert project.run().studies == {"1.2.3"}
    assert len(project.images()) == 7
    assert (project.results / "failures.csv").read_text().count("\n") == 1
    assert project.run().is_noop


def test_full_disk_fails_the_job_and_leaves_nothing_half_written(project):
    project.environment = fault("disk_full", "write")
    run = project.run(check=False)
    assert run.returncode == 1
    assert "No space left on device" in run.output
    assert {path.split("/")[0] for path in project.images()} == {"1.2.1", "1.2.3"}
    assert not (project.results / "images" / "1.2.2").exists()
    assert not (project.results / "manifest.csv").exists()
    project.environment = {}
    assert project.run().studies == {"1.2.2"}
    assert len(project.images()) == 6


def test_run_that_fails_leaves_no_verdict_of_an_earlier_one(finished):
    assert (finished.results / "verdict.txt").exists()
    finished.config["size"] = [9, 9]
    finished.environment = fault("disk_full", "write")
    assert finished.run(check=False).returncode == 1
    assert not (finished.results / "verdict.txt").exists()


def test_tables_and_verdict_of_before_stay_when_the_manifest_fails(finished):
    before = {p: p.read_bytes() for p in finished.results.iterdir() if p.is_file()}
    finished.environment = fault("table_full", "manifest")
    run = finished.run("--forcerun", "manifest", check=False)
    assert run.returncode == 1
    assert "failures.csv: No space left on device" in run.output
    assert {p: p.read_bytes() for p in finished.results.iterdir() if p.is_file()} == before
    assert list(finished.results.glob(".tables*")) == []
    finished.environment = {}
    assert finished.run().jobs == {"manifest": 1, "report": 1, "verdict": 1, "all": 1}
    assert list(finished.folder.glob(".snakemake/backups/**/*.csv")) == []
    assert finished.run().is_noop


def test_damaged_kept_stage_is_made_anew_by_a_plain_run(project):
    project.config["keep"] = ["crop"]
    project.run()
    cut, holed, gone = sorted((project.results / "stages").rglob("*.1.tiff"))
    cut.write_bytes(cut.read_bytes()[:-9])
    with holed.open("r+b") as file:
        file.seek(holed.stat().st_size // 2)
        file.write(bytes(20))
    gone.unlink()
    project.config["size"] = [7, 7]
    run = project.run()
    assert run.jobs["write"] == 3
    assert "is made anew" in (project.results.parent / "logs/write/1.2.2.log").read_text()
    stages = tiffs(project.results / "stages")
    images = project.images()
    assert project.run().is_noop
    project.run("--forceall")
    assert (stages, images) == (tiffs(project.results / "stages"), project.images())


def test_link_to_an_unmounted_folder_keeps_prune_from_its_study(project):
    elsewhere = project.folder / "elsewhere"
    (project.source / "1.2.2").rename(elsewhere)
    (project.source / "1.2.2").symlink_to(elsewhere)
    project.config["prune"] = True
    project.run()
    elsewhere.rename(project.folder / "unmounted")
    project.run()
    assert (project.results / "images" / "1.2.2").is_dir()
    assert "images/1.2.2" in (project.results / "orphans.txt").read_text()


def test_header_with_a_number_of_odd_length_costs_one_file(project):
    content = (project.source / "1.2.1" / "1.dcm").read_bytes()
    for name, tag in (("rows", b"\x10\x00"), ("high bit", b"\x02\x01")):
        at = content.index(b"\x28\x00" + tag + b"US\x02\x00")
        odd = (
            content[: at + 6] + b"\x03\x00" + content[at + 8 : at + 10] + b"\0" + content[at + 10 :]
        )
        (project.source / f"{name}.dcm").write_bytes(odd)
    project.run()
    assert len(project.images()) == 6
    failures = rows(project.results / "failures.csv")
    assert {row["source_path"]: row["state"] for row in failures} == {
        "source/high bit.dcm": "failed",
        "source/rows.dcm": "failed",
    }


def test_output_inside_the_source_is_not_read(project):
    project.config["output"] = "source/results"
    project.run()
    assert project.run().is_noop
    verdict = (project.source / "results" / "verdict.txt").read_text()
    assert verdict.startswith("6 files found: 6 written")


def test_unwritable_output_ends_with_a_message(project):
    (project.folder / "taken").write_text("a file, no folder")
    project.config["output"] = "taken/results"
    run = project.run(check=False)
    assert run.returncode == 1
    assert "error: output taken/results: " in run.output
    assert "taken is not a folder, or may not be written to" in run.output
    assert "Traceback" not in run.output
    assert (project.folder / "taken").read_text() == "a file, no folder"


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_bad_files_are_recorded_and_cost_nothing_else(project):
    good = (project.source / "1.2.1" / "1.dcm").read_bytes()
    (project.source / "text.dcm").write_text("no DICOM at all\n")
    (project.source / "1.2.1" / "cut.dcm").write_bytes(good[:300])
    (project.source / "broken link.dcm").symlink_to("nowhere")
    save(instance("1.2.4/../x", 1), project.source / "slash.dcm")
    save(instance("..", 1), project.source / "dots.dcm")
    save(instance("1.2.5", 1, Rows=500), project.source / "1.2.5" / "short.dcm")
    project.run()
    failures = rows(project.results / "failures.csv")
    found = {row["source_path"]: (row["state"], row["error"]) for row in failures}
    assert found == {
        "source/text.dcm": ("skipped", "not_dicom"),
        "source/1.2.1/cut.dcm": ("failed", "damaged"),
        "source/broken link.dcm": ("failed", "unreadable"),
        "source/slash.dcm": ("failed", "bad_uid"),
        "source/dots.dcm": ("failed", "bad_uid"),
        "source/1.2.5/short.dcm": ("failed", "short_pixel_data"),
    }
    assert len(project.images()) == 6
    assert (project.results / "images" / "1.2.5").is_dir()
    assert (project.results / "verdict.txt").read_text().startswith("12 files found: 6 written")
    listed = (project.results / "retry.txt").read_text().splitlines()
    assert listed == sorted(str(project.folder / path) for path in found if "text" not in path)


def test_source_without_an_image_fails_at_each_run(project):
    shutil.rmtree(project.source)
    project.source.mkdir()
    (project.source / "notes.txt").write_text("nothing to see\n")
    for _ in range(2):
        run = project.run(check=False)
        assert run.returncode == 1
        assert "no file was written (1 file found: 0 written, 1 skipped (not_dicom 1)" in run.output
    assert (project.results / "failures.csv").exists()
    assert not (project.results / "verdict.txt").exists()


def test_strict_fails_at_each_run_until_it_is_switched_off(project):
    save(instance("1.2.5", 1, Rows=500), project.source / "1.2.5" / "short.dcm")
    project.config["strict"] = True
    for _ in range(2):
        run = project.run(check=False)
        assert run.returncode == 1
        assert "strict: 1 file failed" in run.output
    project.config["strict"] = False
    assert project.run().jobs == {"verdict": 1, "all": 1}
    assert project.run().is_noop


def test_studies_whose_uids_end_in_repeated_digits_are_processed(project):
    """Snakemake takes such a wildcard for endless recursion of a rule."""
    studies = {"1.2.3.1" + 20 * "0", "1.2." + 58 * "7", "1.2.1" + 20 * ".1"}
    for number, study in enumerate(studies):
        image = instance("1.2.9", number, StudyInstanceUID=study)
        save(image, project.source / "odd" / f"{number}.dcm")
    project.config["keep"] = ["decode"]
    run = project.run()
    assert run.jobs["write"] == run.jobs["decode"] == 3
    assert run.jobs["write_repeated_digits"] == run.jobs["decode_repeated_digits"] == len(studies)
    assert {path.split("/")[0] for path in project.images()} > studies
    assert project.run().is_noop
    project.config["crop"] = False
    name = f"results/images/{min(studies)}"
    assert project.run("--", name).jobs == {"write_repeated_digits": 1}


def all_but_times(results):
    """Content of results by path, without inodes, and without seconds, which are never the same.

    Nor are the check sums of lines that have them.
    """
    content = {"manifest.csv": manifest_without_inodes(results / "manifest.csv")}
    for path in sorted(results.rglob("*")):
        name = str(path.relative_to(results))
        if path.suffix == ".jsonl" and "receipts" in path.parts:
            lines = map(json.loads, path.read_text().splitlines())
            content[name] = [
                line | {"seconds": list(line["seconds"]), "crc32": None} for line in lines
            ]
        elif path.is_file() and path.name not in (*content, "manifest.parquet", "report.html"):
            content[name] = path.read_bytes()
    summary = json.loads(content.pop("receipts/summary.json"))
    return content | {"summary": summary | {"seconds": list(summary["seconds"])}}


IN_PROCESS = """
import gc, json, sys
import snakemake.cli
from snakemake.settings.types import SchedulingSettings

def members():
    # Functions of modules and members of classes; a Snakefile lives in snakemake.workflow.
    found = {}
    for module in [m for n, m in sys.modules.items() if n.startswith("snakemake")]:
        for name, value in list(vars(module).items()):
            if not str(getattr(value, "__module__", "")).startswith("snakemake"):
                continue
            if module.__name__ != "snakemake.workflow":
                found[module.__name__, name] = id(value)
            if isinstance(value, type):
                found |= {(value.__module__, value.__qualname__, n): id(v)
                          for n, v in vars(value).items() if n[:2] != "__"}
    return found

try:
    import snakemake.dag, snakemake.executors.local, snakemake.jobs, snakemake.persistence.file
    import snakemake.scheduling.greedy, snakemake.scheduling.job_scheduler, snakemake.workflow
    before = members()
    snakemake.cli.main(sys.argv[2:])
except SystemExit as end:
    status = end.code
after = members()
(settings,) = [o for o in gc.get_objects() if type(o) is SchedulingSettings]
with open(sys.argv[1], "w") as file:
    replaced = [name for name in before if after.get(name, before[name]) != before[name]]
    json.dump([status, replaced, settings.max_jobs_per_timespan is None], file)
"""


def test_no_member_of_snakemake_is_replaced_and_one_setting_is_changed(project):
    (project.folder / "in_process.py").write_text(IN_PROCESS)
    for unchanged in ("", "1"):
        project.environment["DP_UNCHANGED_SNAKEMAKE"] = unchanged
        words = project.command("--forceall")[3:]
        subprocess.run(
            [sys.executable, "in_process.py", "found.json", *words],
            cwd=project.folder,
            env=os.environ | project.environment,
            check=True,
            capture_output=True,
        )
        found = json.loads((project.folder / "found.json").read_text())
        assert found == [0, [], not unchanged]


def test_run_without_changes_to_snakemake_does_the_same(project):
    project.config["keep"] = ["crop"]
    runs, results = [], []
    for unchanged in ("", "1"):
        project.environment["DP_UNCHANGED_SNAKEMAKE"] = unchanged
        runs.append(project.run())
        results.append(all_but_times(project.results))
        assert project.run().is_noop
        shutil.rmtree(project.results)
        shutil.rmtree(project.folder / ".snakemake")
    assert results[0] == results[1]
    assert len([path for path in results[0] if path.endswith(".tiff")]) == 12
    assert (runs[0].jobs, runs[0].studies) == (runs[1].jobs, runs[1].studies)


@pytest.mark.parametrize("folder", ["a project", "elsewhere"])
def test_second_run_on_the_same_results_is_refused_from_any_folder(project, folder):
    project.config |= {"source": str(project.source), "output": str(project.results)}
    other = Project(project.folder.parent / folder, config=project.config, is_served=True)
    other.folder.mkdir(exist_ok=True)
    task = Holder(task="a run", output=str(project.results), folder="/home")
    hold_output(project.results, task)
    try:
        run = other.run(check=False)
        printed = other.run("--summary")
    finally:
        release_output(project.results)
    assert run.returncode == 1
    (error,) = [line for line in run.output.splitlines() if line.startswith("error: ")]
    assert f"output {project.results}: a run (host " in error
    assert f"process {os.getpid()}, " in error
    assert run.output.count("error") == 1
    assert not project.results.exists()
    assert "error" not in printed.output
    assert other.run().jobs["write"] == 3
    assert not list(project.results.glob(".runs"))


def test_folder_that_is_not_mounted_keeps_prune_from_its_studies(project):
    make_source(project.source, studies=6)
    project.config["prune"] = True
    project.run()
    before, disk = project.images(), project.folder / "disk"
    disk.mkdir()
    for study in ("1.2.3", "1.2.4", "1.2.5"):
        (project.source / study).rename(disk / study)
    run = project.run()
    assert "although prune is set (log: logs/manifest.log)" in run.output
    log = (project.folder / "logs" / "manifest.log").read_text()
    assert (
        "nothing was pruned, because 3 of 6 studies are gone from the source, or not selected, "
        "at once" in log
    )
    assert project.images() == before
    assert project.run().is_noop
    project.run("--config", "prune=all")
    assert len(project.images()) < len(before)
