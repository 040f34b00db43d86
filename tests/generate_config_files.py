"""Write what is made from the code: the default configuration, its schema, tables of pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from dicom_preprocessing.config import default_yaml, json_schema
from dicom_preprocessing.dicom.contradictions import COMPUTED_DECISIONS, PRECEDENCES
from dicom_preprocessing.image_warnings import WARNING_CODES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CHECKOUT = Path(__file__).resolve().parents[1]


def schema_yaml() -> str:
    """The text of workflow/schemas/config.schema.yaml."""
    head = "# Generated from dicom_preprocessing.config by make schema; do not edit.\n"
    return head + yaml.safe_dump(json_schema(), sort_keys=False, width=100)


def page_with_table(page: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The text of a page in which the only table with these columns has these rows."""
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    table = head + "".join(f"| {' | '.join(row)} |\n" for row in rows)
    text = page.read_text(encoding="utf-8")
    start, rest = text.split(head)
    return start + table + re.sub(r"\A(\|.*\n)*", "", rest)


def failures_page() -> str:
    """The text of docs/failures.md, which lists the codes of warnings."""
    return page_with_table(
        CHECKOUT / "docs" / "failures.md", ("code", "meaning"), WARNING_CODES.items()
    )


def pixels_page() -> str:
    """The text of docs/pixels.md, which has the table of contradictions."""
    columns = ("contradiction", "what counts", "warning or error", "by")
    by_order = [
        (row.contradiction, ", else ".join(row.sources), row.warning, "", row.reason)
        for row in PRECEDENCES.values()
    ]
    computed = [
        (row.contradiction, row.decision, row.warning, row.error, row.reason)
        for row in COMPUTED_DECISIONS.values()
    ]
    rows = [
        (what, counts, " or ".join(f"`{code}`" for code in (warning, error) if code), reason)
        for what, counts, warning, error, reason in (*computed, *by_order)
    ]
    return page_with_table(CHECKOUT / "docs" / "pixels.md", columns, rows)


def generated_files() -> dict[Path, str]:
    """Texts of the generated files by path."""
    return {
        CHECKOUT / "config" / "config.yaml": default_yaml(),
        CHECKOUT / "workflow" / "schemas" / "config.schema.yaml": schema_yaml(),
        CHECKOUT / "docs" / "failures.md": failures_page(),
        CHECKOUT / "docs" / "pixels.md": pixels_page(),
    }


if __name__ == "__main__":
    for path, text in generated_files().items():
        path.write_text(text, encoding="utf-8")
