"""Stored and display pixels of real and synthetic files against other programs.

Stored pixels: pylibjpeg (libjpeg of T. Richter, OpenJPEG, pylibjpeg-rle) through pydicom, and GDCM
through SimpleITK, which gives modality values. Exactly for what loses nothing, within one level of
8 bits for the rest.

Display pixels: pydicom's modality and VOI functions, within one level of 8 bits or two of 16.
"""

import numpy as np
import pytest
from pydicom.pixels import apply_modality_lut, apply_voi_lut, apply_windowing

from dicom_preprocessing.decode.attributes import voi_lut, windows
from dicom_preprocessing.decode.values import display_values
from tests.unit.second_decoders import (
    CORPUS,
    LOSSY,
    PYDICOM,
    by_gdcm,
    by_pylibjpeg,
    load,
    modality_of,
    syntax_of,
)

# Real files break the standard in many ways, of which the readers warn.
pytestmark = pytest.mark.filterwarnings("ignore")

SAMPLING = (
    "believes the header that this is RGB; its chroma is stored at half the resolution, and the "
    "same stream with the right header is among pydicom's test files"
)
BITS = "GDCM starts each frame of single bits at a byte; they are packed without gaps (PS3.5 8.1.1)"
EXCEPTIONS = {
    ("SC_rgb_jpeg_lossy_gdcm.dcm", "gdcm", "RGB"): SAMPLING,
    ("SC_rgb_jpeg_lossy_gdcm.dcm", "pylibjpeg", "RGB"): SAMPLING,
    ("SC_rgb_rle_16bit.dcm", "gdcm", "RGB"): "takes the byte planes of 16-bit RLE in another order",
    ("SC_rgb_rle_16bit_2frame.dcm", "gdcm", "RGB"): "as SC_rgb_rle_16bit.dcm",
    ("liver_nonbyte_aligned.dcm", "gdcm", "MONOCHROME2"): BITS,
    ("mammo_htj2k.dcm", "gdcm", "MONOCHROME1"): "does not know HTJ2K and gives zeros",
    ("mlut_18.dcm", "gdcm", "MONOCHROME2"): "does not apply the Modality LUT",
    ("rtdose_expb.dcm", "gdcm", "MONOCHROME2"): "does not swap the bytes of 32-bit big endian",
    ("seg_label.seg", "gdcm", "MONOCHROME2"): BITS,
}
"""Files for which another decoder is wrong, by its name and the header's colour, and how."""

READ_BY_NONE = {
    "dbt_htj2k.dcm": "pixels are those of dbt_rle_no_offsets.dcm",
    "jpeg_xl.dcm": "pixels are those of native_too_many_bytes.dcm",
    "liver_deflate.dcm": "pixels are those of liver_j2k.dcm",
    "liver_rle.dcm": "pixels are those of liver_j2k.dcm",
    "no_preamble_with_meta.dcm": "native",
    "parametric_map_double_float.dcm": "native",
    "parametric_map_float.dcm": "native",
    "rtdose_1frame.dcm": "native",
    "rtdose_expb_1frame.dcm": "native, big endian",
    "seg_image_sm_control_labelmap_palette_color.dcm": "native",
    "sparse-labelmap-ppv5.dcm": "native",
}
"""Files that neither of the two reads."""


def image_files():
    for folder in (PYDICOM, CORPUS):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path


@pytest.fixture(scope="module")
def images():
    """Every file of pydicom and the corpus that decodes, by path."""
    return {path: found for path in image_files() if (found := load(path)) is not None}


def differences(path, data_set, layout, stored):
    """Largest difference to each program that reads the file."""
    found = {}
    other = by_pylibjpeg(data_set, layout)
    if other is not None:
        found["pylibjpeg"] = largest_difference(other, stored)
    other = by_gdcm(path, data_set, layout)
    if other is not None:
        values = modality_of(data_set, layout, stored)
        difference = largest_difference(other, values)
        is_noise = difference < 1e-6 * max(1.0, np.abs(values).max())
        found["gdcm"] = 0.0 if is_noise else difference
    return found


def largest_difference(one, other):
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max())


def disagreements(path, data_set, layout, stored):
    """Differences that are too large; None if no other decoder reads the file."""
    found = differences(path, data_set, layout, stored)
    if not found:
        return None
    if syntax_of(data_set) in LOSSY:
        level = max(1, 2 ** (layout.bits_stored - 8))
        # Decoders differ in how they enlarge chroma; one that agrees is enough.
        return {} if min(found.values()) <= level else found
    return {name: value for name, value in found.items() if value > 0}


def test_stored_pixels_are_those_of_other_decoders(images):
    wrong, alone = {}, []
    for path, (data_set, layout, stored) in images.items():
        found = disagreements(path, data_set, layout, stored)
        if found is None:
            alone.append(path.name)
        for decoder in found or ():
            wrong[path.name, decoder, layout.photometric_interpretation] = found[decoder]
    assert {key for key in wrong if key not in EXCEPTIONS} == set()
    assert set(alone) <= set(READ_BY_NONE), alone
    assert len(images) > 100


