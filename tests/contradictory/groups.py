"""Functional groups against the top level, against each other, and against what one image is."""

from tests.contradictory.judge import convert_file
from tests.contradictory.kinds import Expected, contradiction
from tests.contradictory.transforms import first_of, lut_item, ramp
from tests.unit.datasets import item

TOP_ROWS = {
    "rescale": "rescale",
    "window": "voi_level",
    "spacing": "pixel_spacing",
    "between": "spacing_between_slices",
    "position": "position",
    "orientation": "orientation",
    "type": "rescale_type",
}
"""Rows of the table of precedences, by variant."""
TOP_VALUES = {
    "rescale": {"RescaleSlope": 9, "RescaleIntercept": 5},
    "window": {"WindowCenter": 1, "WindowWidth": 3},
    "spacing": {"PixelSpacing": [0.9, 0.9]},
    "between": {"SpacingBetweenSlices": 9},
    "position": {"ImagePositionPatient": [0, 0, 77]},
    "orientation": {"ImageOrientationPatient": [0, 1, 0, 1, 0, 0]},
    "type": {"RescaleType": "HU"},
}
GROUPS_CONTRADICT = "functional_groups_contradict"


def is_enhanced_file(sound):
    return sound.kind.startswith("enhanced")


@contradiction(
    clause="PS3.3 C.7.6.16; DESIGN 5: the frame's group over the shared one over the top level",
    applies=is_enhanced_file,
    variants={name: name for name in TOP_VALUES},
    warns=(GROUPS_CONTRADICT,),
)
def top_level_against_groups(sound, name):
    """An attribute of the top level that is another one than in the functional groups."""
    return Expected(sound.parts.having(**TOP_VALUES[name]), overrides={"row": TOP_ROWS[name]})


@contradiction(
    row="voi_lut_function",
    clause="PS3.3 C.7.6.16.2.10: the frame's group over the top level",
    applies=is_enhanced_file,
    warns=(GROUPS_CONTRADICT,),
)
def function_against_groups(sound):
    """A VOI LUT Function of the top level that is another one than that of the frames."""

    def change(elements):
        for frame in elements.PerFrameFunctionalGroupsSequence:
            frame.FrameVOILUTSequence[0].VOILUTFunction = "LINEAR_EXACT"

    same_as = sound.parts.edited(change)
    return Expected(same_as.having(VOILUTFunction="SIGMOID"), same_as)


@contradiction(
    row="patient_orientation",
    clause="PS3.3 C.7.6.16.2.15: that of the frame",
    applies=lambda sound: sound.kind == "dbtupright",
    warns=(GROUPS_CONTRADICT,),
)
def patient_orientation_against_frames(sound):
    """Tomosynthesis whose frames are upright, and whose top level is upside down."""

    def change(elements):
        for frame in elements.PerFrameFunctionalGroupsSequence:
            frame.PatientOrientationInFrameSequence = [item(PatientOrientation=["A", "R"])]

    return sound.parts.edited(change).having(PatientOrientation=["P", "L"])


@contradiction(
    row="halves",
    clause="PS3.3 C.7.6.16.2.10: a macro has both halves",
    applies=is_enhanced_file,
    variants={"window": True, "rescale": False},
    warns=(GROUPS_CONTRADICT,),
)
def halves_at_two_levels(sound, of_window):
    """One half of a window or rescale in the groups of frames, the other at the top level."""
    if of_window:
        macro, kept, moved, value = "FrameVOILUTSequence", "WindowCenter", "WindowWidth", 600
    else:
        macro, kept, moved = "PixelValueTransformationSequence", "RescaleSlope", "RescaleIntercept"
        value = -10

    def set_all(elements, keyword, changed):
        for frame in elements.PerFrameFunctionalGroupsSequence:
            held = getattr(frame, macro)[0]
            held.pop(keyword, None)
            if changed is not None:
                setattr(held, keyword, changed)

    same_as = sound.parts.edited(lambda elements: set_all(elements, moved, value))
    made = same_as.edited(lambda elements: set_all(elements, moved, None))
    top = {kept: 1, moved: value}
    return Expected(made.having(**top), same_as)


@contradiction(
    row="several_value_transformations",
    clause="PS3.3 C.7.6.16.2.9: the macro has one item",
    applies=is_enhanced_file,
    warns=("transforms_contradict",),
)
def two_value_transformations(sound):
    """Two items of Pixel Value Transformation Sequence, of which the second is another rescale."""

    def change(elements):
        for frame in elements.PerFrameFunctionalGroupsSequence:
            frame.PixelValueTransformationSequence.append(
                item(RescaleSlope=9, RescaleIntercept=1, RescaleType="US")
            )

    return sound.parts.edited(change)


