"""A run does what is needed and no more."""

import json
import shutil
from pathlib import Path

from tests.workflow.conftest import rows, tiffs
from tests.workflow.tiny import BLANK, instance, save

RESULTS_RULES = {"manifest": 1, "report": 1, "verdict": 1, "all": 1}


def renewed(before, after):
    return {path for path, time in after.items() if before.get(path) != time}


def test_first_run_writes_images_manifest_and_verdict(first_run):
    finished, run = first_run
    assert run.jobs == {"index": 1, "write": 3} | RESULTS_RULES
    assert len(finished.images()) == 6
    assert [row["path"] for row in rows(finished.results / "manifest.csv")] == [
        f"1.2.{s}/1.2.{s}.1.{n}.tiff" for s in (1, 2, 3) for n in (1, 2)
    ]
    assert (finished.results / "verdict.txt").read_text() == (
        "6 files found: 6 written, 0 skipped, 0 failed\n"
    )
    assert (finished.results / "failures.csv").read_text().count("\n") == 1
    assert (finished.results / "orphans.txt").read_text() == ""


def test_run_of_a_version_without_warnings_gets_the_table_and_nothing_else(finished):
    (finished.results / "warnings.csv").unlink()
    summary = finished.results / "receipts" / "summary.json"
    old = {"recipe": "", "studies": "", "seconds": {}, "warnings": {"odd": 1}, "transient": []}
    summary.write_text(json.dumps(old))
    before = finished.times("images")
    run = finished.run()
    assert (run.jobs, finished.times("images")) == (RESULTS_RULES, before)
    assert rows(finished.results / "warnings.csv") == []
    assert finished.run().is_noop


def test_run_of_a_version_without_slices_gets_the_table_and_nothing_else(finished):
    (finished.results / "slices.csv").unlink()
    before = finished.times("images")
    run = finished.run()
    assert (run.jobs, finished.times("images")) == (RESULTS_RULES, before)
    assert rows(finished.results / "slices.csv") == []
    assert finished.run().is_noop


def test_frames_are_in_the_table_of_slices(finished):
    frames = instance("1.2.2", 9).PixelData + BLANK
    two = instance("1.2.2", 9, NumberOfFrames=2, PixelData=frames)
    save(two, finished.source / "1.2.2" / "9.dcm")
    run = finished.run()
    assert "7 files found: 7 written, 0 skipped, 0 failed\n" in run.output
    columns = ("path", "page", "sop_instance_uid", "source_path", "source_frame")
    assert [[row[name] for name in columns] for row in rows(finished.results / "slices.csv")] == [
        ["1.2.2/1.2.2.1.9.tiff", str(n), "1.2.2.1.9", "source/1.2.2/9.dcm", str(n)] for n in (1, 2)
    ]


def test_warnings_are_in_table_manifest_and_closing_lines(finished):
    save(instance("1.2.2", 9, PixelData=BLANK), finished.source / "1.2.2" / "9.dcm")
    run = finished.run()
    assert "7 files found: 7 written (1 with warnings), 0 skipped, 0 failed\n" in run.output
    assert f"Warnings by image: {Path('results') / 'warnings.csv'}\n" in run.output
    (row,) = rows(finished.results / "warnings.csv")
    assert (row["path"], row["code"]) == ("1.2.2/1.2.2.1.9.tiff", "only_background")
    numbers = {r["path"]: r["warnings"] for r in rows(finished.results / "manifest.csv")}
    assert {path for path, number in numbers.items() if number != "0"} == {row["path"]}
    log = (finished.folder / "logs" / "write" / "1.2.2.log").read_text()
    assert f"1.2.2.1.9: warning: {row['code']}: {row['message']}\n" in log


def test_second_run_does_nothing(finished):
    before = finished.times()
    assert finished.run().is_noop
    assert finished.times() == before


def test_added_file_reruns_its_study_only(finished):
    before = finished.times()
    save(instance("1.2.2", 9), finished.source / "1.2.2" / "9.dcm")
    run = finished.run()
    assert run.studies == {"1.2.2"}
    assert run.jobs == {"index": 1, "write": 1} | RESULTS_RULES
    others = {p for p in renewed(before, finished.times()) if "1.2.1" in p or "1.2.3" in p}
    assert others == set()
    assert len(rows(finished.results / "manifest.csv")) == 7
    assert finished.run().is_noop


