"""Each row of the table of contradictions decides: with other sources first, the result is another.

And each rule names a function that there is.
"""

import importlib

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import JPEG2000, JPEGBaseline8Bit, JPEGLosslessSV1

from dicom_preprocessing.decode.codecs import jpeg, jpeg_2000, jpeg_xl
from dicom_preprocessing.decode.colour import read_palette
from dicom_preprocessing.decode.fragments import find_frame_fragments
from dicom_preprocessing.decode.frame_order import frame_order, slice_step
from dicom_preprocessing.decode.modality import modality_of_frames
from dicom_preprocessing.decode.pixel_format import read_pixel_format
from dicom_preprocessing.decode.pixels import choose_planes
from dicom_preprocessing.decode.tomosynthesis import view_of
from dicom_preprocessing.decode.values import make_display_values
from dicom_preprocessing.dicom.contradictions import COMPUTED_DECISIONS, PRECEDENCES, Precedence
from dicom_preprocessing.dicom.data_set import describe
from dicom_preprocessing.dicom.description import LutAttributes, Projection
from dicom_preprocessing.dicom.pixel_data import ByteRange, PixelData
from dicom_preprocessing.dicom.sources import MemorySource
from dicom_preprocessing.dicom.spacing import find_magnification, find_spacing
from dicom_preprocessing.dicom.transfer_syntaxes import JPEG_XL
from dicom_preprocessing.image_warnings import ImageWarnings
from tests.unit.decode.examples import COLOUR, j2k, runner_for
from tests.unit.decode.examples import jpeg as encoded_jpeg
from tests.unit.descriptions import attribute, description_of, groups, table

KINDS = {
    "rescale": ("rescale_slope", 2, 3, lambda d: d.rescales(1)),
    "rescale_type": ("rescale_type", "HU", "US", lambda d: d.rescale_types(1)),
    "voi_level": ("window_center", 20, 30, lambda d: d.voi_transforms(1)),
    "voi_lut_function": ("voi_lut_function", "SIGMOID", "LINEAR", lambda d: d.voi_lut_functions(1)),
    "pixel_spacing": ("pixel_spacing", (1, 2), (3, 4), lambda d: d.pixel_spacing()),
    "spacing_between_slices": (
        *("spacing_between_slices", 2, 3),
        lambda d: d.spacing_between_slices(),
    ),
    "position": ("image_position_patient", (1, 2, 3), (4, 5, 6), lambda d: d.positions(1)),
    "orientation": (
        *("image_orientation_patient", (1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, 1)),
        lambda d: d.orientations(1),
    ),
    "patient_orientation": (
        *("patient_orientation", ("A", "R"), ("P", "L")),
        lambda d: d.patient_directions(),
    ),
}
"""A field of functional groups, two values of it, and what is decided of them."""


def by_place(row):
    field, here, there, decided = KINDS[row]
    more = {"window_width": 10} if field == "window_center" else {}
    own, shared = groups(**{field: there}, **more), groups(**{field: there}, **more)
    return decided(description_of(**{field: here}, **more, shared=shared, frames=(own,)))


def file_meta(**values):
    data_set = Dataset()
    data_set.file_meta = FileMetaDataset()
    for keyword, value in values.items():
        setattr(data_set.file_meta, keyword, value)
    return data_set


