"""What is generated from the model: the JSON schema, the default file, and values in messages."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from typing import Any

from dicom_preprocessing.config.model import defaults, keys

UNBREAKABLE = "\u00a0"
"""A blank at which lines are not wrapped."""


def json_schema() -> dict[str, Any]:
    """The JSON schema of a configuration file (all keys optional, no others allowed)."""
    default = defaults()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of DICOM Preprocessing",
        "type": "object",
        "properties": {
            name: {
                "description": " ".join(key.doc.split()),
                "default": default[name],
                **key.value_schema(),
            }
            for name, key in keys().items()
        },
        "additionalProperties": False,
    }


def default_yaml() -> str:
    """The text of config/config.yaml: every key with its default, explained."""
    import textwrap  # noqa: PLC0415  # writing the file is rare

    lines = [
        "# The default configuration. Override keys with a file of your own (--configfile) or one",
        "# by one (--config). config/README.md explains each key.",
    ]
    for name, key in keys().items():
        lines.append("")
        for text in (*key.doc.splitlines(), f"Allowed: {key.allowed}."):
            lines += textwrap.wrap(text, 98, initial_indent="# ", subsequent_indent="# ")
        value = f"{name}: {as_yaml(defaults()[name])}".replace(": ", f":{UNBREAKABLE}")
        wrapped = textwrap.wrap(value, 98, subsequent_indent="  ", break_on_hyphens=False)
        lines += [line.replace(UNBREAKABLE, " ") for line in wrapped]
    return "\n".join(lines) + "\n"


def as_yaml(value: Any) -> str:  # noqa: ANN401
    """A value on one line of YAML, for files and messages; text as it was typed."""
    import yaml  # noqa: PLC0415  # --help and defaults do not need it

    if isinstance(value, str) and value:
        return value
    plain = list(value) if isinstance(value, tuple) else value
    plain = asdict(plain) if is_dataclass(plain) and not isinstance(plain, type) else plain
    text = yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, width=1000)
    return text.strip().removesuffix("...").strip()
