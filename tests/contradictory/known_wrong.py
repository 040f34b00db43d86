"""Products that are not right yet; this table is to be emptied.

A pattern is one of ``fnmatch`` over names of products, CONTRADICTION[:VARIANT]/SOUND FILE, or of
sound files that are not read right themselves, sound/SOUND FILE. Every product that it matches is
wrong: a right one fails the test, so that the table cannot stay behind. ``python -m
tests.make_contradictory --known-wrong`` prints the table of today.
"""

KNOWN_WRONG: tuple[str, ...] = ()

CASES_KNOWN_WRONG: dict[str, tuple[str, ...]] = {}
"""Cases that fail, by the test of tests/unit/test_cases.py; one that passes fails the run."""
