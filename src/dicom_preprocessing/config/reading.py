"""Read and validate a configuration: one message that says what to write instead."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

from dicom_preprocessing.config.model import (
    MAX_DEPTH,
    MAX_NUMBER,
    MAX_VALUES,
    Config,
    Limits,
    default_of,
    keys,
)
from dicom_preprocessing.config.schema import as_yaml
from dicom_preprocessing.config.selection import (
    KNOWN_KEYWORDS,
    REGEX,
    find_column_problem,
    find_rule_problem,
    list_patterns,
)
from dicom_preprocessing.config.stacking import StackPolicies
from dicom_preprocessing.errors import ConfigError
from dicom_preprocessing.text import find_path_problem, make_printable

MAX_SHOWN = 200
"""Characters of a value or name that a message shows."""

RECORDS = {"limits": Limits, "stack": StackPolicies}
"""Classes of keys that are a mapping with fixed names; what is not given keeps its default."""

RULES = ("include", "exclude")
"""Keys whose values are rules on attributes."""

EXAMPLE_OF_RULE = {"Modality": "CT"}

FULL_RESOLUTION_STAGES = ("decode", "crop")
"""Stages whose images are at full resolution."""


def parse_config(values: Mapping[str, Any]) -> tuple[Config, list[str]]:
    """Validate ``values`` and fill in the defaults.

    Parameters
    ----------
    values : mapping
        Key to value, as YAML, ``snakemake --config`` or the command line gives them.

    Returns
    -------
    Config
    list of str
        Warnings: keys without effect in this combination.

    Raises
    ------
    ConfigError
        With one message that names each wrong key, what was found, what is allowed and the YAML
        to write.
    """
    problems = [_describe_unknown_key(n, value) for n, value in values.items() if n not in keys()]
    parsed: dict[str, Any] = {}
    for name in keys():
        if name in values:
            try:
                parsed[name] = parse_value(name, values[name])
            except ConfigError as error:
                problems.append(str(error))
    if not problems:
        config = Config(**parsed)
        problems = list(_find_contradictions(config))
    if problems:
        raise ConfigError("\n\n".join(problems))
    return config, list(_find_keys_without_effect(config))


def parse_value(name: str, value: Any) -> Any:  # noqa: ANN401  # any YAML value in, the field's type out
    """Validate one value of the key ``name``.

    Raises
    ------
    ConfigError
        Says what was found and what is allowed.
    """
    key = keys()[name]
    if not _is_bounded(value):
        problem = f"found a value that is nested too deeply or has more than {MAX_VALUES:,} parts."
        raise _make_error(name, problem)
    parsed = _parse_text(name, value)
    if parsed is None and default_of(name) is False:
        parsed = False
    if isinstance(parsed, str) and (key.schema.get("type") == "array" or name == "objects"):
        parsed = [parsed]
    if parsed is None and name == "keep":
        parsed = []
    if isinstance(parsed, Mapping) and name in RECORDS:
        parsed = {**asdict(default_of(name)), **parsed}
    if parsed is None and name in RULES:
        parsed = {}
    from jsonschema import Draft202012Validator  # noqa: PLC0415  # jobs import this module too

    is_finite = all(abs(x) < MAX_NUMBER for x in _flatten(parsed) if isinstance(x, int | float))
    if not is_finite or not Draft202012Validator(key.value_schema()).is_valid(parsed):
        raise _make_error(name, f"found {_show(value)}, allowed: {key.allowed}.")
    if name in ("source", "output"):
        _require_plain_paths(name, parsed)
    if name in (*RULES, "columns"):
        _require_usable_keywords(name, parsed)
    return os.path.normpath(parsed) if name == "output" else _normalise(parsed, name)


def _require_usable_keywords(name: str, value: Any) -> None:  # noqa: ANN401
    """Refuse rules and columns whose keywords or patterns cannot be used."""
    for keyword in value:
        if name == "columns":
            problem = find_column_problem(keyword)
        else:
            problem = find_rule_problem(str(keyword), list_patterns(value[keyword]))
        if problem is not None:
            raise _make_error(name, f"found {_show(keyword)}, which {make_printable(problem)}.")


def _make_error(name: str, problem: str) -> ConfigError:
    example = f"Write for example:\n    {name}: {keys()[name].example}"
    return ConfigError(f"config key '{name}': {problem}\n{example}", problem)


def _show(value: object) -> str:
    """A value for a message, which may be of any length."""
    text = as_yaml(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _is_bounded(value: object) -> bool:
    """Whether a value is small enough to be looked at; YAML's aliases can make it endless."""
    level, count = [value], 1
    for _ in range(MAX_DEPTH):
        inner: list[object] = []
        for part in level:
            if isinstance(part, Mapping):
                inner += part.values()
            elif isinstance(part, (list, tuple)):
                inner += part
            if count + len(inner) > MAX_VALUES:
                return False
        if not inner:
            return True
        level, count = inner, count + len(inner)
    return False


