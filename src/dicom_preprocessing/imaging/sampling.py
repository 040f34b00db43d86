"""Frames at a part of their resolution (fast_decode): where their samples lie, and how few do."""

from __future__ import annotations

from dataclasses import dataclass

from dicom_preprocessing.imaging.geometry import CropBox, Size


@dataclass(frozen=True, slots=True)
class Sampling:
    """Where the samples of frames at reduced resolution lie.

    Sample (i, j) is at pixel (left + i * step, top + j * step) of the image: a wavelet's low band
    has its samples at every other pixel, not between them (ITU-T T.800, Annex F).
    """

    step: int
    left: int = 0
    top: int = 0

    def samples_of(self, box: CropBox) -> CropBox:
        """The samples within a box of pixels, at least one; both end where the image does."""
        left, width = self._range(box.left - self.left, box.width)
        top, height = self._range(box.top - self.top, box.height)
        return CropBox(left, top, width, height)

    def _range(self, start: int, length: int) -> tuple[int, int]:
        last = max(0, (start + length - 1) // self.step)
        first = min(last, max(0, -(-start // self.step)))
        return first, last - first + 1

    def pixels_of(self, samples: CropBox, within: CropBox) -> CropBox:
        """The pixels of a box of samples, and one step more on every side."""
        left = max(within.left, self.left + (samples.left - 1) * self.step)
        top = max(within.top, self.top + (samples.top - 1) * self.step)
        right = min(within.right, self.left + samples.right * self.step + 1)
        bottom = min(within.bottom, self.top + samples.bottom * self.step + 1)
        return CropBox(left, top, right - left, bottom - top)

    def crop(self, box: CropBox) -> Sampling:
        """Where the samples of ``samples_of(box)`` lie in the box."""
        first = self.samples_of(box)
        left = self.left + first.left * self.step - box.left
        top = self.top + first.top * self.step - box.top
        return Sampling(self.step, left, top)

    def mirror(self, size: Size, shape: Size) -> Sampling:
        """Where ``shape`` samples lie after an image of ``size`` was turned by 180 degrees."""
        left = size.width - 1 - self.left - (shape.width - 1) * self.step
        top = size.height - 1 - self.top - (shape.height - 1) * self.step
        return Sampling(self.step, left, top)


def choose_level(content: Size, target: Size) -> int:
    """The most halvings (ceil) after which ``content`` is still no smaller than ``target``.

    Each side has at least one whole step of the samples then.
    """
    level = 0
    while min(content.width, content.height) >= 2 << level and _covers(
        halve(content, level + 1), target
    ):
        level += 1
    return level


def halve(size: Size, level: int) -> Size:
    """Width and height after ``level`` halvings, rounded up (T.800, B-15)."""
    step = 1 << level
    return Size(-(-size.width // step), -(-size.height // step))


def _covers(size: Size, target: Size) -> bool:
    return size.width >= target.width and size.height >= target.height
