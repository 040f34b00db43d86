"""TIFFs of many kinds, and changes that no writer would make."""

import json
import struct

import imagecodecs
import numpy as np
import tifffile

from tests.unit.tiffs import foreign, reference_file, sample_frames, single_strip
from tests.unit.tools.images import save

OWN = ("packbits", "lzw", "uncompressed", "deflate", "zstd")
FOREIGN = (
    {"bigtiff": True, "compression": "lzw"},
    {"byteorder": ">", "compression": "deflate", "predictor": True},
    {"tile": (16, 16), "compression": "zlib"},
    {"tile": (16, 32), "compression": "lzw"},
    {"rowsperstrip": 7},
    {"photometric": "miniswhite"},
    {"compression": "jpeg"},
    {"compression": "jpeg2000"},
    {"compression": "webp"},
    {"compression": "lzma"},
)
ODD = (0, 1, 2, 3, 7, 255, 4096, 60_000, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)
TAGS = (256, 257, 258, 259, 262, 266, 270, 273, 277, 278, 279, 282, 284, 296, 305, 317, 322, 323)
TAGS += (324, 325, 339, 347, 513, 530, 32997, 50718, 50719, 50720, 50829, 65000)
CODINGS = (1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 33003, 34712, 34925, 50000, 50001, 50002, 12345)
CODINGS += (22610, 34887, 34892, 34926, 34927, 34933, 34934, 52546)
LARGE = {
    8: lambda side: imagecodecs.zlib_encode(bytes(side * side)),
    34887: lambda side: imagecodecs.lerc_encode(np.zeros((side, side), np.uint8)),
    34925: lambda side: imagecodecs.lzma_encode(bytes(side * side)),
    34933: lambda side: imagecodecs.png_encode(np.zeros((side, side), np.uint8)),
    34934: lambda side: imagecodecs.jpegxr_encode(np.zeros((side, side), np.uint8)),
    34712: lambda side: imagecodecs.jpeg2k_encode(np.zeros((side, side), np.uint8)),
    50000: lambda side: imagecodecs.zstd_encode(bytes(side * side)),
    50001: lambda side: imagecodecs.webp_encode(np.zeros((side, side, 3), np.uint8), lossless=True),
    50002: lambda side: imagecodecs.jpegxl_encode(np.zeros((side, side), np.uint8), effort=1),
}
"""Streams of few bytes for a square image of zeros, by compression."""


def make_sound(folder):
    """Sound TIFFs of this project, of the reference program, and of others, by name."""
    paths = [save(folder / f"own_{name}.tiff", compressor=name) for name in OWN]
    paths.append(save(folder / "stored.tiff", dtype=np.int16, compressor="zstd"))
    paths.append(reference_file(folder / "reference.tiff", pages=2))
    for number, settings in enumerate(FOREIGN):
        is_lossy = settings.get("compression") in ("jpeg", "webp")
        frames = sample_frames("uint8" if is_lossy else "uint16", samples=3 if is_lossy else 1)
        paths.append(foreign(folder / f"foreign_{number}.tiff", frames, **settings))
    planes = sample_frames("uint8", n=1, samples=3)[0].transpose(2, 0, 1)
    tifffile.imwrite(folder / "planes.tiff", planes, photometric="rgb", planarconfig="separate")
    tifffile.imwrite(folder / "bits.tiff", planes[0] > 100)
    tifffile.imwrite(folder / "floats.tiff", planes[0].astype(np.float32) / 255)
    return [*paths, folder / "planes.tiff", folder / "bits.tiff", folder / "floats.tiff"]


def mutate_tiff(content, random):
    """The content of a TIFF with one to three changes; ``random`` decides on all of them."""
    if random.random() < 0.1:
        return inflate(random)
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 3))):
        random.choice(CHANGES)(changed, random)
    return bytes(changed)


def inflate(random):
    """A TIFF whose pages share one strip of few bytes, which may be for another size."""
    coding = random.choice(list(LARGE))
    side = random.choice((64, 2048, 4096))
    shown, pages = random.choice((side, side, 64, 32_768)), random.choice((1, 3, 1000))
    odd = random.choice(((), (), {258: 12}, {317: 2}, {278: 16}, {322: 0, 323: 16, 324: 8, 325: 9}))
    strip = LARGE[coding](side)
    return single_strip(shown, shown, strip, coding, pages=pages, tags=odd)


def flip_bytes(content, random):
    for _ in range(random.choice((1, 4, 32))):
        if content:
            content[random.randrange(len(content))] = random.randrange(256)


def cut(content, random):
    del content[random.randrange(len(content) + 1) :]


def append(content, random):
    content += random.randbytes(random.choice((1, 100, 5000)))


def find_directories(content):
    """Order, whether it is BigTIFF, and offset and number of entries of each directory."""
    order = ">" if content[:2] == b"MM" else "<"
    found = []
    try:
        is_big = struct.unpack_from(order + "H", content, 2)[0] == 43
        link, head = ("Q", "Q") if is_big else ("L", "H")
        (offset,) = struct.unpack_from(order + link, content, 8 if is_big else 4)
        while offset and offset not in [start for start, _ in found]:
            (count,) = struct.unpack_from(order + head, content, offset)
            found.append((offset, count))
            end = offset + struct.calcsize("=" + head) + count * (20 if is_big else 12)
            (offset,) = struct.unpack_from(order + link, content, end)
    except (struct.error, OverflowError):
        return order, False, []
    return order, is_big, found


