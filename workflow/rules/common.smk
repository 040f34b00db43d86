"""Everything with thought in it that the rules need; what is worth a unit test is in the package."""

import functools
import json
import os
import shlex
import sys
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger


def find_checkout():
    """Folder of the scripts and the package.

    As a module, workflow.basedir is the folder of the host. A module from a tag of a repository, as
    `github(...)`, is no folder at all: Snakemake reads single files from a bare clone, so the commit is
    unpacked once beside its cache.
    """
    base = workflow.current_basedir
    if isinstance(base, (str, os.PathLike)):
        return Path(base).resolve().parents[1]
    from git import Repo

    repo = (
        base.hosted_repo.repo if hasattr(base, "hosted_repo") else Repo(base.repo_path)
    )
    commit = repo.commit(base.ref).hexsha
    folder = Path(workflow.sourcecache.cache_path) / "dicom-preprocessing" / commit
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:
            with tempfile.TemporaryFile() as archive:
                repo.archive(archive, treeish=commit, format="zip")
                with zipfile.ZipFile(archive) as members:
                    members.extractall(f"{place}/checkout")
            with suppress(OSError):  # another run was faster
                os.rename(f"{place}/checkout", folder)
    return folder


CHECKOUT = find_checkout()
sys.path.insert(0, str(CHECKOUT / "src"))

from dicom_preprocessing.config import STAGES, as_mapping, defaults, keys, parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.errors import ConfigError, OutputError, SourceError
from dicom_preprocessing.index.state import source_state
from dicom_preprocessing.index.table import UID_PATTERN, IndexFolder, IndexRequest
from dicom_preprocessing.index.walk import own_folders, source_list
from dicom_preprocessing.results.layout import ResultsFolder
from dicom_preprocessing.results.parts import Part
from dicom_preprocessing.workflow.compatibility import (
    accept_repeated_digits,
    ask_for_pipes_once,
    ask_queue_without_accounting,
    collect_garbage_seldom,
    end_gracefully_in_a_thread,
    look_at_few_jobs_a_round,
    start_jobs_at_any_rate,
    take_receipts_for_records,
    cache_signature,
)
from dicom_preprocessing.workflow.fork_server import keep_libraries_loaded
from dicom_preprocessing.workflow.resources import (
    local_cores,
    cores_on_cluster,
    job_mem_mb,
    runtime_minutes,
)
from dicom_preprocessing.workflow.retries import receipt_matches, plan_retries
from dicom_preprocessing.workflow.run_lock import hold_run_lock
from dicom_preprocessing.workflow.shards import belongs_to, find_parts, parts_of

ENVIRONMENT = "../../envs/dicom-preprocessing.yaml"


def stop(message):
    """End the run with a sentence.

    A WorkflowError may come out wrapped with a traceback, and --quiet swallows it.
    """
    raise SystemExit(f"error: {message}")


def validated_config():
    """The typed configuration, or one message."""
    if getattr(workflow.modifier.path_modifier, "prefix", None):
        stop(
            "prefix: is not supported for this workflow, because its index, receipts and manifest "
            "name paths themselves. Set the config key output instead."
        )
    if workflow.config_settings.config.get("source", "examples") is None:
        stop(
            "config key 'source': found nothing on the command line. Name a folder, or leave the key "
            "out for the bundled examples."
        )
    try:
        validated, warnings = parse_config(config)
    except ConfigError as error:
        stop(error)
    if validated.shard and is_module():
        stop(
            "config key 'shard': is not supported for a module, since a shard works in a folder of "
            "its own. Run this workflow by itself."
        )
    if validated.shard and workflow.is_main_process and workflow.overwrite_workdir:
        stop(
            "config key 'shard': a shard works in a folder of its own, which --directory replaces. "
            "Leave it out, and start the shard in that folder."
        )
    if workflow.is_main_process:
        for warning in warnings:
            logger.warning(warning)
    return validated


def is_module():
    """Whether another workflow includes this one."""
    return CHECKOUT not in Path(workflow.main_snakefile).resolve().parents


def point_jobs_at_checkout():
    """Tell jobs where Python and the scripts are.

    By environment variables, because a path in shell text or params would make everything run
    again in a checkout that was moved.
    """
    methods = {str(method) for method in workflow.deployment_settings.deployment_method}
    os.environ.update(
        DP_PYTHON="python" if "conda" in methods else sys.executable,
        DP_SCRIPTS=str(CHECKOUT / "scripts"),
        DP_DIRECTORY=os.getcwd(),
    )