@contradiction(
    row="missing_rescale",
    clause="PS3.3 C.7.6.16.2.9: without the macro values are as they are stored",
    applies=is_enhanced_file,
    variants={"voi": {}, "stored": {"intensity": "stored"}},
    warns=("rescale_missing_in_frames",),
)
def rescale_missing_in_frame(sound, settings):
    """A frame without the rescale that the others have."""
    same_as = in_second_frame(
        sound, "PixelValueTransformationSequence", RescaleSlope=1, RescaleIntercept=0
    )
    made = sound.parts.edited(_drop_from_second("PixelValueTransformationSequence"))
    return Expected(made, same_as, overrides={"settings": settings})


@contradiction(
    row="missing_window",
    clause="PS3.3 C.11.2.1.2: without a window, from minimum to maximum of the object",
    applies=is_enhanced_file,
    warns=("window_missing_in_frames",),
)
def window_missing_in_frame(sound):
    """A frame without the window that the others have."""
    keyword = "FrameVOILUTSequence"
    made = sound.parts.edited(_drop_from_second(keyword))
    windowed = convert_file(sound.content, {}).frames

    def change(frames):
        """The second of the frames that have no window, and the others as they were."""
        changed = windowed.copy()
        changed[1] = frames[1]
        return changed

    def drop_all(elements):
        for frame in elements.PerFrameFunctionalGroupsSequence:
            delattr(frame, keyword)

    return Expected(made, sound.parts.edited(drop_all), change)


def _drop_from_second(keyword):
    def change(elements):
        delattr(elements.PerFrameFunctionalGroupsSequence[1], keyword)

    return change


