"""Which source counts where parts of a file contradict each other: a table and its function.

``PRECEDENCES`` lists the sources of a value in order of precedence: attributes, or markers of a
stream. ``decide`` takes the first source that has a value. ``COMPUTED_DECISIONS`` lists what no
single source can decide, and the function that does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")


class GroupLevel(StrEnum):
    """Where a file may have an attribute of a functional group macro (PS3.3 C.7.6.16)."""

    TOP = "the top level"
    SHARED = "the shared functional group"
    FRAME = "the functional group of the frame"


@dataclass(frozen=True, slots=True)
class Precedence:
    """A row of the table.

    Parameters
    ----------
    sources : tuple of str
        In order of precedence.
    reason : str
        The clause of the standard, or the usual practice.
    warning : str
        Code of ``WARNING_CODES`` that such a file gets, empty if none.
    contradiction : str
        What has several sources, as docs/pixels.md names it.
    """

    sources: tuple[str, ...]
    reason: str
    warning: str = ""
    contradiction: str = ""


EVERYWHERE: Final = (GroupLevel.FRAME, GroupLevel.SHARED, GroupLevel.TOP)
"""Classic objects have these at the top level only, Enhanced ones in groups only."""

LEVELS_CONTRADICT: Final = "functional_groups_contradict"

PRECEDENCES: Final[Mapping[str, Precedence]] = {
    # Class and encoding of the file.
    "sop_class_uid": Precedence(
        ("SOPClassUID", "MediaStorageSOPClassUID"),
        "PS3.10 7.1: the file meta information repeats the data set",
        warning="sop_class_contradicts",
        contradiction="SOP class of the data set and of the file meta information",
    ),
    "transfer_syntax_uid": Precedence(
        ("TransferSyntaxUID", "encoding"),
        "PS3.10 7.1; without it, the encoding in which the data set could be read",
        contradiction="transfer syntax that the file does not state",
    ),
    # Functional group macros.
    "rescale": Precedence(
        EVERYWHERE,
        "PS3.3 C.7.6.16.2.9",
        LEVELS_CONTRADICT,
        contradiction="Rescale Slope and Intercept at several levels",
    ),
    "rescale_type": Precedence(
        EVERYWHERE,
        "PS3.3 C.7.6.16.2.9",
        LEVELS_CONTRADICT,
        contradiction="Rescale Type at several levels",
    ),
    "voi_level": Precedence(
        EVERYWHERE,
        "PS3.3 C.7.6.16.2.10, C.11.2: VOI LUTs and windows, also one against the other; a level "
        "without a usable one is left for the next",
        LEVELS_CONTRADICT,
        contradiction="VOI LUTs and windows at several levels",
    ),
    "voi_lut_function": Precedence(
        EVERYWHERE,
        "PS3.3 C.7.6.16.2.10",
        LEVELS_CONTRADICT,
        contradiction="VOI LUT Function at several levels",
    ),
    "pixel_spacing": Precedence(
        EVERYWHERE,
        "PS3.3 C.7.6.16.2.1",
        LEVELS_CONTRADICT,
        contradiction="spacing of pixels at several levels",
    ),
    "spacing_between_slices": Precedence(
        EVERYWHERE,
        "PS3.3 C.7.6.16.2.1",
        LEVELS_CONTRADICT,
        contradiction="Spacing Between Slices at several levels",
    ),
    "position": Precedence(
        EVERYWHERE,
        "PS3.3 C.7.6.16.2.3",
        LEVELS_CONTRADICT,
        contradiction="Image Position (Patient) at several levels",
    ),
    "orientation": Precedence(
        EVERYWHERE,
        "PS3.3 C.7.6.16.2.4",
        LEVELS_CONTRADICT,
        contradiction="Image Orientation (Patient) at several levels",
    ),
    "patient_orientation": Precedence(
        EVERYWHERE,
        "PS3.3 C.7.6.16.2.15: of the first frame",
        LEVELS_CONTRADICT,
        contradiction="Patient Orientation at several levels",
    ),
    # Attributes with the same meaning.
    "true_spacing": Precedence(
        ("calibrated", "imager_corrected", "imager", "nominal_scanned", "pixel", "region"),
        "PS3.3 10.7.1: calibrated Pixel Spacing, Imager Pixel Spacing over the magnification, "
        "Imager Pixel Spacing, Nominal Scanned Pixel Spacing, Pixel Spacing, Physical Delta of an "
        "ultrasound region (C.8.5.5)",
        contradiction="spacings of a projection at the patient, the detector and the film",
    ),
    "magnification": Precedence(
        ("EstimatedRadiographicMagnificationFactor", "distances"),
        "PS3.3 C.8.7.10: the factor is that of the object of interest; else Distance Source to "
        "Detector over Distance Source to Patient",
        contradiction="magnification as stated and by distances",
    ),
    "laterality": Precedence(
        (
            "FrameLaterality of the first frame",
            "FrameLaterality of the shared group",
            "ImageLaterality",
            "Laterality",
        ),
        "PS3.3 C.7.6.16.2.8: of frames; C.8.11.7: of the image before that of the series",
        LEVELS_CONTRADICT,
        contradiction="laterality of frame, image and series",
    ),
    "view": Precedence(
        ("ViewCodeSequence", "ViewPosition"),
        "PS3.3 C.8.11.7: the code before the older text",
        contradiction="View Code Sequence and View Position",
    ),
    # Layout of pixels.
    "high_bit": Precedence(
        ("HighBit", "BitsStored"),
        "PS3.5 8.1.1, where High Bit leaves room for Bits Stored",
        warning="high_bit_unusable",
        contradiction="High Bit and Bits Stored",
    ),
    "planes": Precedence(
        ("subsampled chroma", "PlanarConfiguration"),
        "PS3.3 C.7.6.3.1.2: subsampled samples are never in planes",
        contradiction="Planar Configuration of subsampled chroma",
    ),
    # Transforms of grey values, and palettes.
    "modality": Precedence(
        ("rescale of functional groups", "DoseGridScaling", "ModalityLUTSequence", "rescale"),
        "PS3.3 C.11.1, C.8.8.3: a file has one of them",
        "transforms_contradict",
        contradiction="modality transforms of several kinds",
    ),
    "voi": Precedence(
        ("VOILUTSequence", "windows"),
        "PS3.3 C.11.2: they are alternatives; a table says more than a window",
        contradiction="VOI LUT and windows of one level",
    ),
    "palette_data": Precedence(
        ("palette data", "segmented palette data"),
        "PS3.3 C.7.9: a file has one of the two",
        warning="transforms_contradict",
        contradiction="palette data, whole and in segments",
    ),
    # Frames.
    "frame_order": Precedence(
        ("DimensionIndexValues", "InStackPositionNumber", "position"),
        "PS3.3 C.7.6.17, C.7.6.16.2.2; then the order in which they are stored",
        contradiction="order of frames by indices and by positions",
    ),
    "slice_step": Precedence(
        ("position", "SpacingBetweenSlices"),
        "PS3.3 C.7.6.2.1.1: positions are what was measured",
        warning="slice_spacing_contradicts",
        contradiction="distance of slices by positions and as stated",
    ),
    "fragments_of_frames": Precedence(
        ("starts of streams", "ExtendedOffsetTable", "basic offset table"),
        "PS3.5 A.4, PS3.3 C.7.6.3.1.8; tables that do not point at fragments do not count",
        warning="offset_table_wrong",
        contradiction="frames by their streams and by offset tables",
    ),
    # Header and stream.
    "jpeg_colour": Precedence(
        ("Adobe marker", "JFIF marker", "component names", "sampling", "header"),
        "ITU-T T.871, T.872: what decoders of JPEG go by",
        "colour_contradicts_header",
        contradiction="colour of a lossy JPEG stream and of the header",
    ),
    "jpeg_lossless_colour": Precedence(
        ("sampling", "header", "Adobe marker", "JFIF marker", "component names"),
        "PS3.5 8.2.1: components as the header says; only chroma is subsampled",
        "colour_contradicts_header",
        contradiction="colour of a lossless JPEG stream and of the header",
    ),
    "jpeg_2000_colour": Precedence(
        ("sampling", "component transform", "header"),
        "ITU-T T.800 Annex G: the decoder undoes the transform, which needs components of one size;"
        " only chroma is subsampled",
        "colour_contradicts_header",
        contradiction="colour of a JPEG 2000 stream and of the header",
    ),
    "jpeg_xl_colour": Precedence(
        ("decoder", "header"),
        "PS3.5 8.2.15: the stream says what it is; a lossless one is what the header says",
        "colour_contradicts_header",
        contradiction="colour of a JPEG XL stream and of the header",
    ),
}
"""By what is decided; the keys are the rows that ``decide`` takes."""


@dataclass(frozen=True, slots=True)
class ComputedDecision:
    """A contradiction that a computation decides.

    Parameters
    ----------
    contradiction : str
        The two that contradict each other.
    decision : str
        The value that counts, or the error.
    function : str
        The function that decides, as ``module:function`` within the package.
    reason : str
        The clause of the standard, or the usual practice.
    warning : str
        Code of ``WARNING_CODES`` that such a file gets, empty if none.
    error : str
        Class of ``FAILED_ERRORS`` where the file fails, empty if it does not.
    """

    contradiction: str
    decision: str
    function: str
    reason: str
    warning: str = ""
    error: str = ""


COMPUTED_DECISIONS: Final[Mapping[str, ComputedDecision]] = {
    # The file.
    "encoding": ComputedDecision(
        "stated transfer syntax, and the encoding in which the first elements parse",
        "the encoding, for elements, the location of the pixels, and native pixels",
        "dicom.detection:find_encoding",
        "PS3.10 7.1; writers of explicit VR under the UID of implicit VR",
        warning="encoding_contradicts_syntax",
    ),
    "deflate_wrapper": ComputedDecision(
        "deflated transfer syntax, and a zlib or gzip wrapper (of all members of the latter), or "
        "elements that are not deflated",
        "what the bytes are",
        "dicom.reading:open_image",
        "PS3.5 A.5, RFC 1951, RFC 1952 2.2",
        warning="encoding_contradicts_syntax",
    ),
    "unknown_syntax": ComputedDecision(
        "transfer syntax that the standard does not have, and native pixels",
        "the encoding of the data set",
        "dicom.reading:open_image",
        "PS3.6 Table A-1",
        warning="unknown_syntax",
    ),
    "unknown_vr": ComputedDecision(
        "element of a value representation that the standard does not have",
        "its length has 32 bits behind two zeros, else 16",
        "dicom.element_header:parse_element_header",
        "PS3.5 7.1.2",
        warning="unknown_vr",
    ),
    "unparsable_value": ComputedDecision(
        "element or sequence of known length that an image depends on, and a value that does not "
        "parse",
        "the length; what does not parse is ignored",
        "dicom.scanning:scan_items",
        "PS3.5 7.1",
        warning="unparsable_element",
    ),
    "unread_value": ComputedDecision(
        "any other element or sequence of known length, and a value that does not parse",
        "the length; nothing looks into the value, and so nothing warns",
        "dicom.scanning:scan_elements",
        "PS3.5 7.1; private sequences of vendors",
    ),
    "element_twice": ComputedDecision(
        "an element, and another one of the same tag and another value",
        "the last one",
        "dicom.scanning:scan_elements",
        "PS3.5 7.1: a data set has each element once",
        warning="element_twice",
    ),
    "encoding_of_items": ComputedDecision(
        "encoding of the data set, and items of a sequence that parse in another one only",
        "the encoding in which the items parse",
        "dicom.scanning:scan_items",
        "PS3.5 7.5, 6.2.2; sequences of vendors",
        warning="encoding_contradicts_syntax",
    ),
    "unparsable_sequence": ComputedDecision(
        "sequence of undefined length that does not parse",
        "damaged, since nothing says where it ends",
        "dicom.scanning:scan_elements",
        "PS3.5 7.5",
        error="damaged",
    ),
    "trailing_bytes": ComputedDecision(
        "data set that is complete, and bytes behind it that are no elements, or elements of "
        "explicit VR behind one of implicit VR",
        "the data set",
        "dicom.scanning:scan_rest",
        "PS3.5 7.1",
        warning="trailing_bytes",
    ),
    # Kind of the pixel data.
    "fragments_under_native_syntax": ComputedDecision(
        "native transfer syntax, and fragments",
        "the fragments, by the kind of their streams",
        "decode.encapsulation:find_streams",
        "PS3.5 A.4",
        warning="stream_contradicts_syntax",
        error="decode_error",
    ),
    "stream_in_native_element": ComputedDecision(
        "native pixel data of another length than the pixels need, and the header of a stream of "
        "the stated size, or nothing but items",
        "the stream",
        "decode.encapsulation:find_streams",
        "PS3.5 8.1.1, A.4",
        warning="stream_contradicts_syntax",
    ),
    "native_pixels_under_codec": ComputedDecision(
        "compressed transfer syntax, and pixel data without fragments of just the native length",
        "native pixels",
        "decode.encapsulation:find_streams",
        "PS3.5 A.4",
        warning="stream_contradicts_syntax",
    ),
    "stream_of_other_codec": ComputedDecision(
        "compressed transfer syntax, and the stream of another codec",
        "the stream",
        "decode.encapsulation:find_stream_syntax",
        "PS3.5 A.4; ITU-T T.81, T.87, T.800, T.814",
        warning="stream_contradicts_syntax",
    ),
    "sequence_delimiter": ComputedDecision(
        "fragments, and something else in the place of their delimiter",
        "the fragments, if padding, an item delimiter, a later element or the end follows",
        "dicom.pixel_data:walk_items",
        "PS3.5 A.4, 7.5",
        warning="no_sequence_delimiter",
        error="decode_error",
    ),
    "missing_offset_table": ComputedDecision(
        "first item of fragments that is due to be an offset table, and the start of a stream",
        "the stream",
        "decode.fragments:find_frame_fragments",
        "PS3.5 A.4: the table may be empty, but not left out",
        warning="no_offset_table",
    ),
    "vr_of_pixel_data": ComputedDecision(
        "encoding of the data set, and a pixel data element of implicit VR in explicit, or the "
        "other way round",
        "the header whose value ends with the file or before another element, else the only one "
        "whose value may be there",
        "dicom.scanning:choose_pixel_header",
        "PS3.5 7.1; letters taken for a length are nearly always odd, which no length is (7.1.1)",
        warning="encoding_contradicts_syntax",
    ),
    "unknown_vr_of_pixel_data": ComputedDecision(
        "pixel data element of a value representation that the standard does not have",
        "as above; damaged if it has no capitals, and its value may be in two places or in none",
        "dicom.scanning:choose_pixel_header",
        "PS3.5 7.1.2",
        warning="unknown_vr",
        error="damaged",
    ),
    "length_of_pixel_data": ComputedDecision(
        "length of the pixel data element, and the end of the file before it",
        "the end; the file fails only if pixels are missing",
        "dicom.pixel_data:locate_pixel_data",
        "PS3.5 7.1.1",
        warning="length_beyond_end",
        error="short_pixel_data",
    ),
    "fragments_of_stated_length": ComputedDecision(
        "fragments, and a value of stated length",
        "the fragments",
        "decode.encapsulation:find_streams",
        "PS3.5 A.4: the length is undefined",
        warning="no_sequence_delimiter",
    ),
    # Frames.
    "missing_number_of_frames": ComputedDecision(
        "Number of Frames that is absent or blank",
        "one frame",
        "dicom.description:Description.number_of_frames",
        "PS3.3 C.7.6.6",
    ),
    "more_native_frames": ComputedDecision(
        "Number of Frames, and more bytes of native pixels",
        "the header",
        "decode.pixels:warn_of_excess_frames",
        "PS3.5 8.1.1",
        warning="excess_frames",
    ),
    "more_native_bytes": ComputedDecision(
        "Rows, Columns, samples and bits, and a few more bytes than these need",
        "the header",
        "decode.pixels:warn_of_excess_frames",
        "PS3.5 8.1.1: one byte of padding at most",
        warning="trailing_bytes",
    ),
    "packed_samples": ComputedDecision(
        "Bits Allocated of 1 or 12, and the length of whole bytes or of frames that start at bytes",
        "the length; where it is that of packed frames, too, the layout whose gaps are 0",
        "decode.native:find_layout",
        "PS3.5 8.1.1: samples are packed without gaps",
        warning="bits_contradict_pixels",
    ),
    "packed_samples_by_gaps": ComputedDecision(
        "the length of frames that start at bytes, and bits that are set in the gaps between them",
        "packed frames, more of them than Number of Frames says, if these have that length",
        "decode.native:find_layout",
        "PS3.5 8.1.1",
        warning="excess_frames",
    ),
    "bits_of_floats": ComputedDecision(
        "Bits Allocated, and an element of floating point samples",
        "the element",
        "decode.pixel_format:read_pixel_format",
        "PS3.3 C.7.6.24, C.7.6.25: 32 of Float and 64 of Double Float Pixel Data",
        warning="bits_contradict_pixels",
    ),
    "bits_below_stored": ComputedDecision(
        "High Bit above Bits Stored - 1, and bits that are set below those that it stores",
        "High Bit",
        "decode.pixels:stored_frames",
        "PS3.5 8.1.1",
        warning="bits_below_stored",
    ),
    "longer_rle_segments": ComputedDecision(
        "Rows and Columns, and segments of RLE that are longer",
        "the header",
        "decode.codecs.rle:decode",
        "PS3.5 G.3.1",
        warning="trailing_bytes",
    ),
    "more_streams": ComputedDecision(
        "Number of Frames, and more streams",
        "the header",
        "decode.fragments:find_frame_fragments",
        "PS3.5 A.4",
        warning="excess_frames",
    ),
    "second_stream": ComputedDecision(
        "fragments of a frame, and another stream of the same size behind that of the frame",
        "the first stream",
        "decode.streams.second_stream:find_second_stream",
        "PS3.5 A.4: each frame has fragments of its own",
        warning="excess_frames",
    ),
    "fragments_of_bare_frames": ComputedDecision(
        "Number of Frames, and more fragments of native or deflated frames without a table",
        "the first fragments, if each is a whole frame",
        "decode.fragments:find_frame_fragments",
        "PS3.5 A.4.11, A.4.13: such a frame is one fragment",
        warning="excess_frames",
    ),
    "wrapper_of_deflated_frame": ComputedDecision(
        "deflated frames, and a zlib or gzip wrapper",
        "the frame in the wrapper",
        "decode.codecs.deflated:decode",
        "PS3.5 8.2.16, RFC 1951",
        warning="stream_contradicts_syntax",
    ),
    "bytes_behind_deflated_frame": ComputedDecision(
        "a deflated frame, and bytes behind it that are neither a frame nor zeros",
        "the frame",
        "decode.codecs.deflated:decode",
        "RFC 1951: the stream says where it ends",
        warning="trailing_bytes",
    ),
    "fewer_frames": ComputedDecision(
        "Number of Frames, and fewer bytes or fragments",
        "the file fails",
        "decode.pixels:stored_frames",
        "PS3.5 8.1.1, A.4",
        error="short_pixel_data",
    ),
    "fragments_without_table": ComputedDecision(
        "more fragments than frames, and neither table nor known start of a stream",
        "the file fails",
        "decode.fragments:find_frame_fragments",
        "PS3.5 A.4",
        error="decode_error",
    ),
    "length_of_offset_table": ComputedDecision(
        "fragments, and an offset table of another number of offsets, or of other lengths",
        "the fragments",
        "decode.fragments:find_frame_fragments",
        "PS3.5 A.4, PS3.3 C.7.6.3.1.8: an offset, and a length without padding, for each frame",
        warning="offset_table_wrong",
    ),
    "rle_fragments": ComputedDecision(
        "frame of RLE in several fragments",
        "its fragments, joined",
        "decode.fragments:is_in_parts",
        "PS3.5 A.4.2: a frame is one fragment",
        warning="rle_fragments",
    ),
    # Stored values.
    "signed_bits": ComputedDecision(
        "Bits Stored of 1, and a signed Pixel Representation",
        "unsigned",
        "decode.pixel_format:read_pixel_format",
        "a single bit has no sign",
    ),
    "bits_above_stored": ComputedDecision(
        "Bits Stored, and bits that are set above it in native, RLE or lossless samples",
        "masked",
        "decode.codecs.samples:stored_values",
        "PS3.5 8.1.1",
        warning="values_above_bits_stored",
    ),
    "values_seem_signed": ComputedDecision(
        "unsigned Pixel Representation, and values that look like two's complement",
        "the header",
        "decode.facts:warn_of_signed_values",
        "PS3.3 C.7.6.3",
        warning="values_seem_signed",
    ),
    "higher_lossy_values": ComputedDecision(
        "Bits Stored, and higher values of a lossy stream",
        "clipped",
        "decode.codecs.samples:stored_values",
        "overshoot must not wrap around; more than that, an eighth of the range, is a warning",
        warning="values_above_bits_stored",
    ),
    "precision_of_stream": ComputedDecision(
        "Bits Allocated, and a higher precision of the stream",
        "the file fails",
        "decode.codecs.samples:stored_values",
        "PS3.5 8.2",
        error="decode_error",
    ),
    "lower_precision": ComputedDecision(
        "Bits Stored, and a lower precision of signed or colour samples",
        "the values of the stream, with their highest bit as the sign",
        "decode.codecs.samples:stored_values",
        "PS3.5 8.2: the stream has what is used to decode it",
        warning="precision_below_bits_stored",
    ),
    "sign_of_stream": ComputedDecision(
        "Pixel Representation, and the sign of the stream",
        "the header",
        "decode.codecs.samples:stored_values",
        "PS3.5 8.2.4",
        warning="sign_contradicts_stream",
    ),
    "size_of_stream": ComputedDecision(
        "Rows, Columns, Samples per Pixel, and those of the stream",
        "the file fails",
        "decode.codecs.runner:require_shape",
        "PS3.5 8.2",
        error="decode_error",
    ),
    "photometric_spelling": ComputedDecision(
        "Photometric Interpretation in other letters, or with several values",
        "the known one with its letters and digits; the first value",
        "decode.photometric:read_photometric",
        "PS3.3 C.7.6.3.1.2; PS3.5 6.2: CS is in capitals",
        "photometric_spelling",
    ),
    "missing_photometric": ComputedDecision(
        "missing Photometric Interpretation, and palettes or markers of the stream",
        "PALETTE COLOR for one sample with three palettes; the colour of the markers for three",
        "decode.photometric:assume_photometric",
        "PS3.3 C.7.6.3: it is required",
        "photometric_assumed",
        "missing_attribute",
    ),
    "missing_transform": ComputedDecision(
        "YBR_RCT, YBR_ICT or XYB, and pixels without that transform",
        "RGB; YCbCr for YBR_ICT over JPEG 2000, and for all of them over lossy JPEG",
        "decode.codecs.components:components_by_header",
        "PS3.3 C.7.6.3.1.2: they are of JPEG 2000 and JPEG XL streams only",
        "colour_contradicts_header",
    ),
    "chroma_of_lower_precision": ComputedDecision(
        "Bits Stored, and YCbCr of a lower precision of the stream",
        "the middle of the precision is chroma 0",
        "decode.codecs.components:convert_components",
        "PS3.5 8.2: the stream has what is used to decode it",
        warning="precision_below_bits_stored",
    ),
    "whole_samples_called_422": ComputedDecision(
        "YBR_FULL_422 or YBR_PARTIAL_422, and native bytes of three samples for each pixel",
        "the file fails",
        "decode.pixels:stored_frames",
        "PS3.3 C.7.6.3.1.2; they may be YBR_FULL or RGB",
        error="unsupported_pixels",
    ),
    "subsampled_first_component": ComputedDecision(
        "JPEG 2000 components of which the first is subsampled",
        "the file fails",
        "decode.codecs.jpeg_2000:decode",
        "ITU-T T.800 B.2; only chroma is subsampled",
        error="unsupported_pixels",
    ),
    "precision_of_components": ComputedDecision(
        "precision or sign of a JPEG 2000 component, and that of another",
        "the file fails",
        "decode.streams.jpeg_2000:read_jpeg_2000",
        "PS3.3 C.7.6.3: an image has one of each",
        error="decode_error",
    ),
    "planes_of_rle": ComputedDecision(
        "Planar Configuration, and the planes of RLE",
        "planes",
        "decode.codecs.rle:decode",
        "PS3.5 G.2",
    ),
    "number_of_entries": ComputedDecision(
        "LUT Descriptor, and the number of entries",
        "the entries; the last one of a short table is repeated, and zeros behind a table are none",
        "decode.lookup_tables:read_entries",
        "PS3.3 C.11.1.1",
        "lut_contradicts_descriptor",
    ),
    "bytes_called_words": ComputedDecision(
        "more than 8 bits of LUT Descriptor, and data with a byte for each entry",
        "8 bits",
        "decode.lookup_tables:read_entries",
        "PS3.3 C.11.1.1, C.7.6.3.1.6: the length of the data says whether entries are bytes",
        "lut_contradicts_descriptor",
    ),
    "palette_segments": ComputedDecision(
        "bits of LUT Descriptor, and bytes or words of palette segments",
        "what gives the stated number of entries",
        "decode.lookup_tables:read_entries",
        "PS3.3 C.7.9.2",
        "lut_contradicts_descriptor",
    ),
    "higher_entries": ComputedDecision(
        "bits of LUT Descriptor, and higher entries",
        "the bits that the entries need; of a palette 16",
        "decode.lookup_tables:choose_bits",
        "PS3.3 C.11.1.1, C.11.2.1.1",
        "lut_contradicts_descriptor",
    ),
    "lower_entries": ComputedDecision(
        "bits of the LUT Descriptor of a VOI LUT or palette, and entries that need fewer",
        "n bits where the highest entry is 2^n - 1, n from 8; 8 of a palette up to 255; else the "
        "descriptor",
        "decode.lookup_tables:choose_bits",
        "PS3.3 C.11.2.1.1: entries are to span the range that the bits say",
        "lut_contradicts_descriptor",
    ),
    "first_value_vr": ComputedDecision(
        "value representation of LUT Descriptor's first value, and the sign of what it maps",
        "the sign of what it maps; floating point numbers have one",
        "decode.lookup_tables:choose_first",
        "PS3.3 C.11.1.1",
    ),
    "first_value_out_of_range": ComputedDecision(
        "LUT Descriptor's first value, and the values that it can map",
        "the sign with which more of them have entries of their own; else the end entry for all, "
        "which is a constant table",
        "decode.lookup_tables:choose_first",
        "PS3.3 C.11.1.1, C.11.2.1.1, C.7.6.3.1.5: it follows the values that are mapped",
        "lut_contradicts_descriptor",
    ),
    "unusable_voi_lut": ComputedDecision(
        "an item of VOI LUT Sequence, and its missing, invalid or all equal values",
        "ignored: the next item, window or level that can be used",
        "decode.values:make_display_values",
        "PS3.3 C.11.2: the transform is optional",
        "lut_unusable",
    ),
    "ignored_modality_lut": ComputedDecision(
        "an item of Modality LUT Sequence without any value, or an invalid or constant one beside "
        "a rescale",
        "ignored",
        "decode.modality:modality_of_frames",
        "PS3.3 C.11.1",
        "lut_unusable",
    ),
    "unusable_modality_lut": ComputedDecision(
        "an invalid or constant item of Modality LUT Sequence, and no rescale",
        "the file fails",
        "decode.modality:modality_of_frames",
        "PS3.3 C.11.1: without the transform values have another unit",
        error="unsupported_pixels",
    ),
    "unusable_palette": ComputedDecision(
        "PALETTE COLOR, and a missing or invalid palette",
        "the file fails",
        "decode.colour:read_palette",
        "PS3.3 C.7.6.3.1.2: it needs one",
        error="unsupported_pixels",
    ),
    "rescale_slope_zero": ComputedDecision(
        "Rescale Slope or Dose Grid Scaling, and its value 0",
        "1; the intercept stays",
        "decode.modality:modality_of_frames",
        "PS3.3 C.11.1: a transform that makes all values equal was not meant",
        "rescale_slope_zero",
    ),
    "rescale_without_number": ComputedDecision(
        "Rescale Slope, Rescale Intercept or Dose Grid Scaling, and a value that is no number",
        "the file fails",
        "decode.modality:modality_of_frames",
        "PS3.3 C.11.1: without the transform values have another unit",
        error="missing_attribute",
    ),
    "several_value_transformations": ComputedDecision(
        "several items of Pixel Value Transformation Sequence or Modality LUT Sequence",
        "the first",
        "decode.modality:modality_of_frames",
        "PS3.3 C.7.6.16.2.9, C.11.1: it has one item",
        "transforms_contradict",
    ),
    "several_group_items": ComputedDecision(
        "several items of Shared Functional Groups Sequence, or of another functional group macro",
        "the first",
        "dicom.data_set:groups_of",
        "PS3.3 C.7.6.16: each has one item",
        LEVELS_CONTRADICT,
    ),
    "items_of_frames": ComputedDecision(
        "Number of Frames, and items of Per-Frame Functional Groups Sequence",
        "Number of Frames: more items are ignored; frames without one have what is shared, or of "
        "the top level",
        "dicom.levels:find_level_contradictions",
        "PS3.3 C.7.6.16: an item for each frame",
        LEVELS_CONTRADICT,
    ),
    "rescale_types": ComputedDecision(
        "Rescale Types that differ between frames of one image",
        "each frame as its rescale says",
        "decode.modality:modality_of_frames",
        "PS3.3 C.7.6.16.2.9",
        "rescale_types_differ",
    ),
    "halves": ComputedDecision(
        "one half of a rescale or window in a functional group, the other half in another level",
        "both halves, each from the first level that has it",
        "dicom.description:Description.per_frame",
        "PS3.3 C.7.6.16.2.9, C.7.6.16.2.10: a macro has both",
        LEVELS_CONTRADICT,
    ),
    "frame_offsets": ComputedDecision(
        "one Image Position (Patient), and Grid Frame Offset Vector",
        "frames lie at the offsets from that position; of a first offset other than 0, at these z",
        "dicom.description:Description.positions",
        "PS3.3 C.8.8.3.2",
    ),
    "offsets_against_position": ComputedDecision(
        "Grid Frame Offset Vector, and Number of Frames, or Image Position (Patient) where the "
        "first offset is not 0",
        "Number of Frames: other offsets are ignored; the z of the offsets",
        "decode.frame_order:find_offset_faults",
        "PS3.3 C.8.8.3.2",
        "frame_offsets_contradict",
    ),
    "padding_vr": ComputedDecision(
        "value representation of Pixel Padding Value, and Pixel Representation",
        "Pixel Representation",
        "decode.padding:pixel_padding",
        "PS3.3 C.7.5.1.1.2",
    ),
    "padding_above_stored": ComputedDecision(
        "Pixel Padding Value or Range Limit, and Bits Stored that they exceed",
        "background where pixels have all of its bits; the masked value is one of the image",
        "decode.padding:StoredPadding.keep_wide",
        "PS3.3 C.7.5.1.1.2: padding is valid within Bits Allocated, Bits Stored and High Bit",
        warning="values_above_bits_stored",
    ),
    "padding_under_window": ComputedDecision(
        "Pixel Padding Value, and the value that window or look-up table give it",
        "background",
        "decode.padding:replace_padding",
        "PS3.3 C.7.5.1.1.2: padding is not part of the image",
    ),
    "lossy_padding": ComputedDecision(
        "Pixel Padding Value, and values of a lossy stream near it",
        "padding within NEAR of JPEG-LS; other values stay, with a warning",
        "decode.padding:restore_padding",
        "PS3.3 C.7.5.1.1.2, ITU-T T.87 Annex C",
        warning="padding_not_exact",
    ),
    "unusable_window": ComputedDecision(
        "windows of which one is unusable: no width, or not a number",
        "the first usable one of all levels, else minimum to maximum",
        "decode.values:make_display_values",
        "PS3.3 C.11.2.1.2",
        "window_unusable",
    ),
    "narrow_window": ComputedDecision(
        "VOI LUT Function LINEAR, and a window narrower than 1",
        "LINEAR_EXACT",
        "decode.values:make_display_values",
        "PS3.3 C.11.2.1.2.1: the width of LINEAR is at least 1; C.11.2.1.3.2",
        "window_narrow",
    ),
    "missing_rescale": ComputedDecision(
        "frames with a rescale, and others of the same object without one",
        "the others stay as they are",
        "decode.modality:modality_of_frames",
        "PS3.3 C.7.6.16.2.9",
        warning="rescale_missing_in_frames",
    ),
    "missing_window": ComputedDecision(
        "frames with a usable window, and others of the same object without one",
        "minimum to maximum of the object for the others",
        "decode.values:make_display_values",
        "PS3.3 C.7.6.16.2.10",
        warning="window_missing_in_frames",
    ),
    "infinite_values": ComputedDecision(
        "float pixels, and values that are not finite numbers",
        "background; as display values, infinite ones are the ends of the range",
        "decode.modality:modality_values",
        "PS3.3 C.7.6.24",
        warning="values_not_finite",
    ),
    "several_volumes": ComputedDecision(
        "one object, and frames of several volumes",
        "the stored order of frames; handlers of one volume fail",
        "decode.frame_order:frame_order",
        "PS3.3 C.7.6.16.2.2, C.7.6.17",
        warning="several_volumes",
        error="volume_error",
    ),
    "different_spacings": ComputedDecision(
        "one object, and frames with different Pixel Spacing or Imager Pixel Spacing",
        "no spacing of the image; handlers that mix frames fail",
        "decode.frame_differences:find_frame_differences",
        "PS3.3 C.7.6.16.2.1: each frame may have its own, which is wrong for the others",
        warning="frames_differ",
        error="volume_error",
    ),
    "frames_not_parallel": ComputedDecision(
        "one volume, and frames that are not parallel by Image Orientation (Patient)",
        "the order by indices or as stored; handlers that mix frames fail",
        "decode.frame_differences:find_frame_differences",
        "PS3.3 C.7.6.16.2.4: positions along the normal of one frame are not those of others",
        warning="frames_differ",
        error="volume_error",
    ),
    "different_slice_spacings": ComputedDecision(
        "frames of one volume without positions, and several values of Spacing Between Slices",
        "no distance of frames",
        "decode.frame_differences:find_frame_differences",
        "PS3.3 C.7.6.16.2.1",
        warning="frames_differ",
        error="no_spacing",
    ),
    "different_sides": ComputedDecision(
        "Frame Laterality or Patient Orientation of the first frame, and of others",
        "that of the first frame",
        "decode.frame_differences:find_frame_differences",
        "PS3.3 C.7.6.16.2.8, C.7.6.16.2.15: an image is turned as a whole",
        warning="frames_differ",
    ),
    # Facts that change no pixel.
    "pixel_aspect_ratio": ComputedDecision(
        "Pixel Aspect Ratio, and no spacing, or one of another ratio",
        "the spacing; without one, size keeps the proportions of the picture",
        "decode.facts:warn_of_facts",
        "PS3.3 C.7.6.3.1.7",
        warning="pixel_aspect_ratio",
    ),
    "mosaic": ComputedDecision(
        "one frame, and many slices in it (Image Type MOSAIC)",
        "the frame",
        "decode.facts:warn_of_facts",
        "conformance statements of Siemens",
        warning="mosaic",
    ),
    "private_volume": ComputedDecision(
        "visible pixels, and the slices of a volume in private elements",
        "the visible pixels",
        "decode.facts:warn_of_facts",
        "conformance statements of Hologic; PS3.5 7.8.1: whose elements a block has",
        warning="private_volume",
    ),
}
"""Contradictions that no order of sources can decide."""


@dataclass(frozen=True, slots=True)
class Decision(Generic[T]):
    """The value that counts, its source, and the sources that contradict it.

    Parameters
    ----------
    value : T or None
        None if no source has one.
    source : str
        Empty if no source has a value.
    overruled : tuple of str
        Sources of other values.
    """

    value: T | None
    source: str = ""
    overruled: tuple[str, ...] = ()


SOURCE_SETS: Final = {row: frozenset(p.sources) for row, p in PRECEDENCES.items()}


def decide(row: str, values: Mapping[str, T | None]) -> Decision[T]:
    """Take the value of the first source of a row that has one.

    Parameters
    ----------
    row : str
        A key of ``PRECEDENCES``.
    values : mapping
        Values by source. A source without one may be None or left out.

    Raises
    ------
    KeyError
        There is no such row, or the row has no such source.
    """
    present = rank(row, values)
    if not present:
        return Decision(None)
    source, value = present[0]
    return Decision(value, source, tuple(s for s, other in present[1:] if other != value))


def rank(row: str, values: Mapping[str, T | None]) -> list[tuple[str, T]]:
    """Return the sources of a row that have a value, with their values, in order of precedence.

    Parameters and errors are those of ``decide``.
    """
    sources = PRECEDENCES[row].sources
    if not values.keys() <= SOURCE_SETS[row]:
        unknown = values.keys() - SOURCE_SETS[row]
        raise KeyError(f"{row}: {', '.join(sorted(unknown))}")
    return [(s, value) for s in sources if (value := values.get(s)) is not None]
