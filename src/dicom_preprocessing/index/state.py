"""What the index depends on: a digest of the source, and what is to be tried again.

Standard library only. Snakemake compares the digest with that of the last run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_preprocessing.index.table import IndexFolder
from dicom_preprocessing.index.walk import digest_files, find_files

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """What to try again although nothing changed in the source.

    Parameters
    ----------
    studies : frozenset of str
        With a file that failed transiently: their attempt is raised.
    renewed : frozenset of str
        With a file that exceeded limits which changed since: their attempts start again at 1.
    files : frozenset of str
        Paths that the index could not read.
    """

    studies: frozenset[str] = frozenset()
    renewed: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()

    @property
    def count(self) -> int:
        """Retries that the index adds to those issued so far."""
        return len(self.studies) + len(self.files)


NO_RETRIES = RetryPlan()


def source_state(
    sources: Sequence[str],
    output: str,
    excluded: Sequence[str],
    retries: RetryPlan = NO_RETRIES,
    seconds: int | None = None,
) -> str:
    """A digest that changes with any file of the source and when a retry is due.

    ``seconds`` as for ``find_files``.

    Raises
    ------
    SourceError
        The source cannot be used; nothing may be changed then.
    """
    files = find_files(sources, excluded, seconds)
    due = IndexFolder(output).read_retries().issued + retries.count
    return f"{digest_files(files)[:32]}:{due}"
