"""How these tests call Snakemake: as a new process would, but for loading its libraries."""

import re
import subprocess

import pytest

ONCE = r"Date: .*|Workflow ID: .*|source-cache/\S*/tmp\w+"


@pytest.mark.parametrize("words", [[], ["--config", "sise=1"]])
def test_forked_process_prints_and_returns_what_a_new_one_does(finished, words):
    forked = finished.run(*words, check=False)
    new = subprocess.run(
        finished.command(*words),
        cwd=finished.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert forked.returncode == new.returncode
    assert re.sub(ONCE, "", forked.output) == re.sub(ONCE, "", new.stdout)


def test_no_call_has_the_seed_of_hashes_of_the_one_before(project):
    (project.folder / "Snakefile").write_text("print('seed', hash('x'))\nrule all:\n")
    outputs = [project.run("--snakefile", "Snakefile").output for _ in range(3)]
    first, second, third = (re.findall(r"^seed (\S+)$", text, re.MULTILINE) for text in outputs)
    assert first == third != second
