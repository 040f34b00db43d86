"""Files that are wrong on purpose, and what stands in a report."""

import struct

EXPLICIT = b"1.2.840.10008.1.2.1"
SMOOTH = "1.2.840.10008.1.2.4.70"  # JPEG lossless
TWO_PIXELS = (((1, 2, 3), (4, 5, 6)),)


def codes(report, kind):
    return [message["code"] for message in report[kind]]


def without_value(path, keyword, vr):
    """Put a value of no bytes into a file written before, whatever its VR."""
    tag = {"Rows": (0x0028, 0x0010)}[keyword]
    head = struct.pack("<HH2sH", *tag, vr, 2)
    content = path.read_bytes()
    at = content.index(head)
    path.write_bytes(content[:at] + struct.pack("<HH2sH", *tag, vr, 0) + content[at + 10 :])
    return path


def replace_in(path, old, new):
    """Change bytes of a file, as no library writes them."""
    content = path.read_bytes()
    assert old in content
    assert len(old) == len(new)
    path.write_bytes(content.replace(old, new))
    return path


def encapsulated(*fragments):
    """Pixel data of an empty offset table and fragments of an even length, before the delimiter."""
    items = [b"", *(fragment + b"\0" * (len(fragment) % 2) for fragment in fragments)]
    return b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(i)) + i for i in items)
