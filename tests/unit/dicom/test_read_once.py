"""Attributes are read once an image: what the package asks of data sets is counted."""

import sys
from collections import Counter

import numpy as np
import pytest
from pydicom import dataset
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from dicom_preprocessing.decode.stage import decode_opened
from dicom_preprocessing.dicom import reading
from dicom_preprocessing.dicom.header_pattern import HeaderPatterns
from dicom_preprocessing.dicom.reading import open_image
from tests.unit.datasets import (
    BREAST_TOMOSYNTHESIS,
    data_set_of,
    functional_groups,
    item,
    lut,
    ramp,
    save,
)

PACKAGE = "dicom_preprocessing"
WAYS = ("__getitem__", "__getattr__", "__iter__", "get", "get_item")
"""How one element is asked for; ``items`` gives all as they are, ``keys`` and ``in`` none."""


class Reads:
    """What was read of data sets and of items of sequences in them, each by its identity.

    ``asked`` also by how: what is odd is asked for as it stands, then as pydicom converts it.
    """

    def __init__(self):
        self.asked, self.converted = Counter(), Counter()
        self.kept = []  # so that no two have one identity

    @property
    def keywords(self):
        return {keyword for _, _, keyword in self.asked}

    def total(self):
        return self.asked.total() + self.converted.total()


def name_of(key):
    """A keyword, however an element was asked for; None for what is no element."""
    if isinstance(key, str):
        return key if tag_for_keyword(key) is not None else None
    return keyword_for_tag(Tag(key)) or str(key)


@pytest.fixture
def reads(monkeypatch):
    """Counts what the package itself asks for, and every conversion, whoever is the reason."""
    found = Reads()

    def counting(way):
        original = getattr(Dataset, way)

        def counted(self, key=BaseTag(0), *args, **kwargs):  # noqa: B008
            caller = sys._getframe(1).f_globals.get("__name__", "")
            name = name_of(key)
            if caller.startswith(PACKAGE) and name is not None:
                found.kept.append(self)
                found.asked[way, id(self), name] += 1
            return original(self, *([] if way == "__iter__" else [key]), *args, **kwargs)

        return counted

    def counting_all(self):
        if sys._getframe(1).f_globals.get("__name__", "").startswith(PACKAGE):
            found.kept.append(self)
            found.asked.update(("items", id(self), name_of(key)) for key in self.keys())
        return all_items(self)

    all_items = Dataset.items
    monkeypatch.setattr(reading, "PATTERNS", HeaderPatterns())
    monkeypatch.setattr(Dataset, "items", counting_all)
    for way in WAYS:
        monkeypatch.setattr(Dataset, way, counting(way))
    convert = dataset.convert_raw_data_element

    def converting(raw, *, encoding=None, ds=None):
        found.kept.append(ds)
        found.converted[id(ds), name_of(raw.tag)] += 1
        return convert(raw, encoding=encoding, ds=ds)

    monkeypatch.setattr(dataset, "convert_raw_data_element", converting)
    return found


def plain_ct():
    return data_set_of(
        ramp(0, 1000, 4095),
        bits_stored=12,
        PatientName="A^B",
        RescaleSlope=1,
        RescaleIntercept=-1024,
        WindowCenter=[40, 400],
        WindowWidth=[400, 2000],
        PixelSpacing=[0.5, 0.25],
        ImagePositionPatient=[0, 0, 1],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        PixelPaddingValue=0,
    )


def enhanced():
    frames = [
        item(
            FrameContentSequence=[item(InStackPositionNumber=n, DimensionIndexValues=[1, n])],
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, n])],
            PixelValueTransformationSequence=[item(RescaleSlope=n, RescaleIntercept=0)],
            FrameVOILUTSequence=[item(VOILUTSequence=[lut([1, 2, n])])],
        )
        for n in (2, 1)
    ]
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=[2, 1], SpacingBetweenSlices=1)],
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        FrameAnatomySequence=[item(FrameLaterality="U")],
    )
    data_set = data_set_of(np.array([[[1, 2]], [[3, 4]]], np.uint16), PatientName="A^B")
    return functional_groups(data_set, shared=shared, frames=frames)


def palette():
    data_set = data_set_of(ramp(0, 1, dtype=np.uint8), PhotometricInterpretation="PALETTE COLOR")
    data_set.PatientName = "A^B"
    for colour in ("Red", "Green", "Blue"):
        setattr(data_set, f"{colour}PaletteColorLookupTableDescriptor", [2, 0, 8])
        setattr(data_set, f"{colour}PaletteColorLookupTableData", b"\1\2")
    return data_set


def tomosynthesis():
    return data_set_of(
        np.array([[[1, 2]], [[3, 4]]], np.uint8),
        SOPClassUID=BREAST_TOMOSYNTHESIS,
        PatientName="A^B",
        ImageLaterality="L",
        PatientOrientation=["P", "L"],
        ViewCodeSequence=[item(CodeValue="399162004", CodeMeaning="cranio-caudal")],
        VOILUTSequence=[lut([1, 2, 3])],
        ModalityLUTSequence=[lut([4, 5, 6])],
    )


IMAGES = {
    "plain CT": (plain_ct, "RescaleSlope"),
    "enhanced": (enhanced, "DimensionIndexValues"),
    "palette": (palette, "BluePaletteColorLookupTableData"),
    "tomosynthesis": (tomosynthesis, "CodeValue"),
}
SYNTAXES = {"plain": ExplicitVRLittleEndian, "deflated": DeflatedExplicitVRLittleEndian}


@pytest.fixture(params=IMAGES)
def image(request):
    make, keyword = IMAGES[request.param]
    return make(), keyword


@pytest.fixture(params=SYNTAXES)
def path(tmp_path, image, request):
    return save(tmp_path / "image", image[0], SYNTAXES[request.param])


def test_no_element_is_asked_for_twice(path, image, reads):
    open_image(path)
    assert {"Rows", "TransferSyntaxUID", image[1]} <= reads.keywords
    assert {key: n for key, n in reads.asked.items() if n > 1} == {}


def test_no_element_is_converted_twice(path, reads):
    open_image(path)
    assert {key: n for key, n in reads.converted.items() if n > 1} == {}


def test_nothing_else_is_converted(path, reads):
    open_image(path)
    assert "PatientName" not in {keyword for _, keyword in reads.converted}


@pytest.mark.parametrize("intensity", ["voi", "minmax", "stored"])
def test_decoding_asks_for_nothing(path, reads, intensity):
    opened = open_image(path)
    before = reads.total()
    decoded = decode_opened(*opened, intensity=intensity)
    assert np.asarray(decoded.to_display_values().frames).size > 0
    assert (before > 0, reads.total()) == (True, before)
