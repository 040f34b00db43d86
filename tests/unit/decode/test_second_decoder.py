"""Stored and display pixels of real and synthetic files against other programs.

Stored pixels: pylibjpeg (libjpeg of T. Richter, OpenJPEG, pylibjpeg-rle) through pydicom, and GDCM
through SimpleITK, which gives modality values. Exactly for what loses nothing, within one level of
8 bits for the rest.

Display pixels: pydicom's modality and VOI functions, within one level of 8 bits or two of 16.
"""

import numpy as np
import pytest

from tests.unit.second_decoders import (
    CORPUS,
    PYDICOM,
    disagreements,
    display_difference,
    load,
)

# Real files break the standard in many ways, of which the readers warn.
pytestmark = pytest.mark.filterwarnings("ignore")

SAMPLING = (
    "believes the header that this is RGB; its chroma is stored at half the resolution, and the "
    "same stream with the right header is among pydicom's test files"
)
BITS = "GDCM starts each frame of single bits at a byte; they are packed without gaps (PS3.5 8.1.1)"
EXCEPTIONS = {
    ("codestream_named_explicit_native.dcm", "gdcm", "MONOCHROME1"): "reads a stream as pixels",
    ("SC_rgb_jpeg_lossy_gdcm.dcm", "gdcm", "RGB"): SAMPLING,
    ("SC_rgb_jpeg_lossy_gdcm.dcm", "pylibjpeg", "RGB"): SAMPLING,
    ("SC_rgb_rle_16bit.dcm", "gdcm", "RGB"): "takes the byte planes of 16-bit RLE in another order",
    ("SC_rgb_rle_16bit_2frame.dcm", "gdcm", "RGB"): "as SC_rgb_rle_16bit.dcm",
    ("liver_nonbyte_aligned.dcm", "gdcm", "MONOCHROME2"): BITS,
    ("mammo_htj2k.dcm", "gdcm", "MONOCHROME1"): "does not know HTJ2K and gives zeros",
    ("mlut_18.dcm", "gdcm", "MONOCHROME2"): "does not apply the Modality LUT",
    ("rtdose.dcm", "gdcm", "MONOCHROME2"): "does not apply Dose Grid Scaling",
    ("rtdose_rle.dcm", "gdcm", "MONOCHROME2"): "does not apply Dose Grid Scaling",
    ("rtdose_expb.dcm", "gdcm", "MONOCHROME2"): "does not swap the bytes of 32-bit big endian",
    ("seg_label.seg", "gdcm", "MONOCHROME2"): BITS,
}
"""Files for which another decoder is wrong, by its name and the header's colour, and how."""

READ_BY_NONE = {
    "j2k_stream_named_jpeg_ls.dcm": "pixels are those of native_too_many_bytes.dcm",
    "private_transfer_syntax.dcm": "pixels are those of native_too_many_bytes.dcm",
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
    ("crafted/j2k_stream_named_jpeg_ls.dcm", "crafted/native_too_many_bytes.dcm"),
    ("crafted/private_transfer_syntax.dcm", "crafted/native_too_many_bytes.dcm"),
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


def test_display_pixels_are_those_of_pydicom(images):
    found = {path: display_difference(*found) for path, found in images.items()}
    compared = {path: value for path, value in found.items() if value is not None}
    wrong = {path.name: value for path, value in compared.items() if value > 1}
    assert wrong == {}
    assert len(compared) > 40
