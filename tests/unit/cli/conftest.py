"""What tests of commands share with those of what they run."""

from tests.unit.mapping.conftest import mapped, results
from tests.unit.tools.conftest import dicom, tree

__all__ = ["dicom", "mapped", "results", "tree"]
