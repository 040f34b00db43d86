"""What a job of a study asks the queue for."""

import pytest

from dicom_preprocessing.index.table import Study
from dicom_preprocessing.workflow.resources import (
    choose_cluster_cores,
    choose_local_cores,
    estimate_mem_mb,
    estimate_minutes,
)


def study(mem_mb=300, megapixels=0):
    return Study(
        study_instance_uid="1.2", files=1, mem_mb=mem_mb, megapixels=megapixels, inventory=""
    )


def test_memory_is_what_the_headers_tell_for_each_thread():
    assert estimate_mem_mb(study(500), threads=1, attempt=1, on_cluster=False) == 500
    assert estimate_mem_mb(study(500), threads=3, attempt=1, on_cluster=False) == 1500


def test_memory_on_a_cluster_holds_snakemake_once():
    assert estimate_mem_mb(study(500), threads=3, attempt=1, on_cluster=True) == 1900


def test_each_attempt_asks_for_more():
    assert estimate_mem_mb(study(500), threads=1, attempt=2, on_cluster=True) == 1800
    assert estimate_minutes(study(megapixels=1200), attempt=2) == 40


@pytest.mark.parametrize(("megapixels", "cores"), [(0, 1), (599, 1), (600, 2), (10_000, 4)])
def test_cores_on_a_cluster(megapixels, cores):
    assert choose_cluster_cores(study(megapixels=megapixels)) == cores


@pytest.mark.parametrize(("studies", "cores"), [(0, 8), (1, 8), (3, 2), (9, 1)])
def test_studies_share_the_cores_of_a_machine(studies, cores):
    assert choose_local_cores(studies, 8) == cores


def test_unknown_study_gets_the_least():
    assert estimate_mem_mb(None, threads=1, attempt=1, on_cluster=False) == 1000
    assert (estimate_minutes(None, attempt=1), choose_cluster_cores(None)) == (10, 1)
