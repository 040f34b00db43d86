"""Validation: whether a DICOM file can become an image, and what would be assumed about it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, NotRequired, TypedDict

from pydicom.config import IGNORE
from pydicom.datadict import tag_for_keyword
from pydicom.uid import UID

from dicom_preprocessing.config import Limits
from dicom_preprocessing.decode.pixel_format import read_pixel_format
from dicom_preprocessing.decode.stage import decode_opened
from dicom_preprocessing.dicom.reading import (
    describe_without_pixels,
    open_image,
    read_header,
)
from dicom_preprocessing.errors import (
    DecodeError,
    DicomPreprocessingError,
    FileError,
    InternalError,
    LimitPixelsError,
    UnreadableError,
    explain_exception,
)
from dicom_preprocessing.image_warnings import ImageWarnings
from dicom_preprocessing.text import plural
from dicom_preprocessing.validation.checked_image import (
    CheckedImage,
    Finding,
    Severity,
    count_voi_lut_items,
    find_attributes,
    find_color_type,
    find_numbers,
    find_resolution,
    has_output_path,
    to_snake_case,
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
    """The outcome of a check, one entry per finding."""

    name: str
    status: CheckStatus
    severity: Severity
    message: str


class SmokeTest(TypedDict):
    """The outcome of decoding one frame; ``frame_index`` counts from 0."""

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
        ``frame`` decodes every frame to display values, ``none`` checks the header alone; in
        upper or lower case. A codec that crashes ends the process: for files from unknown sources,
        ``dicom-validate`` decodes in a process of its own.

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
        The file cannot be read, is not DICOM, or is cut or damaged; or a bug of this package.

    References
    ----------
    DICOM PS3.3 C.7.6.3, Image Pixel Module.
    """
    mode = decode.lower()
    if mode not in DECODE_MODES:
        raise ValueError(f"Invalid decode mode: {decode}. Expected 'frame' or 'none'")
    test = _decode_frame if mode == "frame" else _skip_decoding
    try:
        return _make_report(path, _open(path), mode, test)
    except UnreadableError as error:  # later than at the start
        raise RuntimeError(f"Cannot read {os.fspath(path)}: {error}") from error
    except (DicomPreprocessingError, RuntimeError, MemoryError, OSError):
        raise
    except Exception as error:
        bug = InternalError.from_exception(error)
        raise RuntimeError(f"Cannot check {os.fspath(path)}: {bug.error}: {bug}") from error


def report_of_crash(path: str | os.PathLike[str], error: FileError) -> ValidationReport:
    """The report of a file whose decoding ended the process in which it was tried."""
    return _make_report(path, _open(path), "frame", lambda _subject: _make_failure(error))


def _open(path: str | os.PathLike[str]) -> CheckedImage:
    """Open a file, even if its pixel data element cannot be found."""
    if not _may_exist(path):
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
        raise RuntimeError(f"{_name_problem(error)} {os.fspath(path)}: {error}") from error


