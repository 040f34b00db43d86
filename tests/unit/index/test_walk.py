"""Finding files: what counts as a file of the source, in which order, and what cannot be read."""

import errno
import os
import subprocess

import pytest

from dicom_preprocessing.errors import SourceError
from dicom_preprocessing.index import walk
from dicom_preprocessing.index.path_lists import is_path_list, read_path_list
from dicom_preprocessing.index.walk import (
    SourceFile,
    digest_files,
    find_files,
    list_own_folders,
    list_sources,
)
from dicom_preprocessing.text import ADVICE_BY_ERRNO
from tests.conftest import needs_byte_names

NOT_UTF_8 = os.fsdecode(b"caf\xe9.dcm")


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def touch(path, content=b"\0content"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def found_below(folder, **options):
    """Paths that are found, relative to ``folder``."""
    return [os.path.relpath(item.path, folder) for item in find_files([str(folder)], **options)]


def make_unreadable(monkeypatch, *folders):
    """Let the listing of some folders fail: tests may run as root, who can read everything."""
    listing = os.scandir

    def scandir(path):
        if os.fspath(path) in map(os.fspath, folders):
            raise PermissionError(errno.EACCES, "Permission denied")
        return listing(path)

    monkeypatch.setattr(walk.os, "scandir", scandir)


def test_folder_gives_the_files_at_any_depth(source):
    touch(source / "a.dcm")
    touch(source / "b" / "c" / "d.dcm")
    assert found_below(source) == ["a.dcm", "b/c/d.dcm"]


def test_trailing_slash_of_a_folder_is_not_doubled(source):
    path = touch(source / "a.dcm")
    assert [item.path for item in find_files([f"{source}/"])] == [str(path)]


def test_relative_folder_gives_relative_paths(source, monkeypatch):
    touch(source / "a.dcm")
    monkeypatch.chdir(source.parent)
    assert [item.path for item in find_files(["source"])] == ["source/a.dcm"]


def test_file_gives_itself(source):
    path = touch(source / "a.dcm")
    assert [(item.path, item.named) for item in find_files([str(path)])] == [(str(path), True)]


def test_size_and_time_are_those_of_the_file(source):
    path = touch(source / "a.dcm", b"\0" * 7)
    os.utime(path, ns=(5, 1_234_567_890))
    (item,) = find_files([str(source)])
    assert (item.size, item.mtime_ns) == (7, 1_234_567_890)


def test_files_met_in_a_folder_are_not_named(source):
    touch(source / "a.dcm")
    assert [item.named for item in find_files([str(source)])] == [False]


@pytest.mark.parametrize("name", ["1.2.840.113619", "IMG.DCM", ".hidden.dcm", "notes.txt", "a b"])
def test_name_of_a_file_does_not_matter(source, name):
    touch(source / name)
    assert found_below(source) == [name]


def test_hidden_folder_is_walked(source):
    touch(source / ".hidden" / "a.dcm")
    assert found_below(source) == [".hidden/a.dcm"]


@needs_byte_names
def test_name_that_is_not_utf_8_is_found(source):
    touch(source / NOT_UTF_8)
    assert [os.fsencode(name) for name in found_below(source)] == [b"caf\xe9.dcm"]


@needs_byte_names
def test_path_order_is_byte_order(source):
    # As text, the last name would come before the one with the emoji.
    names = [b"B", b"a-b", b"a.b", b"a/b", b"\xc3\xa9", b"\xf0\x9f\x98\x80", b"\xff"]
    for name in reversed(names):
        touch(source / os.fsdecode(name))
    assert [os.fsencode(name) for name in found_below(source)] == names


def test_path_order_does_not_depend_on_the_order_of_sources(source):
    a, b = touch(source / "a.dcm"), touch(source / "b.dcm")
    assert [item.path for item in find_files([str(b), str(a)])] == [str(a), str(b)]


# Lists


def listed(source, content):
    """Names below ``source`` of the files that a list in ``source`` leads to."""
    listing = touch(source / "list.txt", content)
    return [os.path.relpath(item.path, source) for item in find_files([str(listing)])]


def test_list_gives_its_entries_instead_of_itself(source):
    a, b = touch(source / "a.dcm"), touch(source / "b.dcm")
    assert listed(source, f"{a}\n{b}\n".encode()) == ["a.dcm", "b.dcm"]


def test_entries_of_a_list_are_named(source):
    listing = touch(source / "list.txt", f"{touch(source / 'a.dcm')}\n".encode())
    assert [item.named for item in find_files([str(listing)])] == [True]


def test_relative_entry_starts_at_the_folder_of_the_list(source, monkeypatch):
    touch(source / "below" / "a.dcm")
    monkeypatch.chdir(source.parent.parent)
    assert listed(source, b"below/a.dcm\n") == ["below/a.dcm"]


def test_entry_of_a_list_may_be_a_folder(source):
    touch(source / "below" / "a.dcm")
    assert listed(source, b"below\n") == ["below/a.dcm"]


def test_last_line_of_a_list_needs_no_line_break(source):
    touch(source / "a.dcm")
    assert listed(source, b"a.dcm") == ["a.dcm"]


def test_blank_and_comment_lines_of_a_list_are_skipped(source):
    touch(source / "a.dcm")
    assert listed(source, b"# files\n\n  \na.dcm\n#b.dcm\n") == ["a.dcm"]


def test_comment_of_a_list_may_be_indented(source):
    touch(source / "a.dcm")
    assert listed(source, b"  # files\na.dcm\n") == ["a.dcm"]


def test_byte_order_mark_of_a_list_is_skipped(source):
    touch(source / "a.dcm")
    assert listed(source, b"\xef\xbb\xbfa.dcm\n") == ["a.dcm"]


def test_list_may_have_windows_line_breaks(source):
    touch(source / "a.dcm")
    assert listed(source, b"# files\r\n\r\na.dcm\r\n") == ["a.dcm"]


@needs_byte_names
def test_list_is_read_as_bytes(source):
    touch(source / NOT_UTF_8)
    assert listed(source, b"caf\xe9.dcm\n") == [NOT_UTF_8]


def test_blanks_belong_to_the_names_in_a_list(source):
    touch(source / " a .dcm ")
    assert listed(source, b" a .dcm \n") == [" a .dcm "]


def test_list_inside_a_list_is_a_file(source):
    touch(source / "inner.txt", b"a.dcm\n")
    assert listed(source, b"inner.txt\n") == ["inner.txt"]


def test_list_inside_a_folder_is_a_file(source):
    touch(source / "list.txt", b"nothing.dcm\n")
    assert found_below(source) == ["list.txt"]


def test_read_path_list_joins_relative_entries_only(source):
    listing = touch(source / "list.txt", b"a.dcm\n/b.dcm\n")
    assert read_path_list(str(listing)) == [f"{source}/a.dcm", "/b.dcm"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a.dcm\n", True),
        (b"# nothing\n", True),
        (b"", False),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", False),
        (b" " * 128 + b"DICM", False),
        (b"\x08\0\x05\0CS\n\0ISO_IR 100", False),
    ],
    ids=["path", "comment", "empty", "png", "dicom", "dicom without preamble"],
)
def test_list_is_text_without_the_dicom_prefix(source, content, expected):
    assert is_path_list(str(touch(source / "x", content))) is expected