def require_writable(output):
    """Say in a sentence that results cannot be written, before any work."""
    parent = next(
        path for path in (output, *output.absolute().parents) if path.exists()
    )
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        stop(f"output {output}: {parent} is no folder that can be written to")


def require_index(folder):
    """Say in a sentence that there is no index of this source, which shards do not make."""
    index = "snakemake index (with the same keys, without shard and gather)"
    found = folder.read_request()
    if not folder.table.exists():
        stop(f"{folder.table} is not there. Make it once for all shards: {index}")
    if found is None:
        stop(f"{folder.table} is of another version: remove it, then {index}")
    wanted = IndexRequest.made_here(
        CONFIG.output, sources(), CONFIG.duplicates, CONFIG.limits
    )
    for key in ("source", "duplicates", "limits"):
        before, now = getattr(found, key), getattr(wanted, key)
        if before != now:
            stop(
                f"config key '{key}': {folder.path} was made with {before}, this run has "
                f"{now}. Make it anew: {index}"
            )
    if found.start != wanted.start:
        place = os.path.normpath(os.path.join(folder.output.resolve(), found.start))
        stop(
            f"config key 'source': {folder.path} was made in {place}, where its relative paths "
            "start. Call snakemake there."
        )


def sources():
    return source_list(CONFIG.source, CHECKOUT / "examples" / "studies")


CONFIG = validated_config()
point_jobs_at_checkout()
if workflow.is_main_process:
    require_writable(Path(CONFIG.output))
    if CONFIG.shard or CONFIG.gather:
        require_index(IndexFolder(CONFIG.output))
if CONFIG.shard:
    # Snakemake's records and logs are apart from those of other shards, and go where results go.
    SHARD_FOLDER = str(Part(Path(CONFIG.output), *CONFIG.shard).folder)
    OUTPUT = os.path.join("..", "..")
    PART = Part(Path(OUTPUT), *CONFIG.shard)
else:
    OUTPUT = CONFIG.output
    PART = None
INDEX = IndexFolder(OUTPUT)
RESULTS = ResultsFolder(Path(OUTPUT))
# In shell text, where it costs nothing: a param by a function costs time at each job.
FOLDER_OF_RESULTS = shlex.quote(OUTPUT).replace("{", "{{").replace("}", "}}")
STAGE_OF_RECEIPTS = {str(RESULTS.receipts(stage)): stage for stage in STAGES}
if workflow.is_main_process:
    collect_garbage_seldom()
    look_at_few_jobs_a_round()
    ask_for_pipes_once()
accept_repeated_digits()
end_gracefully_in_a_thread()


def state_of_source(wildcards):
    """Changes with any file of the source; walks it once, and only in the main process."""
    return walked_source() if workflow.is_main_process else ""


def cores_of_run():
    """Cores that the run may use; 1 where it was started without, as for --summary."""
    with suppress(WorkflowError):
        return workflow.cores
    return 1


@functools.cache
def prepare_run():
    """What has to be done once, when it is known what kind of run this is."""
    if PART and workflow.is_main_process and not workflow.local_exec:
        stop(
            "config key 'shard': a shard works on the cores of this machine. Leave out the executor "
            "(or its profile) and run the shard within one job, or leave out the key for one job a "
            "study."
        )
    if not workflow.dryrun and not is_module():
        advice = hold_run_lock(Path.cwd())
        if advice:
            logger.warning(advice)
    take_receipts_for_records(workflow, is_outdated)
    if not workflow.local_exec:
        ask_queue_without_accounting(workflow)
    elif not workflow.dryrun:
        start_jobs_at_any_rate(workflow)
        keep_libraries_loaded()


@functools.cache
def walked_source():
    prepare_run()
    try:
        return source_state(sources(), OUTPUT, own_folders(OUTPUT), plan_retries(INDEX))
    except SourceError as error:
        stop(f"{error}. Nothing was changed.")


@functools.cache
def studies():
    """Studies of this run; an error, which is not kept, until the checkpoint has run."""
    if PART is None:
        checkpoints.index.get()
    else:
        prepare_run()
    try:
        table = INDEX.read_studies()
    except OutputError as error:
        stop(error)
    return {uid: s for uid, s in table.items() if PART is None or belongs_to(uid, PART)}


def images_of(stage, study):
    return str(RESULTS.study(stage, study))


def receipt_of(stage, study):
    return str(RESULTS.receipt(stage, study))


def all_targets(wildcards):
    """The results, and what is missing: Snakemake leaves out what stands between results.

    What is there is not named, because each name costs at each run.
    """
    if CONFIG.gather:
        prepare_run()
        return results()
    targets = [
        target(stage, study)
        for study in studies()
        for stage in (*CONFIG.keep, "write")
        for target in (images_of, receipt_of)
    ]
    return [*missing_of(targets), *results()]