def rewrite_tag(content, random):
    """Change the tag, type, count or value of an entry, to what is extreme or of another kind."""
    order, is_big, found = find_directories(content)
    if not found or not found[0][1] or found[0][1] > 1000:
        return
    start, count = random.choice(found)
    entry = start + (8 if is_big else 2) + random.randrange(count or 1) * (20 if is_big else 12)
    size = len(content)
    value = random.choice((*ODD, size, size - 1, start, random.randrange(2**32)))
    what = random.choice(("tag", "type", "count", "value", "coding", "value", "count"))
    forms = {"tag": ("H", 0), "type": ("H", 2), "count": ("L", 4), "value": ("L", 8)}
    form, at = forms.get(what, ("H", 8))
    if is_big:
        at = {8: 12}.get(at, at)
    if what in ("tag", "type", "coding"):
        value = random.choice({"tag": TAGS, "type": range(20), "coding": CODINGS}[what])
    write(content, order + form, entry + at, value)


def relink(content, random):
    """Let a directory be followed by any other, itself included, or by any place."""
    order, is_big, found = find_directories(content)
    if not found:
        return
    start, count = random.choice(found)
    target = random.choice([start for start, _ in found] + [random.randrange(len(content))])
    end = start + (8 + 20 * count if is_big else 2 + 12 * count)
    write(content, order + ("Q" if is_big else "L"), end, target)


def replace_directory(content, random):
    """Append a directory that asks for as much as it can, and let the file begin with it."""
    order, is_big, _ = find_directories(content)
    if is_big or len(content) < 8:
        return
    start, size = len(content), len(content)
    rows, columns = random.choice(((60_000, 60_000), (2**31, 7), (10, 10), (1, 2**32 - 1)))
    strips = random.choice((1, 10, size // 4))
    tags = [(256, 4, 1, columns), (257, 4, 1, rows), (258, 3, 1, random.choice((1, 8, 16, 64)))]
    tags += [(259, 3, 1, random.choice(CODINGS)), (262, 3, 1, random.choice((0, 1, 2, 3)))]
    tags += [(273, 4, strips, 0), (277, 3, 1, random.choice((1, 3, 4, 300, 65_535)))]
    tags += [(278, 4, 1, random.choice((1, rows))), (279, 4, strips, random.choice((0, size)))]
    content += struct.pack(order + "H", len(tags))
    for tag, kind, count, value in tags:
        shown = struct.pack(order + ("HH" if kind == 3 else "L"), *(value, 0)[: 3 - kind // 2])
        content += struct.pack(order + "HHL4s", tag, kind, count, shown)
    content += struct.pack(order + "L", random.choice((0, start, 8)))
    write(content, order + "L", 4, start)


def enlarge_stream(content, random):
    """Let a JPEG or JPEG 2000 stream announce more pixels than its page has."""
    side = random.choice((1000, 60_000))
    frame = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc1"))
    if frame >= 0:
        write(content, ">L", frame + 5, side << 16 | side)
    size = content.find(b"\xff\x4f\xff\x51")
    if size >= 0:
        for at in (8, 12):
            write(content, ">L", size + at, side)


def replace_description(content, random):
    """Let the first directory have another ImageDescription, of this project's program."""
    order, is_big, found = find_directories(content)
    if is_big or not found:
        return
    text = random.choice((nested, odd_types))(random).encode() + b"\0"
    start, count = found[0]
    for number in range(min(count, 1000)):
        entry = start + 2 + 12 * number
        if content[entry : entry + 2] == struct.pack(order + "H", 270):
            write(content, order + "L", entry + 4, len(text))
            write(content, order + "L", entry + 8, len(content))
    content += text


def nested(random):
    depth = random.choice((10, 900, 3000, 100_000))
    return random.choice(('{"a":' * depth, "[" * depth, "[" * depth + "]" * depth))


def odd_types(random):
    odd = (None, True, -1, 1.5, 10**400, 1e308, "NaN", "x", [], [[]], {}, {"a": []}, float("inf"))
    source = {"rows": 40, "columns": 40, "frames": 2}
    sound = {"source": source, "background": 0, "frame_spacing": 3.0, "steps": {"pad": {}}}
    sound |= {"versions": {}, "fingerprint": "ab", "tools": []}
    steps = {"pad": {"padding": "zero"}, "decode": {"intensity": "stored"}}
    sound["steps"] = steps
    for _ in range(random.choice((1, 2))):
        place = random.choice((sound, source, *steps.values()))
        place[random.choice(list(place))] = random.choice(odd)
    return json.dumps(random.choice((sound, sound, [sound], odd[random.randrange(len(odd))])))


def write(content, form, offset, value):
    """Write a number, as many of its bits as fit, where there is room for it."""
    size = struct.calcsize("=" + form[1:])
    if 0 <= offset <= len(content) - size:
        struct.pack_into(form, content, offset, value % 256**size)


CHANGES = (flip_bytes, cut, append, rewrite_tag, rewrite_tag, rewrite_tag, relink, relink)
CHANGES += (replace_directory, replace_description, enlarge_stream)