def test_list_of_sources_gives_the_files_of_all(source):
    a = touch(source / "one" / "a.dcm")
    touch(source / "two" / "b.dcm")
    touch(source / "c.dcm")
    listing = touch(source / "list.txt", b"c.dcm\n")
    items = find_files([str(source / "two"), str(listing), str(a)])
    names = [os.path.relpath(item.path, source) for item in items]
    assert names == ["c.dcm", "one/a.dcm", "two/b.dcm"]


@pytest.mark.parametrize("other", ["source", "source/a.dcm", "./source/a.dcm", "source/../source"])
def test_path_reached_by_two_entries_counts_once(source, monkeypatch, other):
    touch(source / "a.dcm")
    monkeypatch.chdir(source.parent)
    assert len(find_files(["source", other])) == 1


def test_path_reached_by_relative_and_absolute_entries_counts_once(source, monkeypatch):
    path = touch(source / "a.dcm")
    monkeypatch.chdir(source.parent)
    assert len(find_files(["source", str(path)])) == 1


@pytest.mark.parametrize("entries", [["a.dcm", "."], [".", "a.dcm"]], ids=["first", "last"])
def test_path_that_is_named_and_found_in_a_folder_is_named(source, entries):
    touch(source / "a.dcm")
    items = find_files([str(source / entry) for entry in entries])
    assert [item.named for item in items] == [True]


# Links


