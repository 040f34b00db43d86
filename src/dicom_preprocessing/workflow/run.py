"""A run of the workflow, which answers its rules: paths, inputs, targets, settings, resources.

It knows nothing about Snakemake: the Snakefile passes on what only Snakemake knows. Standard
library only, besides what the configuration needs.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.config import STAGES, as_mapping, defaults, keys
from dicom_preprocessing.config.recipe import RECIPE_VARIABLE, make_recipe
from dicom_preprocessing.config.selection import selection_of
from dicom_preprocessing.errors import OutputError, SourceError
from dicom_preprocessing.index.state import source_state
from dicom_preprocessing.index.table import UID_PATTERN, IndexFolder
from dicom_preprocessing.index.walk import list_own_folders, list_sources
from dicom_preprocessing.results.layout import RECEIPT_SUFFIX, ResultsFolder
from dicom_preprocessing.results.parts import Part
from dicom_preprocessing.workflow.holder import Holder
from dicom_preprocessing.workflow.resources import (
    choose_cluster_cores,
    choose_local_cores,
    estimate_mem_mb,
    estimate_minutes,
)
from dicom_preprocessing.workflow.retries import plan_retries, receipt_matches
from dicom_preprocessing.workflow.run_lock import hold_output, hold_working_directory
from dicom_preprocessing.workflow.shards import belongs_to, find_parts, list_parts
from dicom_preprocessing.workflow.space import find_share, warn_of_little_space

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dicom_preprocessing.config import Config, Stage
    from dicom_preprocessing.config.recipe import Recipe
    from dicom_preprocessing.index.table import Study

REPEATED_END = r"[^/]*?(.{1,3}?)()\2{19}(?:\.jsonl|\.log|)$"
"""Matches a study whose UID ends in something twenty times, as anonymised ones may.

What is repeated is the second group of the pattern of a path, in which the wildcard is the first.
Snakemake also compiles the pattern of a wildcard by itself, so there has to be a second group in
it; where that does not match, it matches the path.
"""

WILDCARDS = (
    ("", "{study}", {"study": rf"(?!{REPEATED_END}){UID_PATTERN}"}),
    (
        "_repeated_digits",
        "{study}{study_2}{study_3}{study_4}",
        {
            "study": rf"(?={REPEATED_END})[0-9A-Za-z._-]{{1,19}}",
            "study_2": r"[0-9A-Za-z._-]{1,19}",
            "study_3": r"[0-9A-Za-z._-]{0,19}",
            "study_4": r"[0-9A-Za-z._-]{0,7}",
        },
    ),
)
"""Suffixes of the names of a stage's two rules, the wildcards of a study, and their constraints.