def sop_class():
    data_set = file_meta(MediaStorageSOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    data_set.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    return describe(data_set).header.sop_class_uid


def syntax():
    data_set = file_meta(TransferSyntaxUID=JPEGBaseline8Bit)
    data_set.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    return describe(data_set).transfer_syntax_uid


def format_of(description):
    return read_pixel_format(description, "PixelData", ImageWarnings())


def planes():
    colour = {"samples_per_pixel": 3, "photometric_interpretation": "YBR_FULL_422"}
    description = description_of(**colour, planar_configuration=1)
    return choose_planes(description, format_of(description))


def modality():
    description = description_of(modality_lut=table(5, 6), rescale_slope=2)
    return modality_of_frames(description, format_of(description), ImageWarnings())


def voi():
    windows = {"window_center": 1, "window_width": 2}
    description = description_of(voi_luts=(table(0, 200),), **windows)
    stored = np.array([[[[0], [1]]]], np.uint8)
    pixel_format = format_of(description)
    _, lookup = make_display_values(description, stored, pixel_format, ImageWarnings())
    return lookup(stored).tolist()


def palette():
    stored = LutAttributes(
        attribute("Descriptor", 2, 0, 16),
        data=attribute("Data", 1, 2),
        segmented=attribute("Data", 0, 2, 7, 8),
    )
    described = description_of(palette=(stored,) * 3)
    found = read_palette(described, 8, ImageWarnings(), signed=False)
    return [found_table.entries.tolist() for found_table in found.tables]


def order():
    places = ((0, 0, 2), (0, 0, 1), (0, 0, 3))
    frames = [
        groups(
            dimension_index_values=index,
            in_stack_position_number=stack,
            image_position_patient=place,
        )
        for index, stack, place in zip((1.0, 2.0, 3.0), (3, 2, 1), places, strict=True)
    ]
    shared = groups(image_orientation_patient=(1, 0, 0, 0, 1, 0))
    return frame_order(description_of(frames=tuple(frames), shared=shared), 3).order


def fragments():
    """Two frames in four fragments of 3 bytes, of which starts and tables say different."""
    basic = np.array([0, 11], "<u4").tobytes()
    start = b"\xff\xd8\xff"
    content = basic + (bytes(8) + start) * 2 + bytes(11) + bytes(8) + start
    spans = [ByteRange(0, 8), *(ByteRange(16 + 11 * i, 3) for i in range(4))]
    data = PixelData("PixelData", "OB", MemorySource(content), ByteRange(0, 48), 48, tuple(spans))
    extended = description_of(
        extended_offset_table=np.array([0, 22], "<u8").tobytes(),
        extended_offset_table_lengths=bytes(16),
    )
    return [len(frame) for frame in find_frame_fragments(data, extended, 2, ImageWarnings())]


def jpeg_colour():
    stream = encoded_jpeg(COLOUR, level=90, subsampling="444")
    runner = runner_for(JPEGBaseline8Bit, COLOUR, photometric_interpretation="RGB")
    return jpeg.decode(stream, runner).tolist()


def jpeg_lossless_colour():
    stream = encoded_jpeg(COLOUR, lossless=True)
    runner = runner_for(JPEGLosslessSV1, COLOUR, photometric_interpretation="YBR_FULL")
    return jpeg.decode(stream, runner).tolist()


def jpeg_2000_colour():
    runner = runner_for(JPEG2000, COLOUR, photometric_interpretation="YBR_FULL")
    return jpeg_2000.decode(j2k(COLOUR, reversible=True, mct=True), runner).tolist()


def jpeg_xl_colour():
    runner = runner_for(JPEG_XL[-1], COLOUR, photometric_interpretation="YBR_FULL")
    return jpeg_xl.decode(bytes(imagecodecs.jpegxl_encode(COLOUR)), runner).tolist()


RESULTS = {
    **{row: (lambda row=row: by_place(row)) for row in KINDS},
    "sop_class_uid": sop_class,
    "transfer_syntax_uid": syntax,
    "true_spacing": lambda: find_spacing(
        description_of(pixel_spacing=(1, 2), imager_pixel_spacing=(3, 4))
    ),
    "magnification": lambda: find_magnification(
        Projection(
            estimated_radiographic_magnification_factor=attribute("Factor", 1.5),
            distance_source_to_detector=attribute("Distance", 2),
            distance_source_to_patient=attribute("Distance", 1),
        )
    ),
    "laterality": lambda: description_of(
        frames=(groups(frame_laterality="A"),),
        shared=groups(frame_laterality="B"),
        image_laterality="C",
        laterality="D",
    ).breast_laterality(),
    "view": lambda: view_of(
        description_of(view_codes=(attribute("CodeValue", "R-10242"),), view_position="MLO")
    ),
    "high_bit": lambda: (
        format_of(
            description_of(bits_allocated=16, bits_stored=12, high_bit=15, columns=1)
        ).high_bit
    ),
    "planes": planes,
    "modality": modality,
    "voi": voi,
    "palette_data": palette,
    "frame_order": order,
    "slice_step": lambda: slice_step([0.0, 2.0], 3.0),
    "fragments_of_frames": fragments,
    "jpeg_colour": jpeg_colour,
    "jpeg_lossless_colour": jpeg_lossless_colour,
    "jpeg_2000_colour": jpeg_2000_colour,
    "jpeg_xl_colour": jpeg_xl_colour,
}


def test_every_row_is_tried():
    assert RESULTS.keys() == PRECEDENCES.keys()


@pytest.mark.parametrize("row", sorted(RESULTS))
def test_a_row_decides(monkeypatch, row):
    as_it_is = RESULTS[row]()
    turned = Precedence(tuple(reversed(PRECEDENCES[row].sources)), "turned")
    monkeypatch.setitem(PRECEDENCES, row, turned)
    assert RESULTS[row]() != as_it_is


@pytest.mark.parametrize("source", PRECEDENCES["laterality"].sources)
def test_each_source_of_laterality_decides_where_it_stands_first(monkeypatch, source):
    others = [other for other in PRECEDENCES["laterality"].sources if other != source]
    expected = "ABCD"[PRECEDENCES["laterality"].sources.index(source)]
    monkeypatch.setitem(PRECEDENCES, "laterality", Precedence((source, *others), "turned"))
    assert RESULTS["laterality"]() == expected


@pytest.mark.parametrize("rule", COMPUTED_DECISIONS.values(), ids=list(COMPUTED_DECISIONS))
def test_a_rule_names_a_function_that_there_is(rule):
    module, _, name = rule.function.partition(":")
    found = importlib.import_module(f"dicom_preprocessing.{module}")
    for part in name.split("."):
        found = getattr(found, part)
    assert callable(found)
