"""Write the default configuration and its schema from the model."""

from __future__ import annotations

from pathlib import Path

import yaml

from dicom_preprocessing.config import default_yaml, json_schema

CHECKOUT = Path(__file__).resolve().parents[1]


def schema_yaml() -> str:
    """The text of workflow/schemas/config.schema.yaml."""
    head = "# Generated from dicom_preprocessing.config by make schema; do not edit.\n"
    return head + yaml.safe_dump(json_schema(), sort_keys=False, width=100)


def generated_files() -> dict[Path, str]:
    """Texts of the generated files by path."""
    return {
        CHECKOUT / "config" / "config.yaml": default_yaml(),
        CHECKOUT / "workflow" / "schemas" / "config.schema.yaml": schema_yaml(),
    }


if __name__ == "__main__":
    for path, text in generated_files().items():
        path.write_text(text, encoding="utf-8")
