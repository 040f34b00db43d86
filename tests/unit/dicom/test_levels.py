"""Attributes that differ between functional groups and the top level, and what is said of it."""

import pytest

from dicom_preprocessing.dicom.description import LutAttributes
from dicom_preprocessing.dicom.levels import VALUES, find_level_contradictions
from tests.unit.descriptions import description_of, groups, table

OF_MACROS = {value.name: value.macro for value in VALUES}

SEVERAL = {
    "Rescale": (
        {"rescale_slope": 2, "rescale_intercept": 0},
        {"rescale_slope": 3, "rescale_intercept": 0},
    ),
    "Rescale Type": ({"rescale_type": "HU"}, {"rescale_type": "US"}),
    "VOI transform": (
        {"window_center": 1, "window_width": 2},
        {"window_center": 1, "window_width": 3},
    ),
    "VOI LUT Function": ({"voi_lut_function": "LINEAR"}, {"voi_lut_function": "SIGMOID"}),
    "Pixel Spacing": ({"pixel_spacing": (1, 2)}, {"pixel_spacing": (1, 3)}),
    "Imager Pixel Spacing": (
        {"imager_pixel_spacing": (1, 2)},
        {"imager_pixel_spacing": (1, 3)},
    ),
    "Spacing Between Slices": ({"spacing_between_slices": 1}, {"spacing_between_slices": 2}),
    "Image Position (Patient)": (
        {"image_position_patient": (1, 2, 3)},
        {"image_position_patient": (1, 2, 4)},
    ),
    "Image Orientation (Patient)": (
        {"image_orientation_patient": (1, 0, 0, 0, 1, 0)},
        {"image_orientation_patient": (0, 1, 0, 0, 0, 1)},
    ),
    "Patient Orientation": (
        {"patient_orientation": ("A", "R")},
        {"patient_orientation": ("P", "L")},
    ),
}
"""By name, two different values of a level."""

EACH = pytest.mark.parametrize("name", SEVERAL)


def found(name="", *, top=None, shared=None, frames=(), **more):
    """Messages about a file with fields at its levels."""
    macros = [OF_MACROS[name]] if name else []
    levels = {"frames": tuple(groups(macros=macros if f else [], **f) for f in frames)}
    if shared is not None:
        levels["shared"] = groups(macros=macros, **shared)
    description = description_of(**(top or {}), **levels, **more)
    return list(find_level_contradictions(description, max(1, len(frames))))


def test_every_value_is_tried():
    assert SEVERAL.keys() == OF_MACROS.keys()


@EACH
def test_frame_and_top_level_that_differ_are_named(name):
    one, other = SEVERAL[name]
    (message,) = found(name, top=one, frames=[other, other])
    assert message.startswith(f"{name}")
    assert message.endswith(": the functional group of the frame counts")
    assert "of the top level" in message


@EACH
def test_shared_group_and_top_level_that_differ_are_named(name):
    one, other = SEVERAL[name]
    (message,) = found(name, top=one, shared=other)
    assert message.endswith(": the shared functional group counts")


@EACH
def test_frame_and_shared_group_that_differ_are_named(name):
    one, other = SEVERAL[name]
    (message,) = found(name, shared=one, frames=[other, one])
    assert "is not that of the shared functional group" in message


@EACH
def test_equal_values_are_no_contradiction(name):
    one, _ = SEVERAL[name]
    assert found(name, top=one, shared=one, frames=[one, {}]) == []


@EACH
def test_frames_that_differ_among_each_other_are_no_contradiction(name):
    assert found(name, frames=SEVERAL[name]) == []


WINDOW, LUT, OTHER_LUT = (
    {"window_center": 1, "window_width": 2},
    {"voi_luts": (table(1),)},
    {"voi_luts": (table(2),)},
)


@pytest.mark.parametrize(
    ("own", "other", "shown"),
    [
        (LUT, OTHER_LUT, "(VOI LUT)"),
        (LUT, WINDOW, "(VOI LUT)"),
        (WINDOW, LUT, "(window 1, 2, LINEAR)"),
        (LUT | WINDOW, OTHER_LUT | WINDOW, "(VOI LUT and window)"),
    ],
)
@pytest.mark.parametrize("level", ["top", "shared"])
def test_voi_luts_and_windows_contradict_each_other(level, own, other, shown):
    (message,) = found("VOI transform", frames=[own, own], **{level: other})
    assert message.startswith(f"VOI transform {shown} of the functional group of the frame is not")


@pytest.mark.parametrize("own", [LUT, WINDOW, LUT | WINDOW])
@pytest.mark.parametrize("other", [LUT | WINDOW, OTHER_LUT | WINDOW | LUT])
def test_level_with_both_forms_agrees_with_one_that_has_either(own, other):
    assert found("VOI transform", top=other, frames=[own, own]) == []


def test_empty_voi_lut_is_none():
    empty = {"voi_luts": (LutAttributes(),)}
    assert found("VOI transform", top=WINDOW, frames=[empty, empty]) == []


@pytest.mark.parametrize("name", sorted(SEVERAL.keys() - {"Rescale"}))
def test_top_level_may_repeat_one_of_the_frames(name):
    one, other = SEVERAL[name]
    assert found(name, top=other, frames=[one, other]) == []


def test_rescale_of_the_top_level_is_of_all_frames():
    one, other = SEVERAL["Rescale"]
    assert len(found("Rescale", top=one, frames=[one, other])) == 1


@pytest.mark.parametrize(
    ("field", "value", "rounded"),
    [
        ("image_position_patient", (1, 2, 3.00004), (1, 2, 3)),
        ("image_orientation_patient", (1, 1e-8, 0, 0, 1, 0), (1, 0, 0, 0, 1, 0)),
        ("pixel_spacing", (0.33333333, 1), (0.33333, 1)),
    ],
)
def test_rounding_is_no_contradiction(field, value, rounded):
    names = {"image_position_patient": "Image Position (Patient)", "pixel_spacing": "Pixel Spacing"}
    name = names.get(field, "Image Orientation (Patient)")
    assert found(name, top={field: value}, shared={field: rounded}) == []


def test_values_are_shown():
    one, other = SEVERAL["Rescale"]
    (message,) = found("Rescale", top=one, shared=other | {"rescale_intercept": -5})
    assert message.startswith("Rescale (3, -5) of the shared functional group is not that of the")


def test_file_without_groups_has_no_levels():
    assert found(top=SEVERAL["Rescale"][0]) == []


@pytest.mark.parametrize("half", ["rescale_slope", "window_width"])
def test_halves_at_different_levels_are_named(half):
    other = {"rescale_slope": "rescale_intercept", "window_width": "window_center"}[half]
    (message,) = found(top={other: 1}, frames=[{half: 2}])
    assert message.endswith("are at different levels: each counts where it is")


def test_lateralities_that_differ_are_named():
    (message,) = found(shared={"frame_laterality": "L"}, image_laterality="R")
    assert message == (
        "FrameLaterality of the shared group is L, ImageLaterality is R: the first counts"
    )


def test_lateralities_of_image_and_series_that_differ_are_named():
    (message,) = found(image_laterality="R", laterality="L")
    assert message == "ImageLaterality is R, Laterality is L: the first counts"
