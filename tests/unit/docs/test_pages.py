"""Links, shape and language of the documentation, and that it names what is there."""

import re

import pytest

import dicom_preprocessing
from dicom_preprocessing import errors
from dicom_preprocessing.config.model import keys
from dicom_preprocessing.results.failures import FAILURE_COLUMNS
from dicom_preprocessing.results.manifest import COLUMNS as MANIFEST_COLUMNS
from dicom_preprocessing.results.warning_table import WARNING_COLUMNS
from tests.conftest import CHECKOUT
from tests.generate_config_files import failures_page, pixels_page
from tests.pages import (
    LANGUAGES,
    PAGES,
    all_blocks,
    anchors_of,
    blocks_of,
    links_of,
    read_page,
    relative_target,
    without_blocks,
)

EXTERNAL = ("https://",)


def table_rows(page):
    """Cells of all tables of a page."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in without_blocks(page).splitlines()
        if line.startswith("|")
    ]


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_lead_to_files_and_headings(page):
    for link in links_of(page):
        if link.startswith(EXTERNAL):
            continue
        target, anchor = relative_target(page, link)
        assert target.exists(), f"{page}: {link}"
        assert target.is_relative_to(CHECKOUT), f"{page}: {link}"
        if anchor:
            target_page = str(target.relative_to(CHECKOUT))
            assert anchor in anchors_of(target_page), f"{page}: {link}"


def test_anchors_are_those_of_github():
    assert {"failurescsv", "verdict-and-exit-status"} <= anchors_of("docs/failures.md")
    assert "10-crop-resize-pad" in anchors_of("docs/pixels.md")
    assert "crop_max" in anchors_of("config/README.md")
    assert "mip_weight-projection" in anchors_of("config/README.md")


def test_every_page_can_be_reached_from_the_readme():
    reached, ahead = set(), ["README.md"]
    while ahead:
        page = ahead.pop()
        reached.add(page)
        targets = (relative_target(page, link)[0] for link in links_of(page) if ":" not in link)
        names = {str(target.relative_to(CHECKOUT)) for target in targets}
        ahead += (names & set(PAGES)) - reached
    assert reached == set(PAGES)


def test_readme_is_short():
    assert len(read_page("README.md").splitlines()) <= 170


@pytest.mark.parametrize("page", PAGES)
def test_page_starts_with_a_title_and_what_it_is_for(page):
    title, blank, first = read_page(page).splitlines()[:3]
    assert title.startswith("# ")
    assert blank == ""
    assert first[:1].isupper()


@pytest.mark.parametrize("page", PAGES)
def test_lines_are_wrapped(page):
    for line in without_blocks(page).splitlines():
        is_long_by_nature = line.startswith("|") or "](" in line
        assert is_long_by_nature or len(line) <= 120, line


@pytest.mark.parametrize("page", PAGES)
def test_blocks_say_their_language(page):
    fences = re.findall(r"^ *```", read_page(page), re.MULTILINE)
    assert len(fences) == 2 * len(blocks_of(page))
    assert {block.language for block in blocks_of(page)} <= set(LANGUAGES)


DIALECT = {
    r"\b(tell|tells|told)\b": "say, give or record",
    r"\b(stands|standing)\b": "is",
    r"\bpassed over\b": "skipped",
    r"\bwithdraws?\b": "invalidate, remove",
    r"\bdeals? out\b": "assign",
    r"\bhave a look\b": "check, read",
    r"\banew\b": "again",
    r"\bgoes? beyond\b": "exceeds",
    r"\bcheckout\b": "clone",
    r"\b(ms|MB|rows?|TIFF|log|page|job|time|path) (a|an) (study|file|image|job|second|pixel)\b": (
        "per study, per file"
    ),
}
"""Phrases that are no English of the field, with what to write instead."""


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_in_common_english(page):
    text = " ".join(re.sub(r"`[^`]*`", "", without_blocks(page)).split())
    found = {
        match[0]: advice for words, advice in DIALECT.items() for match in re.finditer(words, text)
    }
    assert found == {}


@pytest.mark.parametrize("page", PAGES)
def test_no_path_of_a_machine(page):
    assert re.findall(r"(?:/home|/root|/tmp|/work)/\S*", read_page(page)) == []


def test_each_error_is_explained_in_order():
    expected = [("skipped", error) for error in errors.SKIPPED_ERRORS]
    expected += [("failed", error) for error in errors.FAILED_ERRORS]
    rows = [row for row in table_rows("docs/failures.md") if row[0] in ("skipped", "failed")]
    assert [(state, error) for state, error, *_ in rows] == expected


def test_errors_that_are_tried_again_say_so():
    children = errors.FileError.__subclasses__()
    transient = {child.error for child in children if child.transient}
    said = {row[1] for row in table_rows("docs/failures.md") if "tried again" in row[-1]}
    assert said == transient


def test_each_warning_is_explained_in_order():
    assert read_page("docs/failures.md") == failures_page(), "run make schema"


def test_table_of_contradictions_is_that_of_the_code():
    assert read_page("docs/pixels.md") == pixels_page(), "run make schema"


def test_columns_of_warnings_are_those_of_the_table():
    (names,) = re.findall(r"with the columns\s+(.*?):", read_page("docs/failures.md"), re.DOTALL)
    assert re.split(r",\s+|\s+and\s+", " ".join(names.split())) == list(WARNING_COLUMNS)


def test_columns_of_failures_are_those_of_the_table():
    (sentence,) = re.findall(r"The columns are (.*?);", read_page("docs/failures.md"), re.DOTALL)
    assert re.split(r",\s+|\s+and\s+", " ".join(sentence.split())) == list(FAILURE_COLUMNS)


def test_columns_of_the_manifest_are_those_of_the_table():
    section = read_page("docs/output.md").split("## Manifest")[1].split("## ")[0]
    rows = [line.strip("|").split("|")[0] for line in section.splitlines() if line[:1] == "|"][2:]
    names = [name.strip() for row in rows for name in row.split(",")]
    assert sorted(names) == sorted(MANIFEST_COLUMNS)


def test_each_key_has_a_section():
    sections = set(re.findall(r"^### (.+)$", read_page("config/README.md"), re.MULTILINE))
    named = {name for section in sections for name in section.split(", ")}
    assert set(keys()) <= named


def test_examples_are_the_bundled_files():
    """A row names one file, or the first and the last of several."""
    studies = CHECKOUT / "examples" / "studies"
    files = sorted(str(path.relative_to(studies)) for path in studies.rglob("*.*"))
    described = []
    for row in table_rows("examples/README.md"):
        names = re.findall(r"`([^`]*)`", row[0])
        if not names or "/" not in names[0]:
            continue
        folder = names[0].rpartition("/")[0]
        ends = names[0], f"{folder}/{names[-1].rpartition('/')[2]}"
        described += [file for file in files if ends[0] <= file <= ends[1]]
    assert sorted(described) == files
    assert len(files) == 33


def test_modules_that_are_named_exist():
    sources = [
        str(path.relative_to(CHECKOUT))
        for folder in ("src", "scripts", "tests", "benchmarks", "examples", "workflow")
        for path in (CHECKOUT / folder).rglob("*")
        if path.is_file()
    ]
    invented = {"a/b.py", "a/test_b.py"}
    for page in PAGES:
        names = re.findall(r"`([\w/]+\.(?:py|smk|sh|sbatch))`", without_blocks(page))
        for name in set(names) - invented:
            assert any(f"/{path}".endswith(f"/{name}") for path in sources), f"{page}: {name}"


def test_public_names_are_documented():
    manual = "".join(read_page(page) for page in PAGES)
    generated = r"preprocess_(stream_)?(u8|u16|f32)\w*"
    names = {name for name in dicom_preprocessing.__all__ if not re.fullmatch(generated, name)}
    # What functions return, whose fields the pages name.
    returned = {"ManifestEntry", "MappedBoxes", "MappedPolygon", "TiffStream", "ValidationReport"}
    assert {name for name in names if name not in manual} <= returned | {"__version__"}


def test_blocks_are_found():
    assert len(all_blocks()) > 60
