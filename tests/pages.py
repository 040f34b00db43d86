"""The pages of the documentation, in parts that tests check."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from tests.conftest import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/{path.name}" for path in (CHECKOUT / "docs").glob("*.md")),
    "config/README.md",
    "examples/README.md",
)

LANGUAGES = ("bash", "text", "yaml", "python", "snakemake")
"""Of code blocks: commands, output or figures, configuration, programs, and rules of a workflow."""


@dataclass(frozen=True)
class Block:
    """A code block."""

    page: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """Command lines, of which a backslash joins several; comments are left out."""
        joined = re.sub(r"\\\n\s*", "", self.text)
        return [line for line in joined.splitlines() if line and not line.startswith("#")]


@cache
def read_page(page: str) -> str:
    return (CHECKOUT / page).read_text(encoding="utf-8")


@cache
def blocks_of(page: str) -> tuple[Block, ...]:
    found = []
    text = read_page(page)
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, match[1], match[2]))
    return tuple(found)


def all_blocks(language: str | None = None) -> list[Block]:
    return [
        block
        for page in PAGES
        for block in blocks_of(page)
        if language is None or block.language == language
    ]


def block_of(page: str, start: str) -> Block:
    """The only block of a page that starts so."""
    (block,) = [block for block in blocks_of(page) if block.text.startswith(start)]
    return block


def command_of(page: str, start: str) -> str:
    """The first command of a page that starts so."""
    commands = [c for b in blocks_of(page) if b.language == "bash" for c in b.commands]
    return next(command for command in commands if command.startswith(start))


def without_blocks(page: str) -> str:
    return re.sub(r"^```.*?^```$", "", read_page(page), flags=re.MULTILINE | re.DOTALL)


def anchors_of(page: str) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(page), re.MULTILINE)
    anchors: set[str] = set()
    for heading in headings:
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        copies = sum(re.fullmatch(rf"{re.escape(anchor)}(-\d+)?", a) is not None for a in anchors)
        anchors.add(f"{anchor}-{copies}" if copies else anchor)
    return anchors


def links_of(page: str) -> list[str]:
    text = re.sub(r"`[^`]*`", "", without_blocks(page))
    return re.findall(r"\]\(([^)\s]+)\)", text)


def words_of(command: str) -> list[str]:
    """The words of a command line, without a comment at its end."""
    return shlex.split(command, comments=True)


def relative_target(page: str, link: str) -> tuple[Path, str]:
    """File and anchor to which a relative link of a page leads."""
    path, _, anchor = link.partition("#")
    target = (CHECKOUT / page).parent / path if path else CHECKOUT / page
    return target.resolve(), anchor
