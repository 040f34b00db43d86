"""What validation may decode; a module of its own for ``--help``."""

from typing import Final

DECODE_MODES: Final = ("frame", "none")
