"""Transforms of grey values, and palettes."""

import numpy as np

from tests.contradictory.kinds import Expected, contradiction
from tests.contradictory.sound import palette_entries, palette_tables
from tests.unit.datasets import item

DESCRIPTOR = "lut_contradicts_descriptor"
NO_RESCALE = {"RescaleSlope": None, "RescaleIntercept": None}
NO_WINDOW = {"WindowCenter": None, "WindowWidth": None}
ENTRIES = 256


def is_grey_file(sound):
    """Grey integers with a rescale and a window at the top level."""
    return sound.kind.startswith("grey")


def has_table(sound):
    """Whether there is a table by stored value of a sensible size, in a few transfer syntaxes."""
    codec = sound.name.split("-")[1]
    return sound.kind.startswith(("grey8", "grey12", "grey16")) and codec in TABLE_CODECS


TABLE_CODECS = ("implicit", "explicit", "big", "deflated", "rle", "j2k")


def lut_item(entries, *, first, bits=16, count=None, packed=False):
    """An item of a LUT sequence, of a word or a byte for each entry."""
    made = item()
    values = [len(entries) if count is None else count, first, bits]
    made.add_new("LUTDescriptor", descriptor_vr(first), values)
    data = np.asarray(entries).astype(np.uint8 if packed else "<u2").tobytes()
    made.add_new("LUTData", "OW", data + b"\0" * (len(data) % 2))
    return made


def descriptor_vr(first):
    return "SS" if first < 0 else "US"


def first_of(sound):
    """The first stored value of a table that covers the tissue."""
    bits = sound.get("BitsStored")
    if bits == 8:
        return -128 if sound.get("PixelRepresentation") else 0
    low = -(1 << bits - 1) if sound.get("PixelRepresentation") else 0
    return low + (1 << bits) // 3


def ramp(top, count=ENTRIES):
    """Entries from ``top`` down to 0."""
    return np.linspace(top, 0, count).round().astype(int)


def with_voi(sound, *items, window=False):
    """The file with a VOI LUT Sequence instead of its rescale, and of its window."""
    changes = NO_RESCALE | ({} if window else NO_WINDOW)
    return sound.parts.having(VOILUTSequence=list(items), **changes)


def with_modality(sound, *items):
    """The file with a Modality LUT Sequence instead of its rescale, and a window over it."""
    made = sound.parts.having(ModalityLUTSequence=list(items), **NO_RESCALE)
    return made.having(WindowCenter=130, WindowWidth=200)


WITH = {"voi": with_voi, "modality": with_modality}
"""By the sequence that has the table."""


def each(variants):
    """Variants for VOI LUT and Modality LUT."""
    return {
        f"{where}-{name}": (put, variant)
        for where, put in WITH.items()
        for name, variant in variants.items()
    }


# Descriptors of tables.


@contradiction(
    row="lower_entries",
    clause="DESIGN 5: lowered to n where the highest entry is exactly 2^n - 1, n from 8 to 15",
    applies=has_table,
    variants={"8": 8, "10": 10, "12": 12, "15": 15},
    warns=(DESCRIPTOR,),
)
def voi_lut_says_more_bits(sound, bits):
    """A VOI LUT whose descriptor says 16 bits, and whose entries have fewer."""
    entries, first = ramp((1 << bits) - 1), first_of(sound)
    same_as = with_voi(sound, lut_item(entries, first=first, bits=bits))
    return Expected(with_voi(sound, lut_item(entries, first=first)), same_as)


@contradiction(
    row="higher_entries",
    clause="PS3.3 C.11.1.1.1: entries decide",
    applies=has_table,
    variants=each({"8of12": (8, 12), "12of16": (12, 16)}),
    warns=(DESCRIPTOR,),
)
def lut_says_fewer_bits(sound, variant):
    """A descriptor that says fewer bits than the entries have."""
    put, (stated, bits) = variant
    entries, first = ramp((1 << bits) - 1), first_of(sound)
    same_as = put(sound, lut_item(entries, first=first, bits=bits))
    return Expected(put(sound, lut_item(entries, first=first, bits=stated)), same_as)


