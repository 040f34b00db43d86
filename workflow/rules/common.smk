"""Connect Snakemake and the package: what only a Snakefile can do."""

import functools
import os
import runpy
import sys
from collections import UserString as NotRecorded
from pathlib import Path

from snakemake.logging import logger

CHECKOUT = runpy.run_path(
    workflow.source_path("../../src/dicom_preprocessing/workflow/checkout.py")
)["find_checkout"](workflow)
sys.path.insert(0, str(CHECKOUT / "src"))

from dicom_preprocessing.config import STAGES
from dicom_preprocessing.errors import DicomPreprocessingError
from dicom_preprocessing.text import explain_error
from dicom_preprocessing.workflow import compatibility, outcome, settings
from dicom_preprocessing.workflow.fork_server import keep_libraries_loaded
from dicom_preprocessing.workflow.run import WILDCARDS, Run, to_json

ENVIRONMENT = "../../envs/dicom-preprocessing.yaml"
# Python and the scripts are found by environment variables, since a path in shell text or params
# would make everything run again in a checkout that was moved.
RUN_JOB = '"$DP_PYTHON" -I -S "$DP_SCRIPTS"/run_job.py'
CORES = workflow.resource_settings.cores or 1  # None for --summary and the like


def stop_on_error(function):
    """End the run on an expected error with its message, which --quiet does not suppress."""

    @functools.wraps(function)
    def call(*arguments, **options):
        try:
            return function(*arguments, **options)
        except (DicomPreprocessingError, OSError) as error:
            raise SystemExit(f"error: {explain_error(error)}")

    return call


def is_module():
    """Whether another workflow includes this one."""
    return CHECKOUT not in Path(workflow.main_snakefile).resolve().parents


def wait_for_index():
    """Raise Snakemake's exception until the checkpoint has run, where there is one."""
    has_index = CONFIG.shard or CONFIG.gather
    prepare_run() if has_index else checkpoints.index.get()


@stop_on_error
def configure():
    """The run that the configuration asks for, checked before any work."""
    is_main = workflow.is_main_process
    checked, warnings = settings.read_settings(
        config,
        workflow.config_settings.config,
        workflow.config_settings.configfiles if is_main else (),
        is_module=is_module(),
        has_prefix=bool(getattr(workflow.modifier.path_modifier, "prefix", None)),
        has_directory=is_main and bool(workflow.overwrite_workdir),
    )
    run = Run(checked, CHECKOUT / "examples" / "studies", wait_for_index)
    if is_main:
        run.warn = logger.warning
        for warning in warnings:
            logger.warning(warning)
        settings.require_usable(run, workflow.resource_settings.cores)
    methods = map(str, workflow.deployment_settings.deployment_method)
    scripts = CHECKOUT / "scripts"
    os.environ.update(run.environment(scripts, is_conda="conda" in methods))
    return run


RUN = configure()
CONFIG, INDEX, RESULTS = RUN.config, RUN.index, RUN.results
FAILED_JOBS = outcome.FailedJobs(RUN.logs, is_module=is_module())
logger.addHandler(FAILED_JOBS)


@functools.cache
def prepare_run():
    """Do what has to be done once, when it is known what kind of run this is."""
    settings.require_local_cores(CONFIG, is_local=workflow.local_exec)
    compatibility.require_forcing(workflow)
    # Without an executor only something is printed, as by --summary.
    is_run = workflow.executor_plugin is not None and not workflow.dryrun
    if is_run and workflow.is_main_process:
        for warning in RUN.hold_folders(is_module=is_module()):
            logger.warning(warning)
    if workflow.local_exec and not workflow.dryrun:
        is_limited = set(workflow.global_resources) - {"_cores", "_nodes"}
        keep_libraries_loaded(1 if is_module() or is_limited else CORES)
        if not is_module():
            compatibility.remove_job_rate_limit(workflow)


@functools.cache
def state_of_source():
    """Digest that changes with any file of the source, walked once, in the main process only."""
    if not workflow.is_main_process:
        return ""
    prepare_run()
    return RUN.state_of_source()


def answer(question):
    """Make an input or params function that asks the run, whatever the wildcards."""
    return stop_on_error(lambda wildcards: question())


def study_of(wildcards):
    """The Study Instance UID, which long wildcards hold in pieces (see WILDCARDS)."""
    return "".join(wildcards)


def inputs_of(stage):
    """Input function of a stage, which also makes jobs with outdated receipts run again."""

    def inputs(wildcards):
        study = study_of(wildcards)
        files = RUN.inputs_of_stage(stage, study)
        if workflow.is_main_process and RUN.is_outdated(stage, study):
            compatibility.run_again(workflow, RUN.receipt(stage, study))
        return files

    return stop_on_error(inputs)


@stop_on_error
def threads_of_study(wildcards):
    """More than one where there are fewer studies than cores here; on a cluster by headers."""
    is_local = workflow.is_main_process and workflow.local_exec
    return RUN.threads(study_of(wildcards), CORES if is_local else None)


@stop_on_error
def mem_mb_of_study(wildcards, attempt, threads):
    study, is_local = study_of(wildcards), workflow.local_exec
    return RUN.mem_mb(study, threads, attempt, is_local=is_local)


@stop_on_error
def runtime_of_study(wildcards, attempt):
    return RUN.runtime(study_of(wildcards), attempt)