def _require_plain_paths(name: str, value: Any) -> None:  # noqa: ANN401
    """Refuse paths that do not mean what they say, for lack of a shell, or that break a run."""
    for path in [value] if isinstance(value, str) else value or ():
        problem = find_path_problem(path)
        if problem is None and name == "output":
            problem = _find_output_problem(os.path.normpath(path))
        if problem is not None:
            raise _make_error(name, f"found {make_printable(_show(path))}: {problem}.")


def _find_output_problem(path: str) -> str | None:
    """Which text a folder of results may not have, since Snakemake gets its name."""
    if path.startswith("-"):
        return "commands take it for an option. Write the whole path, or use another name"
    if "{" in path or "}" in path:
        return "Snakemake takes braces for wildcards. Use a folder without them"
    if path.split("/", maxsplit=1)[0] == ".snakemake":
        return "Snakemake keeps its records there. Use another folder"
    if any("\ud800" <= character <= "\udfff" for character in path):
        return "it is not UTF-8, which Snakemake's records need. Use another name"
    return None


def _parse_text(name: str, value: Any) -> Any:  # noqa: ANN401
    """Read strings as YAML for keys that are not text; ``64,64`` is a list."""
    key = keys()[name]
    if isinstance(value, str):
        takes_list = "array" in _find_types(key.schema)
        bracketed = value.startswith("[") and value.endswith("]") and takes_list
        if key.text and not bracketed:
            return None if value == "null" else value
        return _read_yaml(f"[{value}]" if takes_list and "," in value and not bracketed else value)
    if isinstance(value, (list, tuple)):
        return [v if key.text or not isinstance(v, str) else _read_yaml(v) for v in value]
    if isinstance(value, Mapping) and name in RECORDS:
        return {k: _read_yaml(v) if isinstance(v, str) else v for k, v in value.items()}
    if isinstance(value, Mapping):
        return {k: _plain_patterns(v) for k, v in value.items()}
    return value


def _plain_patterns(value: Any) -> Any:  # noqa: ANN401
    """What a rule looks for, with dates of YAML as DICOM has them."""
    if isinstance(value, list | tuple):
        return list(map(_plain_patterns, value))
    return f"{value:%Y%m%d}" if isinstance(value, date) else value


def _read_yaml(text: str) -> Any:  # noqa: ANN401
    import yaml  # noqa: PLC0415  # --help and defaults do not need it

    from dicom_preprocessing.config.yaml_text import load_yaml  # noqa: PLC0415

    try:
        return load_yaml(text)[0]
    except yaml.YAMLError:
        return text


def _normalise(value: Any, name: str) -> Any:  # noqa: ANN401
    """Lists become tuples; numbers and mappings become what the field holds."""
    if isinstance(value, Mapping) and name in RECORDS:
        return RECORDS[name](**value)
    if isinstance(value, Mapping):
        return {keyword: list_patterns(patterns) for keyword, patterns in value.items()}
    if isinstance(value, list):
        return tuple(_normalise(v, name) for v in value)
    types = _find_types(keys()[name].schema)
    if isinstance(value, float) and "integer" in types:
        return int(value)
    if isinstance(value, int) and "number" in types:
        return float(value)
    return value


def _find_types(schema: Any) -> set[str]:  # noqa: ANN401
    """Every type that a schema names, at any depth."""
    if isinstance(schema, Mapping):
        own = {schema["type"]} if isinstance(schema.get("type"), str) else set()
        return own.union(*map(_find_types, schema.values()))
    if isinstance(schema, list):
        return set().union(*map(_find_types, schema))
    return set()


def _flatten(value: Any) -> Iterator[Any]:  # noqa: ANN401
    if isinstance(value, (list, tuple)):
        for v in value:
            yield from _flatten(v)
    elif isinstance(value, Mapping):
        yield from _flatten(list(value.values()))
    else:
        yield value


def _describe_unknown_key(name: object, value: object) -> str:
    import difflib  # noqa: PLC0415  # for a mistake only

    name = _show(str(name))
    keyword = _find_keyword(name)
    if keyword is not None:
        patterns = _list_given_patterns(value)
        given = {keyword: patterns[0] if len(patterns) == 1 else patterns}
        rule = given if patterns else EXAMPLE_OF_RULE
        return (
            f"config key '{name}' is unknown, files are selected by rules on {keyword}.\n"
            f"Write {'instead' if patterns else 'for example'}:\n    include: {_show(rule)}"
        )
    close = difflib.get_close_matches(name, keys(), n=1)
    if close:
        key = keys()[close[0]]
        return (
            f"config key '{name}' is unknown, did you mean '{close[0]}'?\n"
            f"Write for example:\n    {close[0]}: {key.example}"
        )
    return f"config key '{name}' is unknown, allowed: {', '.join(keys())}."


