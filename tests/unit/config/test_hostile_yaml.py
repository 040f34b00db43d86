"""Configurations that no one would write by hand: one message each, soon and in little memory."""

import json
import time
import tracemalloc

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dicom_preprocessing.config import default_yaml, parse_config
from dicom_preprocessing.config.files import MAX_BYTES, check_config_file, read_config_file
from dicom_preprocessing.config.model import MAX_DEPTH, keys
from dicom_preprocessing.errors import ConfigError

SAME_FOLDER = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PIECES = [
    *("&a ", "*a", "<<: *a", "!!timestamp x", "!!int ''", "!!bool x", "!!float .", "!!binary é"),
    *("!!set {a}", "!!omap [a]", "!!python/tuple [1]", "!!null x", "!x y", "? [a]\n: b", "<<: 7"),
    *(
        "\0",
        "\t",
        "\r",
        "\x85",
        "\u2028",
        "\ufeff",
        "\ud800",
        "---\n",
        "...\n",
        "%YAML 9\n",
        "|",
        ">",
    ),
    *(
        "[",
        "]",
        "{",
        "}",
        ":",
        ": ",
        "- ",
        ", ",
        "'",
        '"',
        "#",
        "\n",
        "\n  ",
        "=",
        "~",
        "0x",
        "1:60",
    ),
    *("9" * 5000, "1e999", ".nan", "2001-99-99", "size", "limits", "seconds: 1", "source: ", "a: "),
]


def message_of(call, *arguments):
    """What a refusal says, nothing if there is none."""
    try:
        call(*arguments)
    except ConfigError as error:
        return str(error)
    return ""


def bomb(levels, width, name="source"):
    """A list of which each level stands for ``width`` times the one before."""
    lines = (f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels))
    return "\n".join(["a0: &a0 [x]", *lines, f"{name}: *a{levels - 1}", ""])


def insert_pieces(draw):
    text = draw(st.sampled_from(["", "crop: true\n", "size: [1, 2]\nlimits: {seconds: 5}\n"]))
    for piece in draw(st.lists(st.sampled_from(PIECES), max_size=12)):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + piece + text[at:]
    return text


@SAME_FOLDER
@given(st.composite(insert_pieces)())
@example("a: &a [*a]\n")
@example("a: &a {b: *a}\n")
@example("&a {<<: *a}\n")
@example("? &a [*a]\n: b\n")
@example("limits: &a {<<: [*a, *a]}\n")
@example("[" * 100_000)
@example("{a: " * 100_000)
@example("- " * 100_000)
@example("? " * 20_000)
@example("a: " + "!!x " * 1000)
@example(bomb(30, 9))
@example(bomb(18, 9, "size"))
@example(bomb(9, 9, "limits"))
@example("size: " + "x" * 100_000)
@example("x" * 100_000 + ": 1\n")
@example("!" + "9" * 2000)
@example(("x" * 2000 + ": 1\n") * 2)
@example("\n".join(f"k{n}: 1" for n in range(2000)))
def test_any_text_is_a_configuration_or_one_message(tmp_path, text):
    path = tmp_path / "my.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    start = time.monotonic()
    said = message_of(check_config_file, path)
    assert not said or said.startswith(str(path))
    assert all(len(line) < 1200 for line in said.splitlines())
    assert time.monotonic() - start < 5


def test_little_memory_is_used_for_a_bomb(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text(bomb(40, 9))
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError, match=r"line \d+, column \d+: .* 1,000,000 values"):
            read_config_file(path)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("crop: true\nlimits:\n  seconds: 1\n  seconds: 2\n", 4),
        ("crop: true\nsource: &s\n  - *s\n", 3),
        (f"crop: true\nsize: {'[' * (MAX_DEPTH + 1)}", 2),
        ("crop: true\nsize: !!timestamp x\n", 2),
        (f"crop: true\n\nsize: {'9' * 5000}\n", 3),
        ("crop: true\noutput: 'a\0b'\n", 2),
    ],
)
def test_what_is_no_plain_text_is_named_with_its_line(tmp_path, text, line):
    path = tmp_path / "my.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"my\.yaml, line {line}\b"):
        read_config_file(path)


def test_aliases_of_plain_values_are_taken(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("size: &s [64, 32]\nwindow: *s\nlimits: {<<: {seconds: 5}}\n")
    config, _ = check_config_file(path)
    assert (config.size, config.window, config.limits.seconds) == ((64, 32), (64.0, 32.0), 5)


def test_file_that_never_ends_is_refused_without_being_read(tmp_path):
    path = tmp_path / "my.yaml"
    path.symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match="is larger than 4 MB"):
        read_config_file(path)
    path = tmp_path / "long.yaml"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ConfigError, match="Write a long list of paths to a text file"):
        read_config_file(path)


def test_json_is_read_as_snakemake_reads_it(tmp_path):
    path = tmp_path / "my.json"
    path.write_text(json.dumps({"source": "a\tb\U0001f600", "size": [64, 32]}, indent="\t"))
    config, _ = check_config_file(path)
    assert (config.source, config.size) == ("a\tb\U0001f600", (64, 32))
    path.write_text('{\n\t"crop": true,\n\t"crop": false\n}\n')
    with pytest.raises(ConfigError, match=r"line 3: config key 'crop' is given twice"):
        check_config_file(path)


def loops(kind):
    made = kind()
    made.append(made) if kind is list else made.update(a=made)
    return made


@pytest.mark.parametrize("name", list(keys()))
@pytest.mark.parametrize(
    "make",
    [
        lambda: loops(list),
        lambda: loops(dict),
        lambda: yaml.safe_load(bomb(30, 9))["source"],
        lambda: yaml.safe_load(bomb(15, 99))["source"],
    ],
    ids=["list in itself", "mapping in itself", "bomb", "wide bomb"],
)
def test_values_that_snakemake_has_loaded_are_bounded_too(name, make):
    start = time.monotonic()
    with pytest.raises(ConfigError, match=rf"^config key '{name}': found a value that is nested"):
        parse_config({name: make()})
    assert time.monotonic() - start < 5


@settings(SAME_FOLDER, max_examples=40)
@given(st.sampled_from(list(keys())), st.text("[]{}&*:,a1'\" \n", max_size=30) | st.just("[" * 999))
def test_text_of_the_command_line_is_a_value_or_one_message(name, text):
    said = message_of(parse_config, {name: text})
    assert not said or said.startswith(f"config key '{name}'")


def test_default_file_is_read_as_before(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text(default_yaml())
    values, _ = read_config_file(path)
    assert values == yaml.safe_load(default_yaml())