def test_changed_file_reruns_its_study_only(finished):
    before = finished.images()
    save(instance("1.2.3", 1, value=3000), finished.source / "1.2.3" / "1.dcm")
    assert finished.run().studies == {"1.2.3"}
    changed = {path for path, data in finished.images().items() if before[path] != data}
    assert changed == {"1.2.3/1.2.3.1.1.tiff"}
    assert finished.run().is_noop


def test_removed_file_reruns_its_study_only(finished):
    (finished.source / "1.2.1" / "2.dcm").unlink()
    assert finished.run().studies == {"1.2.1"}
    assert sorted(finished.images()) == [
        "1.2.1/1.2.1.1.1.tiff",
        *(f"1.2.{s}/1.2.{s}.1.{n}.tiff" for s in (2, 3) for n in (1, 2)),
    ]
    assert len(rows(finished.results / "manifest.csv")) == 5
    assert finished.run().is_noop


def test_new_study_runs_alone(finished):
    save(instance("1.2.4", 1), finished.source / "new" / "1.dcm")
    before = finished.times("images")
    assert finished.run().jobs == {"index": 1, "write": 1} | RESULTS_RULES
    assert {p for p in renewed(before, finished.times("images")) if "1.2.4" not in p} == set()
    assert len(rows(finished.results / "manifest.csv")) == 7


def test_vanished_study_leaves_the_manifest_and_becomes_an_orphan(finished):
    shutil.rmtree(finished.source / "1.2.2")
    run = finished.run()
    assert run.jobs == {"index": 1} | RESULTS_RULES
    assert {row["study_instance_uid"] for row in rows(finished.results / "manifest.csv")} == {
        "1.2.1",
        "1.2.3",
    }
    assert (finished.results / "orphans.txt").read_text().splitlines() == [
        "images/1.2.2",
        "receipts/write/1.2.2.jsonl",
    ]
    assert (finished.results / "images" / "1.2.2").is_dir()
    assert finished.run().is_noop


def test_prune_removes_orphans(finished):
    shutil.rmtree(finished.source / "1.2.2")
    finished.config["prune"] = True
    finished.run()
    assert not (finished.results / "images" / "1.2.2").exists()
    assert not (finished.results / "receipts/write/1.2.2.jsonl").exists()
    assert (finished.results / "orphans.txt").read_text() == ""
    assert finished.run().is_noop


def test_deleted_study_folder_comes_back(finished):
    before = finished.images()
    shutil.rmtree(finished.results / "images" / "1.2.2")
    run = finished.run()
    assert run.studies == {"1.2.2"}
    assert finished.images() == before
    assert finished.run().is_noop


def test_deleted_index_table_comes_back_without_rerunning_studies(finished):
    (finished.results / "index" / "index.tsv").unlink()
    run = finished.run()
    assert run.studies == set()
    assert (finished.results / "index" / "index.tsv").exists()
    assert finished.run().is_noop


def test_each_deleted_result_comes_back(finished):
    names = ("manifest.parquet", "retry.txt", "orphans.txt", "verdict.txt")
    for name in (*names, "index/excluded_files.jsonl"):
        (finished.results / name).unlink()
    finished.run()
    assert all(
        (finished.results / name).exists() for name in (*names, "index/excluded_files.jsonl")
    )
    assert finished.run().is_noop


def test_deleted_study_folder_comes_back_with_the_index_gone(finished):
    (finished.results / "index" / "excluded_files.jsonl").unlink()
    shutil.rmtree(finished.results / "images" / "1.2.1")
    finished.run()
    assert len(finished.images()) == 6


def test_output_with_a_slash_at_the_end_is_quiet(finished):
    finished.config["output"] = "results/"
    assert finished.run().is_noop


def test_tiff_deleted_inside_a_folder_is_reported_by_the_manifest(finished):
    (finished.results / "images/1.2.2/1.2.2.1.1.tiff").unlink()
    assert finished.run().is_noop  # Snakemake does not look inside
    run = finished.run("--forcerun", "manifest", check=False)
    assert run.returncode == 1
    assert "1 image written earlier can no longer be found" in run.output
    assert "rm -r results/images/1.2.2" in run.output
    shutil.rmtree(finished.results / "images/1.2.2")
    finished.run()
    assert len(finished.images()) == 6