def _find_keyword(name: str) -> str | None:
    """The DICOM keyword that a key is, in any case, or that an earlier key was about."""
    if name == "modalities":
        return "Modality"
    return next((known for known in KNOWN_KEYWORDS if known.lower() == name.lower()), None)


def _list_given_patterns(value: object) -> list[str]:
    """What a rule would look for, of a value of a key that is none; none of what is no text."""
    if isinstance(value, str) and not value.startswith(REGEX):
        value = value.strip("[]").split(",")
    several = value if isinstance(value, list | tuple) else [value]
    if len(several) > MAX_VALUES or not all(
        isinstance(part, str | int | float) for part in several
    ):
        return []
    return [pattern for pattern in list_patterns(several) if pattern]


def _find_contradictions(config: Config) -> Iterator[str]:
    if config.size is not None and config.spacing is not None:
        yield (
            f"config keys 'size' and 'spacing': found both ({as_yaml(config.size)} and "
            f"{as_yaml(config.spacing)}), allowed: one of them.\n"
            "Write for example:\n    size: [512, 512]\n    spacing: null"
        )
    if config.fast_decode and config.filter in ("nearest", "max-pool"):
        yield (
            f"config keys 'fast_decode' and 'filter': {config.filter} picks single pixels, which "
            "a reduced resolution does not have.\n"
            "Write for example:\n    fast_decode: true\n    filter: triangle"
        )
    if config.fast_decode and any(stage in FULL_RESOLUTION_STAGES for stage in config.keep):
        yield (
            f"config keys 'fast_decode' and 'keep': found {as_yaml(config.keep)}, but images "
            "before resize do not exist at full resolution then.\n"
            "Write for example:\n    fast_decode: true\n    keep: [resize]"
        )
    if config.intensity == "stored" and config.crop_max:
        yield (
            "config keys 'intensity' and 'crop_max': stored values have no highest value that "
            "means white.\nWrite for example:\n    intensity: stored\n    crop_max: false"
        )
    if config.intensity == "stored" and config.volume == "laplacian-mip":
        yield (
            "config keys 'intensity' and 'volume': laplacian-mip works on display values only.\n"
            "Write for example:\n    intensity: stored\n    volume: max-intensity"
        )

    if config.shard is not None and config.shard[0] >= config.shard[1]:
        i, n = config.shard
        yield (
            f"config key 'shard': found {as_yaml(config.shard)}, allowed: i from 0 to {n - 1} of "
            f"{n} shards.\nWrite for example:\n    shard: [{i % n}, {n}]"
        )
    if config.shard is not None and config.gather is not None:
        yield (
            f"config keys 'shard' and 'gather': found both ({as_yaml(config.shard)} and "
            f"{config.gather}), allowed: one of them.\n"
            f"Write for example:\n    shard: null\n    gather: {config.shard[1]}"
        )


def _find_keys_without_effect(config: Config) -> Iterator[str]:
    """Keys that differ from their default and change nothing in this combination."""
    resampled = config.size is not None or config.spacing is not None
    projected = config.volume in ("max-intensity", "laplacian-mip")
    conditions = [
        (("crop_max", "crop_components", "border_frac"), config.crop, "crop: true"),
        (("padding",), config.size is not None, "size"),
        (("filter", "fast_decode"), resampled, "size or spacing"),
        (("window",), config.intensity == "voi", "intensity: voi"),
        (("target_frames",), config.volume == "interpolate", "volume: interpolate"),
        (("skip_frames",), projected, "volume: max-intensity or laplacian-mip"),
        (("stack",), config.series == "stack", "series: stack"),
        (("prune",), config.source is not None, "source"),
        (("mip_weight", "projection"), config.volume == "laplacian-mip", "volume: laplacian-mip"),
    ]
    for names, holds, needed in conditions:
        for name in names:
            if not holds and getattr(config, name) != default_of(name):
                yield f"config key '{name}' has no effect without {needed}"
    if config.fast_decode and config.crop and config.crop_max:
        yield (
            "config key 'crop_max' has little effect with fast_decode: at a reduced resolution the "
            "edges of a label are grey; crop_components: true drops labels either way"
        )
    z = config.spacing is not None and len(config.spacing) > len("xy")
    if z and config.volume != "keep":
        yield "the z of config key 'spacing' has no effect without volume: keep"
