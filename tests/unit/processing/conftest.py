"""Series that several modules stack."""

import pytest

from tests.unit.processing.stacks import REGULAR, find_stacks, require
from tests.unit.processing.test_volume import run
from tests.unit.synthetic import write_studies

SYNTHETIC = ("--kind", "ct,mr", "--studies", "3", "--scale", "0.125", "--frame-scale", "0.08")


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory):
    """CT with padding in one study and 12 bits in the other, MR; names are not in order."""
    folder = tmp_path_factory.mktemp("synthetic")
    write_studies(folder, *SYNTHETIC)
    return folder


@pytest.fixture(scope="session", params=[*REGULAR, "synthetic"])
def regular(request, synthetic, tmp_path_factory):
    """Regular volumes: the folder of their files, and all of its stacks."""
    folder = synthetic if request.param == "synthetic" else require(REGULAR[request.param])
    return folder, find_stacks(run(folder, tmp_path_factory.mktemp("regular")))
