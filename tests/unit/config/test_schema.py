"""The files in config/ and the schema agree with the model that they are made from."""

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError

from dicom_preprocessing.config import Config, defaults, parse_config
from tests.generate_config_files import CHECKOUT, default_yaml, schema_yaml

CONFIG_FILES = sorted((CHECKOUT / "config").glob("*.yaml"))
STALE = "run make schema"


@pytest.fixture(scope="module")
def schema():
    text = (CHECKOUT / "workflow" / "schemas" / "config.schema.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


@pytest.fixture(scope="module")
def default_file():
    return (CHECKOUT / "config" / "config.yaml").read_text(encoding="utf-8")


def named(path):
    return path.name


def test_default_file_is_what_the_model_generates(default_file):
    assert default_file == default_yaml(), STALE


def test_schema_file_is_what_the_model_generates():
    path = CHECKOUT / "workflow" / "schemas" / "config.schema.yaml"
    assert path.read_text(encoding="utf-8") == schema_yaml(), STALE


def test_default_file_holds_exactly_the_defaults(default_file):
    assert yaml.safe_load(default_file) == defaults()


def test_default_file_parses_to_the_default_configuration_without_warnings(default_file):
    assert parse_config(yaml.safe_load(default_file)) == (Config(), [])


def test_default_file_explains_every_key(default_file):
    lines = default_file.splitlines()
    for name in defaults():
        number = next(i for i, line in enumerate(lines) if line.startswith(f"{name}: "))
        assert lines[number - 1].startswith("# "), name


def test_default_file_keeps_to_100_columns(default_file):
    assert max(map(len, default_file.splitlines())) <= 100


def test_schema_is_a_valid_schema(schema):
    Draft202012Validator.check_schema(schema)


def test_schema_describes_every_key_of_the_model_in_order(schema):
    assert list(schema["properties"]) == list(defaults())


def test_schema_tells_every_default(schema):
    assert {k: v["default"] for k, v in schema["properties"].items()} == defaults()


def test_schema_describes_every_key_in_words(schema):
    assert [k for k, v in schema["properties"].items() if not v["description"]] == []


@pytest.mark.parametrize("path", CONFIG_FILES, ids=named)
def test_config_file_validates_against_the_schema(path, schema):
    Draft202012Validator(schema).validate(yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", CONFIG_FILES, ids=named)
def test_config_file_parses_without_warnings(path):
    _, warnings = parse_config(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert warnings == []


def test_config_folder_holds_the_default_and_the_example():
    assert {"config.yaml", "example.yaml"} <= {path.name for path in CONFIG_FILES}


def test_schema_refuses_unknown_keys(schema):
    with pytest.raises(ValidationError, match=r"'siz' was unexpected"):
        Draft202012Validator(schema).validate({"siz": [64, 64]})


def test_schema_refuses_unknown_limits(schema):
    with pytest.raises(ValidationError, match=r"'hours' was unexpected"):
        Draft202012Validator(schema).validate({"limits": {"hours": 1}})


def test_schema_refuses_a_wrong_value(schema):
    with pytest.raises(ValidationError, match=r"'maybe' is not of type 'boolean'"):
        Draft202012Validator(schema).validate({"crop": "maybe"})
