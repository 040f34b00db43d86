"""What validation may decode; in a module of its own, so that ``--help`` imports little."""

from typing import Final

DECODE_MODES: Final = ("frame", "none")
