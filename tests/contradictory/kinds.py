"""What a contradiction is: a function that makes it from a sound file, and what is right for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tests.contradictory.parts import Parts, take_apart


@dataclass(frozen=True, eq=False)
class Sound:
    """A sound file.

    Parameters
    ----------
    name : str
        KIND-CODEC-FRAMES, such as grey12s-j2k-3.
    content : bytes
    truth : array or None
        Stored values (frames, rows, columns, samples), or RGB; None if they are not known.
    tolerance : int
        By which stored values may differ from ``truth``, of lossy streams.
    """

    name: str
    content: bytes
    truth: Any = None
    tolerance: int = 0

    @cached_property
    def parts(self) -> Parts:
        return take_apart(self.content)

    def get(self, keyword, default=None):
        """The value of an attribute."""
        return self.parts.elements.get(keyword, default)

    @property
    def kind(self):
        return self.name.split("-")[0]

    @property
    def syntax(self):
        return self.parts.stated

    @property
    def is_native(self):
        return self.parts.items is None

    @property
    def frames(self):
        return int(self.get("NumberOfFrames", 1))

    @property
    def streams(self):
        """The stream of each frame; sound files have one fragment a frame."""
        return self.parts.items[1:]

    @property
    def is_grey(self):
        return str(self.get("PhotometricInterpretation")).startswith("MONOCHROME")

    @property
    def is_colour(self):
        return self.get("SamplesPerPixel") == 3

    @property
    def is_palette(self):
        return self.get("PhotometricInterpretation") == "PALETTE COLOR"

    @property
    def is_enhanced(self):
        return "PerFrameFunctionalGroupsSequence" in self.parts.elements

    @property
    def is_float(self):
        return self.parts.keyword != "PixelData"


@dataclass(frozen=True, eq=False)
class Product:
    """A file that contradicts itself, and what is right for it.

    Parameters
    ----------
    content : bytes
    same_as : bytes
        A sound file that has the same image.
    change : callable or None
        From the frames of that image to those of this one, where they differ.
    warns : tuple of str
        Codes, of which the image has one; empty where nothing is wrong with the file.
    may_warn : tuple of str
        Codes that it may have as well.
    errors : tuple of str
        Classes of a failure that is as good. ``must_fail`` says that no image is.
    may_invalidate : tuple of str
        Errors of dicom-validate about attributes of the Image Pixel Module that decoding replaces.
    settings : mapping
        Of decoding.
    row : str
        Of the tables in ``dicom.contradictions``, by its key; empty where the standard has what
        the file is, or no table decides.
    """

    content: bytes
    same_as: bytes
    change: Callable[[Any], Any] | None = None
    warns: tuple[str, ...] = ()
    may_warn: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    must_fail: bool = False
    may_invalidate: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    row: str = ""
    name: str = ""


@dataclass(frozen=True)
class Expected:
    """What a function returns where not all that ``contradiction`` says holds for its file."""

    parts: Parts | bytes
    same_as: Parts | bytes | None = None
    change: Callable[[Any], Any] | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Contradiction:
    """A function that makes contradictory files, with what is right for them.

    Parameters
    ----------
    name : str
    make : callable
        From a sound file (and a variant) to Parts, bytes, Expected, or None if it does not apply.
    clause : str
        Of the standard, or the rule where it has none.
    applies : callable
        Whether there is such a contradiction of a sound file.
    variants : mapping
        Arguments by name.
    expected : mapping
        Fields of Product.
    """

    name: str
    make: Callable[..., Any]
    clause: str
    applies: Callable[[Sound], bool]
    variants: Mapping[str, Any]
    expected: Mapping[str, Any]

    @property
    def kind(self):
        """The module that has it."""
        return self.make.__module__.split(".")[-1]

    def product_name(self, variant, sound):
        return f"{self.name}{':' if variant else ''}{variant}/{sound.name}"

    def product(self, sound, variant):
        """The product of a sound file, None if the contradiction does not apply after all."""
        made = self.make(sound, self.variants[variant]) if variant else self.make(sound)
        if made is None:
            return None
        if not isinstance(made, Expected):
            made = Expected(made)
        same_as = sound.content if made.same_as is None else _content(made.same_as)
        product = Product(_content(made.parts), same_as, made.change, **self.expected)
        name = self.product_name(variant, sound)
        return replace(product, **made.overrides, name=name)


def _content(parts):
    return parts.put_together() if isinstance(parts, Parts) else parts


CONTRADICTIONS: list[Contradiction] = []
"""Filled by ``contradiction``."""


def contradiction(*, clause, applies, variants=None, **expected):
    """Register a function that makes a contradiction; ``expected`` as fields of Product."""

    def register(make):
        CONTRADICTIONS.append(
            Contradiction(make.__name__, make, clause, applies, variants or {}, expected)
        )
        return make

    return register
