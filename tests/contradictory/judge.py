"""What becomes of a file, by every way into the package, and whether that is right."""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from dicom_preprocessing import (
    Preprocessor,
    preprocess_stream_u16_with_metadata,
    validate_dicom,
)
from dicom_preprocessing.decode.stage import decode_opened
from dicom_preprocessing.dicom.reading import open_image, read_header
from dicom_preprocessing.errors import FileError, PreprocessingError
from dicom_preprocessing.imaging.conversion import convert

RIGHT, WARNED, FAILED = "right", "right with a warning", "failed with its class"
SILENT, WRONG = "WRONG IN SILENCE", "wrong, with a warning"
UNNAMED, FALSE = "right, warning missing", "right, false warning"
CLASS, BUG = "failed with another class", "internal error"
VALIDATE, API = "validate disagrees", "API disagrees"
GOOD = (RIGHT, WARNED, FAILED)
OUTCOMES = (*GOOD, SILENT, WRONG, UNNAMED, FALSE, CLASS, BUG, VALIDATE, API)
"""In the order of a report."""


class Verdict(NamedTuple):
    """One of ``OUTCOMES``, and what was found instead of what was expected.

    ``row`` is that of the product; ``codes`` and ``error`` are those of the converter.
    """

    outcome: str
    detail: str = ""
    row: str = ""
    codes: frozenset[str] = frozenset()
    error: str = ""

    @property
    def is_good(self):
        return self.outcome in GOOD


@dataclass(frozen=True, eq=False)
class Outcome:
    """What the converter makes of a file: an image, or the class of a failure.

    ``facts`` are those of an image that are not pixels: spacings, flip, and background.
    """

    frames: np.ndarray | None = None
    facts: tuple = ()
    codes: frozenset[str] = frozenset()
    error: str = ""
    message: str = ""


def convert_file(content, settings, path=None):
    """The outcome of index and decode stage; an error that is no FileError is raised.

    ``path`` is where the content is, for the index; without one it is not asked.
    """
    try:
        if path is not None and not read_header(path).has_pixel_data:
            return Outcome(error="no_pixel_data", message="as the index says")
        description, pixel_data = open_image(memoryview(content))
        image = decode_opened(description, pixel_data, **settings).to_display_values()
        frames = np.asarray(image.frames)
    except FileError as error:
        return Outcome(error=error.error, message=str(error))
    info = image.source_info
    facts = (info.pixel_spacing, info.frame_spacing, image.geometry.flip, info.background)
    return Outcome(frames, facts, frozenset(w.code for w in info.warnings))


@lru_cache(maxsize=64)
def _convert_sound(content, settings):
    return convert_file(content, dict(settings))


def judge(product, path):
    """The verdict on a product; ``path`` is where it is written for what reads files."""
    path.write_bytes(product.content)
    try:
        found = convert_file(product.content, product.settings, path)
    except Exception as error:  # noqa: BLE001  # which is what is looked for
        return Verdict(BUG, f"{type(error).__name__}: {error}")
    verdict = _judge_failure(product, found) if found.error else _judge_image(product, found)
    if verdict.is_good:
        others = (_ask_validation(product, path, found), _ask_api(product, found))
        verdict = next((v for v in others if v is not None), verdict)
    return verdict._replace(row=product.row, codes=found.codes, error=found.error)


def _judge_failure(product, found):
    detail = f"{found.error}: {found.message}"
    if found.error == "internal_error":
        return Verdict(BUG, detail)
    return Verdict(FAILED if found.error in product.errors else CLASS, detail)


