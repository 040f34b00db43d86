"""ImageDescription of this project: JSON, checked before it is used, since anyone may write it."""

from __future__ import annotations

import json
import math
from typing import Any, Final

from dicom_preprocessing.tiff.place import parse_place

SOURCE_KEYS: Final = ("columns", "rows", "frames")
STEP_TEXTS: Final = (("pad", "padding"), ("decode", "intensity"))
"""Settings of steps that tools use, all of which are text."""
RECORDS: Final = ("steps", "versions")
"""Keys whose values are objects, which may be absent."""
TOOLS: Final = "tools"
"""Key of what tools did, one after the other."""
SPACING_SOURCE: Final = "spacing_source"
LARGEST: Final = 2**63
"""Integers from here on fit into no column of a table."""


def parse_description(text: str) -> dict[str, Any]:
    """Parse the ImageDescription of a TIFF that this project wrote.

    Returns
    -------
    dict
        Empty for text that is not JSON.

    Raises
    ------
    ValueError
        JSON that this project does not write; the message says what is odd.
    """
    try:
        description = json.loads(text)
    except RecursionError:
        raise ValueError("ImageDescription is nested too deeply") from None
    except ValueError:
        return {}
    if not isinstance(description, dict):
        return {}
    _check_description(description)
    return description


def _check_description(description: dict[str, Any]) -> None:
    for key in RECORDS:
        _require(isinstance(description.get(key, {}), dict), key)
    steps = description.get("steps", {})
    _require(all(isinstance(step, dict) for step in steps.values()), "steps")
    settings = [steps.get(step, {}).get(name, "") for step, name in STEP_TEXTS]
    _require(all(isinstance(setting, str) for setting in settings), "steps")
    source = description.get("source", {})
    _require(isinstance(source, dict), "source")
    _require(all(_is_count(source[key]) for key in SOURCE_KEYS if key in source), "source")
    _require(_is_number(description.get("background", 0)), "background")
    spacing = description.get("frame_spacing")
    _require(spacing is None or _is_number(spacing), "frame_spacing")
    parse_place(description)
    _require(isinstance(description.get(SPACING_SOURCE, ""), str), SPACING_SOURCE)
    tools = description.get(TOOLS, [])
    _require(isinstance(tools, list) and all(isinstance(tool, dict) for tool in tools), TOOLS)
    _require(isinstance(description.get("fingerprint", ""), str), "fingerprint")


def _require(is_sound: bool, key: str) -> None:
    if not is_sound:
        raise ValueError(f"ImageDescription is damaged: its {key} is not what this project writes")


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < LARGEST


def _is_number(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and -LARGEST < value < LARGEST and math.isfinite(value)  # type: ignore[operator, arg-type]
