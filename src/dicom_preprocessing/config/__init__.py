"""The configuration: its keys, how it is read, and the recipe, the part that decides pixels.

Standard library, PyYAML and jsonschema only, because the Snakefile imports it.
"""

from dicom_preprocessing.config.model import (
    COMPRESSORS,
    FILTERS,
    INTENSITIES,
    KEEPABLE,
    PADDINGS,
    PRUNE_ALL,
    STAGES,
    VOLUMES,
    Config,
    ConfigKey,
    Limits,
    Stage,
    as_mapping,
    defaults,
    keys,
)
from dicom_preprocessing.config.reading import parse_config, parse_value
from dicom_preprocessing.config.schema import as_yaml, default_yaml, json_schema
from dicom_preprocessing.config.stacking import StackPolicies

__all__ = [
    "COMPRESSORS",
    "FILTERS",
    "INTENSITIES",
    "KEEPABLE",
    "PADDINGS",
    "PRUNE_ALL",
    "STAGES",
    "VOLUMES",
    "Config",
    "ConfigKey",
    "Limits",
    "StackPolicies",
    "Stage",
    "as_mapping",
    "as_yaml",
    "default_yaml",
    "defaults",
    "json_schema",
    "keys",
    "parse_config",
    "parse_value",
]
