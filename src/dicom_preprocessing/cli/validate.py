"""dicom-validate: whether DICOM files can become images, and what would be assumed about them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_preprocessing.cli.arguments import read_path
from dicom_preprocessing.cli.command import command
from dicom_preprocessing.cli.output import require_output
from dicom_preprocessing.config import Limits
from dicom_preprocessing.errors import FileError
from dicom_preprocessing.text import make_printable
from dicom_preprocessing.validation.decode_modes import DECODE_MODES
from dicom_preprocessing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dicom_preprocessing.validation.report import ValidationMessage, ValidationReport

STATUSES = {"pass": 0, "fail": 1, "error": 2}
"""Exit status by the outcome of a file; the highest of all files counts."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file without a report, and the reason."""

    path: Path
    message: str


@command(failed=STATUSES["error"])
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0 (valid), 1 (errors found) or 2 (not read, usage)."""
    arguments = _parser().parse_args(argv)
    from dicom_preprocessing.dicom.reading import silence_pydicom_warnings

    silence_pydicom_warnings()
    with require_output():
        return _validate(arguments)


def _validate(arguments: argparse.Namespace) -> int:
    outcomes = []
    for path in arguments.files:
        outcome = validate_isolated(path, arguments.decode)
        outcomes.append(outcome)
        if isinstance(outcome, Unreadable):
            print(f"error: {make_printable(outcome.message)}", file=sys.stderr)
        elif arguments.format == "text":
            print(*_text(outcome, is_verbose=arguments.verbose), sep="\n", flush=True)
    statuses = [_status(outcome) for outcome in outcomes]
    if arguments.format == "json":
        records = [_record(outcome) for outcome in outcomes]
        print(json.dumps(records[0] if len(records) == 1 else records, indent=1))
    elif len(outcomes) > 1:
        counts = (f"{statuses.count(s)} {s}" for s in STATUSES if s in statuses)
        print(f"{len(outcomes)} files: {', '.join(counts)}")
    return max(STATUSES[status] for status in statuses)


def validate_isolated(path: Path, decode: str) -> ValidationReport | Unreadable:
    """Validate a file in a process of its own, which a codec may crash."""
    from dicom_preprocessing.processing.isolation import call_isolated
    from dicom_preprocessing.validation.report import report_of_crash, validate_dicom

    try:
        try:
            return call_isolated(validate_dicom, path, decode, limits=Limits())
        except FileError as error:
            return call_isolated(report_of_crash, path, error, limits=Limits())
    except (RuntimeError, OSError) as error:
        return Unreadable(path, str(error))
    except FileError as error:  # reading the header alone fails
        return Unreadable(path, f"Cannot read {path}: {error}")


def _status(outcome: ValidationReport | Unreadable) -> str:
    return "error" if isinstance(outcome, Unreadable) else outcome["status"]


def _record(outcome: ValidationReport | Unreadable) -> object:
    if isinstance(outcome, Unreadable):
        path = os.fspath(outcome.path)
        return {"status": "error", "file": {"path": path}, "message": outcome.message}
    return outcome


def _text(report: ValidationReport, *, is_verbose: bool) -> Iterator[str]:
    """A line for the file, one for its facts, and one for each message."""
    yield f"{make_printable(report['file']['path'])}: {report['status']}"
    yield f"  {_facts(report)}"
    severities = {"error": report["errors"], "warning": report["warnings"]}
    if is_verbose:
        severities["info"] = report["info"]
    for severity, messages in severities.items():
        for message in messages:
            yield f"  {severity}: {_sentence(message)}"


def _sentence(message: ValidationMessage) -> str:
    about = f"{message['tag_name']} {message['tag']} " if "tag" in message else ""
    value = f", found {message['value']}" if message.get("value") else ""
    return make_printable(f"{about}{message['message']}{value} [{message['code']}]")


def _facts(report: ValidationReport) -> str:
    """The facts of the image, as far as the header has them."""
    image, pixels, file = report["image"], report["pixel_format"], report["file"]
    facts = []
    if "rows" in image and "columns" in image:
        facts.append(f"{image['rows']} rows, {image['columns']} columns")
    frames = image.get("number_of_frames")
    if frames is not None:
        facts.append("1 frame" if frames == 1 else f"{frames} frames")
    if "photometric_interpretation" in image:
        facts.append(image["photometric_interpretation"])
    if "bits_stored" in pixels and "bits_allocated" in pixels:
        facts.append(f"{pixels['bits_stored']} of {pixels['bits_allocated']} bits")
    facts.append(file.get("transfer_syntax_name") or file["transfer_syntax_uid"])
    facts.append(report["decode_smoke_test"]["message"])
    return make_printable("; ".join(fact for fact in facts if fact))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dicom-validate",
        description="Check whether DICOM files can become images: the attributes that say what the "
        "pixels are, the pixel data, and one decoded frame.",
        epilog="Exit status: 0 all are valid; 1 errors were found; 2 a file could not be read, or "
        "wrong usage. With --format json: one report, or a list of them for several files.",
        allow_abbrev=False,
    )
    parser.add_argument("files", metavar="FILE", type=read_path, nargs="+", help="DICOM file")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    parser.add_argument(
        "--decode",
        choices=DECODE_MODES,
        default="frame",
        type=str.lower,
        help="frame: decode every frame (default); none: check the header alone",
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show also what is neither error nor warning"
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser
