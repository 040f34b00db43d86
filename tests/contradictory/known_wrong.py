"""Products that are not right yet; this table is to be emptied.

A pattern is one of ``fnmatch`` over names of products, CONTRADICTION[:VARIANT]/SOUND FILE, or of
sound files that are not read right themselves, sound/SOUND FILE. Every product that it matches is
wrong: a right one fails the test, so that the table cannot stay behind. ``python -m
tests.make_contradictory --known-wrong`` prints the table of today.
"""

KNOWN_WRONG: tuple[str, ...] = (
    "deflated_under_other_syntax:big/grey12s-*",
    "deflated_under_other_syntax:big/grey16u-*",
    "deflated_under_other_syntax:big/grey16s-*",
    "deflated_under_other_syntax:big/rgb16-*",
    "deflated_under_other_syntax:big/enhanced16s-*",
    "deflated_under_other_syntax:big/dose32-*",
    "bytes_behind_deflated:blanks/*",
    "bytes_behind_deflated:text/*",
    "bytes_behind_deflated:zeros/*",
    "codestream_in_native_element:explicit/*-jxl-*",
    "stream_of_other_codec:jpeg12/grey12u-*",
    "stream_of_other_codec:jpeg12/*-lossless-*",
    "stream_of_other_codec:jpeg/*-lossless-*",
    "stream_of_other_codec:lossless/jfif420-*",
    "sign_not_extended/*",
)

CASES_KNOWN_WRONG: dict[str, tuple[str, ...]] = {}
"""Cases that fail, by the test of tests/unit/test_cases.py; one that passes fails the run."""