def test_padding_edited_with_resize_kept_does_not_renew_resize(project):
    project.config["keep"] = ["resize"]
    project.run()
    before = project.times("stages")
    assert any("resize" in path for path in before)
    project.config["padding"] = "bottom-right"
    run = project.run()
    assert run.jobs == {"write": 3} | RESULTS_RULES
    assert project.times("stages") == before
    assert project.run().is_noop


def test_compressor_edited_with_decode_kept_does_not_decode_again(project):
    project.config["keep"] = ["decode"]
    project.run()
    before = project.times("stages")
    project.config["compressor"] = "deflate"
    assert project.run().jobs == {"write": 3} | RESULTS_RULES
    assert project.times("stages") == before


def test_compressor_edited_writes_every_study_again(finished):
    before = finished.images()
    finished.config["compressor"] = "lzw"
    assert finished.run().jobs == {"write": 3} | RESULTS_RULES
    assert all(data != before[path] for path, data in finished.images().items())


def test_keep_switched_on_and_off(finished):
    before = finished.images()
    finished.config["keep"] = ["decode"]
    assert finished.run().jobs == {"decode": 3, "write": 3} | RESULTS_RULES
    assert finished.run().is_noop
    assert finished.images() == before
    finished.config["keep"] = []
    assert finished.run().jobs == {"write": 3} | RESULTS_RULES
    assert finished.images() == before
    assert "stages/decode/1.2.1" in (finished.results / "orphans.txt").read_text().splitlines()
    assert finished.run().is_noop


def test_another_stage_kept_does_not_renew_the_one_before(project):
    project.config["keep"] = ["decode"]
    project.run()
    before = project.times("stages")
    project.config["keep"] = ["decode", "resize"]
    assert project.run().jobs == {"resize": 3, "write": 3} | RESULTS_RULES
    after = project.times("stages")
    assert {path: after[path] for path in before} == before


def test_keep_edited_changes_no_param_of_a_study(project):
    project.config["keep"] = ["decode"]
    project.run()
    project.config["keep"] = []
    # Without `input` only files that change would run a study again.
    run = project.run("--rerun-triggers", "mtime", "params", "code", "software-env")
    assert run.studies == set()


def test_decode_key_edited_with_two_stages_kept(project):
    project.config["keep"] = ["decode", "resize"]
    project.run()
    project.config["intensity"] = "minmax"
    assert project.run().jobs == {"decode": 3, "resize": 3, "write": 3} | RESULTS_RULES


def test_staged_and_fused_bytes_are_equal(project):
    project.run()
    fused = project.images()
    project.config["keep"] = ["decode", "crop", "resize", "pad"]
    project.config["output"] = "staged"
    project.run()
    assert tiffs(project.folder / "staged" / "images") == fused
    assert len(fused) == 6


def test_one_core_and_two_give_the_same_bytes(project):
    project.run(cores=1)
    one = project.images()
    project.config["output"] = "two"
    project.run(cores=2)
    assert tiffs(project.folder / "two" / "images") == one


def test_stage_target_by_name_is_made_alone(finished):
    run = finished.run("results/stages/crop/1.2.2")
    assert run.jobs == {"crop": 1}
    assert sorted(tiffs(finished.results / "stages/crop")) == [
        "1.2.2/1.2.2.1.1.tiff",
        "1.2.2/1.2.2.1.2.tiff",
    ]


def test_stage_target_of_an_unknown_study_says_so(finished):
    run = finished.run("results/stages/crop/9.9", check=False)
    assert run.returncode == 1
    assert "study 9.9 is not in the source" in run.output


def test_layout_with_series(project):
    project.config["layout"] = "study/series/sop"
    project.run()
    assert "1.2.1/1.2.1.1/1.2.1.1.1.tiff" in project.images()
    assert rows(project.results / "manifest.csv")[0]["path"] == "1.2.1/1.2.1.1/1.2.1.1.1.tiff"
