"""YAML from anywhere as plain values, with bounds on what it may cost."""

from __future__ import annotations

from typing import Any

import yaml

from dicom_preprocessing.config.model import MAX_DEPTH, MAX_VALUES


class _BoundedLoader(yaml.SafeLoader):
    """Loader that refuses what the safe one takes: bombs, loops, repeated keys, odd scalars.

    All errors are ``yaml.MarkedYAMLError`` with the line.
    """

    def __init__(self, text: str) -> None:
        self.depth = 0
        self.counts: dict[int, int] = {}
        super().__init__(text)

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401  # PyYAML has no types
        is_alias = self.check_event(yaml.AliasEvent)
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, "is nested too deeply", mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if not is_alias:
            self.counts[id(node)] = self._count_values(node)
        problem = None
        if id(node) not in self.counts:  # it is not complete yet
            problem = "stands for what it is in itself"
        elif self.counts[id(node)] > MAX_VALUES:
            problem = f"stands for more than {MAX_VALUES:,} values"
        if problem:
            raise yaml.composer.ComposerError(None, None, problem, mark)
        return node

    def _count_values(self, node: Any) -> int:  # noqa: ANN401
        """Count what is in a node, aliases as what they stand for."""
        if isinstance(node, yaml.MappingNode):
            _require_single_keys(node)
            return 1 + sum(self.counts[id(part)] for pair in node.value for part in pair)
        if isinstance(node, yaml.SequenceNode):
            return 1 + sum(self.counts[id(part)] for part in node.value)
        return 1

    def construct_object(self, node: Any, deep: bool = False) -> Any:  # noqa: ANN401
        try:
            return super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        # A number of 5,000 digits, or a tag that does not fit its text.
        except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as error:
            kind = node.tag.rpartition(":")[2]
            problem = f"cannot be read as {kind}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error


def _require_single_keys(node: yaml.MappingNode) -> None:
    """Refuse a key that a mapping has twice, of which PyYAML takes the last without a word."""
    lines: dict[Any, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue  # cannot be a key, which is found where values are made
        line = key.start_mark.line + 1
        if (key.tag, key.value) in lines:
            first = lines[key.tag, key.value]
            problem = (
                f"config key '{key.value}' is given twice, first in line {first}. Leave one of "
                "them out"
            )
            raise RepeatedKeyError(problem, key.start_mark)
        lines[key.tag, key.value] = line


class RepeatedKeyError(yaml.constructor.ConstructorError):
    """A mapping has a key twice. It is valid YAML, but hardly what was meant."""

    def __init__(self, problem: str, mark: yaml.Mark) -> None:
        super().__init__(None, None, problem, mark)
        self.line = mark.line + 1


def load_yaml(text: str) -> tuple[Any, Any]:
    """The values of a document, and its node, which has the lines; both None if it is empty.

    Raises
    ------
    yaml.YAMLError
        It is not YAML, or not plain: it is nested more than ``MAX_DEPTH`` deep, an alias stands
        for itself or for more than ``MAX_VALUES`` values, a key is given twice.
    """
    loader = _BoundedLoader(text)
    try:
        root = loader.get_single_node()
        return (None if root is None else loader.construct_document(root)), root
    finally:
        loader.dispose()
