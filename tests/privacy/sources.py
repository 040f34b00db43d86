"""Files with a marker in each place that a person or a program may write text to."""

import copy
import functools
import struct
import zlib

import pydicom
from pydicom.datadict import DicomDictionary, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    MPEG4HP41,
    BasicTextSRStorage,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RTPlanStorage,
    SegmentationStorage,
)

from dicom_preprocessing.dicom.keywords import HEADER_TAGS, TOP_TAGS
from tests.contradictory.parts import EXPLICIT, element, encode_elements
from tests.contradictory.sound import sound_files
from tests.privacy.markers import jpeg_2000_comment, jpeg_comment, utf16

TEXT_VRS = ("AE", "AS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT")
READ = {*TOP_TAGS, *HEADER_TAGS}
"""Elements of which the package reads the value: each of these has files of its own."""

PERSONAL = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientAddress", "OtherPatientNames"),
    *("PatientMotherBirthName", "PatientTelephoneNumbers", "AccessionNumber", "StudyDate"),
    *("InstitutionName", "InstitutionAddress", "ReferringPhysicianName", "OperatorsName"),
    *("StudyDescription", "SeriesDescription", "ImageComments", "PatientComments", "StudyID"),
    *("AdditionalPatientHistory", "DeviceSerialNumber", "StationName", "ProtocolName"),
    *(
        "RequestingPhysician",
        "CurrentPatientLocation",
        "AcquisitionDateTime",
        "WindowCenterWidthExplanation",
    ),
)
SEQUENCES = ("RequestAttributesSequence", "ReferencedPatientSequence", "ReferencedStudySequence")
DEPTH = 4
WRONG_VRS = ("LO", "PN", "UN", "DS", "IS", "US", "CS", "OB", "??", "", "DA", "UI", "UT")
"""In which an element has a marker where it does not belong; an empty one is its own."""

SYNTAX_IN_META = 0x00020010


def put(data_set, tag, vr, value):
    """Set an element, where validation is off also to a value that its VR does not allow."""
    data_set[tag] = DataElement(tag, vr, value)


def mark(data_set, markers, origin, *, keywords=PERSONAL, depth=DEPTH):
    """Put markers into attributes of a data set, private elements and sequences in sequences."""
    for keyword in keywords:
        tag = tag_for_keyword(keyword)
        vr = DicomDictionary[tag][0]
        if tag not in READ and keyword not in data_set:
            put(data_set, tag, vr, markers.value(vr, f"{origin}: {keyword} at depth {depth}"))
    private = f"{origin}: private element at depth {depth}"
    put(data_set, 0x00090010, "LO", markers.text(private))
    put(data_set, 0x00091001, "LO", markers.text(private))
    put(data_set, 0x00091002, "UN", markers.text(private).encode())
    put(data_set, 0x00091003, "OB", utf16(markers.text(private)))
    if depth:
        inner = Dataset()
        mark(inner, markers, origin, keywords=keywords[:6], depth=depth - 1)
        put(data_set, 0x00091004, "SQ", Sequence([copy.deepcopy(inner)]))
        data_set[SEQUENCES[depth % 3]] = DataElement(
            tag_for_keyword(SEQUENCES[depth % 3]), "SQ", Sequence([inner])
        )


def every_text_keyword():
    """Keywords of all text elements of the standard that the package does not read."""
    return [
        keyword
        for tag, (vr, _, _, _, keyword) in sorted(DicomDictionary.items())
        if vr in TEXT_VRS and keyword and tag not in READ and tag >> 16 > 2
    ]


def put_around_pixels(data_set, markers, origin):
    """Markers in overlays, curves, ICC profiles and icons."""

    def text(place):
        return markers.text(f"{origin}: {place}")

    put(data_set, 0x60000022, "LO", text("overlay description"))
    put(data_set, 0x60001500, "LO", text("overlay label"))
    put(data_set, 0x60003000, "OB", text("overlay data").encode() + b" ")
    put(data_set, 0x50002500, "LO", text("curve label"))
    put(data_set, 0x00282000, "OB", b"\0" * 40 + text("ICC profile").encode() + b"desc\0")
    icon = Dataset()
    icon.Rows, icon.Columns, icon.BitsAllocated = 3, 4, 8
    put(icon, 0x7FE00010, "OB", text("icon image").encode() + b"   ")
    data_set.IconImageSequence = Sequence([icon])
    put(data_set, 0x04000561, "SQ", Sequence([copy.deepcopy(icon)]))


def put_into_groups(data_set, markers, origin):
    """Markers in shared functional groups, those of each frame, and their items."""
    for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for number, group in enumerate(data_set.get(name, ())):
            place = f"{origin}: {name} {number}"
            mark(group, markers, place, keywords=PERSONAL[:6], depth=1)
            for one in list(group):
                if one.VR == "SQ" and one.keyword not in SEQUENCES and not one.tag.is_private:
                    for inner in one.value:
                        mark(
                            inner, markers, f"{place} {one.keyword}", keywords=PERSONAL[:4], depth=0
                        )
                        put(inner, 0x00204000, "LT", markers.text(f"{place} comment"))


