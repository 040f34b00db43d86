"""Stored and display pixels of real and synthetic files against other programs.

Stored pixels: pylibjpeg (libjpeg of T. Richter, OpenJPEG, pylibjpeg-rle) through pydicom, GDCM
through SimpleITK, which gives modality values, DCMTK's tools, and highdicom. Exactly for what loses
nothing, within one level of 8 bits for the rest.

Display pixels: highdicom's windows at full precision, within the level that truncation may take;
pydicom's modality and VOI functions and DCMTK's tools, within one level or two.

Where they differ from each other, the clause of the standard decides, which the exceptions name.
DCMTK and highdicom are compared with where they are installed.
"""

import numpy as np
import pytest

from tests.conftest import FULL_DATA
from tests.unit.oracles import dcmtk, high_dicom
from tests.unit.second_decoders import (
    CORPUS,
    PYDICOM,
    disagreements,
    display_differences,
    load,
    show_case,
)

# Real files break the standard in many ways, of which the readers warn.
pytestmark = pytest.mark.filterwarnings("ignore")

SAMPLING = (
    "believes the header that this is RGB; its chroma is stored at half the resolution, and the "
    "same stream with the right header is among pydicom's test files"
)
BITS = "GDCM starts each frame of single bits at a byte; they are packed without gaps (PS3.5 8.1.1)"
UNUSED_BITS = "keeps what is above Bits Stored, which is no part of the value (PS3.5 8.1.1)"
BIG_ENDIAN_32 = (
    "swaps the bytes of words, and leaves the order of the two words of 32 bits; the same image in "
    "little endian is among pydicom's test files"
)
EXCEPTIONS = {
    ("codestream_named_explicit_native.dcm", "gdcm", "MONOCHROME1"): "reads a stream as pixels",
    ("12bitSigned_0x0F0F.dcm", "highdicom", "MONOCHROME2"): UNUSED_BITS,
    ("SC_rgb_jpeg_lossy_gdcm.dcm", "dcmtk", "RGB"): SAMPLING,
    ("SC_rgb_jpeg_lossy_gdcm.dcm", "gdcm", "RGB"): SAMPLING,
    ("SC_rgb_jpeg_lossy_gdcm.dcm", "pylibjpeg", "RGB"): SAMPLING,
    ("SC_rgb_rle_16bit.dcm", "gdcm", "RGB"): "takes the byte planes of 16-bit RLE in another order",
    ("SC_rgb_rle_16bit_2frame.dcm", "gdcm", "RGB"): "as SC_rgb_rle_16bit.dcm",
    ("bits_set_above_bits_stored.dcm", "highdicom", "MONOCHROME1"): UNUSED_BITS,
    ("mammo_htj2k.dcm", "gdcm", "MONOCHROME1"): "does not know HTJ2K and gives zeros",
    ("mlut_18.dcm", "gdcm", "MONOCHROME2"): "does not apply the Modality LUT",
    ("mlut_18.dcm", "highdicom", "MONOCHROME2"): UNUSED_BITS,
    ("rtdose_expb.dcm", "dcmtk", "MONOCHROME2"): BIG_ENDIAN_32,
    ("rtdose.dcm", "gdcm", "MONOCHROME2"): "does not apply Dose Grid Scaling",
    ("rtdose_rle.dcm", "gdcm", "MONOCHROME2"): "does not apply Dose Grid Scaling",
    ("rtdose_expb.dcm", "gdcm", "MONOCHROME2"): "does not swap the bytes of 32-bit big endian",
    ("rtdose_expb_1frame.dcm", "dcmtk", "MONOCHROME2"): BIG_ENDIAN_32,
    ("seg_label.seg", "gdcm", "MONOCHROME2"): BITS,
}
"""Files for which another decoder is wrong, by its name and the header's colour, and how."""

DISPLAY_EXCEPTIONS = {
    ("12bitSigned_0x0F0F.dcm", "highdicom"): UNUSED_BITS,
    ("bits_set_above_bits_stored.dcm", "highdicom"): UNUSED_BITS,
    ("codestream_named_explicit_native.dcm", "dcmtk"): "reads a stream as pixels",
}
"""Files of which another program displays other pixels."""

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


