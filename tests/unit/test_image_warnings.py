"""Warnings of an image: each once, of known codes, also while frames are still decoded."""

import pytest

from dicom_preprocessing.image_warnings import WARNING_CODES, ImageWarning, ImageWarnings

FIRST, *_, LAST = WARNING_CODES


def test_each_is_there_once_in_the_order_of_the_codes():
    warnings = ImageWarnings()
    for code, message in [(LAST, "a"), (FIRST, "b"), (FIRST, "a"), (LAST, "a")]:
        warnings.add(code, message)
    assert list(warnings) == [(FIRST, "a"), (FIRST, "b"), (LAST, "a")]
    assert len(warnings) == 3


def test_unknown_code_is_refused():
    with pytest.raises(KeyError, match="no_such_code"):
        ImageWarnings().add("no_such_code", "")


def test_later_warnings_leave_earlier_ones_alone():
    earlier = ImageWarnings([ImageWarning(FIRST, "a")])
    later = earlier.plus(LAST, "b")
    assert (list(earlier), list(later)) == ([(FIRST, "a")], [(FIRST, "a"), (LAST, "b")])


def test_warnings_found_while_decoding_reach_later_stages():
    decoding = ImageWarnings()
    later = decoding.plus(LAST, "b")
    decoding.add(FIRST, "a")
    assert list(later) == [(FIRST, "a"), (LAST, "b")]


def test_meanings_are_sentences():
    assert all(text.endswith(".") for text in WARNING_CODES.values())