def _may_exist(path: str | os.PathLike[str]) -> bool:
    """Whether a file is there, also one of which the system says nothing."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True
    return True


def _name_problem(error: FileError) -> str:
    words = {"not_dicom": "Not a DICOM file:", "damaged": "Damaged DICOM file:"}
    return words.get(error.error, "Cannot read")


def _require_whole(path: str | os.PathLike[str]) -> None:
    """Require what the index does; a DICOMDIR has no pixels, which the report says."""
    try:
        read_header(path)
    except FileError as error:
        if error.error != "dicomdir":
            raise


def _make_report(
    path: str | os.PathLike[str],
    image: CheckedImage,
    mode: str,
    test: Callable[[CheckedImage], SmokeTest],
) -> ValidationReport:
    findings = {name: list(check(image)) for name, check in CHECKS.items()}
    smoke = _make_skip("errors were found in the header")
    if not any(f.severity == "error" for of_check in findings.values() for f in of_check):
        smoke = test(image)
    found = [Finding(w.code, "warning", w.message) for w in image.warnings]
    if found:
        findings["image_warnings"] = found
    if smoke["status"] == "fail":
        keyword = image.keyword
        failure = Finding("frame_decode_failed", "error", smoke["message"], keyword)
        findings["decode_smoke_test"] = [failure]
    errors, warnings, infos = (
        [
            _make_message(f)
            for of_check in findings.values()
            for f in of_check
            if f.severity == severity
        ]
        for severity in ("error", "warning", "info")
    )
    checks = [
        entry for name, of_check in findings.items() for entry in _make_entries(name, of_check)
    ]
    if smoke["status"] != "fail":
        outcome = Finding("decode_smoke_test", "info", smoke["message"])
        checks.append(_make_check("decode_smoke_test", smoke["status"], outcome))
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
    uid = description.header.transfer_syntax_uid
    name = str(UID(uid, IGNORE).name)
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
    return _drop_unknown(facts)


def _pixel_facts(image: CheckedImage) -> dict[str, Any]:
    facts = _integers(image, "BitsAllocated", "BitsStored", "HighBit")
    return _drop_unknown(facts | {"output_color_type": find_color_type(image)})


def _preprocessing_facts(image: CheckedImage) -> dict[str, Any]:
    description = image.description
    header = description.header
    voi_items, resolution = count_voi_lut_items(image), find_resolution(image)
    functions = (attribute.text() for attribute in find_attributes(description, "VOILUTFunction"))
    uids = {
        "study_instance_uid": header.study_instance_uid,
        "series_instance_uid": header.series_instance_uid,
        "sop_instance_uid": header.sop_instance_uid,
    }
    return {
        "rescale_slope": find_numbers(description, "RescaleSlope"),
        "rescale_intercept": find_numbers(description, "RescaleIntercept"),
        "window_center": find_numbers(description, "WindowCenter"),
        "window_width": find_numbers(description, "WindowWidth"),
        "voi_lut_function": [f for f in functions if f],
        "voi_lut_sequence_present": voi_items > 0,
        "voi_lut_sequence_items": voi_items,
        "resolution": {"available": "pixels_per_mm_x" in resolution, **resolution},
        "output_naming": {
            "directory_output_ready": has_output_path(image),
            **{name: uid for name, uid in uids.items() if uid},
        },
    }


def _integers(image: CheckedImage, *keywords: str) -> dict[str, Any]:
    present = (name for name in keywords if image.attribute(name).is_present)
    return {to_snake_case(name): image.integer(name) for name in present}


def _drop_unknown(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if value is not None}


def _decode_frame(image: CheckedImage) -> SmokeTest:
    """Decode every frame to display values, by the decode stage."""
    try:
        return _try_decode(image)
    except UnreadableError:  # says nothing about the content of the file
        raise
    except FileError as error:
        return _make_failure(error)
    except MemoryError:
        return _make_failure(FileError("not enough memory"))
    except Exception as error:  # noqa: BLE001  # an unforeseen error is a fact about the file, too
        return _make_failure(explain_exception(error, DecodeError))


def _try_decode(image: CheckedImage) -> SmokeTest:
    description, pixel_data = image.description, image.pixel_data
    if pixel_data is None:
        return _make_skip("there is no pixel data")
    pixel_format = read_pixel_format(description, pixel_data.keyword, ImageWarnings(), pixel_data)
    pixels, limit = (
        pixel_format.rows * pixel_format.columns * pixel_format.number_of_frames,
        Limits().pixels,
    )
    if pixels > limit:
        raise LimitPixelsError(f"has {pixels} pixels; limits allow {limit}")
    decoded = decode_opened(description, pixel_data).to_display_values()
    # A later frame may contradict the header where the first one does not.
    for index in range(len(decoded.frames)):
        decoded.frames[index]
    image.decoding_warnings.extend(decoded.source_info.warnings)
    kind = "Gray" if pixel_format.is_monochrome else "RGB"
    return {
        "attempted": True,
        "status": "pass",
        "message": f"{plural(len(decoded.frames), 'frame')} decoded",
        "frame_index": FIRST_FRAME,
        "image_color_type": f"{kind}{pixel_format.dtype.itemsize * 8}",
        "expected_frame_bytes": replace(pixel_format, number_of_frames=1).native_bytes,
    }


def _make_failure(error: FileError) -> SmokeTest:
    return {
        "attempted": True,
        "status": "fail",
        # By its class, to be told from what is wrong with the file.
        "message": f"{error.error}: {error}" if isinstance(error, InternalError) else str(error),
        "frame_index": FIRST_FRAME,
    }


def _make_skip(reason: str) -> SmokeTest:
    return {"attempted": False, "status": "skip", "message": f"not decoded: {reason}"}


def _skip_decoding(_subject: CheckedImage) -> SmokeTest:
    return _make_skip("decode is none")


def _make_entries(name: str, findings: list[Finding]) -> list[ValidationCheck]:
    """Outcomes of a check, one for each of its findings."""
    statuses: dict[Severity, CheckStatus] = {"error": "fail", "warning": "warn", "info": "pass"}
    return [_make_check(name, statuses[f.severity], f) for f in findings] or [
        _make_check(name, "pass", Finding(name, "info", "no findings"))
    ]


def _make_check(name: str, status: CheckStatus, finding: Finding) -> ValidationCheck:
    severity, message = finding.severity, finding.message
    reference = _describe_reference(finding)
    return {"name": name, "status": status, "severity": severity, "message": message, **reference}


def _make_message(finding: Finding) -> ValidationMessage:
    return {"code": finding.code, "message": finding.message, **_describe_reference(finding)}


def _describe_reference(finding: Finding) -> AttributeReference:
    """The attribute that a finding is about, empty if it is about none."""
    reference: AttributeReference = {}
    tag = tag_for_keyword(finding.keyword) if finding.keyword else None  # pydicom knows one for ""
    if tag is not None:
        reference["tag"] = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
        reference["tag_name"] = finding.keyword
    if finding.value is not None:
        reference["value"] = finding.value
    return reference
