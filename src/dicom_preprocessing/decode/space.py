"""Where the pages of an image lie in the patient, by its header and what became of its frames."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dicom_preprocessing.decode.frame_order import PARALLEL, distinct_positions
from dicom_preprocessing.dicom.common_header import CACHED_HEADERS
from dicom_preprocessing.imaging.space import PatientSpace, are_orthonormal
from dicom_preprocessing.imaging.volume import mix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_preprocessing.dicom.description import CommonHeader, Description
    from dicom_preprocessing.imaging.volume import Blend


def find_patient_space(
    description: Description, order: Sequence[int], sources: Sequence[Blend] | None = None
) -> PatientSpace | None:
    """Return where the pages that were made of the frames of an object lie.

    Parameters
    ----------
    description : Description
    order : sequence of int
        Indices of all stored frames, as of ``FrameOrder``.
    sources : sequence of Blend or None
        Of ``Volume``: the ordered frames of which each page was made.

    Returns
    -------
    PatientSpace or None
        None unless every frame has a position of its own, and all have one orientation and Pixel
        Spacing that can be used.
    """
    positions = distinct_positions(description, len(order))
    if positions is None:
        return None
    plane = _find_plane(description, order)
    return None if plane is None else _place([positions[i] for i in order], plane, sources)


class _Plane(NamedTuple):
    """Orientation and pixel spacing (x, y) that all pages have."""

    orientation: tuple[float, ...]
    spacing: tuple[float, float]


def _find_plane(description: Description, order: Sequence[int]) -> _Plane | None:
    """Return what frames have in common, which are in the order of their indices."""
    if description.common is not None:
        return _find_common_plane(description.common)
    n = len(order)
    orientations, spacings = description.orientations(n), description.pixel_spacings(n)
    return _join_planes([orientations[i] for i in order], [spacings[i] for i in order])


@lru_cache(maxsize=CACHED_HEADERS)
def _find_common_plane(common: CommonHeader) -> _Plane | None:
    """Return what slices with a common header have, in which frames have no groups of their own."""
    return _join_planes(common.description.orientations(1), common.description.pixel_spacings(1))


def number_page_frames(
    order: Sequence[int], sources: Sequence[Blend] | None
) -> tuple[int, ...] | None:
    """Return the number of the stored frame, from 1, that each page is or is nearest to.

    Parameters are those of ``find_patient_space``. None if they are 1, 2, 3 and so on.
    """
    if sources is None:
        numbers = tuple(index + 1 for index in order)
    else:
        nearest = (s.first if s.first_weight >= s.last_weight else s.last for s in sources)
        numbers = tuple(order[index] + 1 for index in nearest)
    return None if numbers == tuple(range(1, len(order) + 1)) else numbers


def place_pages(
    positions: Sequence[tuple[float, ...] | None],
    orientations: Sequence[tuple[float, ...] | None],
    spacings: Sequence[tuple[float, float] | None],
    sources: Sequence[Blend] | None = None,
) -> PatientSpace | None:
    """Return where pages made of frames lie, None unless all have a place and are parallel.

    Parameters
    ----------
    positions : sequence of (x, y, z) or None
        Image Position (Patient) of each frame, in order, mm.
    orientations : sequence of (6,) or None
        Image Orientation (Patient) of each frame.
    spacings : sequence of (x, y) or None
        Pixel Spacing of each frame in mm.
    sources : sequence of Blend or None
        The frames of which each page was made; None: each page is one of them.
    """
    plane = _join_planes(orientations, spacings)
    known = [position for position in positions if position is not None]
    if plane is None or len(known) < len(positions):
        return None
    return _place(known, plane, sources)


def _join_planes(
    orientations: Sequence[tuple[float, ...] | None], spacings: Sequence[tuple[float, float] | None]
) -> _Plane | None:
    """Return the first orientation and spacing, None unless all are parallel and usable."""
    orientation, spacing = orientations[0], spacings[0]
    if orientation is None or spacing is None or not are_orthonormal(orientation):
        return None
    if any(other != spacing for other in spacings) or not _are_parallel(orientations):
        return None
    return _Plane(orientation, spacing)


def _place(
    positions: Sequence[tuple[float, ...]], plane: _Plane, sources: Sequence[Blend] | None
) -> PatientSpace | None:
    """Return where pages of a plane lie, None if they are infinitely far away."""
    pages = positions
    if sources is not None:
        with np.errstate(all="ignore"):
            pages = list(map(tuple, mix(pages, sources).tolist()))
    if not all(map(math.isfinite, chain.from_iterable(pages))):
        return None
    return PatientSpace(plane.orientation, plane.spacing, tuple(pages))


def _are_parallel(orientations: Sequence[tuple[float, ...] | None]) -> bool:
    different = set(orientations)  # one, nearly always: frames may be thousands
    if len(different) == 1 or None in different:
        return None not in different
    spread = np.ptp(np.array(list(different), np.float64), axis=0)
    return bool((spread <= PARALLEL).all())
