"""The recipe: versions and settings of the stages up to one, as a job gets them.

It is the only way in which settings that decide results reach a job, and receipts record its
digest: if a pixel key, a stage version or the set of decoders changes, the stage and all after it
run again.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.config import STAGES, Config, Stage, as_mapping, keys
from dicom_preprocessing.errors import ConfigError
from dicom_preprocessing.files import short_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

STAGE_VERSIONS: Mapping[Stage, int] = {
    "decode": 5,
    "crop": 1,
    "resize": 3,
    "pad": 1,
    "write": 1,
}
"""To be raised when a stage gives other pixels, or other bytes, for the same input and settings."""

RECIPE_VARIABLE = "DP_RECIPE_"
"""Environment variables that begin with it hold recipes; their digests follow."""

DECODER_PACKAGES = (
    "imagecodecs",
    "pylibjpeg-openjpeg",
    "pylibjpeg-rle",
)
"""Packages from which decoders are taken."""


@dataclass(frozen=True)  # no slots, for ``fingerprint``, which every image asks for
class Recipe:
    """Settings of the stages from decode up to ``stage``.

    ``settings`` maps each stage to its keyword arguments.
    """

    stage: Stage
    settings: Mapping[str, Mapping[str, Any]]
    versions: Mapping[str, int]
    decoders: tuple[str, ...]

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def to_json(self) -> str:
        """One line of JSON with sorted keys, from which ``from_json`` makes the same recipe."""
        stages = {name: [self.versions[name], dict(self.settings[name])] for name in self.settings}
        return json.dumps({"decoders": self.decoders, "stages": stages}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read what ``to_json`` wrote."""
        data = json.loads(text)
        stages = data["stages"]
        last = max(stages, key=STAGES.index)
        return cls(
            stage=last,
            settings={name: keys for name, (_, keys) in stages.items()},
            versions={name: version for name, (version, _) in stages.items()},
            decoders=tuple(data["decoders"]),
        )

    def up_to(self, stage: Stage) -> Recipe:
        """The recipe of this stage or of one before it."""
        names = STAGES[: STAGES.index(stage) + 1]
        settings: dict[str, dict[str, Any]] = {name: dict(self.settings[name]) for name in names}
        if "resize" not in names:
            # The size decides at which resolution fast_decode works.
            settings["decode"].pop("fast_decode", None)
        return replace(
            self,
            stage=stage,
            settings=settings,
            versions={name: self.versions[name] for name in names},
        )

    @property
    def digest(self) -> str:
        """16 hex digits of all settings of a job, which its receipt records."""
        return short_digest(self.to_json())

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of versions and pixel keys: all that decides pixels, and nothing else."""
        pixel_keys = {k: v for k, v in self.settings.items() if k != "write"}
        text = json.dumps([dict(self.versions), pixel_keys], sort_keys=True)
        return short_digest(text)


def make_recipe(config: Config, stage: Stage) -> Recipe:
    """Build the recipe of ``stage`` from a validated configuration."""
    values = as_mapping(config)
    settings: dict[str, dict[str, Any]] = {
        name: {key: values[key] for key, about in keys().items() if name in about.alters}
        for name in STAGES
    }
    if config.series == "separate":
        settings["decode"].pop("stack")  # it has no effect then
    spacing = config.spacing or ()
    settings["decode"]["spacing_z"] = spacing[2] if len(spacing) > len("xy") else None
    if config.fast_decode:
        resampled = {"size": config.size, "spacing": config.spacing}
        settings["decode"]["fast_decode"] = {
            "crop": config.crop,
            **{key: list(value) for key, value in resampled.items() if value},
        }
    if config.spacing is not None:
        settings["resize"]["spacing"] = list(config.spacing[:2])
    complete = Recipe(
        stage=STAGES[-1],
        settings=settings,
        versions={name: STAGE_VERSIONS[name] for name in STAGES},
        decoders=installed_decoders(),
    )
    return complete.up_to(stage)


@cache
def installed_decoders() -> tuple[str, ...]:
    """Names of the installed decoder packages, found without importing them."""
    return tuple(name for name in DECODER_PACKAGES if _is_installed(name))


def _is_installed(name: str) -> bool:
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415  # slow

    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def read_recipe(digest: str) -> Recipe:
    """The recipe of a digest, from the environment of a job; see ``workflow.run.Run.environment``.

    Raises
    ------
    ConfigError
        It is not there: the job was not started by Snakemake.
    """
    text = os.environ.get(RECIPE_VARIABLE + digest)
    if text is None:
        raise ConfigError(
            f"the environment has no settings {RECIPE_VARIABLE}{digest}: Snakemake sets them for "
            "the jobs that it starts"
        )
    return Recipe.from_json(text)
