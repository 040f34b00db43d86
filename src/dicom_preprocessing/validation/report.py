"""Validation: whether a DICOM file can become an image, and what would be assumed of it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, NotRequired, TypedDict

import numpy as np
from pydicom.datadict import tag_for_keyword

from dicom_preprocessing.config import Limits
from dicom_preprocessing.decode.modality import modality_of_frames
from dicom_preprocessing.decode.pixel_format import read_pixel_format
from dicom_preprocessing.decode.pixels import stored_frames
from dicom_preprocessing.decode.values import make_display_values
from dicom_preprocessing.dicom.reading import (
    describe_without_pixels,
    open_image,
    read_header,
)
from dicom_preprocessing.errors import FileError, LimitPixelsError
from dicom_preprocessing.validation.checked_image import (
    CheckedImage,
    Finding,
    Severity,
    found_of,
    has_output_path,
    numbers_in,
    output_color_type,
    resolution,
    snake,
    voi_lut_items,
)
from dicom_preprocessing.validation.checks import CHECKS
from dicom_preprocessing.validation.decode_modes import DECODE_MODES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dicom_preprocessing.dicom.description import Description

__all__ = ["ValidationReport", "validate_dicom"]

FIRST_FRAME: Final = 0
"""The frame that is decoded: every image has one."""


CheckStatus = Literal["pass", "warn", "fail", "skip"]


class AttributeReference(TypedDict, total=False):
    """What a message is about: ``tag`` is ``(GGGG,EEEE)``, ``tag_name`` the keyword."""

    tag: str
    tag_name: str
    value: str


class ValidationMessage(AttributeReference):
    """An error, a warning, or a fact worth knowing."""

    code: str
    message: str


class ValidationCheck(AttributeReference):
    """What a check had to say, one entry a finding."""

    name: str
    status: CheckStatus
    severity: Severity
    message: str


class SmokeTest(TypedDict):
    """How decoding one frame went; ``frame_index`` counts from 0."""

    attempted: bool
    status: Literal["pass", "fail", "skip"]
    message: str
    frame_index: NotRequired[int]
    image_color_type: NotRequired[str]
    expected_frame_bytes: NotRequired[int]


class ValidationReport(TypedDict):
    """The report of one file, of plain values that can be written as JSON."""

    status: Literal["pass", "fail"]
    summary: dict[str, Any]
    file: dict[str, str]
    image: dict[str, Any]
    pixel_format: dict[str, Any]
    preprocessing: dict[str, Any]
    decode_smoke_test: SmokeTest
    errors: list[ValidationMessage]
    warnings: list[ValidationMessage]
    info: list[ValidationMessage]
    checks: list[ValidationCheck]


def validate_dicom(path: str | os.PathLike[str], decode: str = "frame") -> ValidationReport:
    """Check a DICOM file, and by default decode one frame of it.

    Parameters
    ----------
    path : path
    decode : str
        ``frame`` decodes the first frame to display values, ``none`` looks at the header alone; in
        upper or lower case. A codec that crashes takes the process along: for files that nobody
        knows, ``dicom-validate`` decodes in a process of its own.

    Returns
    -------
    dict
        Keys as in ``ValidationReport``; what is not known is left out. ``status`` is ``fail`` if
        there is any error, else ``pass``.

    Raises
    ------
    ValueError
        ``decode`` is another word.
    FileNotFoundError
        There is no such file.
    RuntimeError
        The file cannot be read, is not DICOM, or is cut or damaged.

    References
    ----------
    DICOM PS3.3 C.7.6.3, Image Pixel Module.
    """
    mode = decode.lower()
    if mode not in DECODE_MODES:
        raise ValueError(f"Invalid decode mode: {decode}. Expected 'frame' or 'none'")
    test = _decode_frame if mode == "frame" else _not_wanted
    return _report(path, _read(path), mode, test)


def report_of_crash(path: str | os.PathLike[str], error: FileError) -> ValidationReport:
    """The report of a file whose decoding ended the process in which it was tried."""
    return _report(path, _read(path), "frame", lambda _subject: _failed(error))


def _read(path: str | os.PathLike[str]) -> CheckedImage:
    """Open a file; a pixel data element that cannot be found is no reason to stop."""
    if not os.path.exists(path):
        raise FileNotFoundError(f"File not found: {os.fspath(path)}")
    try:
        _require_whole(path)
        try:
            return CheckedImage(*open_image(path))
        except FileError as error:
            if error.error != "decode_error":
                raise
            return CheckedImage(describe_without_pixels(path), None, broken=str(error))
    except FileError as error:
        raise RuntimeError(f"{_problem(error)} {os.fspath(path)}: {error}") from error


def _problem(error: FileError) -> str:
    words = {"not_dicom": "Not a DICOM file:", "damaged": "Damaged DICOM file:"}
    return words.get(error.error, "Cannot read")


def _require_whole(path: str | os.PathLike[str]) -> None:
    """As the index asks of a file; a DICOMDIR has no pixels, which the report tells."""
    try:
        read_header(path)
    except FileError as error:
        if error.error != "dicomdir":
            raise


def _report(
    path: str | os.PathLike[str],
    image: CheckedImage,
    mode: str,
    test: Callable[[CheckedImage], SmokeTest],
) -> ValidationReport:
    found = {name: list(check(image)) for name, check in CHECKS.items()}
    smoke = _skipped("errors were found in the header")
    if not any(f.severity == "error" for findings in found.values() for f in findings):
        smoke = test(image)
    if smoke["status"] == "fail":
        keyword = image.keyword
        failure = Finding("frame_decode_failed", "error", smoke["message"], keyword)
        found["decode_smoke_test"] = [failure]
    errors, warnings, infos = (
        [_message(f) for findings in found.values() for f in findings if f.severity == severity]
        for severity in ("error", "warning", "info")
    )
    checks = [entry for name, findings in found.items() for entry in _entries(name, findings)]
    if smoke["status"] != "fail":
        outcome = Finding("decode_smoke_test", "info", smoke["message"])
        checks.append(_check("decode_smoke_test", smoke["status"], outcome))
    return {
        "status": "fail" if errors else "pass",
        "summary": {
            "valid": not errors,
            "error_count": len(errors),
            "warning_count": len(warnings),
            "info_count": len(infos),
            "decode_mode": mode,
        },
        "file": _file_facts(path, image.description),
        "image": _image_facts(image),
        "pixel_format": _pixel_facts(image),
        "preprocessing": _preprocessing_facts(image),
        "decode_smoke_test": smoke,
        "errors": errors,
        "warnings": warnings,
        "info": infos,
        "checks": checks,
    }


def _file_facts(path: str | os.PathLike[str], description: Description) -> dict[str, str]:
    syntax = description.transfer_syntax_uid
    uid = description.header.transfer_syntax_uid
    name = str(syntax.name)
    known = {"transfer_syntax_name": name} if name and name != uid else {}
    return {"path": os.fspath(path), "transfer_syntax_uid": uid, **known}


def _image_facts(image: CheckedImage) -> dict[str, Any]:
    facts = _integers(image, "Rows", "Columns")
    if image.is_image:
        frames, source = image.number_of_frames
        facts |= {"number_of_frames": frames, "number_of_frames_source": source}
    facts |= _integers(image, "SamplesPerPixel")
    photometric = image.description.pixel.photometric_interpretation
    facts["photometric_interpretation"] = photometric.text() or None
    facts |= _integers(image, "PlanarConfiguration", "PixelRepresentation")
    return _known(facts)


def _pixel_facts(image: CheckedImage) -> dict[str, Any]:
    facts = _integers(image, "BitsAllocated", "BitsStored", "HighBit")
    return _known(facts | {"output_color_type": output_color_type(image)})


def _preprocessing_facts(image: CheckedImage) -> dict[str, Any]:
    description = image.description
    header = description.header
    voi_items, measures = voi_lut_items(image), resolution(image)
    functions = (attribute.text() for attribute in found_of(description, "VOILUTFunction"))
    uids = {
        "study_instance_uid": header.study_instance_uid,
        "series_instance_uid": header.series_instance_uid,
        "sop_instance_uid": header.sop_instance_uid,
    }
    return {
        "rescale_slope": numbers_in(description, "RescaleSlope"),
        "rescale_intercept": numbers_in(description, "RescaleIntercept"),
        "window_center": numbers_in(description, "WindowCenter"),
        "window_width": numbers_in(description, "WindowWidth"),
        "voi_lut_function": [f for f in functions if f],
        "voi_lut_sequence_present": voi_items > 0,
        "voi_lut_sequence_items": voi_items,
        "resolution": {"available": "pixels_per_mm_x" in measures, **measures},
        "output_naming": {
            "directory_output_ready": has_output_path(image),
            **{name: uid for name, uid in uids.items() if uid},
        },
    }


def _integers(image: CheckedImage, *keywords: str) -> dict[str, Any]:
    there = (name for name in keywords if image.attribute(name).is_present)
    return {snake(name): image.integer(name) for name in there}


def _known(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if value is not None}


def _decode_frame(image: CheckedImage) -> SmokeTest:
    """Decode the first frame to display values, as the decode stage does with all of them."""
    try:
        return _try_decode(image)
    except FileError as error:
        return _failed(error)
    except MemoryError:
        return _failed(FileError("not enough memory"))
    except Exception as error:  # noqa: BLE001  # what no test has shown yet is a fact about the file
        return _failed(FileError(f"{type(error).__name__}: {error}"))


def _try_decode(image: CheckedImage) -> SmokeTest:
    description, pixel_data = image.description, image.pixel_data
    if pixel_data is None:
        return _skipped("there is no pixel data")
    pixel_format = read_pixel_format(description, pixel_data.keyword)
    pixels, limit = (
        pixel_format.rows * pixel_format.columns * pixel_format.number_of_frames,
        Limits().pixels,
    )
    if pixels > limit:
        raise LimitPixelsError(f"has {pixels} pixels; limits allow {limit}")
    frames = stored_frames(description, pixel_format, pixel_data)
    frame = np.asarray(frames[FIRST_FRAME])[np.newaxis]
    one = replace(pixel_format, number_of_frames=1)
    if pixel_format.is_monochrome:
        modality_of_frames(description, pixel_format)  # of every frame, or it raises
        make_display_values(description, frame, one)
    kind = "Gray" if frame.shape[3] == 1 else "RGB"
    return {
        "attempted": True,
        "status": "pass",
        "message": f"frame 1 of {pixel_format.number_of_frames} was decoded",
        "frame_index": FIRST_FRAME,
        "image_color_type": f"{kind}{frame.dtype.itemsize * 8}",
        "expected_frame_bytes": one.native_bytes,
    }


def _failed(error: FileError) -> SmokeTest:
    return {
        "attempted": True,
        "status": "fail",
        "message": str(error),
        "frame_index": FIRST_FRAME,
    }


def _skipped(reason: str) -> SmokeTest:
    return {"attempted": False, "status": "skip", "message": f"not decoded: {reason}"}


def _not_wanted(_subject: CheckedImage) -> SmokeTest:
    return _skipped("decode is none")


def _entries(name: str, findings: list[Finding]) -> list[ValidationCheck]:
    """Outcomes of a check, one for each of its findings."""
    statuses: dict[Severity, CheckStatus] = {"error": "fail", "warning": "warn", "info": "pass"}
    return [_check(name, statuses[f.severity], f) for f in findings] or [
        _check(name, "pass", Finding(name, "info", "nothing to say"))
    ]


def _check(name: str, status: CheckStatus, finding: Finding) -> ValidationCheck:
    severity, message = finding.severity, finding.message
    place = _place(finding)
    return {"name": name, "status": status, "severity": severity, "message": message, **place}


def _message(finding: Finding) -> ValidationMessage:
    return {"code": finding.code, "message": finding.message, **_place(finding)}


def _place(finding: Finding) -> AttributeReference:
    """What a finding is about, as far as it is about an attribute."""
    place: AttributeReference = {}
    tag = tag_for_keyword(finding.keyword) if finding.keyword else None  # pydicom knows one for ""
    if tag is not None:
        place["tag"] = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
        place["tag_name"] = finding.keyword
    if finding.value is not None:
        place["value"] = finding.value
    return place