@contradiction(
    clause="PS3.3 C.11.1.1: 8 or 16 bits",
    applies=has_table,
    variants=each({"zero": 0, "32": 32}),
    warns=(DESCRIPTOR,),
)
def lut_says_impossible_bits(sound, variant):
    """A descriptor that says 0 or 32 bits."""
    put, bits = variant
    entries, first = ramp(65535), first_of(sound)
    same_as = put(sound, lut_item(entries, first=first))
    return Expected(put(sound, lut_item(entries, first=first, bits=bits)), same_as)


@contradiction(
    row="number_of_entries",
    clause="DESIGN 5: the length of a LUT's data over its descriptor",
    applies=has_table,
    variants=each({"few": 100, "many": ENTRIES + 60}),
    warns=(DESCRIPTOR,),
)
def lut_of_other_length(sound, variant):
    """A descriptor that says fewer or more entries than there are."""
    put, count = variant
    entries, first = ramp(65535), first_of(sound)
    same_as = put(sound, lut_item(entries, first=first))
    return Expected(put(sound, lut_item(entries, first=first, count=count)), same_as)


@contradiction(
    row="bytes_called_words",
    clause="DESIGN 5: the length of a LUT's data over its descriptor",
    applies=has_table,
    variants=WITH,
    warns=(DESCRIPTOR,),
)
def lut_of_bytes_says_words(sound, put):
    """A byte for each entry, and a descriptor that says 16 bits."""
    entries, first = ramp(255), first_of(sound)
    same_as = put(sound, lut_item(entries, first=first, bits=8))
    return Expected(put(sound, lut_item(entries, first=first, packed=True)), same_as)


@contradiction(
    clause="PS3.3 C.11.1.1, C.7.6.3.1.6: entries of 8 bits are in words or in bytes",
    applies=has_table,
    variants=WITH,
)
def lut_of_bytes(sound, put):
    """A byte for each entry of 8 bits, in words or not."""
    entries, first = ramp(255), first_of(sound)
    same_as = put(sound, lut_item(entries, first=first, bits=8))
    return Expected(put(sound, lut_item(entries, first=first, bits=8, packed=True)), same_as)


@contradiction(
    row="first_value_vr",
    clause="PS3.3 C.11.1.1: the sign of the first value is that of what is mapped",
    applies=lambda sound: has_table(sound) and sound.get("PixelRepresentation") == 1,
    variants=WITH,
)
def first_value_in_us(sound, put):
    """A negative first value in a descriptor of VR US."""
    entries, first = ramp(65535), first_of(sound)
    if first >= 0:
        return None
    same_as = put(sound, lut_item(entries, first=first))
    return Expected(put(sound, lut_item(entries, first=first + 65536)), same_as)


@contradiction(
    row="first_value_vr",
    clause="PS3.3 C.11.1.1: the sign of the first value is that of what is mapped",
    applies=lambda sound: has_table(sound) and sound.kind == "grey16u",
    variants=WITH,
)
def first_value_in_ss(sound, put):
    """A first value above 32767 in a descriptor of VR SS."""
    entries, first = ramp(65535), 40000
    same_as = put(sound, lut_item(entries, first=first))
    return Expected(put(sound, lut_item(entries, first=first - 65536)), same_as)


BELOW = 100
"""Entries in front of those of the lowest value."""


@contradiction(
    row="first_value_out_of_range",
    clause="PS3.3 C.11.1.1, C.11.2.1.1: the first value follows the values that are mapped",
    applies=lambda sound: has_table(sound) and sound.get("PixelRepresentation") == 0,
    variants=each({"ss": -BELOW, "us": 65536 - BELOW}),
    warns=(DESCRIPTOR,),
)
def first_value_below_unsigned(sound, variant):
    """A table that begins below 0, and values that have no sign."""
    put, first = variant
    entries = ramp(65535, 4096)
    same_as = put(sound, lut_item(entries[BELOW:], first=0))
    return Expected(put(sound, lut_item(entries, first=first)), same_as)


@contradiction(
    row="first_value_out_of_range",
    clause="PS3.3 C.11.2.1.1: the first value follows the values that are mapped",
    applies=lambda sound: has_table(sound) and sound.kind == "grey16u",
    variants={"us": 0, "ss": 65536},
    warns=(DESCRIPTOR,),
)
def first_value_above_signed(sound, span):
    """A table that begins above 32767, and values from below 0 to above 32767."""
    entries, first, intercept = ramp(65535), 40000, -1024
    same_as = with_voi(sound, lut_item(entries, first=first - intercept))
    made = with_voi(sound, lut_item(entries, first=first - span))
    return Expected(made.having(RescaleSlope=1, RescaleIntercept=intercept), same_as)