def results():
    """What a run is for."""
    if PART is None:
        return [str(path) for path in RESULTS.of_run]
    return [str(path) for path in (PART.manifest, PART.failures, PART.summary)]


def parts(wildcards):
    """Results of all shards; says which have not finished."""
    made = parts_of(OUTPUT, CONFIG.gather)
    missing = [str(part.shard) for part in made if not part.summary.exists()]
    if missing:
        finished = {p.shards for p in find_parts(Path(OUTPUT)) if p.summary.exists()}
        others = ", ".join(map(str, sorted(finished - {CONFIG.gather})))
        stop(
            f"{len(missing)} of {CONFIG.gather} shards have not finished: {', '.join(missing)}. "
            f"Run them again (shard: [{missing[0]}, {CONFIG.gather}]), then gather. What stopped one "
            "is at the end of what it printed."
            + (f" There are parts of {others} shards." if others else "")
        )
    return [
        path for part in made for path in (part.manifest, part.failures, part.summary)
    ]


def missing_of(paths):
    """Those of the paths that are not there; looks at folders, not at each path."""
    names = {
        folder: names_in(folder) for folder in {os.path.dirname(path) for path in paths}
    }
    return [
        path
        for path in paths
        if os.path.basename(path) not in names[os.path.dirname(path)]
    ]


def names_in(folder):
    with suppress(FileNotFoundError):
        return set(os.listdir(folder))
    return set()


def written_studies(wildcards):
    """Images of every study; the receipt comes with them."""
    return [images_of("write", study) for study in studies()]


def kept_before(stage):
    """The nearest kept stage before this one, or none, as jobs are told."""
    before = STAGES[: STAGES.index(stage)]
    return next((name for name in reversed(before) if name in CONFIG.keep), "none")


def nearest_kept(stage):
    """Input function: folder and receipt of the nearest kept stage before, else the inventory."""
    kept = kept_before(stage)

    @cache_signature
    def inputs(wildcards):
        if wildcards.study not in studies():
            stop(
                f"study {wildcards.study} is not in the source, or has no image (see "
                f"{INDEX.table} and {RESULTS.failures})"
            )
        if kept == "none":
            return [INDEX.inventory(wildcards.study)]
        return [images_of(kept, wildcards.study), receipt_of(kept, wildcards.study)]

    return inputs


def is_outdated(job):
    """Whether the receipt of a stage's job tells of other settings or files, None if there is none.

    Jobs of other modules, which have other studies, are none of this workflow's.
    """
    receipt, name = str(job.output.get("receipt")), job.wildcards.get("study")
    stage = STAGE_OF_RECEIPTS.get(os.path.dirname(receipt))
    if stage is None or not os.path.exists(receipt):
        return None
    study = studies().get(name)
    if study is None:
        return None
    return not receipt_matches(Path(receipt), digest_of_recipe(stage), study.inventory)


@functools.cache
def digest_of_recipe(stage):
    return make_recipe(CONFIG, stage).digest


def recipe_of(stage):
    """Versions and settings of the stages up to this one, as one line of JSON."""
    return make_recipe(CONFIG, stage).to_json()


def request_of_manifest(**values):
    """What the rules ask for that gather results."""
    return request(
        recipe=digest_of_recipe("write"),
        keep=CONFIG.keep,
        # The bundled examples are not what the results of earlier runs came from.
        prune=CONFIG.prune and CONFIG.source is not None,
        **values,
    )


def request(**values):
    """Settings of a rule that is no stage, as one line of JSON."""
    return json.dumps(values, sort_keys=True)


def changed_keys():
    """What decides about images and differs from the defaults."""
    values = as_mapping(CONFIG)
    return {
        key: values[key]
        for key, default in defaults().items()
        if values[key] != default and (key == "source" or keys()[key].alters)
    }


@cache_signature
def threads_of_study(wildcards):
    """More than one where there are fewer studies than cores of this machine.

    On a cluster by the headers, and also in the job there, which runs on its own machine.
    """
    if workflow.is_main_process and workflow.local_exec:
        return local_cores(len(studies()), cores_of_run())
    return cores_on_cluster(studies().get(wildcards.study))


@cache_signature
def study_mem_mb(wildcards, attempt, threads):
    return job_mem_mb(
        studies().get(wildcards.study),
        threads=threads,
        attempt=attempt,
        on_cluster=not workflow.local_exec,
    )


@cache_signature
def study_runtime(wildcards, attempt):
    return runtime_minutes(studies().get(wildcards.study), attempt=attempt)
