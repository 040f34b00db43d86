"""Time and errors are those of the stage that does the work, whoever asked for it."""

import time
import zlib

import numpy as np
import pytest

from dicom_preprocessing.errors import (
    DecodeError,
    InternalError,
    LimitMemoryError,
    NoSpacingError,
    OutputError,
)
from dicom_preprocessing.imaging.frames import LazyFrames
from dicom_preprocessing.processing.timing import StageTimer
from tests.unit.datasets import image_of


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when they are added to."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def raised_at(stage, error):
    with pytest.raises(Exception) as caught, StageTimer({}).measure(stage):  # noqa: PT011
        raise error
    return caught.value


def test_time_of_a_stage_within_another_is_its_own(clock):
    timer = StageTimer({})
    with timer.measure("write"):
        clock[0] += 1
        with timer.measure("decode"):
            clock[0] += 10
        clock[0] += 2
    assert timer.seconds == {"decode": 10, "write": 3}


def test_time_adds_up(clock):
    timer = StageTimer({"crop": 1.0})
    for _ in range(2):
        with timer.measure("crop"):
            clock[0] += 2
    assert timer.seconds == {"crop": 5}


def test_time_counts_where_a_stage_fails(clock):
    timer = StageTimer({})
    with pytest.raises(NoSpacingError), timer.measure("resize"):
        clock[0] += 4
        raise NoSpacingError("no spacing")
    assert timer.seconds == {"resize": 4}


def test_frames_are_the_work_of_the_stage_that_makes_them(clock):
    def frame(_):
        clock[0] += 5
        return np.zeros((3, 4, 1), np.uint8)

    timer = StageTimer({})
    frames = LazyFrames((2, 3, 4, 1), np.dtype(np.uint8), frame)
    image = timer.time_frames(image_of(frames), "crop")
    with timer.measure("write"):
        clock[0] += 1
        assert len(list(image.frames)) == 2
    assert timer.seconds == {"crop": 10, "write": 1}


def test_frames_in_memory_are_no_work():
    image = image_of(np.zeros((1, 3, 4, 1), np.uint8))
    assert StageTimer({}).time_frames(image, "crop") is image


def test_error_is_that_of_the_innermost_stage():
    timer = StageTimer({})
    with pytest.raises(DecodeError) as caught, timer.measure("write"), timer.measure("decode"):
        raise DecodeError("cut")
    assert caught.value.stage == "decode"


def test_too_little_memory_is_an_error_of_the_file():
    error = raised_at("resize", MemoryError())
    assert (type(error), error.stage) == (LimitMemoryError, "resize")


@pytest.mark.parametrize("stage", ["decode", "crop", "write"])
def test_bug_is_an_internal_error_of_the_file(capsys, stage):
    error = raised_at(stage, KeyError("odd"))
    assert (type(error), error.stage) == (InternalError, stage)
    assert str(error).startswith("KeyError: 'odd'")
    assert "Traceback" in capsys.readouterr().err


def test_error_of_a_library_in_decode_is_of_the_file(capsys):
    error = raised_at("decode", zlib.error("odd"))
    assert (type(error), str(error)) == (DecodeError, "error: odd")
    assert "Traceback" in capsys.readouterr().err


def test_error_of_a_library_elsewhere_is_internal():
    assert isinstance(raised_at("write", zlib.error("odd")), InternalError)


@pytest.mark.parametrize("error", [OSError(28, "full"), OutputError("other pages")])
def test_output_that_cannot_be_written_is_raised(error):
    assert raised_at("write", error) is error
