"""Everything with thought in it that the rules need; what is worth a unit test is in the package."""

import fcntl
import functools
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.io import PeriodicityDetector
from snakemake.logging import logger

# As a module, workflow.basedir is the folder of the host; this is always the checkout.
CHECKOUT = Path(workflow.current_basedir).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "src"))

from dicom_preprocessing.chain import make_chain
from dicom_preprocessing.config import STAGES, as_mapping, defaults, keys, parse_config
from dicom_preprocessing.errors import ConfigError, SourceError
from dicom_preprocessing.index.state import source_state
from dicom_preprocessing.index.table import UID_PATTERN, IndexFolder, is_path_part
from dicom_preprocessing.index.walk import own_folders, source_list
from dicom_preprocessing.warm import keep_libraries_loaded

RESULT_FILES = (
    "manifest.csv",
    "manifest.parquet",
    "failures.csv",
    "retry.txt",
    "orphans.txt",
    "report.html",
    "verdict.txt",
)
ENVIRONMENT = "../../envs/dicom-preprocessing.yaml"


def validated_config():
    """The typed configuration, or one message."""
    if getattr(workflow.modifier.path_modifier, "prefix", None):
        raise WorkflowError(
            "prefix: is not supported for this workflow, because its index, receipts and manifest "
            "name paths themselves. Set the config key output instead."
        )
    if workflow.config_settings.config.get("source", "examples") is None:
        raise WorkflowError(
            "config key 'source': found nothing on the command line. Name a folder, or leave the key "
            "out for the bundled examples."
        )
    try:
        validated, warnings = parse_config(config)
    except ConfigError as error:
        raise WorkflowError(str(error)) from None
    if workflow.is_main_process:
        for warning in warnings:
            logger.warning(warning)
    return validated


def point_jobs_at_checkout():
    """Tell jobs where Python and the scripts are.

    By environment variables, because a path in shell text or params would make everything run
    again in a checkout that was moved.
    """
    methods = {str(method) for method in workflow.deployment_settings.deployment_method}
    os.environ.update(
        DP_PYTHON="python" if "conda" in methods else sys.executable,
        DP_SCRIPTS=str(CHECKOUT / "scripts"),
    )


def require_writable(output):
    """Say in a sentence that results cannot be written, before any work."""
    parent = next(
        path for path in (output, *output.absolute().parents) if path.exists()
    )
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise SystemExit(
            f"error: output {output}: {parent} is no folder that can be written to"
        )


def accept_repeated_digits():
    """Let Snakemake pass UIDs that end in twenty equal digits, as anonymised ones may.

    It takes a wildcard with such an ending for endless recursion of a rule. What is longer than a
    UID it still does.
    """
    if hasattr(PeriodicityDetector, "is_periodic_beyond_uids"):
        return
    PeriodicityDetector.is_periodic_beyond_uids = PeriodicityDetector.is_periodic
    PeriodicityDetector.is_periodic = lambda detector, value: (
        None if is_path_part(value) else detector.is_periodic_beyond_uids(value)
    )


CONFIG = validated_config()
OUTPUT = CONFIG.output
INDEX = IndexFolder(OUTPUT)
point_jobs_at_checkout()
if workflow.is_main_process:
    require_writable(Path(OUTPUT))
accept_repeated_digits()


def state_of_source(wildcards):
    """Changes with any file of the source; walks it once, and only in the main process."""
    return walked_source() if workflow.is_main_process else ""


def cores_of_run():
    """Cores that the run may use; 1 where it was started without, as for --summary."""
    with suppress(WorkflowError):
        return workflow.cores
    return 1


DEFAULT_RATE = (100, 1)


def start_jobs_at_any_rate():
    """Drop Snakemake's default limit of jobs a second, which is meant for clusters.

    With it each finished job starts a timer that has jobs selected again a second later, and starts
    the next timer: a thousand jobs and a second later there are a thousand selections a second.
    """
    settings = workflow.scheduling_settings  # None for --summary and the like
    limit = settings and settings.max_jobs_per_timespan
    if limit and (limit.max_jobs, limit.timespan) == DEFAULT_RATE:
        settings.max_jobs_per_timespan = None


@functools.cache
def walked_source():
    clear_stale_locks()
    if workflow.local_exec and not workflow.dryrun:
        start_jobs_at_any_rate()
        keep_libraries_loaded()
    sources = source_list(CONFIG.source, CHECKOUT / "examples" / "studies")
    try:
        return source_state(sources, OUTPUT, own_folders(OUTPUT))
    except SourceError as error:
        # A WorkflowError would come out wrapped with a traceback, and --quiet would swallow it.
        raise SystemExit(f"error: {error}. Nothing was changed.") from None


LOCKS = []


def clear_stale_locks():
    """Remove the locks that a killed run left in .snakemake, if no other run is alive.

    The shared lock is held as long as this process lives.
    """
    is_module = Path(workflow.main_snakefile).resolve().parent != CHECKOUT
    if workflow.dryrun or LOCKS or is_module:
        return
    Path(".snakemake").mkdir(exist_ok=True)
    handle = os.open(".snakemake/run.lock", os.O_CREAT | os.O_RDWR)
    LOCKS.append(handle)
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for lock in Path(".snakemake/locks").glob("*.lock"):
            lock.unlink()
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)


@functools.cache
def read_studies(table, mtime_ns):
    return INDEX.read_table()


def studies():
    """Studies of the index, read once per index; waits for the checkpoint."""
    checkpoints.index.get()
    return read_studies(INDEX.table, INDEX.table.stat().st_mtime_ns)


def images_of(stage, study):
    folder = "images" if stage == "write" else f"stages/{stage}"
    return f"{OUTPUT}/{folder}/{study}"


def receipt_of(stage, study):
    return f"{OUTPUT}/receipts/{stage}/{study}.jsonl"


def all_targets(wildcards):
    """Everything, named one by one: what nothing lists is not rebuilt when it is deleted."""
    return [
        *(
            target(stage, study)
            for study in studies()
            for stage in (*CONFIG.keep, "write")
            for target in (images_of, receipt_of)
        ),
        *(f"{OUTPUT}/{name}" for name in RESULT_FILES),
    ]


def written_studies(wildcards):
    """Images and receipts of every study."""
    return [
        target("write", study)
        for study in studies()
        for target in (images_of, receipt_of)
    ]


def nearest_kept(stage):
    """Input function: folder and receipt of the nearest kept stage before, else the inventory."""
    before = STAGES[: STAGES.index(stage)]
    kept = next((name for name in reversed(before) if name in CONFIG.keep), None)

    def inputs(wildcards):
        if wildcards.study not in studies():
            raise WorkflowError(
                f"study {wildcards.study} is not in the source, or has no image (see "
                f"{INDEX.table} and {OUTPUT}/failures.csv)"
            )
        if kept is None:
            return [INDEX.inventory(wildcards.study)]
        return [images_of(kept, wildcards.study), receipt_of(kept, wildcards.study)]

    return inputs


def chain_of(stage):
    """Versions and settings of the stages up to this one, as one line of JSON."""
    return make_chain(CONFIG, stage).to_json()


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


def threads_of_study(wildcards):
    """More than one where there are fewer studies than cores of this machine."""
    if not workflow.local_exec:
        return 1
    return max(1, cores_of_run() // max(1, len(studies())))


def study_mem_mb(wildcards, attempt, threads):
    """Memory from the headers of the study, more at each retry and for each thread."""
    known = studies().get(wildcards.study)
    return attempt * threads * (known.mem_mb if known else 1000)