@contradiction(
    row="first_value_vr",
    clause="PS3.3 C.11.2.1.1: values of floating point have a sign",
    applies=lambda sound: sound.is_float,
)
def first_value_below_floats(sound):
    """A table that begins below 0, and floating point values, of which none is below."""
    entries = ramp(65535, 4096)
    same_as = with_voi(sound, lut_item(entries[BELOW:], first=0))
    return Expected(with_voi(sound, lut_item(entries, first=-BELOW)), same_as)


def is_below_16_bits(sound):
    return has_table(sound) and sound.get("BitsStored") < 16


BEYOND = {"above": 20000, "below": -20000}
"""First values of tables that map nothing of 12 bits."""


@contradiction(
    row="unusable_voi_lut",
    clause="PS3.3 C.11.2.1.1; DESIGN 5: like a window of no width, it leaves nothing of the image",
    applies=is_below_16_bits,
    variants=BEYOND,
    warns=("lut_unusable",),
    may_warn=(DESCRIPTOR,),
)
def voi_lut_beyond_values(sound, first):
    """A VOI LUT one of whose ends counts for all values, and a window."""
    window = sound.parts.having(**NO_RESCALE)
    return Expected(with_voi(sound, lut_item(ramp(65535), first=first), window=True), window)


@contradiction(
    row="unusable_modality_lut",
    clause="PS3.3 C.11.1.1: without its modality transform an image has other values",
    applies=is_below_16_bits,
    variants=BEYOND,
    must_fail=True,
    errors=("unsupported_pixels",),
)
def modality_lut_beyond_values(sound, first):
    """A Modality LUT one of whose ends counts for all values."""
    return with_modality(sound, lut_item(ramp(65535), first=first))


def unusable_items():
    """Items of a LUT sequence from which no table can be made."""
    no_data = item()
    no_data.add_new("LUTDescriptor", "US", [256, 0, 16])
    no_descriptor = item()
    no_descriptor.add_new("LUTData", "OW", b"\1\0" * 256)
    two_values = lut_item(ramp(65535), first=0)
    two_values.LUTDescriptor = [256, 16]
    empty_data = lut_item([], first=0)
    return {
        "empty": item(LUTExplanation="NONE"),
        "nodata": no_data,
        "nodescriptor": no_descriptor,
        "twovalues": two_values,
        "emptydata": empty_data,
        "constant": lut_item(np.full(ENTRIES, 65535), first=0),
    }


@contradiction(
    row="unusable_voi_lut",
    clause="DESIGN 5: a transform that is optional and unusable is passed over",
    applies=has_table,
    variants=unusable_items(),
    warns=("lut_unusable",),
)
def unusable_voi_lut_beside_window(sound, made):
    """A VOI LUT that cannot be used, and a window that can."""
    window = sound.parts.having(**NO_RESCALE)
    return Expected(with_voi(sound, made, window=True), window)


@contradiction(
    row="unusable_voi_lut",
    clause="DESIGN 5: a transform that is optional and unusable is passed over",
    applies=has_table,
    variants=unusable_items(),
    warns=("lut_unusable",),
)
def unusable_voi_lut_alone(sound, made):
    """A VOI LUT that cannot be used, and no window."""
    return Expected(with_voi(sound, made), sound.parts.having(**NO_RESCALE, **NO_WINDOW))


@contradiction(
    row="unusable_modality_lut",
    clause="PS3.3 C.11.1: without its modality transform an image has other values",
    applies=has_table,
    variants={name: made for name, made in unusable_items().items() if name != "empty"},
    must_fail=True,
    errors=("unsupported_pixels", "missing_attribute"),
)
def unusable_modality_lut(sound, made):
    """A Modality LUT that cannot be used."""
    return with_modality(sound, made)


@contradiction(
    row="ignored_modality_lut",
    clause="DESIGN 5: an empty item is passed over; PS3.3 C.11.1: or it was required",
    applies=has_table,
    warns=("lut_unusable",),
    errors=("unsupported_pixels", "missing_attribute"),
)
def empty_modality_lut(sound):
    """A Modality LUT Sequence whose item has neither descriptor nor data."""
    without = with_modality(sound).having(ModalityLUTSequence=None)
    return Expected(with_modality(sound, unusable_items()["empty"]), without)


