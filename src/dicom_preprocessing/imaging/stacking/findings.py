"""What was found about the slices of a volume, in words with numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dicom_preprocessing.image_warnings import ImageWarning

if TYPE_CHECKING:
    from collections.abc import Sequence

FAIL, WARN, FIRST = "fail", "warn", "first"

MAX_LISTED: Final = 3
"""Places that a message lists."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something irregular, and the policy for it.

    Parameters
    ----------
    verdict : str
        Of ``config.stacking.VERDICTS``; or what has no policy and only warns: ``no_positions``,
        ``order``, ``orientation``, ``frame_of_reference``; or only fails: ``incomplete``.
    policy : str
    message : str
        What was found, where (mm along the normal), and what was expected.
    """

    verdict: str
    policy: str
    message: str

    @property
    def is_failure(self) -> bool:
        """Whether the volume must not be written."""
        return self.policy == FAIL

    @property
    def warning(self) -> ImageWarning | None:
        """The warning of a volume that is written, None if it is not."""
        return None if self.is_failure else ImageWarning(f"stack_{self.verdict}", self.message)


def show_mm(value: float) -> str:
    """A number of millimetres, in as many digits as are known."""
    return f"{round(value, 3) + 0.0:.7g}"  # no -0


def list_some(items: Sequence[str]) -> str:
    """``a; b; c; and 7 more``."""
    left_out = len(items) - MAX_LISTED
    shown = list(items[:MAX_LISTED])
    return "; ".join([*shown, f"and {left_out} more"] if left_out > 0 else shown)