Snakemake takes a wildcard that ends in something twenty times for endless recursion of a rule. So
such studies have rules of their own, with the UID in shorter pieces.
"""


class Run:
    """The configuration of a run, the paths of its results, and what it has to make.

    Parameters
    ----------
    config : Config
    examples : Path
        The bundled studies, which are read where no source is set.
    wait_for_index : callable
        Called before the index is read. Until the index exists, it raises the exception that
        makes Snakemake ask again later.
    """

    def __init__(
        self, config: Config, examples: Path, wait_for_index: Callable[[], object] = lambda: None
    ) -> None:
        self.config = config
        self.sources = list_sources(config.source, examples)
        self.wait_for_index = wait_for_index
        self.warn: Callable[[str], object] | None = None  # of the main process
        self.part: Part | None = None
        self.output = config.output
        if config.shard:
            # A shard's run has a working directory of its own, ``part_folder``, for Snakemake's
            # records: other shards run at the same time.
            self.part_folder = str(Part(Path(config.output), *config.shard).folder)
            self.output = os.path.join("..", "..")
            self.part = Part(Path(self.output), *config.shard)
        self.index = IndexFolder(self.output)
        self.results = ResultsFolder(Path(self.output))
        is_default = self.part is not None or config.output == defaults()["output"]
        self.logs = "logs" if is_default else os.path.join(self.output, "logs")

    @property
    def output_in_shell(self) -> str:
        """The folder of results as shell text; it has no braces, which Snakemake would replace.

        It is not a param, because one that is a function costs time at each job.
        """
        return shlex.quote(self.output)

    def log(self, *names: str) -> str:
        """Path of a log."""
        return os.path.join(self.logs, *names) + ".log"

    def images(self, stage: Stage, study: str) -> str:
        """Folder of the images of a study after a stage."""
        return str(self.results.study(stage, study))

    def receipt(self, stage: Stage, study: str) -> str:
        """Receipt of a study's job."""
        return str(self.results.receipt(stage, study))

    @cached_property
    def studies(self) -> dict[str, Study]:
        """Studies of this run by UID; raises, and is asked again, until the index exists."""
        self.wait_for_index()
        table = self.index.read_studies()
        studies = {
            uid: study
            for uid, study in table.items()
            if self.part is None or belongs_to(uid, self.part)
        }
        self._warn_of_little_space(table, studies)
        return studies

    def _warn_of_little_space(self, table: dict[str, Study], studies: dict[str, Study]) -> None:
        if self.warn is None:  # as in all processes but the main one
            return
        counts = self.index.read_pixels()
        if counts is None:
            return
        written = _list_names(str(self.results.receipts("write")))
        missing = [uid for uid in studies if f"{uid}{RECEIPT_SUFFIX}" not in written]
        share = find_share(table, missing)
        for warning in warn_of_little_space(self.config, self.output, counts, share):
            self.warn(warning)

    def kept_stage_before(self, stage: Stage) -> str:
        """The nearest kept stage before this one, or ``none``, as for option --kept of a job."""
        before = STAGES[: STAGES.index(stage)]
        return next((name for name in reversed(before) if name in self.config.keep), "none")

    def inputs_of_stage(self, stage: Stage, study: str) -> list[str]:
        """Folder and receipt of the nearest kept stage before, else the inventory."""
        if study not in self.studies:
            raise SourceError(
                f"study {study} is not in the source, or has no image (see {self.index.table} and "
                f"{self.results.failures})"
            )
        kept: Any = self.kept_stage_before(stage)
        if kept == "none":
            return [str(self.index.inventory(study))]
        return [self.images(kept, study), self.receipt(kept, study)]

    def written_images(self) -> list[str]:
        """Folders of the images of every study; receipts come with them."""
        return [self.images("write", study) for study in self.studies]

    def targets(self) -> list[str]:
        """The results, and those of the images and receipts before them that are missing.

        Snakemake does not look for what is missing between up-to-date results. What exists is not
        named, because each name costs time at each run.
        """
        if self.config.gather:
            self.wait_for_index()
            return self.final_targets()
        stages: tuple[Any, ...] = (*self.config.keep, "write")
        wanted = (
            target(stage, study)
            for study in self.studies
            for stage in stages
            for target in (self.images, self.receipt)
        )
        return [*_filter_missing(wanted), *self.final_targets()]

    def final_targets(self) -> list[str]:
        """The files with which a run is finished."""
        if self.part is None:
            return [str(path) for path in self.results.final_files]
        return [str(path) for path in self.part.files]

    def parts_to_collect(self) -> list[Path]:
        """Results of all shards; raises an OutputError that names those that have not finished."""
        shards = self.config.gather or 0
        parts = list_parts(self.output, shards)
        missing = [str(part.shard) for part in parts if not all(p.exists() for p in part.files)]
        if missing:
            finished = {p.shards for p in find_parts(Path(self.output)) if p.summary.exists()}
            others = ", ".join(map(str, sorted(finished - {shards})))
            raise OutputError(
                f"{len(missing)} of {shards} shards have not finished: {', '.join(missing)}. "
                f"Run them again (shard: [{missing[0]}, {shards}]), then gather. The end of a "
                "shard's output says what stopped it."
                + (f" There are parts of {others} shards." if others else "")
            )
        return [path for part in parts for path in part.files]

    @cached_property
    def recipes(self) -> dict[str, Recipe]:
        """Recipes of all stages by their digests."""
        made = (make_recipe(self.config, stage) for stage in STAGES)
        return {recipe.digest: recipe for recipe in made}

    @cached_property
    def recipe_digests(self) -> dict[Stage, str]:
        """By stage, the digest of versions and settings up to it, which receipts record."""
        return {recipe.stage: digest for digest, recipe in self.recipes.items()}

    def environment(self, scripts: Path, *, is_conda: bool) -> dict[str, str]:
        """Environment variables of jobs: Python, scripts, where snakemake was called, recipes.

        Recipes are named by their digests, so that a rule's param, which Snakemake prints for each
        job, is 16 characters long. Jobs in a conda environment use the Python of that.
        """
        return {
            "DP_PYTHON": "python" if is_conda else sys.executable,
            "DP_SCRIPTS": str(scripts),
            "DP_DIRECTORY": os.getcwd(),
        } | {RECIPE_VARIABLE + digest: r.to_json() for digest, r in self.recipes.items()}

    def is_outdated(self, stage: Stage, study: str) -> bool:
        """Whether a study has a receipt of other settings or files than the present ones."""
        receipt = self.results.receipt(stage, study)
        inventory = self.studies[study].inventory
        return receipt.exists() and not receipt_matches(
            receipt, self.recipe_digests[stage], inventory
        )

    def threads(self, study: str, cores: int | None) -> int:
        """Cores of a job: a share of ``cores`` of this machine, or by the headers if None."""
        if cores is not None:
            return choose_local_cores(len(self.studies), cores)
        return choose_cluster_cores(self.studies.get(study))

    def mem_mb(self, study: str, threads: int, attempt: int, *, is_local: bool) -> int:
        """Memory of a job in MB."""
        known = self.studies.get(study)
        return estimate_mem_mb(known, threads=threads, attempt=attempt, on_cluster=not is_local)

    def runtime(self, study: str, attempt: int) -> int:
        """Minutes of a job."""
        return estimate_minutes(self.studies.get(study), attempt=attempt)

    def state_of_source(self) -> str:
        """Digest of the files of the source and of retries that are due; walks all folders."""
        own = list_own_folders(self.output)
        try:
            retries, seconds = plan_retries(self.index), self.config.limits.seconds
            return source_state(self.sources, self.output, own, retries, seconds)
        except SourceError as error:
            raise SourceError(f"{error}. Nothing was changed.") from None

    def collection_settings(self, **values: object) -> str:
        """Settings of the rules that collect results, as one line of JSON."""
        return to_json(
            recipe=self.recipe_digests["write"],
            keep=self.config.keep,
            prune=self.removes_orphans,
            columns=self.config.columns,
            **values,
        )

    def hold_folders(self, *, is_module: bool) -> list[str]:
        """Hold the results and the working directory until the end; return warnings.

        The latter is another workflow's if that includes this one as a module. Raises an
        OutputError if another run may be using the results.
        """
        task = self._describe_task()
        hold_output(self.output, task, self.config.output)
        return [] if is_module else hold_working_directory(Path.cwd(), task)

    def _describe_task(self) -> Holder:
        """What this run tells others about itself."""
        shard, gather = self.config.shard, self.config.gather
        name = f"the collection of {gather} shards" if gather else "a run"
        return Holder(
            task=f"shard {shard[0]} of {shard[1]}" if shard else name,
            output=os.path.abspath(self.output),
            folder=os.getcwd(),
            shard=shard,
            # One that removes folders must not meet a shard that writes them.
            is_collection=gather is not None and not self.removes_orphans,
        )

    @property
    def removes_orphans(self) -> bool | str:
        """How to prune: the bundled examples are not what earlier results came from."""
        return self.config.source is not None and self.config.prune

    @property
    def log_of_pruning(self) -> str:
        """Log of the job that removes orphans, which says why it did not; empty without prune."""
        if not self.removes_orphans:
            return ""
        return self.log("collect" if self.config.gather else "manifest")

    def index_settings(self) -> str:
        """Settings of the rule that indexes the source, as one line of JSON."""
        values = as_mapping(self.config)
        kept = {name: values[name] for name in ("source", "duplicates", "limits")}
        return to_json(**kept, selection=selection_of(self.config).as_record())

    def report_settings(self) -> str:
        """Keys that affect images and differ from the defaults, as one line of JSON."""
        values, about = as_mapping(self.config), keys()
        changed = {
            key: values[key]
            for key, default in defaults().items()
            if values[key] != default and (key == "source" or about[key].alters)
        }
        return to_json(settings=changed)


def to_json(**values: object) -> str:
    """Settings of a rule that is not a stage, as one line of JSON with sorted keys."""
    return json.dumps(values, sort_keys=True)


def _filter_missing(paths: Iterable[str]) -> Iterator[str]:
    """Those of the paths that do not exist; lists folders instead of checking each path."""
    names_in = cache(_list_names)
    for path in paths:
        folder, name = os.path.split(path)
        if name not in names_in(folder):
            yield path


def _list_names(folder: str) -> Sequence[str] | set[str]:
    try:
        return set(os.listdir(folder))
    except FileNotFoundError:
        return ()
