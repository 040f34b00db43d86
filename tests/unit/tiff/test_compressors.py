"""The table of compressors."""

import pytest
import tifffile

from dicom_preprocessing import config
from dicom_preprocessing.tiff.compressors import COMPRESSOR_BY_NAME, compressor_of


def test_compressors_are_those_of_the_configuration_in_its_order():
    assert tuple(COMPRESSOR_BY_NAME) == config.COMPRESSORS


@pytest.mark.parametrize("name", COMPRESSOR_BY_NAME)
def test_compressor_is_known_by_its_codes(name):
    assert {compressor_of(code) for code in COMPRESSOR_BY_NAME[name].codes} == {name}


def test_compressor_of_another_program_is_unknown():
    assert compressor_of(tifffile.COMPRESSION.JPEG) is None


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("packbits", tifffile.COMPRESSION.PACKBITS),
        ("lzw", tifffile.COMPRESSION.LZW),
        ("uncompressed", tifffile.COMPRESSION.NONE),
        ("deflate", tifffile.COMPRESSION.ADOBE_DEFLATE),
        ("zstd", tifffile.COMPRESSION.ZSTD),
    ],
)
def test_code_is_the_standard_one(name, code):
    assert COMPRESSOR_BY_NAME[name].code == code