def finish(content, markers, origin):
    """Markers in the preamble, and in the file meta information, of a file that has both."""
    if content[128:132] != b"DICM":
        return content
    preamble = markers.text(f"{origin}: preamble").encode().ljust(128, b"\0")
    length = struct.unpack_from("<L", content, 140)[0]
    rest = content[144 : 144 + length]
    for tag, vr in ((0x00020016, "AE"), (0x00020017, "AE"), (0x00020100, "UI"), (0x00020102, "OB")):
        text = markers.text(f"{origin}: file meta information {tag:08x}").encode()
        rest += element(tag, vr, text + b" " * (len(text) % 2))
    group = element(0x00020000, "UL", struct.pack("<L", len(rest)))
    return preamble + b"DICM" + group + rest + content[144 + length :]


def comment_on_streams(parts, markers, origin):
    """Comments in JPEG and JPEG 2000 streams."""

    def commented(stream):
        text = markers.text(f"{origin}: comment of the stream")
        if stream[:3] == b"\xff\xd8\xff" and stream[3] != 0xF7:
            return stream[:2] + jpeg_comment(text) + stream[2:]
        at = stream.find(b"\xff\x90")
        if stream[:4] == b"\xff\x4f\xff\x51" and at > 0:
            return stream[:at] + jpeg_2000_comment(text) + stream[at:]
        return stream

    if parts.items is None or len(parts.items) < 2:
        return parts
    streams = [commented(stream) for stream in parts.items[1:]]
    return parts.with_(items=(b"", *streams))


class Sources:
    """Writes files into a folder, each an instance of its own, and remembers their paths."""

    def __init__(self, folder, markers):
        self.folder, self.markers = folder, markers
        self.paths = []

    def add(self, content):
        path = self.folder / "files" / f"{len(self.paths)}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.paths.append(path)
        return path

    def identify(self, elements, study):
        elements.StudyInstanceUID = f"1.2.826.0.1.3680043.8.498.{study}"
        elements.SeriesInstanceUID = f"{elements.StudyInstanceUID}.1"
        elements.SOPInstanceUID = f"{elements.StudyInstanceUID}.{len(self.paths) + 10}"

    def marked(self, sound, study, *, keywords=PERSONAL, depth=1, edit=None, **changes):
        """The bytes of a sound file with markers in places that decide nothing."""
        origin = f"{sound.name} {len(self.paths)}"
        parts = sound.parts.having()
        elements = parts.elements
        self.identify(elements, study)
        mark(elements, self.markers, origin, keywords=keywords, depth=depth)
        put_around_pixels(elements, self.markers, origin)
        put_into_groups(elements, self.markers, origin)
        if edit is not None:
            edit(elements)
        behind = element(
            0xFFFCFFFC, "OB", self.markers.text(f"{origin}: trailing padding").encode() + b" "
        )
        parts = comment_on_streams(parts, self.markers, origin).with_(behind=behind)
        return finish(parts.with_(**changes).put_together(), self.markers, origin)


@functools.cache
def plain():
    """A sound file that is native and explicit, of one grey frame."""
    return next(s for n, s in sound_files().items() if s.is_grey and n.endswith("explicit-1"))


@functools.cache
def compressed():
    """A sound file of one grey JPEG frame."""
    return next(
        s
        for s in sound_files().values()
        if s.syntax == JPEGBaseline8Bit and s.is_grey and s.frames == 1
    )


def add_sound(sources, stride):
    """Sound files of every kind and transfer syntax, or of one in ``stride``."""
    for number, sound in enumerate(list(sound_files().values())[::stride]):
        sources.add(sources.marked(sound, 100 + number % 3, depth=DEPTH))
    sources.add(sources.marked(plain(), 100, keywords=every_text_keyword()))


def add_wrong_values(sources, stride):
    """A marker in each element that the package reads, in its own or in another VR."""
    tags = [tag for tag in sorted(READ) if tag >> 16 > 2]
    for number, (tag, vr) in enumerate((tag, vr) for tag in tags for vr in WRONG_VRS):
        if number % stride:
            continue
        dictionary = DicomDictionary[tag][0].split(" ")[0]
        place = f"value of {DicomDictionary[tag][4]} as {vr or dictionary}"
        # Of a UID only what cannot be a part of a path: what can be is shown in paths.
        text = f"{sources.markers.text(place)}^Jane"
        value = ("1\\" if number % 3 == 1 else "") + text
        raw = value.encode() + b" " * (len(value) % 2)
        own = vr or (dictionary if dictionary != "SQ" else "UT")

        def edit(elements, tag=tag):
            elements.pop(tag, None)

        before = element(tag, own, raw)
        content = sources.marked(plain(), 200 + number % 3, edit=edit, before_pixels=before)
        sources.add(content)