@pytest.fixture(scope="module")
def stored_outcomes(images):
    """Decoders that disagree on stored pixels, None without any that reads the file, by path."""
    return {path: disagreements(path, *found) for path, found in images.items()}


@pytest.fixture(scope="module")
def display_outcomes(images):
    """Differences of display pixels in what is allowed, by path and program."""
    return {path: display_differences(path, *found) for path, found in images.items()}


needs_dcmtk = pytest.mark.skipif(not dcmtk.is_installed, reason="DCMTK's tools are not installed")
needs_highdicom = pytest.mark.skipif(not high_dicom.is_installed, reason="no highdicom here")
DECODERS = (
    "pylibjpeg",
    "gdcm",
    pytest.param("dcmtk", marks=needs_dcmtk),
    pytest.param("highdicom", marks=needs_highdicom),
)
DISPLAYS = ("pydicom", *DECODERS[2:])


@pytest.mark.parametrize("decoder", DECODERS)
def test_stored_pixels_are_those_of_other_decoders(images, stored_outcomes, decoder):
    colours = {path: layout.photometric_interpretation for path, (_, layout, _) in images.items()}
    keys = {path: (path.name, decoder, colours[path]) for path in images}
    wrong = {keys[path] for path, found in stored_outcomes.items() if decoder in (found or ())}
    # An exception that is no longer needed is an error, too.
    assert wrong == set(EXCEPTIONS) & set(keys.values())
    assert len(images) > 100


def test_every_file_is_read_by_another_decoder(stored_outcomes):
    alone = {path.name for path, found in stored_outcomes.items() if found is None}
    assert alone <= set(READ_BY_NONE)


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


@pytest.mark.parametrize("program", DISPLAYS)
def test_display_pixels_are_those_of_other_programs(images, display_outcomes, program):
    found = {path: each[program] for path, each in display_outcomes.items() if program in each}
    wrong = {(path.name, program) for path, value in found.items() if value > WITHIN}
    assert wrong == set(DISPLAY_EXCEPTIONS) & {(path.name, program) for path in images}
    assert len(found) > 40


WITHIN = 1.0001
"""Of what is allowed, with noise of float32."""


CASES = FULL_DATA / "cases"
OWN_CHROMA = "hands subsampled or transformed chroma on as it is, or as the header has it"
TOP_LEVEL = "knows values of the top level only, not of functional groups (PS3.3 C.7.6.16)"
CASE_EXCEPTIONS = {
    ("j2k_422_small", "pylibjpeg"): OWN_CHROMA,
    ("j2k_other_subsampling", "pylibjpeg"): OWN_CHROMA,
    ("j2k_ybr_full", "gdcm"): OWN_CHROMA,
    ("j2k_ybr_full", "pylibjpeg"): OWN_CHROMA,
    ("jpeg_lossless_rgb_jfif", "pylibjpeg"): "goes by the JFIF marker, which T.871 has for lossy",
    ("palette_wrong_descriptor", "dcmtk"): "goes by the descriptor, not by the length of the data",
    ("rescale_top_and_frame", "dcmtk"): TOP_LEVEL,
    ("voi_lut_narrow", "dcmtk"): "goes by the descriptor, not by the highest entry",
    ("window_below_one", "dcmtk"): "takes a width below 1 as 1; the standard forbids it",
}
"""Kinds of files that contradict themselves which another program reads otherwise."""


@pytest.mark.skipif(not CASES.is_dir(), reason="needs the cases: set DP_SHARED")
@pytest.mark.parametrize("program", DECODERS[:3])
def test_expected_pixels_of_cases_are_those_of_other_programs(program):
    found = {}
    for path in sorted(CASES.glob("*.dcm")):
        expected = path.with_suffix(".npy")
        if expected.exists() and not path.with_suffix(".kw").exists():
            shown = show_case(program, path)
            if shown is not None:
                found[path.name.partition("-")[0], program] = difference_to(expected, shown)
    wrong = {key for key, value in found.items() if value > 1}
    assert wrong == {key for key in CASE_EXCEPTIONS if key[1] == program}
    assert found


def difference_to(expected, shown):
    array = np.load(expected).astype(np.float64)
    return np.abs(array.ravel() - shown.ravel()).max() if array.size == shown.size else np.inf
