"""What the rules ask of a run: paths, inputs, targets, settings, wildcards of studies."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.io import PeriodicityDetector, regex_from_filepattern, update_wildcard_constraints

from dicom_preprocessing.config import STAGES, parse_config
from dicom_preprocessing.config.recipe import (
    RECIPE_VARIABLE,
    make_recipe,
    read_recipe,
)
from dicom_preprocessing.errors import ConfigError, OutputError, SourceError
from dicom_preprocessing.index.table import is_path_part
from dicom_preprocessing.results.parts import Part
from dicom_preprocessing.workflow.run import (
    WILDCARDS,
    Run,
    to_json,
)
from tests.unit.indexes import update

STUDY = "1.2.3"


@pytest.fixture
def source(tmp_path, write_dicom):
    folder = tmp_path / "source"
    write_dicom(folder / "1.dcm")
    write_dicom(folder / "2.dcm", StudyInstanceUID="1.2.4", SOPInstanceUID="1.2.4.1")
    return folder


@pytest.fixture
def run(tmp_path, source):
    """A run over an index of two studies."""

    def run(**keys):
        values = {"source": str(source), "output": str(tmp_path / "results")} | keys
        config, _ = parse_config(values)
        update(source, tmp_path / "results", limits=config.limits)
        return Run(config, tmp_path / "examples")

    return run


def finish(run, study, stage="write", recipe=None, inventory=None):
    """Leave folder and receipt as a job does."""
    Path(run.images(stage, study)).mkdir(parents=True)
    receipt = Path(run.receipt(stage, study))
    receipt.parent.mkdir(parents=True, exist_ok=True)
    recipe = recipe or run.recipe_digests[stage]
    inventory = inventory or run.studies[study].inventory
    receipt.write_text(f'{{"recipe": "{recipe}", "inventory": "{inventory}"}}\n')


class TestTargets:
    def test_are_results_and_what_is_missing_before_them(self, run):
        made = run(keep=["crop"])
        finish(made, STUDY)
        missing = [
            made.images("crop", STUDY),
            made.receipt("crop", STUDY),
            *(
                target(s, "1.2.4")
                for s in ("crop", "write")
                for target in (made.images, made.receipt)
            ),
        ]
        assert made.targets() == missing + made.final_targets()

    def test_of_finished_studies_are_the_results(self, run):
        made = run()
        for study in made.studies:
            finish(made, study)
        assert made.targets() == made.final_targets() == [str(p) for p in made.results.final_files]

    def test_of_a_shard_are_its_parts(self, run):
        made = run(shard=[0, 1])
        assert made.final_targets() == [
            f"../../shards/0-of-1/{name}"
            for name in (
                *("manifest.csv", "failures.jsonl", "slices.csv", "warnings.jsonl", "summary.json"),
            )
        ]

    def test_to_collect_names_the_shards_that_have_not_finished(self, run):
        made = run(gather=3)
        for shard in (1, 2):
            part = Part(made.results.output, shard, 3)
            part.folder.mkdir(parents=True)
            for path in part.files:
                path.touch()
        part.warnings.unlink()  # as an earlier version left the part
        with pytest.raises(OutputError, match=r"^2 of 3 shards have not finished: 0, 2\. Run them"):
            made.parts_to_collect()


class TestInputsOfAStage:
    def test_are_the_inventory_where_nothing_is_kept(self, run):
        made = run()
        assert made.inputs_of_stage("write", STUDY) == [str(made.index.inventory(STUDY))]

    def test_are_those_of_the_nearest_kept_stage_before(self, run):
        made = run(keep=["decode", "resize"])
        kept = {"crop": "decode", "resize": "decode", "pad": "resize", "write": "resize"}
        for stage, before in kept.items():
            expected = [made.images(before, STUDY), made.receipt(before, STUDY)]
            assert made.inputs_of_stage(stage, STUDY) == expected
            assert made.kept_stage_before(stage) == before
        assert made.kept_stage_before("decode") == "none"

    def test_of_an_unknown_study_are_an_error(self, run):
        with pytest.raises(SourceError, match=r"^study 1\.9 is not in the source, or has no image"):
            run().inputs_of_stage("write", "1.9")


class TestOutdatedReceipt:
    def test_is_none_where_there_is_no_receipt(self, run):
        assert not run().is_outdated("write", STUDY)

    def test_is_none_that_was_made_as_the_run_would(self, run):
        made = run()
        finish(made, STUDY)
        assert not made.is_outdated("write", STUDY)

    @pytest.mark.parametrize("other", [{"recipe": "another"}, {"inventory": "another"}])
    def test_is_one_of_other_settings_or_files(self, run, other):
        made = run()
        finish(made, STUDY, **other)
        assert made.is_outdated("write", STUDY)

    def test_is_one_that_cannot_be_read(self, run):
        made = run()
        finish(made, STUDY)
        Path(made.receipt("write", STUDY)).write_text("{")
        assert made.is_outdated("write", STUDY)


class TestRecipes:
    def test_of_all_stages_are_in_the_environment_by_their_digests(self, run, monkeypatch):
        made = run(size=[8, 9])
        for name, value in made.environment(Path("scripts"), is_conda=False).items():
            monkeypatch.setenv(name, value)
        for stage in STAGES:
            expected = make_recipe(made.config, stage)
            assert read_recipe(made.recipe_digests[stage]) == expected

    def test_that_is_not_there_is_an_error(self, monkeypatch):
        monkeypatch.delenv(f"{RECIPE_VARIABLE}1", raising=False)
        with pytest.raises(ConfigError, match="has no settings DP_RECIPE_1: Snakemake sets them"):
            read_recipe("1")

    def test_python_of_a_conda_environment_is_the_one_there(self, run):
        assert run().environment(Path("s"), is_conda=True)["DP_PYTHON"] == "python"


@pytest.mark.parametrize(
    ("output", "log"),
    [("results", "logs/write/1.log"), ("other", "other/logs/write/1.log")],
)
def test_outputs_have_logs_of_their_own(output, log):
    config, _ = parse_config({"output": output})
    assert Run(config, Path("examples")).log("write", "1") == log


def test_settings_in_shell_text_are_quoted():
    config, _ = parse_config({"output": "a b/c"})
    assert Run(config, Path("examples")).output_in_shell == "'a b/c'"
    assert to_json(b=1, a=[2]) == '{"a": [2], "b": 1}'


class TestWildcardsOfAStudy:
    """Snakemake takes a wildcard that ends in something twenty times for endless recursion."""

    @staticmethod
    def values(path, study):
        """By rule, the values of wildcards with which Snakemake matches the path of a study."""
        found = {}
        for suffix, wildcards, constraints in WILDCARDS:
            pattern = update_wildcard_constraints(path.format(wildcards), constraints, {})
            match = re.match(regex_from_filepattern(pattern), path.format(study))
            if match:
                found[suffix] = [match[name] for name in constraints]
        return found

    @pytest.mark.parametrize(
        "path", ["results/images/{}", "receipts/write/{}.jsonl", "logs/write/{}.log"]
    )
    @given(
        start=st.from_regex(r"[0-9][0-9A-Za-z._-]{0,20}", fullmatch=True),
        period=st.text("0123456789.", min_size=1, max_size=3),
        times=st.integers(0, 60),
        end=st.text("0123456789", max_size=2),
    )
    def test_are_of_one_rule_together_the_study_and_none_repeats(
        self, path, start, period, times, end
    ):
        study = (start + period * times)[: 64 - len(end)] + end
        assert is_path_part(study)
        ((_, values),) = self.values(path, study).items()
        assert "".join(values) == study
        assert not any(map(PeriodicityDetector().is_periodic, values))

    def test_are_one_for_an_ordinary_uid(self):
        assert self.values("images/{}", "1.2.840.10008.0000") == {"": ["1.2.840.10008.0000"]}

    def test_are_pieces_for_one_that_ends_in_twenty_zeros(self):
        (name,) = self.values("images/{}", "1.2.3." + 20 * "0")
        assert name == "_repeated_digits"

    def test_are_none_for_what_is_no_uid(self):
        assert self.values("images/{}", "1.2/3") == self.values("images/{}", 65 * "1") == {}