def add_failing(sources):
    """A file of each class of error that a file can be made of, and files that are skipped."""
    markers, sound = sources.markers, plain()

    def add(sound=sound, **changes):
        content = sources.marked(sound, 300, **changes)
        return sources.add(content), content

    def without(keyword):
        return lambda elements: elements.pop(keyword)

    def having(**values):
        return lambda elements: [
            put(elements, tag_for_keyword(k), v[0], v[1]) for k, v in values.items()
        ]

    for keyword in ("Rows", "PhotometricInterpretation", "BitsAllocated", "StudyInstanceUID"):
        add(edit=without(keyword))
    for keyword in ("StudyInstanceUID", "SOPInstanceUID", "SeriesInstanceUID", "SOPClassUID"):
        for form in ("{}^Jane", "Jäne {}", "{}.csv"):
            value = form.format(markers.text(f"text in {keyword}"))
            add(edit=having(**{keyword: ("UI", value)}))
    add(edit=having(Modality=("CS", markers.text("Modality"))))
    add(edit=having(Rows=("US", 65000), Columns=("US", 65000)))
    add(edit=having(BitsAllocated=("US", 24)))
    add(edit=having(NumberOfFrames=("IS", "7")))
    junk = markers.text("junk in a stream").encode() * 3 + b" "
    for syntax in (
        JPEGBaseline8Bit,
        JPEG2000Lossless,
        MPEG4HP41,
        "1.2.840.10008.1.2.4.80",
        "1.2.840.10008.1.2.5",
    ):
        add(compressed(), stated=syntax, items=(b"", junk))
        add(
            compressed(),
            stated=syntax,
            items=(b"", b"\xff\xd8\xff\xe0\0\x10JFIF\0" + junk),
        )
    for base in (sound, compressed()):
        add(base, stated=markers.text("Transfer Syntax UID"))
    _, whole = add()
    sources.add(whole)
    for part in (10, 400, len(whole) // 2):
        sources.add(whole[: len(whole) - part])
    sources.add(whole[:1000] + markers.text("damage").encode() * 9 + whole[1000:])
    conflict = whole.replace(whole[-30:-24], b"\x07\x01\x07\x01\x07\x01")
    sources.add(conflict + markers.text("bytes behind").encode())
    for value in ("{}", "1.2.{}"):
        stated = value.format(markers.text("syntax of a conflict"))
        other = copy.deepcopy(sound.parts.elements)
        other.SOPInstanceUID, other.StudyInstanceUID = "1.2.3.4.5.6", "1.2.3.4.5"
        mark(other, markers, "sop_conflict")
        put(other, 0x00081090, "LO", markers.text("model of a conflict"))
        sources.add(sound.parts.with_(elements=other, stated=stated).put_together())
    _add_skipped(sources)


def _add_skipped(sources):
    """Files that are no images: reports, plans, a DICOMDIR, and text."""
    markers = sources.markers
    for sop_class, modality in ((BasicTextSRStorage, "SR"), (RTPlanStorage, "RTPLAN")):
        report = Dataset()
        report.SOPClassUID, report.Modality = sop_class, modality
        sources.identify(report, 400)
        mark(report, markers, modality, keywords=every_text_keyword()[::9])
        content = Dataset()
        put(content, 0x0040A160, "UT", markers.text("text of a report"))
        put(content, 0x0040A123, "PN", markers.value("PN", "person of a report"))
        report.ContentSequence = Sequence([content])
        sources.add(_as_file(report))
    segmentation = plain().parts.having()
    sources.identify(segmentation.elements, 400)
    segmentation.elements.SOPClassUID, segmentation.elements.Modality = SegmentationStorage, "SEG"
    label = Dataset()
    put(label, 0x00620005, "LO", markers.text("Segment Label"))
    segmentation.elements.SegmentSequence = Sequence([label])
    sources.add(segmentation.put_together())
    directory = Dataset()
    directory.SOPClassUID = "1.2.840.10008.1.3.10"
    put(directory, 0x00041130, "CS", markers.text("File-set ID"))
    record = Dataset()
    mark(record, markers, "DICOMDIR")
    put(record, 0x00041500, "CS", [markers.text("Referenced File ID"), "IMAGE"])
    directory.DirectoryRecordSequence = Sequence([record])
    path = sources.add(_as_file(directory))
    path.rename(path.with_name("DICOMDIR"))
    sources.paths[-1] = path.with_name("DICOMDIR")
    text = markers.text("letter")
    for content in (f"Dear {text},\n", f'{{"name": "{text}"}}', f"=cmd|{text}", f"\0{text}"):
        sources.add(content.encode())
    sources.add(zlib.compress(text.encode()))


def _as_file(data_set):
    meta = element(0x00020010, "UI", b"1.2.840.10008.1.2.1\0")
    group = element(0x00020000, "UL", struct.pack("<L", len(meta)))
    return bytes(128) + b"DICM" + group + meta + encode_elements(data_set, EXPLICIT)


def make_sources(folder, markers, *, stride):
    """Write everything; ``stride`` leaves out most of what there is many of."""
    sources = Sources(folder, markers)
    with pydicom.config.disable_value_validation():
        add_sound(sources, stride)
        add_wrong_values(sources, stride)
        add_failing(sources)
    return sources
