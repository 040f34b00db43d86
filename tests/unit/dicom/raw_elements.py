"""Elements as they stand in a file, whatever they are."""

import struct

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag


def raw(keyword, vr, value):
    """A data set of one element as it stands in a file, not converted yet."""
    data_set, tag = Dataset(), Tag(keyword)
    data_set[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    return data_set


def with_vr(keyword, vr, value):
    data_set = Dataset()
    data_set.add_new(keyword, vr, value)
    return data_set


def explicit(group, element, vr, value):
    """An explicit little endian element with a short length."""
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HH2sH", group, element, vr, len(value)) + value


def implicit(group, element, value):
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHL", group, element, len(value)) + value


def saved(path, content):
    path.write_bytes(content)
    return path
