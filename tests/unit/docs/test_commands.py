"""Every command of the documentation is one that its program accepts."""

import argparse
import os
import re
import tomllib
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from snakemake.cli import get_argument_parser

from dicom_preprocessing.config import defaults, keys, parse_config
from dicom_preprocessing.config.model import STAGES
from dicom_preprocessing.errors import ConfigError
from tests.conftest import CHECKOUT
from tests.pages import all_blocks, block_of, read_page, words_of

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAKEFILE = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
OWN_FILES = ("my.yaml",)
"""Files of the user that commands name."""

COMMANDS = [
    pytest.param(command, id=f"{block.place} {command[:40]}")
    for block in all_blocks("bash")
    for command in block.commands
]


class _ParsedError(Exception):
    """The arguments were accepted."""


parser_of_snakemake = cache(get_argument_parser)


def check_snakemake(words):
    arguments = parser_of_snakemake().parse_args([os.path.expandvars(word) for word in words])
    values = dict(pair.split("=", 1) for pair in arguments.config or [])
    _, notes = parse_config(values)
    assert notes == [] or arguments.configfile
    for path in arguments.configfile or []:
        assert path.name in OWN_FILES or (CHECKOUT / path).exists()
    if arguments.workflow_profile:
        assert (CHECKOUT / arguments.workflow_profile).is_dir()
    for target in arguments.targets or []:
        assert target in rules() or is_result(target), target


def rules():
    texts = (path.read_text() for path in (CHECKOUT / "workflow" / "rules").glob("*.smk"))
    named = re.findall(r"^(?:rule|checkpoint) (\w+):", "\n".join(texts), re.MULTILINE)
    return {*named, *STAGES}


def is_result(target):
    top, *names = target.split("/")
    return top == "results" and (names[0] in rules() or set(names[:2]) & set(STAGES) != set())


def check_make(words):
    targets = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split()
    for word in words:
        name, is_variable, _ = word.partition("=")
        if is_variable:
            assert re.search(rf"^{name} \?=", MAKEFILE, re.MULTILINE), name
        else:
            assert word in targets


def check_script(name, words):
    """Up to the arguments, which the command parses for itself."""
    module, function = PROJECT["scripts"][name].split(":")

    def parse(parser, argv=None, namespace=None):
        original(parser, argv, namespace)
        raise _ParsedError

    original = argparse.ArgumentParser.parse_args
    with pytest.MonkeyPatch.context() as patch, pytest.raises(_ParsedError):
        patch.setattr(argparse.ArgumentParser, "parse_args", parse)
        getattr(import_module(module), function)(words)


def check_pip(words):
    assert words[0] == "install"
    for word in words[1:]:
        if word in ("--constraint", "--editable"):
            continue
        path, extras = re.fullmatch(r"([\w.]+)(?:\[([\w,]+)\])?", word).groups()
        assert (CHECKOUT / path).exists()
        assert set((extras or "").split(",")) - {""} <= set(PROJECT["optional-dependencies"])


def check_docker(words):
    if words[0] == "run":
        image = words.index("dicom-preprocessing")
        if "--entrypoint" in words[:image]:
            check_script(words[words.index("--entrypoint") + 1], words[image + 1 :])
        else:
            check_snakemake(words[image + 1 :])
    else:
        assert words[0] in ("build", "save")
        assert (CHECKOUT / "Dockerfile").exists()


def check_apptainer(words):
    if words[0] == "run":
        check_snakemake(words[words.index("dicom-preprocessing.sif") + 1 :])
    else:
        assert words[0] == "build"


def check_sbatch(words):
    check_command(words[words.index("--wrap") + 1])


def check_submit(words):
    assert int(words[0]) > 1
    check_snakemake(["--cores", "4", *words[1:]])


def check_show(words):
    """Of files that the tree of results has."""
    for word in words:
        assert word.startswith("results/")
        assert f"  {word.removeprefix('results/')} " in block_of("docs/output.md", "results/").text


def check_python(words):
    assert (CHECKOUT / words[0]).is_file()


def check_squeue(words):
    assert words == ["--me"]


CHECKS = {
    "snakemake": check_snakemake,
    "make": check_make,
    "pip": check_pip,
    "docker": check_docker,
    "apptainer": check_apptainer,
    "sbatch": check_sbatch,
    "submit.sh": check_submit,
    "cat": check_show,
    "head": check_show,
    "python": check_python,
    "squeue": check_squeue,
}


