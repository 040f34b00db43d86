"""Configuration files: YAML whose mistakes are reported with the file and the line.

Snakemake reads the files of ``--configfile`` itself, before any Snakefile, and names neither.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import yaml

from dicom_preprocessing.config.reading import parse_config
from dicom_preprocessing.config.yaml_text import RepeatedKeyError, load_yaml
from dicom_preprocessing.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_preprocessing.config.model import Config

MAX_BYTES = 4_000_000
"""Of a file; reading it takes two seconds per MB."""

MAX_PROBLEM = 400
"""Characters of a problem, which may quote a tag or a key of any length."""

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
        It cannot be read, is not a YAML mapping, names a key twice, or is larger or more nested
        than any configuration.
    """
    text = _read_text(path)
    json_values = _read_json(text)
    try:
        # JSON may be indented with tabs, YAML not.
        values, root = load_yaml(text if json_values is None else text.replace("\t", " "))
    except RepeatedKeyError as error:
        raise ConfigError(f"{path}, line {error.line}: {_shorten(error.problem)}.") from None
    except yaml.MarkedYAMLError as error:
        raise ConfigError(_describe_yaml_error(path, error)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = f"character {error.character:#04x} is not allowed"
        raise ConfigError(f"{path}, line {line}: is not valid YAML: {problem}") from None
    if not isinstance(root, yaml.MappingNode) or not isinstance(values, dict):
        what = "is empty" if values is None else "is not a mapping"
        raise ConfigError(f"{path}: {what}. Write keys with values, such as\n    size: [512, 512]")
    lines = {key.value: key.start_mark.line + 1 for key, _ in root.value}
    return values if json_values is None else json_values, lines


def _read_json(text: str) -> Any:  # noqa: ANN401
    """The values of JSON, which Snakemake takes too; None if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise ConfigError(
            f"{path}: is larger than {MAX_BYTES // 10**6} MB. Write a long list of paths to a text "
            "file, one path per line, and name that in source."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: is not text in UTF-8") from None


def _describe_yaml_error(path: Path, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"{path}, line {mark.line + 1}, column {mark.column + 1}" if mark else path
    if isinstance(error, yaml.composer.ComposerError | yaml.constructor.ConstructorError):
        return f"{where}: is not valid YAML: {_shorten(error.problem)}"
    problem = f"{_shorten(error.problem)}. The mistake is here, or at the end of the line before"
    return f"{where}: is not valid YAML: {problem}"


def _shorten(problem: object) -> str:
    """A problem without the middle of what it quotes."""
    text, half = str(problem), MAX_PROBLEM // 2
    return text if len(text) <= MAX_PROBLEM else f"{text[:half]} ... {text[-half:]}"