def _judge_image(product, found):
    codes = ", ".join(sorted(found.codes)) or "no warning"
    difference = None if product.must_fail else _describe_difference(product, found)
    if product.must_fail or difference:
        detail = f"{difference or 'an image'} ({codes})"
        return Verdict(WRONG if found.codes else SILENT, detail)
    if product.warns and not found.codes & set(product.warns):
        return Verdict(UNNAMED, f"{codes} instead of {' or '.join(product.warns)}")
    sound = _expected(product).codes - set(product.may_warn)
    false = found.codes - set(product.warns) - set(product.may_warn)
    if sound or false:
        return Verdict(FALSE, ", ".join(sorted(sound | false)))
    return Verdict(WARNED if found.codes else RIGHT, codes)


def _expected(product):
    """The outcome of the sound file that has the same image."""
    return _convert_sound(product.same_as, tuple(sorted(product.settings.items())))


def _describe_difference(product, found):
    """What differs from the image that is right, empty if nothing does."""
    expected = _expected(product)
    if expected.error:
        return f"what it should be fails: {expected.error}: {expected.message}"
    frames = expected.frames if product.change is None else product.change(expected.frames)
    if frames.shape != found.frames.shape or frames.dtype != found.frames.dtype:
        return f"{found.frames.dtype} {found.frames.shape} instead of {frames.dtype} {frames.shape}"
    if not np.array_equal(frames, found.frames):
        far = np.abs(frames.astype(float) - found.frames.astype(float))
        return f"{np.mean(far > 0):.0%} of the pixels differ, by up to {far.max():g}"
    if found.facts != expected.facts:
        return f"{found.facts} instead of {expected.facts}"
    return ""


def _ask_validation(product, path, found):
    """A verdict if dicom-validate says something else than the converter."""
    try:
        report = validate_dicom(path)
    except RuntimeError as error:
        return None if found.error else Verdict(VALIDATE, f"raises {error}".replace(str(path), ""))
    errors = {error["code"] for error in report["errors"]}
    codes = {warning["code"] for warning in report["warnings"]}
    if found.error:
        # Validation has no settings, for which alone a file may fail.
        return None if errors or product.settings else Verdict(VALIDATE, f"passes {found.error}")
    if errors - set(product.may_invalidate):
        return Verdict(VALIDATE, f"fails: {', '.join(sorted(errors))}")
    # With errors of the header it does not decode; and it has no settings, which may warn more.
    missing = set() if errors or product.settings else found.codes - codes
    if missing:
        return Verdict(VALIDATE, f"does not warn of {', '.join(sorted(missing))}")
    return None


def _ask_api(product, found):
    """A verdict if the Python API gives something else than the converter."""
    if product.settings:  # of which the API does not have all
        return None
    try:
        pixels, metadata = preprocess_stream_u16_with_metadata(
            product.content, Preprocessor(crop=False)
        )
    except PreprocessingError as error:
        return None if found.error else Verdict(API, f"{error.error}: {error}")
    except Exception as error:  # noqa: BLE001  # which is what is looked for
        return Verdict(BUG, f"API: {type(error).__name__}: {error}")
    if found.error:
        return Verdict(API, f"an image instead of {found.error}")
    if not np.array_equal(pixels, convert(found.frames, np.uint16)):
        return Verdict(API, "other pixels")
    codes = {warning.code for warning in metadata.warnings}
    return None if codes == found.codes else Verdict(API, f"warns of {sorted(codes)}")


def describe_counts(verdicts):
    """A table of the outcomes of each kind, from (kind, verdict) of each product."""
    kinds = list(dict.fromkeys(kind for kind, _ in verdicts))
    counts = Counter((kind, verdict.outcome) for kind, verdict in verdicts)
    lines = ["".join(f"{kind:>12}" for kind in (*kinds, "all"))]
    for outcome in OUTCOMES:
        numbers = [counts[kind, outcome] for kind in kinds]
        if any(numbers):
            lines.append("".join(f"{n:>12}" for n in (*numbers, sum(numbers))) + f"  {outcome}")
    totals = [sum(counts[kind, outcome] for outcome in OUTCOMES) for kind in kinds]
    lines.append("".join(f"{n:>12}" for n in (*totals, sum(totals))) + "  products")
    return "\n".join(lines)