@contradiction(
    row="modality",
    clause="PS3.3 C.11.1: a file has one of the two",
    applies=has_table,
    warns=("transforms_contradict",),
)
def modality_lut_beside_rescale(sound):
    """A Modality LUT, and a rescale that says something else."""
    same_as = with_modality(sound, lut_item(ramp(255), first=first_of(sound)))
    return Expected(same_as.having(RescaleSlope=7, RescaleIntercept=-3), same_as)


# Palettes.


def is_palette(sound):
    return sound.kind.startswith("palette")


@contradiction(
    row="several_value_transformations",
    clause="PS3.3 C.11.1: Modality LUT Sequence has one item",
    applies=has_table,
    warns=("transforms_contradict",),
)
def second_modality_lut(sound):
    """A second item of Modality LUT Sequence, with other entries."""
    first, second = (lut_item(ramp(top), first=first_of(sound)) for top in (65535, 40000))
    return Expected(with_modality(sound, first, second), with_modality(sound, first))


@contradiction(
    row="bytes_called_words",
    clause="DESIGN 5: the length of a LUT's data over its descriptor",
    applies=lambda sound: sound.kind == "palette8",
    warns=(DESCRIPTOR,),
)
def palette_of_bytes_says_words(sound):
    """Palettes with a byte for each entry whose descriptors say 16 bits."""
    return sound.parts.having(**palette_tables(8, bits=16))


@contradiction(
    row="higher_entries",
    clause="PS3.3 C.7.6.3.1.5: entries decide",
    applies=lambda sound: sound.kind == "palette16",
    warns=(DESCRIPTOR,),
)
def palette_of_words_says_bytes(sound):
    """Palettes with entries of 16 bits whose descriptors say 8."""
    return sound.parts.having(**palette_tables(16, bits=8, packed=False))


@contradiction(
    row="number_of_entries",
    clause="DESIGN 5: the length of a LUT's data over its descriptor",
    applies=is_palette,
    variants={"few": 100, "many": 400},
    warns=(DESCRIPTOR,),
)
def palette_of_other_length(sound, count):
    """Descriptors that say fewer or more entries than there are."""
    bits = int(sound.kind.removeprefix("palette"))
    if bits == 8 and count > ENTRIES:  # of words then, so that lengths say what they are
        return sound.parts.having(**palette_tables(8, count=count, packed=False))
    return sound.parts.having(**palette_tables(bits, count=count))


@contradiction(
    clause="PS3.3 C.7.6.3.1.6: entries of 8 bits are in words or in bytes",
    applies=lambda sound: sound.kind == "palette8",
)
def palette_of_bytes_in_words(sound):
    """A word for each entry of 8 bits."""
    return sound.parts.having(**palette_tables(8, packed=False))


@contradiction(
    row="unusable_palette",
    clause="PS3.3 C.7.9: all three are there",
    applies=is_palette,
    variants={
        "data": "BluePaletteColorLookupTableData",
        "descriptor": "GreenPaletteColorLookupTableDescriptor",
    },
    must_fail=True,
    errors=("unsupported_pixels", "missing_attribute"),
)
def palette_incomplete(sound, keyword):
    """A palette without one of its tables."""
    return sound.parts.having(**{keyword: None})


@contradiction(
    clause="PS3.3 C.7.6.3.1.5: the first value counts; indices below it have the first entry",
    applies=lambda sound: sound.kind == "palette16",
)
def palette_with_first_value(sound):
    """A palette that starts above the lowest index: the same table with its first repeated."""
    entries = palette_entries(16)
    whole = np.concatenate([np.repeat(entries[:, 60:61], 60, axis=1), entries[:, 60:]], axis=1)
    tables = palette_tables(16, entries[:, 60:])
    for keyword, value in tables.items():
        if keyword.endswith("Descriptor"):
            value[1] = 60
    return Expected(sound.parts.having(**tables), sound.parts.having(**palette_tables(16, whole)))