@contradiction(
    row="several_volumes",
    clause="PS3.3 C.7.6.16.2.2.4: frames of one stack are one volume",
    applies=is_enhanced_file,
    variants={"keep": {}, "max": {"volume": "max-intensity"}},
    warns=("several_volumes",),
    errors=("volume_error",),
)
def frames_of_several_stacks(sound, settings):
    """Frames of two stacks, whose positions would order them by turns."""

    def change(elements):
        for index, frame in enumerate(elements.PerFrameFunctionalGroupsSequence):
            stack = "2" if index == 1 else "1"
            frame.FrameContentSequence = [item(StackID=stack, InStackPositionNumber=1 + index // 2)]

    must_fail = {"must_fail": True} if settings else {}
    made = sound.parts.edited(change)
    return Expected(made, overrides={"settings": settings, **must_fail})


SECOND_ITEMS = (
    ("rescale", "rescale", "PixelValueTransformationSequence"),
    ("window", "window", "FrameVOILUTSequence"),
    ("spacing", "spacing", "PixelMeasuresSequence"),
    ("position", "position", "PlanePositionSequence"),
    ("orientation", "orientation", "PlaneOrientationSequence"),
)
"""Names, keys of ``TOP_VALUES``, and the macros that have them."""

MACROS = {
    "rescale": ("rescale", "PixelValueTransformationSequence"),
    "window": ("window", "FrameVOILUTSequence"),
    "position": ("position", "PlanePositionSequence"),
}


@contradiction(
    clause="PS3.3 C.7.6.16.1.1: a macro is in the shared group or in those of frames",
    applies=is_enhanced_file,
    variants=MACROS,
    warns=(GROUPS_CONTRADICT,),
)
def shared_group_against_frames(sound, variant):
    """A macro of the shared group that says something else than those of the frames."""
    name, keyword = variant

    def add_macro(elements):
        setattr(elements.SharedFunctionalGroupsSequence[0], keyword, [item(**TOP_VALUES[name])])

    return Expected(sound.parts.edited(add_macro), overrides={"row": TOP_ROWS[name]})


def _drop_last(frames):
    del frames[-1]


def _empty_last(frames):
    frames[-1] = item()


NUMBERS_OF_GROUPS = {
    "one_more": lambda frames: frames.append(item()),
    "twice": lambda frames: frames.extend(list(frames)),
    "one_less": _drop_last,
}


@contradiction(
    row="items_of_frames",
    clause="PS3.3 C.7.6.16: an item of Per-Frame Functional Groups Sequence for each frame",
    applies=is_enhanced_file,
    variants=NUMBERS_OF_GROUPS,
    warns=(GROUPS_CONTRADICT,),
    may_warn=("rescale_missing_in_frames", "window_missing_in_frames"),
)
def other_number_of_groups(sound, change):
    """More or fewer groups of frames than frames."""
    made = sound.parts.edited(lambda e: change(e.PerFrameFunctionalGroupsSequence))
    if change is not _drop_last:
        return made
    return Expected(
        made, sound.parts.edited(lambda e: _empty_last(e.PerFrameFunctionalGroupsSequence))
    )


@contradiction(
    row="several_group_items",
    clause="PS3.3 C.7.6.16: Shared Functional Groups Sequence has one item",
    applies=is_enhanced_file,
    variants={name: (TOP_VALUES[key], macro) for name, key, macro in SECOND_ITEMS},
    warns=(GROUPS_CONTRADICT,),
)
def second_shared_group(sound, variant):
    """A second item of the shared functional groups, which says something else."""
    values, macro = variant
    second = item(**{macro: [item(**values)]})
    return sound.parts.edited(lambda e: e.SharedFunctionalGroupsSequence.append(second))


@contradiction(
    row="several_group_items",
    clause="PS3.3 C.7.6.16.2: the sequence of a macro has one item",
    applies=is_enhanced_file,
    variants={name: (TOP_VALUES[key], macro) for name, key, macro in SECOND_ITEMS},
    warns=(GROUPS_CONTRADICT, "transforms_contradict"),
)
def second_item_of_macro(sound, variant):
    """A second item in a macro of the shared group or of frames, which says something else."""
    values, macro = variant

    def add_item(elements):
        groups = (
            *elements.SharedFunctionalGroupsSequence,
            *elements.PerFrameFunctionalGroupsSequence,
        )
        for group in groups:
            if macro in group:
                group[macro].value.append(item(**values))

    return sound.parts.edited(add_item)


def with_voi_in_frames(sound, *items):
    """The file with a VOI LUT in place of the window of each frame, and of its rescale."""

    def change(elements):
        for frame in elements.PerFrameFunctionalGroupsSequence:
            del frame.PixelValueTransformationSequence
            frame.FrameVOILUTSequence = [item(VOILUTSequence=list(items))]

    return sound.parts.edited(change)


def at_level(parts, level, **values):
    """The file with attributes of a VOI transform at the top level or in the shared group."""
    if level == "top":
        return parts.having(**values)

    def change(elements):
        elements.SharedFunctionalGroupsSequence[0].FrameVOILUTSequence = [item(**values)]

    return parts.edited(change)


@contradiction(
    row="voi_level",
    clause="PS3.3 C.7.6.16.2.10, C.11.2: a VOI LUT and a window are alternatives",
    applies=is_enhanced_file,
    variants={"top": "top", "shared": "shared"},
    warns=(GROUPS_CONTRADICT,),
)
def window_against_voi_lut_of_frames(sound, level):
    """A VOI LUT of each frame, and a window of another level."""
    same_as = with_voi_in_frames(sound, lut_item(ramp(65535), first=first_of(sound)))
    return Expected(at_level(same_as, level, **TOP_VALUES["window"]), same_as)


@contradiction(
    row="voi_level",
    clause="PS3.3 C.7.6.16.2.10, C.11.2: a VOI LUT and a window are alternatives",
    applies=is_enhanced_file,
    variants={"top": "top", "shared": "shared"},
    warns=(GROUPS_CONTRADICT,),
)
def voi_lut_against_windows_of_frames(sound, level):
    """A window of each frame, and a VOI LUT of another level."""
    table = lut_item(ramp(65535), first=first_of(sound))
    return at_level(sound.parts, level, VOILUTSequence=[table])


@contradiction(
    row="voi_level",
    clause="PS3.3 C.11.2: alternatives, of which the level of the frame needs one only",
    applies=is_enhanced_file,
)
def both_forms_at_the_top_level(sound):
    """A VOI LUT of each frame that the top level repeats beside a window."""
    table = lut_item(ramp(65535), first=first_of(sound))
    same_as = with_voi_in_frames(sound, table)
    made = same_as.having(VOILUTSequence=[table], **TOP_VALUES["window"])
    return Expected(made, same_as)


@contradiction(
    clause="DESIGN 5: no warning where the top level repeats one of the frames",
    applies=is_enhanced_file,
    variants={name: name for name in TOP_VALUES},
)
def top_level_repeats_a_frame(sound, name):
    """Attributes of the top level that are those of the second frame, as writers do."""
    elements = sound.parts.elements
    frame = elements.PerFrameFunctionalGroupsSequence[1]
    shared = elements.SharedFunctionalGroupsSequence[0]
    holders = {
        "rescale": frame.PixelValueTransformationSequence[0],
        "window": frame.FrameVOILUTSequence[0],
        "spacing": shared.PixelMeasuresSequence[0],
        "between": shared.PixelMeasuresSequence[0],
        "position": frame.PlanePositionSequence[0],
        "orientation": shared.PlaneOrientationSequence[0],
        "type": frame.PixelValueTransformationSequence[0],
    }
    made = sound.parts.having(**{key: holders[name].get(key) for key in TOP_VALUES[name]})
    # A rescale of the top level is that of all pixels, and here frames have different ones.
    return Expected(made, overrides={"warns": (GROUPS_CONTRADICT,)} if name == "rescale" else {})


@contradiction(
    row="slice_step",
    clause="PS3.3 C.7.6.2.1.1: positions are what was measured",
    applies=is_enhanced_file,
    warns=("slice_spacing_contradicts",),
)
def spacing_between_slices_against_positions(sound):
    """A Spacing Between Slices that is not the step of the positions."""

    def change(elements):
        measures = elements.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        measures.SpacingBetweenSlices = 9.5

    return sound.parts.edited(change)


DIFFER = "frames_differ"
ONE_BY_ONE = {"keep": {}, "central": {"volume": "central-slice"}}
MIXED = {
    "mip": {"volume": "max-intensity"},
    "interpolate": {"volume": "interpolate", "target_frames": 5},
    "z": {"spacing_z": 1.0},
}
"""Settings whose pages are made of one frame, and of several."""


def each_in_its_group(parts, macro, several):
    """The file with a macro in the groups of frames alone, with values of each."""

    def change(elements):
        elements.SharedFunctionalGroupsSequence[0].pop(macro, None)
        frames = elements.PerFrameFunctionalGroupsSequence
        for frame, values in zip(frames, several, strict=True):
            setattr(frame, macro, [item(**values)])

    return parts.edited(change)


def with_measures(parts, spacings, steps=(2, 2, 2)):
    """The file with Pixel Spacing and Spacing Between Slices of each frame; None for none."""
    several = [
        {"SpacingBetweenSlices": step} | ({} if xy is None else {"PixelSpacing": [xy, xy]})
        for xy, step in zip(spacings, steps, strict=True)
    ]
    return each_in_its_group(parts, "PixelMeasuresSequence", several)


@contradiction(
    row="different_spacings",
    clause="PS3.3 C.7.6.16.2.1: of each frame, and an image has one",
    applies=is_enhanced_file,
    variants=ONE_BY_ONE | MIXED,
)
def frames_of_several_spacings(sound, settings):
    """Frames of different Pixel Spacing: the image has none, and pages cannot be mixed of them."""
    made = with_measures(sound.parts, (0.5, 0.7, 0.5))
    same_as = with_measures(sound.parts, (None,) * 3)
    return Expected(made, same_as, overrides=_differing(settings))


def _differing(settings):
    if settings in MIXED.values():
        return {"settings": settings, "must_fail": True, "errors": ("volume_error",)}
    return {"settings": settings, "warns": (DIFFER,)}


@contradiction(
    row="frames_not_parallel",
    clause="PS3.3 C.7.6.16.2.4: of each frame, and a volume has one normal",
    applies=is_enhanced_file,
    variants=ONE_BY_ONE | MIXED,
)
def frames_of_several_orientations(sound, settings):
    """Frames that are not parallel, whatever their positions are: no one z axis."""
    axial, coronal = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]
    several = [{"ImageOrientationPatient": o} for o in (axial, coronal, axial)]
    made = each_in_its_group(sound.parts, "PlaneOrientationSequence", several)
    return Expected(made, overrides=_differing(settings))


@contradiction(
    row="different_slice_spacings",
    clause="PS3.3 C.7.6.16.2.1: of each frame, and nothing else tells their distance",
    applies=is_enhanced_file,
    variants={"keep": {}, "z": {"spacing_z": 1.0}},
)
def frames_of_several_steps(sound, settings):
    """Frames without positions, and of different Spacing Between Slices."""

    def remove_positions(elements):
        for frame in elements.PerFrameFunctionalGroupsSequence:
            del frame.PlanePositionSequence

    without = sound.parts.edited(remove_positions)
    made = with_measures(without, (0.5,) * 3, (2, 3, 2))
    same_as = each_in_its_group(
        without, "PixelMeasuresSequence", [{"PixelSpacing": [0.5, 0.5]}] * 3
    )
    overrides = {"settings": settings, "warns": (DIFFER,)}
    if settings:
        overrides |= {"must_fail": True, "errors": ("no_spacing",)}
    return Expected(made, same_as, overrides=overrides)


@contradiction(
    row="different_sides",
    clause="PS3.3 C.7.6.16.2.8, C.7.6.16.2.15: of each frame, and an image is turned as a whole",
    applies=lambda sound: sound.kind in ("dbtupright", "dbtturned"),
    variants={
        "laterality": ("FrameAnatomySequence", "FrameLaterality", "L", "R"),
        "direction": (
            "PatientOrientationInFrameSequence",
            "PatientOrientation",
            None,
            ["F", "H"],
        ),
    },
    warns=(DIFFER,),
)
def frames_of_several_sides(sound, variant):
    """Frames of different Frame Laterality or Patient Orientation: the first one's counts."""
    macro, keyword, first, other = variant
    first = sound.get(keyword) if first is None else first
    several = [{keyword: value} for value in (first, other, first)]
    return each_in_its_group(sound.parts, macro, several)


def in_second_frame(sound, macro, **values):
    """The file with other values in a macro of its second frame."""

    def change(elements):
        held = getattr(elements.PerFrameFunctionalGroupsSequence[1], macro)[0]
        for keyword, value in values.items():
            if value is None:
                held.pop(keyword, None)
            else:
                setattr(held, keyword, value)

    return sound.parts.edited(change)


@contradiction(
    row="rescale_slope_zero",
    clause="DESIGN 5: slope 0 counts as 1",
    applies=is_enhanced_file,
    variants={"voi": {}, "stored": {"intensity": "stored"}},
    warns=("rescale_slope_zero",),
)
def slope_zero_in_frame(sound, settings):
    """Rescale Slope of 0 in one frame."""
    made, same_as = (
        in_second_frame(sound, "PixelValueTransformationSequence", RescaleSlope=slope)
        for slope in (0, 1)
    )
    return Expected(made, same_as, overrides={"settings": settings})


@contradiction(
    row="unusable_window",
    clause="PS3.3 C.11.2.1.2: wider than 0",
    applies=is_enhanced_file,
    variants={"zero": 0, "negative": -5},
    warns=("window_unusable",),
    may_warn=("window_missing_in_frames",),
)
def window_without_width_in_frame(sound, width):
    """A window of no width in one frame."""
    macro = "FrameVOILUTSequence"
    same_as = in_second_frame(sound, macro, WindowCenter=None, WindowWidth=None)
    return Expected(in_second_frame(sound, macro, WindowWidth=width), same_as)


@contradiction(
    row="narrow_window",
    clause="DESIGN 5: under LINEAR a width between 0 and 1 is read as LINEAR_EXACT",
    applies=is_enhanced_file,
    warns=("window_narrow",),
)
def window_below_one_in_frame(sound):
    """A window that is narrower than 1 in one frame."""
    macro, values = "FrameVOILUTSequence", {"WindowWidth": 0.5}
    exact = in_second_frame(sound, macro, VOILUTFunction="LINEAR_EXACT", **values)
    return Expected(in_second_frame(sound, macro, **values), exact)


@contradiction(
    row="rescale_types",
    clause="PS3.3 C.7.6.16.2.9.1: types of the values of frames",
    applies=is_enhanced_file,
    variants={"voi": {}, "stored": {"intensity": "stored"}},
    may_warn=("rescale_types_differ",),
)
def several_rescale_types(sound, settings):
    """Frames whose values have different units, which matters where they are not windowed."""
    made = in_second_frame(sound, "PixelValueTransformationSequence", RescaleType="HU")
    warns = ("rescale_types_differ",) if settings else ()
    return Expected(made, overrides={"settings": settings, "warns": warns})


@contradiction(
    row="laterality",
    clause="PS3.3 C.7.6.16.2.8: of the frames",
    applies=lambda sound: sound.kind in ("dbtupright", "dbtturned"),
    variants={"image": "ImageLaterality", "series": "Laterality"},
    warns=(GROUPS_CONTRADICT,),
)
def laterality_against_frames(sound, keyword):
    """A laterality of the top level that is another one than that of the frames."""
    return sound.parts.having(**{keyword: "R"})
