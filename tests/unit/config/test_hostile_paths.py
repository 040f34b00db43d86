"""Paths in the configuration: none is changed, and what would mean something else is refused."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.config import parse_config
from dicom_preprocessing.errors import ConfigError
from tests.unit.config.test_hostile_yaml import message_of

NAMES = st.text(
    st.sampled_from("aB7 .-_$~{}*?[]'\"\\:%#&;|<>()!=,@\n\t\u00e9\u2028\udcff"), min_size=1
)


@pytest.mark.parametrize("key", ["source", "output"])
@pytest.mark.parametrize(
    "name",
    [
        "~",
        "~/x",
        "~nobody/x",
        "$HOME/x",
        "${HOME}/x",
        "/a/$USER",
        "a\0b",
        "a\ud800",
        "s3://a/b",
        "file://a",
    ],
)
def test_path_that_a_shell_would_replace_is_refused_with_its_key(key, name):
    for value in [name] if key == "output" else [name, ["a", name]]:
        with pytest.raises(
            ConfigError, match=rf"^config key '{key}': found .*(\. Write|NUL|surrogate|address)"
        ):
            parse_config({key: value})


@pytest.mark.parametrize(
    "name", ["-x", "./-x", "a{b}", "a}", "{study}", os.fsdecode(b"a\xff"), ".snakemake/x"]
)
def test_output_that_breaks_a_run_is_refused_while_such_a_source_is_taken(name):
    with pytest.raises(ConfigError, match=r"^config key 'output': found "):
        parse_config({"output": name})
    assert parse_config({"source": name})[0].source == name


@given(st.sampled_from(["source", "output"]), NAMES)
def test_path_is_taken_as_it_is_or_refused(key, name):
    path = f"/data/{name}/x"
    said = message_of(parse_config, {key: path})
    if said:
        assert said.startswith(f"config key '{key}': found ")
        refused = "$\ud800" if key == "source" else "${}\udcff\ud800"
        assert any(c in name for c in refused)
        assert "\n" not in said.split("\nWrite for example")[0]
    else:
        taken = getattr(parse_config({key: path})[0], key)
        assert taken == (path if key == "source" else os.path.normpath(path))


def test_home_folder_can_be_named_by_a_path_within_the_folder():
    config, _ = parse_config({"source": "./~/x", "output": "./~/y"})
    assert (config.source, config.output) == ("./~/x", "~/y")