SAME_PIXELS = [
    ("crafted/dbt_htj2k.dcm", "crafted/dbt_rle_no_offsets.dcm"),
    ("crafted/jpeg_xl.dcm", "crafted/native_too_many_bytes.dcm"),
    ("pydicom-data/liver_deflate.dcm", "pydicom-data/liver_j2k.dcm"),
    ("pydicom-data/liver_rle.dcm", "pydicom-data/liver_j2k.dcm"),
]


@pytest.mark.parametrize(("file", "twin"), SAME_PIXELS)
def test_what_no_other_decoder_reads_is_as_its_twin(file, twin):
    if not (CORPUS / file).exists() or not (CORPUS / twin).exists():
        pytest.skip("needs the full corpus: set DP_SHARED to the folder that holds it")
    assert np.array_equal(load(CORPUS / file)[2], load(CORPUS / twin)[2])


@pytest.mark.parametrize(
    "name",
    [name for name, why in READ_BY_NONE.items() if why.startswith("native")],
)
def test_native_pixels_that_no_other_decoder_reads_are_as_their_bytes(images, name):
    found = {path.name: found for path, found in images.items()}
    if name not in found:
        pytest.skip("needs the full corpus: set DP_SHARED to the folder that holds it")
    data_set, layout, stored = found[name]
    kind = "f" if layout.is_float else "ui"[layout.is_signed]
    order = ">" if "expb" in name else "<"
    raw = np.frombuffer(
        data_set[layout.keyword].value, f"{order}{kind}{layout.bits_allocated // 8}"
    )
    if layout.photometric_interpretation == "PALETTE COLOR":
        table = [
            np.frombuffer(data_set[f"{c}PaletteColorLookupTableData"].value, np.uint8)
            for c in ("Red", "Green", "Blue")
        ]
        raw = np.stack(table, axis=1)[raw]
    assert np.array_equal(stored.ravel(), raw.ravel()[: stored.size])


def test_lossy_colour_with_the_wrong_header_is_as_with_the_right_one(images):
    found = [v for path, v in images.items() if path.name == "SC_rgb_jpeg_lossy_gdcm.dcm"]
    if len(found) < 2:
        pytest.skip("needs the full corpus: set DP_SHARED to the folder that holds it")
    (_, right, pixels), (_, wrong, same) = found
    stated = [right.photometric_interpretation, wrong.photometric_interpretation]
    assert stated == ["YBR_FULL", "RGB"]
    assert np.array_equal(pixels, same)


def displayed_by_pydicom(data_set, layout, stored):
    """Display values in 0 .. 1 before polarity, and where LINEAR's lower bound matters."""
    values = apply_modality_lut(stored[..., 0], data_set)
    table = voi_lut(data_set)
    if table is not None:
        shown = apply_voi_lut(values, data_set, prefer_lut=True).astype(np.float64)
        return shown / (2 ** table.LUTDescriptor[2] - 1), np.zeros(shown.shape, bool)
    shown = apply_windowing(values, data_set).astype(np.float64)
    low, high = pydicom_range(data_set, layout)
    window = windows(data_set)[0]
    bound = window.center - 0.5 - (window.width - 1) / 2
    at_bound = (values > bound) & (values <= bound + 0.5) & (window.function == "LINEAR")
    return (shown - low) / (high - low), at_bound


def pydicom_range(data_set, layout):
    """What apply_windowing maps to: the range of stored values after the rescale."""
    bits = layout.bits_stored
    ends = np.array(
        [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if layout.is_signed else [0, 2**bits - 1]
    )
    if "RescaleSlope" in data_set:
        ends = ends * data_set.RescaleSlope + data_set.RescaleIntercept
    return float(ends[0]), float(ends[1])


def is_comparable(data_set, layout):
    """Whether pydicom's functions apply: grey, with a window or a VOI LUT at the top level."""
    if not layout.is_monochrome or layout.is_float or layout.bits_stored == 1:
        return False
    found = windows(data_set)
    return voi_lut(data_set) is not None or (found is not None and found[0].is_usable)


def test_display_pixels_are_those_of_pydicom(images):
    compared, wrong = 0, {}
    for path, (data_set, layout, stored) in images.items():
        if not is_comparable(data_set, layout):
            continue
        values, _ = display_values(data_set, stored, layout)
        top = np.iinfo(values.dtype).max
        other, at_bound = displayed_by_pydicom(data_set, layout, stored)
        if layout.photometric_interpretation == "MONOCHROME1":
            other = 1 - other
        difference = np.abs(values[..., 0] - other * top)
        difference[at_bound] = 0
        compared += 1
        if difference.max() > (1 if top == 255 else 2):
            wrong[path.name] = float(difference.max())
    assert wrong == {}
    assert compared > 40
