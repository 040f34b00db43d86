"""Frames at a reduced resolution (fast_decode): positions of their samples, and choice of level."""

from __future__ import annotations

from dataclasses import dataclass

from dicom_preprocessing.imaging.geometry import CropBox, Flip, Size


@dataclass(frozen=True, slots=True)
class Sampling:
    """Positions of the samples of frames at a reduced resolution.

    Sample (i, j) is at pixel (left + i * step, top + j * step) of the image: the low band of a
    wavelet has its samples at every other pixel, not between them (ITU-T T.800, Annex F). Taken for
    blocks of pixels, they would move the image by (step - 1) / 2 pixels.
    """

    step: int
    left: int = 0
    top: int = 0

    def samples_of(self, box: CropBox) -> CropBox:
        """Return the samples within a box of pixels, at least one, and within the image."""
        left, width = self._range(box.left - self.left, box.width)
        top, height = self._range(box.top - self.top, box.height)
        return CropBox(left, top, width, height)

    def _range(self, start: int, length: int) -> tuple[int, int]:
        last = max(0, (start + length - 1) // self.step)
        first = min(last, max(0, -(-start // self.step)))
        return first, last - first + 1

    def pixels_of(self, samples: CropBox, within: CropBox) -> CropBox:
        """Return the pixels of a box of samples, extended by one step on every side."""
        # The edge of the foreground is somewhere between a sample that has it and the next one.
        left = max(within.left, self.left + (samples.left - 1) * self.step)
        top = max(within.top, self.top + (samples.top - 1) * self.step)
        right = min(within.right, self.left + samples.right * self.step + 1)
        bottom = min(within.bottom, self.top + samples.bottom * self.step + 1)
        return CropBox(left, top, right - left, bottom - top)

    def crop(self, box: CropBox) -> Sampling:
        """Return the positions in a box of the samples ``samples_of(box)``."""
        first = self.samples_of(box)
        left = self.left + first.left * self.step - box.left
        top = self.top + first.top * self.step - box.top
        return Sampling(self.step, left, top)

    def mirror(self, flip: Flip, shape: Size) -> Sampling:
        """Return the positions of ``shape`` samples after an image was flipped."""
        left, top = self.left, self.top
        if flip.horizontal:
            left = flip.width - 1 - left - (shape.width - 1) * self.step
        if flip.vertical:
            top = flip.height - 1 - top - (shape.height - 1) * self.step
        return Sampling(self.step, left, top)


def choose_level(content: Size, target: Size) -> int:
    """Return the most halvings, rounded up, that leave ``content`` no smaller than ``target``."""
    # Each side keeps at least one complete step between samples.
    level = 0
    while min(content.width, content.height) >= 2 << level and _covers(
        halve(content, level + 1), target
    ):
        level += 1
    return level


def halve(size: Size, level: int) -> Size:
    """Return width and height after ``level`` halvings, rounded up (T.800, B-15)."""
    step = 1 << level
    return Size(-(-size.width // step), -(-size.height // step))


def _covers(size: Size, target: Size) -> bool:
    return size.width >= target.width and size.height >= target.height
