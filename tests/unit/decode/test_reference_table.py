"""Known stored pixels of real files, which every decoder must give.

The values were read with two programs each, and by eye where the picture is a test pattern: the
bars of SC_rgb are red, pale red, green, and so on, 10 rows each, black and white at the end.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from dicom_preprocessing.decode.colour import PALETTE
from dicom_preprocessing.dicom.transfer_syntaxes import NATIVE
from tests.conftest import FULL_DATA
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


@dataclass(frozen=True)
class Reference:
    """A file with the dtype, shape and some pixels (frame, row, column) of what is stored in it."""

    file: str
    dtype: str
    shape: tuple
    pixels: dict

    def __str__(self):
        return self.file


REFERENCES = [
    Reference(
        "CT_small.dcm",
        "int16",
        (1, 128, 128, 1),
        {(0, 64, 61): 2191, (0, 5, 118): 128, (0, 64, 64): 1928},
    ),
    Reference(
        "MR_small.dcm",
        "int16",
        (1, 64, 64, 1),
        {(0, 0, 9): 2145, (0, 57, 38): 127, (0, 32, 32): 182},
    ),
    Reference(
        "MR_small_implicit.dcm",
        "int16",
        (1, 64, 64, 1),
        {(0, 0, 9): 2145, (0, 57, 38): 127, (0, 32, 32): 182},
    ),
    Reference(
        "MR_small_bigendian.dcm",
        "int16",
        (1, 64, 64, 1),
        {(0, 0, 9): 2145, (0, 57, 38): 127, (0, 32, 32): 182},
    ),
    Reference(
        "MR_small_padded.dcm",
        "int16",
        (1, 64, 64, 1),
        {(0, 0, 9): 2145, (0, 57, 38): 127, (0, 32, 32): 182},
    ),
    Reference(
        "MR_small_RLE.dcm",
        "int16",
        (1, 64, 64, 1),
        {(0, 0, 9): 2145, (0, 57, 38): 127, (0, 32, 32): 182},
    ),
    Reference(
        "MR_small_jp2klossless.dcm",
        "int16",
        (1, 64, 64, 1),
        {(0, 0, 9): 2145, (0, 57, 38): 127, (0, 32, 32): 182},
    ),
    Reference(
        "MR_small_jpeg_ls_lossless.dcm",
        "int16",
        (1, 64, 64, 1),
        {(0, 0, 9): 2145, (0, 57, 38): 127, (0, 32, 32): 182},
    ),
    Reference(
        "J2K_pixelrep_mismatch.dcm",
        "int16",
        (1, 512, 512, 1),
        {(0, 276, 158): 1896, (0, 0, 0): -2000, (0, 256, 256): 27},
    ),
    Reference(
        "693_J2KI.dcm",
        "int16",
        (1, 512, 512, 1),
        {(0, 140, 188): 2836, (0, 460, 412): -2971, (0, 256, 256): 1056},
    ),
    Reference(
        "JPEG2000.dcm",
        "int16",
        (1, 1024, 256, 1),
        {(0, 423, 143): 245, (0, 464, 254): -30, (0, 512, 128): 7},
    ),
    Reference(
        "JPGExtended.dcm",
        "uint16",
        (1, 1024, 256, 1),
        {(0, 421, 143): 264, (0, 88, 124): 0, (0, 512, 128): 14},
    ),
    Reference(
        "JPEG-lossy.dcm",
        "uint16",
        (1, 1024, 256, 1),
        {(0, 421, 143): 264, (0, 88, 124): 0, (0, 512, 128): 14},
    ),
    Reference(
        "JPEGLSNearLossless_08.dcm",
        "uint8",
        (1, 45, 10, 1),
        {(0, 0, 0): 255, (0, 35, 0): 0, (0, 22, 5): 15},
    ),
    Reference(
        "JPEGLSNearLossless_16.dcm",
        "uint16",
        (1, 50, 10, 1),
        {(0, 0, 0): 65535, (0, 45, 0): 0, (0, 25, 5): 255},
    ),
    Reference(
        "image_dfl.dcm",
        "uint8",
        (1, 512, 512, 1),
        {(0, 4, 4): 255, (0, 15, 190): 0, (0, 256, 256): 65},
    ),
    Reference(
        "liver_1frame.dcm",
        "uint8",
        (1, 512, 512, 1),
        {(0, 145, 254): 1, (0, 0, 0): 0, (0, 256, 256): 1},
    ),
    Reference(
        "liver_expb_1frame.dcm",
        "uint8",
        (1, 512, 512, 1),
        {(0, 145, 254): 1, (0, 0, 0): 0, (0, 256, 256): 1},
    ),
    Reference(
        "rtdose.dcm",
        "uint32",
        (15, 10, 10, 1),
        {(0, 0, 7): 1254000, (0, 9, 0): 795000, (14, 5, 5): 982000},
    ),
    Reference(
        "rtdose_rle.dcm",
        "uint32",
        (15, 10, 10, 1),
        {(0, 0, 7): 1254000, (0, 9, 0): 795000, (14, 5, 5): 982000},
    ),
    Reference(
        "rtdose_expb.dcm",
        "uint32",
        (15, 10, 10, 1),
        {(0, 0, 7): 1254000, (0, 9, 0): 795000, (14, 5, 5): 982000},
    ),
    Reference(
        "examples_overlay.dcm",
        "uint16",
        (1, 300, 484, 1),
        {(0, 216, 481): 1123, (0, 0, 0): 0, (0, 150, 242): 136},
    ),
    Reference(
        "examples_palette.dcm",
        "uint8",
        (1, 350, 800, 3),
        {(0, 9, 689): [255, 255, 255], (0, 60, 0): [0, 0, 0], (0, 175, 400): [1, 1, 1]},
    ),
    Reference(
        "examples_jpeg2k.dcm",
        "uint8",
        (1, 480, 640, 3),
        {(0, 25, 569): [255, 255, 255], (0, 0, 0): [0, 0, 0], (0, 240, 320): [12, 12, 12]},
    ),
    Reference(
        "examples_ybr_color.dcm",
        "uint8",
        (30, 240, 320, 3),
        {(0, 7, 3): [177, 194, 220], (29, 120, 160): [8, 8, 8]},
    ),
    Reference(
        "examples_rgb_color.dcm",
        "uint8",
        (1, 240, 320, 3),
        {(0, 90, 0): [255, 255, 255], (0, 0, 0): [0, 0, 0], (0, 120, 160): [10, 10, 10]},
    ),
    Reference(
        "SC_rgb_rle_2frame.dcm",
        "uint8",
        (2, 100, 100, 3),
        {(0, 5, 50): [255, 0, 0], (0, 25, 50): [0, 255, 0], (0, 95, 1): [255, 255, 255]},
    ),
    Reference(
        "SC_rgb_rle_16bit.dcm",
        "uint16",
        (1, 100, 100, 3),
        {(0, 5, 50): [65535, 0, 0], (0, 25, 50): [0, 65535, 0], (0, 95, 1): [65535, 65535, 65535]},
    ),
    Reference(
        "SC_rgb_jpeg_gdcm.dcm",
        "uint8",
        (1, 100, 100, 3),
        {(0, 5, 50): [255, 0, 0], (0, 25, 50): [0, 255, 0], (0, 95, 1): [255, 255, 255]},
    ),
    Reference(
        "SC_rgb_small_odd.dcm",
        "uint8",
        (1, 3, 3, 3),
        {(0, 0, 0): [166, 141, 52], (0, 1, 1): [63, 87, 176], (0, 2, 2): [158, 158, 158]},
    ),
    Reference(
        "SC_rgb_small_odd_big_endian.dcm",
        "uint8",
        (1, 3, 3, 3),
        {(0, 0, 0): [166, 141, 52], (0, 1, 1): [63, 87, 176], (0, 2, 2): [158, 158, 158]},
    ),
    Reference(
        "SC_ybr_full_422_uncompressed.dcm",
        "uint8",
        (1, 100, 100, 3),
        {(0, 5, 50): [254, 0, 0], (0, 25, 50): [0, 255, 5], (0, 95, 1): [255, 255, 255]},
    ),
    Reference(
        "SC_rgb_dcmtk_+eb+cr.dcm",
        "uint8",
        (1, 100, 100, 3),
        {(0, 5, 50): [255, 0, 0], (0, 25, 50): [0, 255, 0], (0, 95, 1): [255, 255, 255]},
    ),
    Reference(
        "SC_rgb_dcmtk_+eb+cy+s4.dcm",
        "uint8",
        (1, 100, 100, 3),
        {(0, 5, 50): [254, 0, 0], (0, 25, 50): [0, 255, 5], (0, 95, 1): [255, 255, 255]},
    ),
    Reference(
        "SC_rgb_gdcm_KY.dcm",
        "uint8",
        (1, 100, 100, 3),
        {(0, 5, 50): [255, 0, 0], (0, 25, 50): [0, 255, 0], (0, 95, 1): [255, 255, 255]},
    ),
    Reference(
        "SC_rgb_jpeg_lossy_gdcm.dcm",
        "uint8",
        (1, 100, 100, 3),
        {(0, 5, 50): [254, 0, 0], (0, 25, 50): [0, 255, 1], (0, 95, 1): [255, 255, 255]},
    ),
    Reference(
        "SC_rgb_jls_lossy_line.dcm",
        "uint8",
        (1, 100, 100, 3),
        {(0, 5, 50): [255, 0, 0], (0, 25, 50): [0, 255, 0], (0, 95, 1): [255, 255, 255]},
    ),
    Reference(
        "GDCMJ2K_TextGBR.dcm",
        "uint8",
        (1, 400, 400, 3),
        {(0, 0, 0): [128, 128, 128], (0, 46, 140): [255, 0, 0], (0, 200, 200): [128, 128, 128]},
    ),
    Reference(
        "cornerstone3D/CTImage_JPEGProcess10_12TransferSyntax_1.2.840.10008.1.2.4.55.dcm",
        "uint16",
        (1, 512, 512, 1),
        {(0, 220, 202): 2708, (0, 52, 99): 497, (0, 256, 256): 2056},
    ),
    Reference(
        "cornerstone3D/CTImage_JPEGProcess6_8TransferSyntax_1.2.840.10008.1.2.4.53.dcm",
        "uint16",
        (1, 512, 512, 1),
        {(0, 220, 202): 2708, (0, 52, 99): 497, (0, 256, 256): 2056},
    ),
    Reference(
        "crafted/jpeg_xl.dcm",
        "uint16",
        (1, 266, 205, 1),
        {(0, 0, 0): 4095, (0, 5, 4): 0, (0, 133, 102): 3260},
    ),
    Reference(
        "crafted/bits_set_above_bits_stored.dcm",
        "uint16",
        (1, 266, 205, 1),
        {(0, 0, 0): 4095, (0, 5, 4): 0, (0, 133, 102): 3260},
    ),
    Reference(
        "crafted/mammo_htj2k.dcm",
        "uint16",
        (1, 499, 384, 1),
        {(0, 0, 115): 4095, (0, 9, 318): 0, (0, 249, 192): 2966},
    ),
    Reference(
        "pydicom-data/HTJ2K_08_RGB.dcm",
        "uint8",
        (1, 480, 640, 3),
        {(0, 406, 637): [255, 255, 246], (0, 406, 57): [64, 10, 0], (0, 240, 320): [168, 135, 78]},
    ),
    Reference(
        "pydicom-data/liver_nonbyte_aligned.dcm",
        "uint8",
        (3, 510, 510, 1),
        {(0, 145, 254): 1, (0, 0, 0): 0, (2, 255, 255): 1},
    ),
    Reference(
        "pydicom-data/liver_rle.dcm",
        "uint8",
        (3, 512, 512, 1),
        {(0, 145, 254): 1, (0, 0, 0): 0, (2, 256, 256): 1},
    ),
    Reference(
        "pydicom-data/liver_deflate.dcm",
        "uint8",
        (3, 512, 512, 1),
        {(0, 145, 254): 1, (0, 0, 0): 0, (2, 256, 256): 1},
    ),
    Reference(
        "pydicom-data/parametric_map_float.dcm",
        "float32",
        (1, 128, 128, 1),
        {(0, 5, 118): 0.9415791630744934, (0, 64, 61): 0.0},
    ),
    Reference(
        "pydicom-data/JLSL_16_15_1_1F.dcm",
        "int16",
        (1, 128, 128, 1),
        {(0, 64, 61): 16383, (0, 5, 118): -16384, (0, 64, 64): 12205},
    ),
    Reference(
        "pylibjpeg-data/TOSHIBA_J2K_SIZ1_PixRep0.dcm",
        "uint16",
        (1, 512, 512, 1),
        {(0, 96, 257): 65535, (0, 96, 217): 0, (0, 256, 256): 119},
    ),
    Reference(
        "pylibjpeg-data/SC_rgb_jpeg_lossy_gdcm.dcm",
        "uint8",
        (1, 100, 100, 3),
        {(0, 90, 0): [255, 255, 255], (0, 61, 0): [0, 0, 0], (0, 50, 50): [124, 124, 255]},
    ),
    Reference(
        "pylibjpeg-data/RG2_JPLY.dcm",
        "uint16",
        (1, 2140, 1760, 1),
        {(0, 1154, 94): 960, (0, 0, 1433): 0, (0, 1070, 880): 410},
    ),
    Reference(
        "pydicom-data/OBXXXX1A_rle_2frame.dcm",
        "uint8",
        (2, 600, 800, 3),
        {(0, 9, 689): [255, 255, 255], (0, 60, 0): [0, 0, 0], (1, 300, 400): [57, 96, 150]},
    ),
]

JPEG = "cornerstone3D/CTImage_JPEGProcess"

LEFT_OUT = {
    ("SC_rgb_rle_16bit.dcm", "gdcm"): "takes the byte planes of 16-bit RLE in another order",
    ("crafted/mammo_htj2k.dcm", "gdcm"): "does not know HTJ2K",
    ("pydicom-data/HTJ2K_08_RGB.dcm", "gdcm"): "does not know HTJ2K",
    (
        "pydicom-data/liver_nonbyte_aligned.dcm",
        "gdcm",
    ): "starts each frame of single bits at a byte",
    ("pylibjpeg-data/SC_rgb_jpeg_lossy_gdcm.dcm", "gdcm"): "believes the header, which is wrong",
    ("pylibjpeg-data/SC_rgb_jpeg_lossy_gdcm.dcm", "pylibjpeg"): "believes the header",
    ("rtdose.dcm", "gdcm"): "does not apply Dose Grid Scaling",
    ("rtdose_rle.dcm", "gdcm"): "does not apply Dose Grid Scaling",
    ("rtdose_expb.dcm", "gdcm"): "does not swap the bytes of 32-bit big endian pixels",
}


UNREAD = {
    ("JPEG-lossy.dcm", "pylibjpeg"): "refuses its scan header",
    ("pylibjpeg-data/RG2_JPLY.dcm", "pylibjpeg"): "refuses its scan header",
    (f"{JPEG}10_12TransferSyntax_1.2.840.10008.1.2.4.55.dcm", "pylibjpeg"): "a retired syntax",
    (f"{JPEG}6_8TransferSyntax_1.2.840.10008.1.2.4.53.dcm", "pylibjpeg"): "a retired syntax",
    ("crafted/jpeg_xl.dcm", "pylibjpeg"): "JPEG XL",
    ("crafted/jpeg_xl.dcm", "gdcm"): "JPEG XL",
    ("pydicom-data/liver_rle.dcm", "pylibjpeg"): "single bits in RLE",
    ("pydicom-data/liver_rle.dcm", "gdcm"): "single bits in RLE",
    ("pydicom-data/liver_deflate.dcm", "pylibjpeg"): "deflated frames",
    ("pydicom-data/liver_deflate.dcm", "gdcm"): "deflated frames",
    ("pydicom-data/parametric_map_float.dcm", "gdcm"): "Float Pixel Data",
}
"""What a program does not read; pylibjpeg is not asked for native pixels and palettes."""


def read(reference):
    places = [folder / reference.file for folder in (PYDICOM, CORPUS)]
    path = next((place for place in places if place.exists()), None)
    if path is None and not (FULL_DATA / "corpus").is_dir():
        pytest.skip("needs the full corpus: set DP_SHARED to the folder that holds it")
    return path, *load(path)


def pixels_at(array, reference):
    found = {place: array[place].tolist() for place in reference.pixels}
    return {place: v if len(v) > 1 else v[0] for place, v in found.items()}


@pytest.mark.parametrize("reference", REFERENCES, ids=str)
def test_stored_pixels_are_the_known_ones(reference):
    path, data_set, _, stored = read(reference)
    assert (str(stored.dtype), stored.shape) == (reference.dtype, reference.shape)
    near = 1 if syntax_of(data_set) in LOSSY else 0
    found = pixels_at(stored, reference)
    for place, value in reference.pixels.items():
        assert np.abs(np.subtract(found[place], value)).max() <= near, (path, place)


@pytest.mark.parametrize("decoder", ["pylibjpeg", "gdcm"])
@pytest.mark.parametrize("reference", REFERENCES, ids=str)
def test_other_decoders_give_the_known_pixels(reference, decoder):
    path, data_set, layout, stored = read(reference)
    if decoder == "pylibjpeg":
        other, expected = by_pylibjpeg(data_set, layout), stored
    else:
        other, expected = by_gdcm(path, data_set, layout), modality_of(data_set, layout, stored)
    if (reference.file, decoder) in LEFT_OUT:
        return  # it is known to be wrong
    if other is None:
        native = syntax_of(data_set) in NATIVE or layout.photometric_interpretation == PALETTE
        assert (native and decoder == "pylibjpeg") or (reference.file, decoder) in UNREAD
        return
    level = max(1, 2 ** (layout.bits_stored - 8)) if syntax_of(data_set) in LOSSY else 0
    known, found = pixels_at(expected, reference), pixels_at(other, reference)
    for place, value in known.items():
        assert np.abs(np.subtract(found[place], value)).max() <= level + 1e-6, place