@contradiction(
    row="first_value_out_of_range",
    clause="PS3.3 C.7.6.3.1.5: the first value follows the indices",
    applies=is_palette,
    variants={"ss": -BELOW, "us": 65536 - BELOW},
    warns=(DESCRIPTOR,),
)
def palette_below_indices(sound, first):
    """A palette that begins below 0, and indices that have no sign."""
    bits = int(sound.kind.removeprefix("palette"))
    entries = palette_entries(bits)
    longer = np.concatenate([np.repeat(entries[:, :1], BELOW, axis=1), entries], axis=1)
    tables = palette_tables(bits, longer)

    def add(elements):
        for keyword, value in tables.items():
            if keyword.endswith("Descriptor"):
                count, _, bits_of_entry = value
                elements.add_new(keyword, descriptor_vr(first), [count, first, bits_of_entry])

    return sound.parts.having(**tables).edited(add)


# Rescale and window.


def is_palette_of_bytes(sound):
    return sound.kind == "palette8"


def segmented(sound, *, words, says_bits, whole=False):
    """The file with segments of its palettes, discrete ones of bytes or of words."""
    changes = {}
    for colour, entries in zip(("Red", "Green", "Blue"), palette_entries(8), strict=True):
        segment = np.concatenate([[0, 128], entries[:128], [0, 128], entries[128:]])
        data = segment.astype("<u2" if words else np.uint8).tobytes()
        prefix = f"{colour}PaletteColorLookupTable"
        changes[f"{prefix}Descriptor"] = [256, 0, says_bits]
        changes[f"Segmented{prefix}Data"] = data
        if not whole:
            changes[f"{prefix}Data"] = None
    return sound.parts.having(**changes)


@contradiction(
    row="palette_segments",
    clause="PS3.3 C.7.9.2: segments are of the bits of the descriptor",
    applies=is_palette_of_bytes,
    warns=(DESCRIPTOR,),
)
def segments_of_bytes_say_words(sound):
    """Segments of bytes whose descriptors say 16 bits."""
    return segmented(sound, words=False, says_bits=16)


@contradiction(
    row="palette_data",
    clause="PS3.3 C.7.9: data, or segments",
    applies=is_palette_of_bytes,
    warns=("transforms_contradict",),
)
def palette_whole_and_in_segments(sound):
    """Palettes whose data are another table than their segments."""
    made = segmented(sound, words=False, says_bits=8, whole=True)
    other = {
        f"Segmented{c}PaletteColorLookupTableData": bytes([0, 255, *range(255), 0, 1, 9, 0])
        for c in ("Red", "Green", "Blue")
    }
    return made.having(**other)


@contradiction(
    row="rescale_slope_zero",
    clause="DESIGN 5: slope 0 counts as 1, the intercept stays",
    applies=is_grey_file,
    variants={
        "window": ({}, {}),
        "minmax": (NO_WINDOW, {}),
        "stored": ({}, {"intensity": "stored"}),
    },
    warns=("rescale_slope_zero",),
)
def slope_zero(sound, variant):
    """Rescale Slope of 0."""
    changes, settings = variant
    made, same_as = (sound.parts.having(RescaleSlope=slope, **changes) for slope in (0, 1))
    return Expected(made, same_as, overrides={"settings": settings})


@contradiction(
    row="rescale_without_number",
    clause="PS3.3 C.11.1: without a number values would have another unit",
    applies=is_grey_file,
    variants={"slope": "RescaleSlope", "intercept": "RescaleIntercept"},
    must_fail=True,
    errors=("missing_attribute",),
)
def rescale_without_number(sound, keyword):
    """Rescale Slope or Intercept that is not a number."""
    return sound.parts.having(**{keyword: "NaN"})


UNUSABLE_WIDTHS = {"zero": 0, "negative": -5, "nan": "NaN"}


@contradiction(
    row="unusable_window",
    clause="PS3.3 C.11.2.1.2: wider than 0; DESIGN 5: passed over",
    applies=is_grey_file,
    variants=UNUSABLE_WIDTHS,
    warns=("window_unusable",),
)
def window_without_width(sound, width):
    """A window of no width, or one that is no number."""
    return Expected(sound.parts.having(WindowWidth=width), sound.parts.having(**NO_WINDOW))


@contradiction(
    row="unusable_window",
    clause="PS3.3 C.11.2.1.2: center and width come together",
    applies=is_grey_file,
    variants={"center": "WindowCenter", "width": "WindowWidth"},
    warns=("window_unusable",),
)
def half_window(sound, keyword):
    """A window without its center, or without its width."""
    return Expected(sound.parts.having(**{keyword: None}), sound.parts.having(**NO_WINDOW))


