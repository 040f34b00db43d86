"""What only a Snakefile can do: Snakemake's objects to the package, its answers to the rules."""

import functools
import os
import runpy
import sys
from contextlib import suppress
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

CHECKOUT = runpy.run_path(
    workflow.source_path("../../src/dicom_preprocessing/workflow/checkout.py")
)["find_checkout"](workflow)
sys.path.insert(0, str(CHECKOUT / "src"))

from dicom_preprocessing.config import STAGES, as_mapping
from dicom_preprocessing.errors import DicomPreprocessingError
from dicom_preprocessing.index.state import source_state
from dicom_preprocessing.index.table import UID_PATTERN
from dicom_preprocessing.index.walk import own_folders
from dicom_preprocessing.workflow import compatibility, outcome, resources, settings
from dicom_preprocessing.workflow.fork_server import keep_libraries_loaded
from dicom_preprocessing.workflow.retries import plan_retries
from dicom_preprocessing.workflow.run import Run, to_json
from dicom_preprocessing.workflow.run_lock import hold_run_lock

ENVIRONMENT = "../../envs/dicom-preprocessing.yaml"
# Python and the scripts are found by environment variables: a path in shell text or params would
# make everything run again in a checkout that was moved.
RUN_JOB = '"$DP_PYTHON" -I -S "$DP_SCRIPTS"/run_job.py'
FAILED_JOBS = outcome.FailedJobs()


def stop_on_error(function):
    """Have expected errors end the run with a sentence.

    A WorkflowError may come out wrapped with a traceback, and --quiet swallows it.
    """

    @functools.wraps(function)
    def stopping(*arguments, **options):
        try:
            return function(*arguments, **options)
        except DicomPreprocessingError as error:
            raise SystemExit(f"error: {error}")

    return compatibility.cache_signature(stopping)


def is_module():
    """Whether another workflow includes this one."""
    return CHECKOUT not in Path(workflow.main_snakefile).resolve().parents


def wait_for_index():
    """Raise what Snakemake wants to see until the checkpoint has run, where there is one."""
    if CONFIG.shard or CONFIG.gather:
        prepare_run()
    else:
        checkpoints.index.get()


@stop_on_error
def configure():
    """The run that the configuration asks for, checked before any work."""
    is_main = workflow.is_main_process
    checked, warnings = settings.read_settings(
        config,
        workflow.config_settings.config,
        is_module=is_module(),
        has_prefix=bool(getattr(workflow.modifier.path_modifier, "prefix", None)),
        has_directory=is_main and bool(workflow.overwrite_workdir),
    )
    run = Run(checked, CHECKOUT / "examples" / "studies", wait_for_index)
    if is_main:
        for warning in warnings:
            logger.warning(warning)
        settings.require_usable(run)
        logger.addHandler(FAILED_JOBS)
    methods = {str(method) for method in workflow.deployment_settings.deployment_method}
    os.environ.update(
        run.recipes(),
        DP_PYTHON="python" if "conda" in methods else sys.executable,
        DP_SCRIPTS=str(CHECKOUT / "scripts"),
        DP_DIRECTORY=os.getcwd(),
    )
    return run


RUN = configure()
CONFIG, INDEX, RESULTS = RUN.config, RUN.index, RUN.results
compatibility.change_at_parse(workflow)


@functools.cache
def prepare_run():
    """What has to be done once, when it is known what kind of run this is."""
    settings.require_local_cores(CONFIG, is_local=workflow.local_exec)
    if not workflow.dryrun and not is_module():
        advice = hold_run_lock(Path.cwd())
        if advice:
            logger.warning(advice)
    compatibility.change_for_run(workflow, RUN.is_outdated)
    if workflow.local_exec and not workflow.dryrun:
        keep_libraries_loaded()


@functools.cache
def walk_source():
    prepare_run()
    retries = plan_retries(INDEX)
    return source_state(RUN.sources, RUN.output, own_folders(RUN.output), retries)


@stop_on_error
def state_of_source(wildcards):
    """Changes with any file of the source; walks it once, and only in the main process."""
    return walk_source() if workflow.is_main_process else ""


def answer(question):
    """Input function that asks the run, whatever the wildcards."""
    return stop_on_error(lambda wildcards: question())


def inputs_of(stage):
    """Input function of a stage."""
    return stop_on_error(lambda wildcards: RUN.inputs_of_stage(stage, wildcards.study))


def cores_of_run():
    """Cores that the run may use; 1 where it was started without, as for --summary."""
    with suppress(WorkflowError):
        return workflow.cores
    return 1


@stop_on_error
def threads_of_study(wildcards):
    """More than one where there are fewer studies than cores of this machine.

    On a cluster by the headers, and also in the job there, which runs on its own machine.
    """
    if workflow.is_main_process and workflow.local_exec:
        return resources.local_cores(len(RUN.studies), cores_of_run())
    return resources.cores_on_cluster(RUN.studies.get(wildcards.study))


@stop_on_error
def mem_mb_of_study(wildcards, attempt, threads):
    study, is_cluster = RUN.studies.get(wildcards.study), not workflow.local_exec
    return resources.job_mem_mb(
        study, threads=threads, attempt=attempt, on_cluster=is_cluster
    )


@stop_on_error
def runtime_of_study(wildcards, attempt):
    return resources.runtime_minutes(RUN.studies.get(wildcards.study), attempt=attempt)
