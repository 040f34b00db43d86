"""Distinct texts that stand for secrets of a patient, and their search in bytes of any form."""

import base64
import binascii
import re
import struct
import zlib
from datetime import date, timedelta

TEXT = re.compile(rb"Zq(\d{5})Yx")
DIGITS = re.compile(rb"(?<!\d)\d{8}(?!\d)|(?<!\d)\d{14}(?!\d)")
BASE64 = re.compile(rb"[A-Za-z0-9+/]{12,}={0,2}")
HEXADECIMAL = re.compile(rb"(?:[0-9a-fA-F]{2}){9,}")
STREAM_STARTS = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")
FIRST_DAY = date(1901, 1, 1)
MAX_INFLATED = 1 << 22
MAX_DEPTH = 3


class Markers:
    """Gives out markers, each for one place."""

    def __init__(self):
        self.places = {}
        self._by_digits = {}

    def text(self, place):
        """A text that no other place has."""
        number = len(self.places)
        self.places[number] = place
        return f"Zq{number:05d}Yx"

    def value(self, vr, place):
        """A secret in the form of a value representation, or None where it has room for none."""
        if vr in ("DA", "DT"):
            number = len(self.places)
            self.places[number] = place
            day = f"{FIRST_DAY + timedelta(number % 36500):%Y%m%d}"
            value = day if vr == "DA" else f"{day}{number // 36500 + 10:02d}2753"
            self._by_digits.setdefault(value.encode(), []).append(number)
            return value
        if vr == "PN":
            return f"{self.text(place)}^Jane"
        if vr in ("AS", "TM"):  # too few characters to be told from other numbers
            return {"AS": "047Y", "TM": "112753"}[vr]
        return self.text(place)

    def find(self, content):
        """Places whose markers are in the bytes, in any form."""
        numbers = set()
        for form in forms_of(content):
            numbers |= {int(found) for found in TEXT.findall(form)}
            for digits in DIGITS.findall(form):
                numbers.update(self._by_digits.get(digits, ()))
        return {self.places[number] for number in numbers if number in self.places}


def forms_of(content, depth=0):
    """The bytes, and what they may stand for: UTF-16, base64, hexadecimal, compressed streams."""
    yield content
    for order in (0, 1):  # UTF-16 of either order has every second byte 0
        yield content[order::2]
    if depth == MAX_DEPTH:
        return
    for found in BASE64.findall(content):
        for start in range(4):
            coded = found[start:].rstrip(b"=")
            coded = coded[: len(coded) // 4 * 4]
            yield base64.b64decode(coded)
    for found in HEXADECIMAL.findall(content):
        yield binascii.unhexlify(found)
    for start in STREAM_STARTS.finditer(content):
        inflated = _inflate(content[start.start() :])
        if inflated:
            yield from forms_of(inflated, depth + 1)


def _inflate(stream):
    inflater = zlib.decompressobj(47)  # zlib or gzip
    try:
        return inflater.decompress(stream, MAX_INFLATED)
    except zlib.error:
        return b""


def utf16(text):
    """UTF-16 of a text, as some writers have it in private elements."""
    return text.encode("utf-16-le")


def jpeg_comment(text):
    """A comment of a JPEG stream (ITU-T T.81 B.2.4.5), of even length."""
    value = text.encode() + b" " * (len(text) % 2)
    return b"\xff\xfe" + struct.pack(">H", 2 + len(value)) + value


def jpeg_2000_comment(text):
    """A comment of a JPEG 2000 codestream (ITU-T T.800 A.9.2), in Latin."""
    value = text.encode() + b" " * (len(text) % 2)
    return b"\xff\x64" + struct.pack(">HH", 4 + len(value), 1) + value
