"""Products that are not right yet; this table is to be emptied.

A pattern is one of ``fnmatch`` over names of products, CONTRADICTION[:VARIANT]/SOUND FILE, or of
sound files that are not read right themselves, sound/SOUND FILE. Every product that it matches is
wrong: a right one fails the test, so that the table cannot stay behind. ``python -m
tests.make_contradictory --known-wrong`` prints the table of today.
"""

KNOWN_WRONG: tuple[str, ...] = (
    # Samples of two bytes and more are swapped as big endian, which the deflated ones are not.
    "deflated_under_other_syntax:big/grey1*",
    "deflated_under_other_syntax:big/rgb16-*",
    "deflated_under_other_syntax:big/enhanced*",
    "deflated_under_other_syntax:big/dose*",
    # No trailing_bytes.
    "bytes_behind_deflated:*/*",
    # The signature of a JPEG XL codestream is not looked for there: decode_error.
    "codestream_in_native_element:*/*-jxl-*",
    # No stream_contradicts_syntax of lossless JPEG called lossy, and of lossy called lossless.
    "stream_of_other_codec:jpeg*/*-lossless*",
    "stream_of_other_codec:lossless*/*-jpeg*",
    # No excess_frames where the third of three frames of single bits is too many.
    "more_frames:two/bits-*",
    # A false values_above_bits_stored: none of the bits above is set.
    "sign_not_extended/*",
)

CASES_KNOWN_WRONG: dict[str, tuple[str, ...]] = {}
"""Cases that fail, by the test of tests/unit/test_cases.py; one that passes fails the run."""
