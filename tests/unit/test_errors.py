"""Exceptions that no code foresaw: which of them are bugs, and how they are told."""

import pickle
import struct
import zlib

import imagecodecs
import numpy as np
import pydicom
import pytest

from dicom_preprocessing.decode.streams.info import StreamError
from dicom_preprocessing.errors import (
    MESSAGE_LIMIT,
    DamagedError,
    DecodeError,
    InternalError,
    explain_exception,
    is_bug,
)
from dicom_preprocessing.imaging.frames import map_frames


def caught(function, *arguments):
    """The exception that a function raises."""
    with pytest.raises(Exception) as found:  # noqa: PT011
        function(*arguments)
    return found.value


def called_by_this_package(function, *arguments):
    frames = np.zeros((1, 1, 1, 1), np.uint8)
    return caught(map_frames, frames, lambda _: function(*arguments))


BUGS = [
    (lambda: 1 / 0, ()),
    (list.pop, ([],)),
    (lambda: {}["a"], ()),
    (lambda: None.size, ()),
    (struct.unpack, ("<H", b"")),
    (np.stack, ([np.zeros(2), np.zeros(3)],)),
    (np.frombuffer, (b"123", np.uint16)),
    (int, ("no",)),
]
FORESEEN = [
    (imagecodecs.jpeg8_decode, (b"no",)),
    (imagecodecs.dicomrle_decode, (b"no", "<u1")),
    (imagecodecs.jpeg2k_decode, (None,)),
    (pydicom.Dataset().__getattr__, ("Rows",)),
    (zlib.decompress, (b"no",)),
    (open, ("/no/such/file",)),
]


@pytest.mark.parametrize(("function", "arguments"), BUGS)
def test_what_arises_in_this_package_is_a_bug(function, arguments):
    assert is_bug(called_by_this_package(function, *arguments))


@pytest.mark.parametrize(("function", "arguments"), FORESEEN)
def test_what_a_reading_library_raises_is_none(function, arguments):
    assert not is_bug(called_by_this_package(function, *arguments))


@pytest.mark.parametrize("error", [StreamError("cut"), DecodeError("cut")])
def test_what_this_package_raises_by_its_own_classes_is_none(error):
    assert not is_bug(error)


def test_bug_called_back_by_a_library_is_ours(tmp_path):
    class File:
        def read(self, _length=-1):
            return called_back()

        def seek(self, *_):
            return 0

        def tell(self):
            return 0

    def called_back():
        return map_frames(np.zeros((1, 1, 1, 1)), lambda _: 1 / 0)

    assert is_bug(caught(pydicom.dcmread, File()))


def test_message_names_module_and_line():
    error = InternalError.from_exception(called_by_this_package(lambda: 1 / 0))
    assert str(error).startswith("ZeroDivisionError: division by zero (imaging.frames:")


def test_place_is_left_of_a_long_message():
    message = str(InternalError.from_exception(called_by_this_package(raise_long)))
    assert len(message) == MESSAGE_LIMIT
    assert message.endswith(")")


def raise_long():
    raise LookupError("long " * 1000)


def test_explanation_of_what_is_no_bug_has_the_given_class():
    error = explain_exception(called_by_this_package(zlib.decompress, b"no"), DamagedError)
    assert (type(error), error.error) == (DamagedError, "damaged")


def test_internal_error_passes_between_processes():
    error = pickle.loads(pickle.dumps(InternalError("KeyError: 1 (decode.values:1)")))
    assert (str(error), error.error, error.transient) == (
        "KeyError: 1 (decode.values:1)",
        "internal_error",
        False,
    )
