"""One attribute as it stands in a file: its values, however odd, without pydicom's objects.

What is read of it never raises: a value that is none is told by the default, by NaN or by an empty
text, and who needs a right one says what is missing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

Value = int | float | str | bytes
"""A value of an attribute; bytes where they have no other meaning, or could not be converted."""

NUMBER_ERRORS: Final = (ArithmeticError, TypeError, ValueError)
"""What Python raises where text or bytes are no number."""

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
        Its values; none of an empty attribute. Numbers that are text in the file (DS and IS) are as
        they are written there.
    raw : bytes or None
        What stands in the file where it could not be converted to its value representation;
        ``values`` is empty then.
    is_present : bool
        Whether the attribute is there at all.
    """

    keyword: str
    values: tuple[Value, ...] = ()
    raw: bytes | None = None
    is_present: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether it is absent, or has no value but blanks."""
        if self.raw is not None:
            return not self.raw
        if len(self.values) > 1:
            return False
        return all(v in ("", b"") or (isinstance(v, str) and not v.strip()) for v in self.values)

    @property
    def has_several(self) -> bool:
        """Whether there are more values than one."""
        return len(self.values) > 1

    def text(self) -> str:
        """The first value as text, without blanks and NUL around it; empty where there is none."""
        return clean_text(self.values[0]) if self.values else ""

    def texts(self) -> tuple[str, ...]:
        """Every value as text, without blanks and NUL around it."""
        return tuple(map(clean_text, self.values))

    def joined_text(self) -> str:
        """Every value as text, joined as in a file, without blanks and NUL around all of it."""
        return clean_text("\\".join(map(_text, self.values)))

    def integer(self, default: int = 0) -> int:
        """The first value as a whole number, cut as ``int`` does; ``default`` where it is none."""
        value = self.values[0] if self.values else ""
        try:
            return default if value in ("", b"") else int(value)
        except NUMBER_ERRORS:
            number = _number(value)  # "1.0" is one
            return int(number) if math.isfinite(number) else default

    def numbers(self) -> tuple[float, ...]:
        """Every value as a number, NaN for what is none."""
        if self.raw is not None:
            return tuple(map(_number, self.raw.decode("ascii", "replace").split("\\")))
        if self.values in ((), ("",)):
            return ()
        return tuple(map(_number, self.values))

    def vector(self, length: int) -> tuple[float, ...] | None:
        """Exactly so many finite numbers, None where there are others."""
        numbers = self.numbers()
        return numbers if len(numbers) == length and all(map(math.isfinite, numbers)) else None

    def content(self) -> bytes:
        """The bytes of a value that is no more than bytes, empty where there are none."""
        value = self.values[0] if self.values else b""
        return value if isinstance(value, bytes) else b""

    def shorten_for_message(self) -> str | None:
        """Its values as a short text for messages, None where there are none."""
        values = self.values if self.raw is None else (self.raw,)
        if not values:
            return None
        text = "\\".join(v.decode("latin-1") if isinstance(v, bytes) else str(v) for v in values)
        return text if len(text) <= MAX_TEXT_LENGTH else f"{text[: MAX_TEXT_LENGTH - 3]}..."


ABSENT: Final = Attribute("", is_present=False)
"""An attribute that is not there."""


def clean_text(value: Value) -> str:
    """A value as text, without blanks and NUL around it; empty for bytes, which are none."""
    return _text(value).strip(" \t\r\n\0")


def _text(value: Value) -> str:
    return "" if isinstance(value, bytes) else str(value)


def _number(value: Value) -> float:
    try:
        return float(value)
    except NUMBER_ERRORS:
        return math.nan