def test_link_to_a_file_is_a_file(source):
    target = touch(source.parent / "target.dcm", b"\0" * 9)
    (source / "link.dcm").symlink_to(target)
    assert [(item.path, item.size) for item in find_files([str(source)])] == [
        (f"{source}/link.dcm", 9)
    ]


def test_link_to_a_folder_is_followed(source):
    touch(source.parent / "elsewhere" / "a.dcm")
    (source / "link").symlink_to(source.parent / "elsewhere")
    assert found_below(source) == ["link/a.dcm"]


def test_source_may_be_a_link_to_a_folder(source):
    touch(source / "a.dcm")
    link = source.parent / "link"
    link.symlink_to(source)
    assert [item.path for item in find_files([str(link)])] == [f"{link}/a.dcm"]


def test_link_to_a_parent_is_not_followed(source):
    touch(source / "a" / "b" / "c.dcm")
    (source / "a" / "b" / "up").symlink_to(source)
    assert found_below(source) == ["a/b/c.dcm"]


def test_link_to_a_parent_above_the_source_is_not_followed(source):
    touch(source / "a.dcm")
    touch(source.parent / "other" / "b.dcm")
    (source / "up").symlink_to(source.parent)
    assert found_below(source) == ["a.dcm"]


def test_link_to_its_own_folder_is_not_followed(source):
    touch(source / "a.dcm")
    (source / "here").symlink_to(source)
    assert found_below(source) == ["a.dcm"]


def test_link_to_a_folder_that_is_no_parent_is_followed(source):
    touch(source / "a" / "x.dcm")
    (source / "b").symlink_to(source / "a")
    assert found_below(source) == ["a/x.dcm", "b/x.dcm"]


def test_broken_link_is_found_as_a_path_that_cannot_be_read(source):
    touch(source / "a.dcm")
    (source / "broken.dcm").symlink_to("nowhere.dcm")
    broken = find_files([str(source)])[1]
    assert (broken.path, broken.problem, broken.is_missing) == (
        f"{source}/broken.dcm",
        "No such file or directory. What to do: check the path",
        False,
    )


def test_link_to_itself_is_survived(source):
    touch(source / "a.dcm")
    (source / "loop").symlink_to("loop")
    assert [bool(item.problem) for item in find_files([str(source)])] == [False, True]


# What is not walked


def test_output_folder_inside_the_source_is_not_walked(source):
    touch(source / "a.dcm")
    touch(source / "results" / "images" / "b.dcm")
    assert found_below(source, excluded=[str(source / "results")]) == ["a.dcm"]


def test_output_folder_is_not_walked_through_a_link(source):
    touch(source / "a.dcm")
    output = touch(source.parent / "results" / "b.dcm").parent
    (source / "link").symlink_to(output)
    assert found_below(source, excluded=[str(output)]) == ["a.dcm"]


def test_folder_of_the_same_name_elsewhere_is_walked(source):
    touch(source / "results" / "a.dcm")
    excluded = touch(source.parent / "results" / "b.dcm").parent
    assert found_below(source, excluded=[str(excluded)]) == ["results/a.dcm"]


def test_excluded_folder_need_not_exist(source):
    touch(source / "a.dcm")
    assert found_below(source, excluded=[str(source / "results")]) == ["a.dcm"]


def test_own_folders_are_the_output_and_those_of_snakemake():
    assert list_own_folders("out") == ["out", ".snakemake", "logs"]


def test_pipe_is_found_and_marked(source):
    os.mkfifo(source / "pipe")
    (item,) = find_files([str(source)])
    assert (item.path, item.is_regular) == (f"{source}/pipe", False)


def test_pipe_is_never_opened(source, monkeypatch):
    os.mkfifo(source / "pipe")
    listing = touch(source / "list.txt", b"pipe\n")
    really_open = open

    def guarded(path, *arguments, **options):
        assert not os.fspath(path).endswith("pipe"), "this would wait for ever"
        return really_open(path, *arguments, **options)

    monkeypatch.setattr("builtins.open", guarded)
    items = find_files([str(source), str(source / "pipe"), str(listing)])
    assert [os.path.basename(item.path) for item in items] == ["list.txt", "pipe"]


# What cannot be read


def test_missing_entry_beside_others_is_found_as_missing(source):
    touch(source / "a.dcm")
    items = find_files([str(source), str(source / "none.dcm")])
    assert [(item.path, item.named, item.is_missing, item.problem) for item in items[1:]] == [
        (f"{source}/none.dcm", True, True, "no such file or folder")
    ]


