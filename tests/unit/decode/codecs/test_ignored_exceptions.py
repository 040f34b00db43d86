"""Ignored exceptions are noted for the thread that watches; the hook is given back."""

import sys
import threading

import pytest

from dicom_preprocessing.decode.codecs.ignored_exceptions import note_ignored_exceptions


class Raises:
    """Raises an exception that Python ignores."""

    def __init__(self, text="told to nobody"):
        self.text = text

    def __del__(self):
        raise ValueError(self.text)


def ignore(text="told to nobody"):
    Raises(text)


@pytest.fixture
def told(monkeypatch):
    """Texts of exceptions that reach a hook of another module."""
    texts = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: texts.append(str(args.exc_value)))
    return texts


def test_exceptions_of_the_block_are_noted(told):
    with note_ignored_exceptions() as ignored:
        ignore("one")
        ignore("two")
    assert [str(error) for error in ignored] == ["one", "two"]
    assert told == []


def test_hook_is_given_back():
    before = sys.unraisablehook  # pytest's own
    with note_ignored_exceptions():
        assert sys.unraisablehook is not before
    assert sys.unraisablehook is before


def test_hook_is_given_back_after_an_error():
    before = sys.unraisablehook
    with pytest.raises(KeyError), note_ignored_exceptions():
        raise KeyError
    assert sys.unraisablehook is before


def test_exceptions_after_the_block_are_told_as_before(told):
    with note_ignored_exceptions():
        pass
    ignore()
    assert told == ["told to nobody"]


def test_hook_that_came_between_two_blocks_counts(told, monkeypatch):
    with note_ignored_exceptions():
        pass
    later = []
    monkeypatch.setattr(sys, "unraisablehook", later.append)
    with note_ignored_exceptions():
        pass
    ignore()
    assert (len(later), told) == (1, [])


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_exceptions_of_other_threads_are_told_as_before(told):
    with note_ignored_exceptions() as ignored:
        in_thread(ignore)
    assert (ignored, told) == ([], ["told to nobody"])


def test_each_of_two_threads_has_its_own(told):
    barrier = threading.Barrier(2)
    noted = {}

    def watch(name):
        with note_ignored_exceptions() as ignored:
            barrier.wait()
            ignore(name)
            barrier.wait()
            noted[name] = [str(error) for error in ignored]

    threads = [threading.Thread(target=watch, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert noted == {"a": ["a"], "b": ["b"]}
    assert told == []


def test_hook_is_given_back_by_the_last_of_two_threads(told):
    before = sys.unraisablehook
    begun, end = threading.Event(), threading.Event()

    def watch():
        with note_ignored_exceptions():
            begun.set()
            end.wait()

    thread = threading.Thread(target=watch)
    with note_ignored_exceptions():
        thread.start()
        begun.wait()
    ours = sys.unraisablehook
    end.set()
    thread.join()
    assert ours is not before
    assert sys.unraisablehook is before


def put_on_top():
    """Set a hook that passes everything on to the one before it, as crash reporters do."""
    below = sys.unraisablehook

    def pass_on(args):
        below(args)

    sys.unraisablehook = pass_on
    return pass_on


def test_hook_put_on_top_meanwhile_stays(told):
    with note_ignored_exceptions():
        other = put_on_top()
    assert sys.unraisablehook is other
    ignore()
    assert told == ["told to nobody"]


def test_hook_put_on_top_does_not_lead_to_a_circle(told):
    with note_ignored_exceptions():
        put_on_top()
        with note_ignored_exceptions() as ignored:
            ignore("noted")
        in_thread(lambda: ignore("told"))
    with note_ignored_exceptions():
        in_thread(lambda: ignore("told again"))
    assert [str(error) for error in ignored] == ["noted"]
    assert told == ["told", "told again"]