def check_command(command):
    words = words_of(command)
    while re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    program = Path(words[0])
    if program.parent.name == "cluster":
        assert (CHECKOUT / program).exists()
    else:
        assert program.parent.as_posix().removeprefix("dicom-preprocessing/") in (".", ".venv/bin")
    if program.name in PROJECT["scripts"]:
        check_script(program.name, words[1:])
    else:
        CHECKS[program.name](words[1:])


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_accepted(command, monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    check_command(command)


@pytest.mark.parametrize(
    "command",
    [
        "snakemake --cores 8 --no-such-option",
        "snakemake --cores 8 --config sizes=1",
        "snakemake --cores 8 -- no_such_rule",
        "make no-such-target",
        "make run NO_SUCH_VARIABLE=1",
        "dicom-preprocess --no-such-option a b",
        "pip install '.[no_such_extra]'",
        "no-such-program",
    ],
)
def test_what_is_wrong_is_refused(command):
    with pytest.raises((AssertionError, ConfigError, KeyError, SystemExit)):
        check_command(command)


def test_every_run_has_the_same_flags():
    runs = [command for block in all_blocks("bash") for command in block.commands]
    for command in runs:
        if "snakemake " in command and "--report" not in command:
            assert "--quiet rules" in command, command
            assert re.search(r"--cores \d+|--workflow-profile|--cores all", command), command


@pytest.mark.parametrize("block", all_blocks("yaml"), ids=lambda block: block.place)
def test_configuration_is_valid_and_has_an_effect(block):
    config, notes = parse_config(yaml.safe_load(block.text))
    assert config
    assert notes == []


@pytest.mark.parametrize(
    ("values", "start"),
    [
        ({"size": 512}, "config key 'size': found 512"),
        ({"sizes": [1, 2]}, "config key 'sizes' is unknown"),
        ({"size": [512, 512], "spacing": [0.5, 0.5]}, "config keys 'size' and 'spacing'"),
    ],
)
def test_messages_of_the_manual_are_those_of_the_program(values, start):
    with pytest.raises(ConfigError) as error:
        parse_config(values)
    assert str(error.value) == block_of("config/README.md", start).text.rstrip("\n")


def test_options_of_the_command_line_are_read_as_the_manual_says():
    rows = re.findall(
        r"^\| `(.+)` \| `(.+?)`(?: \(.*\))? \|$", read_page("config/README.md"), re.MULTILINE
    )
    pairs = [(wanted, written) for wanted, written in rows if "=" in written]
    assert len(pairs) == 7
    for wanted, written in pairs:
        (word,) = words_of(written)
        key, value = word.split("=", 1)
        expected, _ = parse_config(yaml.safe_load(wanted))
        given, _ = parse_config({key: value})
        if wanted != 'source: "7"':
            assert given == expected


def test_table_of_keys_has_their_defaults_and_stages():
    table = read_page("config/README.md").split("## All keys")[1].split("\n\n")[1]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]]
    described = {}
    for linked, default, alters in rows:
        names = re.match(r"\[(.*)\]", linked)[1].split(", ")
        values = default.split(", ") if len(names) > 1 else [default]
        described |= {n: (v, alters) for n, v in zip(names, values, strict=True)}
    assert described.keys() == keys().keys()
    for name, (default, alters) in described.items():
        if default != "see there":
            assert yaml.safe_load(default.strip("`")) == defaults()[name], name
        for stage in keys()[name].alters:
            assert re.search(rf"\b{stage}\b", alters), name


def help_of(name, capsys):
    module, function = PROJECT["scripts"][name].split(":")
    with pytest.raises(SystemExit) as ended:
        getattr(import_module(module), function)(["--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", PROJECT["scripts"])
def test_options_in_the_text_exist(name, capsys):
    section = read_page("docs/commands.md").split(f"## {name}\n")[1].split("\n## ")[0]
    named = {option for code in re.findall(r"`([^`\n]*)`", section) for option in options_of(code)}
    assert named <= options_of(help_of(name, capsys))


def options_of(text):
    return set(re.findall(r"(?<![\w\-])--?[a-z][a-z\-]*", text))


def test_options_for_those_who_move_exist(capsys):
    section = read_page("docs/migration.md").split("## Options")[1].split("## Tags")[0]
    cells = [row.rsplit("|", 2)[1] for row in section.splitlines() if row.startswith("|")]
    named = {option for cell in cells[2:] for option in options_of(cell)}
    assert len(named) > 15
    assert named <= options_of(help_of("dicom-preprocess", capsys))
