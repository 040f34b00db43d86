"""What becomes of slices that are no plain volume: verdicts, and the policies of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Verdict(NamedTuple):
    """Something about slices that a policy decides on; the first policy is the default."""

    meaning: str
    policies: tuple[str, ...]


VERDICTS: Final[Mapping[str, Verdict]] = {
    "scout": Verdict("localizers, or the only slice of its orientation", ("drop", "keep")),
    "gap": Verdict("slices seem to be missing", ("fail", "warn", "split")),
    "uneven": Verdict("other steps differ from the usual one", ("warn", "fail")),
    "duplicate_position": Verdict("different slices at one position", ("fail", "first")),
    "tilt": Verdict("positions are off the normal of the slices", ("warn", "fail")),
    "mixed_rescale": Verdict("Rescale Slope or Intercept differ", ("warn", "fail")),
    "single": Verdict("a volume of one slice", ("keep", "drop")),
}
"""By name, in the order of the manual."""

POLICIES: Final = {
    "drop": "skips slices (not_selected)",
    "keep": "takes them",
    "fail": "gives the files of a volume volume_error",
    "warn": "writes it with a warning",
    "split": "makes several volumes",
    "first": "takes the first",
}
"""What each policy does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPolicies:
    """The policy for each of ``VERDICTS``."""

    scout: str = VERDICTS["scout"].policies[0]
    gap: str = VERDICTS["gap"].policies[0]
    uneven: str = VERDICTS["uneven"].policies[0]
    duplicate_position: str = VERDICTS["duplicate_position"].policies[0]
    tilt: str = VERDICTS["tilt"].policies[0]
    mixed_rescale: str = VERDICTS["mixed_rescale"].policies[0]
    single: str = VERDICTS["single"].policies[0]


def describe_policies() -> str:
    """What the key ``stack`` decides on, a line for each reason."""
    effects = ", ".join(f"{policy} {effect}" for policy, effect in POLICIES.items())
    lines = [f"{name} ({meaning}): {list_choices(of)}." for name, (meaning, of) in VERDICTS.items()]
    return "\n".join((*lines, f"{effects}."))


def list_choices(values: tuple[str, ...]) -> str:
    """``fail, warn or split``."""
    return " or ".join(filter(None, (", ".join(values[:-1]), values[-1])))