@contradiction(
    row="narrow_window",
    clause="DESIGN 5: under LINEAR a width between 0 and 1 is read as LINEAR_EXACT",
    applies=is_grey_file,
    variants={"half": 0.5, "tiny": 0.001, "almost": 0.99},
    warns=("window_narrow",),
)
def window_below_one(sound, width):
    """A window of LINEAR that is narrower than 1."""
    exact = sound.parts.having(WindowWidth=width, VOILUTFunction="LINEAR_EXACT")
    return Expected(sound.parts.having(WindowWidth=width), exact)


@contradiction(
    row="unusable_window",
    clause="PS3.3 C.11.2.1.2: alternatives; the first that can be used",
    applies=is_grey_file,
    variants=UNUSABLE_WIDTHS,
    warns=("window_unusable",),
)
def first_window_unusable(sound, width):
    """Two windows, of which the first cannot be used."""
    center, usable = sound.get("WindowCenter"), sound.get("WindowWidth")
    return sound.parts.having(WindowCenter=[center, center], WindowWidth=[width, usable])


@contradiction(
    clause="PS3.3 C.11.2.1.2: alternatives; the first",
    applies=is_grey_file,
    variants={"two": (2, 2), "centers": (2, 1), "widths": (1, 2)},
    may_warn=("window_unusable",),
)
def several_windows(sound, counts):
    """Several windows, and several centers for one width."""
    center, width = sound.get("WindowCenter"), sound.get("WindowWidth")
    return sound.parts.having(
        WindowCenter=[center, 7][: counts[0]], WindowWidth=[width, 3][: counts[1]]
    )


@contradiction(
    clause="PS3.3 C.11.2.1.3: LINEAR, LINEAR_EXACT or SIGMOID; LINEAR without one",
    applies=is_grey_file,
    may_warn=("window_unusable",),
)
def unknown_function(sound):
    """A VOI LUT Function of no list."""
    return sound.parts.having(VOILUTFunction="CUBIC")


# Dose.


def is_dose(sound):
    return sound.kind.startswith("dose")


@contradiction(
    row="modality",
    clause="PS3.3 C.8.8.3.2: Dose Grid Scaling gives the unit",
    applies=is_dose,
    variants={"voi": {}, "stored": {"intensity": "stored"}},
    warns=("transforms_contradict",),
)
def rescale_beside_dose_scaling(sound, settings):
    """A rescale beside Dose Grid Scaling."""
    made = sound.parts.having(RescaleSlope=3, RescaleIntercept=7)
    return Expected(made, overrides={"settings": settings})


@contradiction(
    row="rescale_slope_zero",
    clause="DESIGN 5: slope 0 counts as 1",
    applies=is_dose,
    variants={"voi": {}, "stored": {"intensity": "stored"}},
    warns=("rescale_slope_zero",),
)
def dose_scaling_zero(sound, settings):
    """Dose Grid Scaling of 0."""
    same_as = sound.parts.having(DoseGridScaling=1)
    made = sound.parts.having(DoseGridScaling=0)
    return Expected(made, same_as, overrides={"settings": settings})


@contradiction(
    row="frame_offsets",
    clause="PS3.3 C.8.8.3.2: relative to Image Position, or absolute",
    applies=is_dose,
)
def absolute_offsets(sound):
    """Offsets of frames that are positions: the same spacing."""
    made = sound.parts.having(GridFrameOffsetVector=[20, 23, 26], ImagePositionPatient=[0, 0, 20])
    return Expected(made)


@contradiction(
    row="offsets_against_position",
    clause="PS3.3 C.8.8.3.2: an offset for each frame",
    applies=is_dose,
    variants={"few": [0, 3], "many": [0, 3, 6, 9, 12]},
    warns=("frame_offsets_contradict",),
)
def offsets_of_other_frames(sound, offsets):
    """Fewer or more offsets than frames: none of them says which frame it is of."""
    made = sound.parts.having(GridFrameOffsetVector=offsets)
    return Expected(made, sound.parts.having(GridFrameOffsetVector=None))


@contradiction(
    row="offsets_against_position",
    clause="PS3.3 C.8.8.3.2: a first offset that is not 0 is the z of the position",
    applies=is_dose,
    warns=("frame_offsets_contradict",),
)
def offsets_against_position(sound):
    """Absolute offsets that start elsewhere than the position: the same spacing."""
    return sound.parts.having(GridFrameOffsetVector=[20, 23, 26], ImagePositionPatient=[0, 0, -55])
