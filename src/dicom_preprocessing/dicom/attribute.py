"""An attribute as a file has it: its values, valid or not, without pydicom's objects.

Reading a value never raises. Where there is none, or an invalid one, the result is a default, NaN
or an empty text; whoever needs a valid value raises the error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dicom_preprocessing.text import hide_text

if TYPE_CHECKING:
    from collections.abc import Container

Value = int | float | str | bytes
"""A value of an attribute; bytes where that is its type, or where it could not be converted."""

NUMBER_ERRORS: Final = (ArithmeticError, TypeError, ValueError)
"""Errors of Python where text or bytes are no number."""

MAX_TEXT_LENGTH: Final = 64
"""Characters of a value that are shown."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of a data set, or of an item of a sequence in it.

    Parameters
    ----------
    keyword : str
        As in PS3.6, such as ``RescaleSlope``.
    values : tuple
        Its values, none if it is empty. Numbers that are text in the file (DS, IS) stay text.
    raw : bytes or None
        The bytes in the file where they could not be converted to the value representation;
        ``values`` is empty then.
    is_present : bool
        Whether the data set has the attribute.
    """

    keyword: str
    values: tuple[Value, ...] = ()
    raw: bytes | None = None
    is_present: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether it is absent, or has only blanks."""
        if self.raw is not None:
            return not self.raw
        if len(self.values) != 1:
            return not self.values
        (value,) = self.values
        return value in ("", b"") or (isinstance(value, str) and not value.strip())

    @property
    def has_several(self) -> bool:
        """Whether there is more than one value."""
        return len(self.values) > 1

    def text(self) -> str:
        """Return the first value as text, without blanks and NUL around it; empty if none."""
        return clean_text(self.values[0]) if self.values else ""

    def texts(self) -> tuple[str, ...]:
        """Return every value as text, without blanks and NUL around it."""
        return tuple(map(clean_text, self.values))

    def joined_text(self) -> str:
        """Return all values as one text with backslashes, without blanks and NUL around it."""
        return clean_text("\\".join(map(_to_text, self.values)))

    def integer(self, default: int = 0) -> int:
        """Return the first value as an integer, truncated as by ``int``, else ``default``."""
        value = self.values[0] if self.values else ""
        try:
            return default if value in ("", b"") else int(value)
        except NUMBER_ERRORS:
            number = _to_number(value)  # int refuses "1.0"
            return int(number) if math.isfinite(number) else default

    def numbers(self) -> tuple[float, ...]:
        """Return every value as a number, NaN if it is none."""
        if self.raw is not None:
            return tuple(map(_to_number, self.raw.decode("ascii", "replace").split("\\")))
        if self.values in ((), ("",)):
            return ()
        try:
            return tuple(map(float, self.values))
        except NUMBER_ERRORS:
            return tuple(map(_to_number, self.values))

    def vector(self, length: int) -> tuple[float, ...] | None:
        """Return the values if they are exactly ``length`` finite numbers, else None."""
        numbers = self.numbers()
        return numbers if len(numbers) == length and all(map(math.isfinite, numbers)) else None

    def content(self) -> bytes:
        """Return the first value if it is bytes, else no bytes."""
        value = self.values[0] if self.values else b""
        return value if isinstance(value, bytes) else b""

    def describe_for_message(self, known: Container[str] = ()) -> str:
        """Return the values for messages of a run, without text that is not ``known``."""
        return _shorten("\\".join(hide_text(clean_text(t), known) for t in self._shown_texts()))

    def shorten_for_message(self) -> str | None:
        """Return the values for a report on the file, None if there are none."""
        texts = self._shown_texts()
        return _shorten("\\".join(texts)) if texts else None

    def _shown_texts(self) -> list[str]:
        """Return the values, or the bytes that could not be converted, as texts."""
        values = self.values if self.raw is None else (self.raw,)
        return [v.decode("latin-1") if isinstance(v, bytes) else str(v) for v in values]


ABSENT: Final = Attribute("", is_present=False)
"""An attribute that the data set does not have."""


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_TEXT_LENGTH else f"{text[: MAX_TEXT_LENGTH - 3]}..."


def clean_text(value: Value) -> str:
    """Return a value as text, without blanks and NUL around it; empty for bytes."""
    return _to_text(value).strip(" \t\r\n\0")


def _to_text(value: Value) -> str:
    return "" if isinstance(value, bytes) else str(value)


def _to_number(value: Value) -> float:
    try:
        return float(value)
    except NUMBER_ERRORS:
        return math.nan