def test_entry_below_a_file_is_missing(source):
    touch(source / "a.dcm")
    items = find_files([str(source), str(source / "a.dcm" / "b.dcm")])
    assert [item.is_missing for item in items] == [False, True]


def test_source_of_which_nothing_exists_is_refused(source):
    with pytest.raises(SourceError, match=r"^source .*/x, .*/y: no such file or folder$"):
        find_files([str(source / "x"), str(source / "y")])


def test_list_of_which_nothing_exists_is_refused(source):
    listing = touch(source / "list.txt", b"x.dcm\ny.dcm\n")
    message = (
        r"^source .*/list\.txt: a text file, taken for a list with one path per line, of which "
        r"none exists \(the first: .*/x\.dcm: no such file or folder\)$"
    )
    with pytest.raises(SourceError, match=message):
        find_files([str(listing)])


def test_long_line_of_a_text_is_shown_in_part(source):
    listing = touch(source / "report.xml", b"<" * 5000 + b"\nx\n")
    message = r"none exists \(the first: .{200}\.\.\.: File name too long\. What to do: .*\)$"
    with pytest.raises(SourceError, match=message):
        find_files([str(listing)])


def test_list_of_which_nothing_can_be_read_names_the_first(source, monkeypatch):
    listing = touch(source / "list.txt", f"{touch(source / 'a.dcm')}\n".encode())
    stat = os.stat

    def refuse(path, **options):
        if str(path).endswith("a.dcm"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return stat(path, **options)

    monkeypatch.setattr(os, "stat", refuse)
    message = (
        r"list of paths, of which none can be read \(the first: .*/a\.dcm: Permission denied\. "
        r"What to do: .*, then run again\)$"
    )
    with pytest.raises(SourceError, match=message):
        find_files([str(listing)])


@pytest.mark.parametrize("name", ["notes.dcm", "NOTES.DCM", "a.ima", "a.dicom"])
def test_text_that_is_named_like_dicom_is_no_list(source, name):
    text = touch(source / name, b"some notes\n")
    suffix = os.path.splitext(name)[1]
    message = (
        rf"^source .*/{name}: text, not DICOM \(if it is a list of paths, give it a name without "
        rf"\{suffix}\)$"
    )
    with pytest.raises(SourceError, match=message):
        find_files([str(text)])


def test_text_that_is_named_like_dicom_is_a_file_beside_others(source):
    touch(source / "a.dcm", b"\0")
    touch(source / "b.dcm", b"some notes\n")
    found = find_files([f"{source}/a.dcm", f"{source}/b.dcm"])
    assert [os.path.basename(item.path) for item in found] == ["a.dcm", "b.dcm"]


def test_empty_file_as_source_is_refused(source):
    with pytest.raises(SourceError, match=r"an empty file, neither DICOM nor a list of paths$"):
        find_files([str(touch(source / "retry.txt", b""))])


def test_empty_file_beside_others_is_a_file(source):
    touch(source / "a.dcm")
    assert len(find_files([str(source), str(touch(source / "b.dcm", b""))])) == 2


def test_empty_folder_is_refused(source):
    with pytest.raises(SourceError, match=r"^source .*/source: contains no files"):
        find_files([str(source)])


def test_folder_with_empty_folders_only_is_refused(source):
    (source / "a" / "b").mkdir(parents=True)
    with pytest.raises(SourceError, match="contains no files"):
        find_files([str(source)])


def test_list_without_entries_is_refused(source):
    listing = touch(source / "list.txt", b"# nothing yet\n\n")
    with pytest.raises(SourceError, match=r"a list that contains no paths$"):
        find_files([str(listing)])


def test_output_folder_as_source_is_refused(source):
    touch(source / "a.dcm")
    with pytest.raises(
        SourceError, match=r"contains no files \(the output folder is not searched\)"
    ):
        find_files([str(source)], excluded=[str(source)])


def test_folder_that_cannot_be_listed_is_found_as_such(source, monkeypatch):
    touch(source / "a.dcm")
    touch(source / "secret" / "b.dcm")
    make_unreadable(monkeypatch, source / "secret")
    items = find_files([str(source)])
    problem = f"Permission denied. What to do: {ADVICE_BY_ERRNO[errno.EACCES]}"
    assert [(item.path, item.problem, item.is_folder) for item in items[1:]] == [
        (f"{source}/secret", problem, True)
    ]


def test_source_that_cannot_be_listed_is_refused(source, monkeypatch):
    touch(source / "a.dcm")
    make_unreadable(monkeypatch, source)
    with pytest.raises(
        SourceError, match=r"source: cannot be read: Permission denied\. What to do"
    ):
        find_files([str(source)])


def test_source_that_cannot_be_listed_beside_others_is_named(source, monkeypatch):
    touch(source / "a.dcm")
    touch(source.parent / "other" / "b.dcm")
    make_unreadable(monkeypatch, source)
    items = find_files([str(source), str(source.parent / "other")])
    assert [(item.named, item.is_folder) for item in items] == [(False, False), (True, True)]


# The digest of a walk


@pytest.fixture
def before(source):
    """Digest of a source with two files."""
    for name in ("a.dcm", "b.dcm"):
        os.utime(touch(source / name), ns=(1, 1))
    return digest_files(find_files([str(source)]))


def test_walk_hash_stays_while_nothing_changes(source, before):
    assert digest_files(find_files([str(source)])) == before


def test_walk_hash_stays_when_a_file_is_read(source, before):
    (source / "a.dcm").read_bytes()
    os.utime(source / "a.dcm", ns=(10**18, 1))
    assert digest_files(find_files([str(source)])) == before


def test_walk_hash_stays_when_an_empty_folder_is_added(source, before):
    (source / "new").mkdir()
    assert digest_files(find_files([str(source)])) == before


def test_walk_hash_stays_when_the_same_entry_is_named_twice(source, before):
    assert digest_files(find_files([str(source), str(source)])) == before


def test_walk_hash_changes_when_a_file_is_added(source, before):
    touch(source / "c.dcm")
    assert digest_files(find_files([str(source)])) != before


def test_walk_hash_changes_when_a_file_is_touched(source, before):
    os.utime(source / "a.dcm", ns=(1, 2))
    assert digest_files(find_files([str(source)])) != before


def test_walk_hash_changes_when_a_file_grows(source, before):
    os.utime(touch(source / "a.dcm", b"\0content and more"), ns=(1, 1))
    assert digest_files(find_files([str(source)])) != before


def test_walk_hash_changes_when_a_file_is_removed(source, before):
    (source / "a.dcm").unlink()
    assert digest_files(find_files([str(source)])) != before


def test_walk_hash_changes_when_a_file_is_renamed(source, before):
    (source / "a.dcm").rename(source / "c.dcm")
    assert digest_files(find_files([str(source)])) != before


def test_walk_hash_changes_when_a_folder_cannot_be_listed_any_more(source, before, monkeypatch):
    (source / "new").mkdir()
    make_unreadable(monkeypatch, source / "new")
    assert digest_files(find_files([str(source)])) != before


def test_walk_hash_changes_with_what_keeps_a_path_from_being_read():
    missing = SourceFile(path="a", problem="no such file or folder", is_missing=True)
    assert digest_files([missing]) != digest_files(
        [SourceFile(path="a", problem="Permission denied")]
    )


# The key source


def test_source_that_is_a_path_is_a_list_of_one():
    assert list_sources("a", "bundled") == ["a"]


def test_source_that_is_a_list_is_itself():
    assert list_sources(("a", "b"), "bundled") == ["a", "b"]


def test_source_null_is_the_bundled_examples_relative_to_the_working_directory(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert list_sources(None, tmp_path / "examples" / "studies") == ["examples/studies"]


def test_source_null_is_absolute_where_the_examples_are_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert list_sources(None, tmp_path / "examples") == [str(tmp_path / "examples")]


@pytest.fixture
def deep(tmp_path, monkeypatch):
    """A folder that is removed afterwards: pytest removes folders by a recursion."""
    folder = tmp_path / "deep"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    subprocess.run(["rm", "-rf", folder], check=True)


@pytest.mark.parametrize("names", ["a", "ab"])
def test_folders_may_be_deep(deep, names):
    depth = 1500
    for _ in range(depth):
        for name in names:  # of one letter: a path may have 4,096 bytes
            os.mkdir(name)
        os.chdir("a")
    os.close(os.open("f", os.O_CREAT))
    (file,) = find_files([str(deep)])
    assert file.path == os.path.join(deep, *"a" * depth, "f")
    assert not file.problem
