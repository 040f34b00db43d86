"""Options of dicom-preprocess, made from the configuration model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.cli.arguments import read_positive
from dicom_preprocessing.config import ConfigKey, keys, parse_value
from dicom_preprocessing.config.selection import REGEX
from dicom_preprocessing.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence


LIMITS = {
    "seconds": "Seconds that a file may take.",
    "pixels": "Pixels that a file may have, by its header.",
    "memory_mb": "MB of memory that a file may take.",
}


def add_config_options(
    parser: argparse.ArgumentParser, names: Collection[str] | None = None
) -> None:
    """Add an option for every key of the configuration that has one, or for those of ``names``."""
    for name, key in keys().items():
        if not key.options or (names is not None and name not in names):
            continue
        if name == "limits":
            _add_limits(parser, key)
        elif key.schema.get("type") == "boolean":
            parser.add_argument(
                *key.options,
                dest=name,
                action=argparse.BooleanOptionalAction,
                default=argparse.SUPPRESS,
                help=key.doc,
            )
        elif name == "stack":
            parser.add_argument(
                *key.options,
                dest=name,
                action=_AddPair,
                default=argparse.SUPPRESS,
                metavar="REASON=POLICY",
                help=f"{key.doc} May be given several times.".replace("%", "%%"),
            )
        elif key.schema.get("type") == "object":
            parser.add_argument(
                *key.options,
                dest=name,
                action=_AddRule,
                default=argparse.SUPPRESS,
                metavar="KEYWORD=VALUE",
                help=f"{key.doc} May be given several times; VALUE may be several, with commas "
                "between them.".replace("%", "%%"),
            )
        else:
            parser.add_argument(
                *key.options,
                dest=name,
                type=_reader(name),
                default=argparse.SUPPRESS,
                metavar=name.upper(),
                help=f"{key.doc} Allowed: {key.allowed}.".replace("%", "%%"),
            )


def _add_limits(parser: argparse.ArgumentParser, key: ConfigKey) -> None:
    for option in key.options:
        limit = option.removeprefix("--limit-").replace("-", "_")
        parser.add_argument(
            option,
            dest=f"limits.{limit}",
            type=read_positive,
            default=argparse.SUPPRESS,
            metavar="N",
            help=LIMITS[limit],
        )


class _AddPair(argparse.Action):
    """Adds a name and its value to those of the option, of which a later one counts."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,  # noqa: ANN401  # a text
        option_string: str | None = None,
    ) -> None:
        name, sign, text = values.partition("=")
        if not sign:
            parser.error(f"argument {option_string}: found {values}, allowed: {self.metavar}")
        pairs = dict(getattr(namespace, self.dest, {}))
        pairs[name] = self._join(pairs.get(name), text)
        try:
            parse_value(self.dest, pairs)
        except ConfigError as error:
            parser.error(f"argument {option_string}: {error.summary}")
        setattr(namespace, self.dest, pairs)

    def _join(self, before: Any, text: str) -> Any:  # noqa: ANN401, ARG002  # any values of a key
        return text


class _AddRule(_AddPair):
    """Adds a rule to those of the option; values of one keyword are alternatives."""

    def _join(self, before: Any, text: str) -> Any:  # noqa: ANN401
        several = [text] if text.startswith(REGEX) else text.split(",")  # blanks are stripped later
        return [*(before or ()), *several]


def config_values(arguments: argparse.Namespace) -> dict[str, Any]:
    """The keys that were given as options, as a configuration mapping; not SOURCE and OUTPUT."""
    values: dict[str, Any] = {}
    for name, value in vars(arguments).items():
        outer, _, inner = name.partition(".")
        if inner:
            values.setdefault(outer, {})[inner] = value
        elif name in keys() and keys()[name].options:
            values[name] = value
    return values


def join_negative_values(argv: Sequence[str]) -> list[str]:
    """Join ``--window -600,1500`` to one word, since argparse takes the value for an option."""
    joined: list[str] = []
    for word in argv:
        looks_negative = word[:1] == "-" and word[1:2].isdigit() and "," in word
        if looks_negative and joined and joined[-1].startswith("--") and "=" not in joined[-1]:
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _reader(name: str) -> Callable[[str], Any]:
    def read(text: str) -> Any:  # noqa: ANN401  # any value of the configuration
        try:
            return parse_value(name, text)
        except ConfigError as error:
            raise argparse.ArgumentTypeError(error.summary) from None

    return read
