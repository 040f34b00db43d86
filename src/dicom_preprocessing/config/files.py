"""Configuration files: YAML whose mistakes are reported with the file and the line.

Snakemake reads the files of ``--configfile`` itself, before any Snakefile, and names neither.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from dicom_preprocessing.config.reading import parse_config
from dicom_preprocessing.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_preprocessing.config.model import Config

KEY_IN_MESSAGE = re.compile(r"^config key '([^']*)'", re.MULTILINE)


def check_config_file(path: Path) -> tuple[Config, list[str]]:
    """The configuration of a file, and warnings.

    Raises
    ------
    ConfigError
        The file cannot be read, is not a YAML mapping, names a key twice, or has a wrong key or
        value. The message has its path and, where there is one, the line.
    """
    values, lines = read_config_file(path)
    try:
        return parse_config(values)
    except ConfigError as error:

        def add_line(match: re.Match[str]) -> str:
            line = lines.get(match[1])
            return f"{path}, line {line}: {match[0]}" if line else f"{path}: {match[0]}"

        raise ConfigError(KEY_IN_MESSAGE.sub(add_line, str(error))) from None


def read_config_file(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """Values of a file by key, and the lines of the keys, from 1.

    Raises
    ------
    ConfigError
        It cannot be read, is not a YAML mapping, or names a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: is not text in UTF-8") from None
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        values = None if root is None else loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}, line {mark.line + 1}, column {mark.column + 1}" if mark else path
        problem = f"{error.problem}. The mistake is here, or at the end of the line before"
        raise ConfigError(f"{where}: is not valid YAML: {problem}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from None
    if not isinstance(root, yaml.MappingNode) or not isinstance(values, dict):
        what = "is empty" if values is None else "is not a mapping"
        raise ConfigError(f"{path}: {what}. Write keys with values, such as\n    size: [512, 512]")
    lines: dict[str, int] = {}
    for key, _ in root.value:
        line = key.start_mark.line + 1
        if key.value in lines:
            raise ConfigError(
                f"{path}, line {line}: config key '{key.value}' is given twice, first in line "
                f"{lines[key.value]}. Leave one of them out."
            )
        lines[key.value] = line
    return values, lines
