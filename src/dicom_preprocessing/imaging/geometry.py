"""Boxes, sizes, paddings and the mapping of points: small frozen values and pure functions.

Points are continuous pixel coordinates (x, y) whose integers are pixel centres: the centre of the
top-left pixel is (0, 0), its outer corner (-0.5, -0.5). Boxes have their origin at the top left and
integer sides. Nothing in this module reads pixels; the stages carry these plans out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dicom_preprocessing.files import as_record
from dicom_preprocessing.imaging.coordinates import (
    MappedBoxes,
    MappedPolygon,
    map_boxes,
    map_polygon,
    nearest_index,
    sample_mask,
)
from dicom_preprocessing.imaging.space import CACHED_AXES, PatientSpace, as_points, find_axes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from dicom_preprocessing.imaging.space import Vector


CACHED_CORNERS: Final = 64
"""Geometries of which the way to the corner is kept for the next slice."""


def round_half_away(value: float) -> int:
    """Round to the nearest integer, halves away from zero."""
    return math.floor(abs(value) + 0.5) * (1 if value >= 0 else -1)


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class CropBox:
    """Kept rectangle in decoded pixels (after the flip), origin top left.

    Stored as DefaultCropOrigin (left, top) and DefaultCropSize (width, height).
    """

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column to the right of the box."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """First row below the box."""
        return self.top + self.height

    @property
    def size(self) -> Size:
        """Width and height of the box."""
        return Size(self.width, self.height)


@dataclass(frozen=True, slots=True)
class Padding:
    """Pixels added on each side of the resized image."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class Flip:
    """Mirroring of an image of ``width`` x ``height`` pixels; on both axes it is a half turn."""

    width: int
    height: int
    horizontal: bool
    vertical: bool


@dataclass(frozen=True, slots=True)
class Geometry:
    """Mapping between the stored image and the output, in order: flip, crop, resize, pad.

    ``source`` is the stored (and decoded) size. A step that did not run is None; the properties
    then have the neutral value (the complete image, 1.0, the complete output), as the TIFF tags do.
    ``space`` says where stored pixels and pages lie in the patient; None if that is unknown.
    """

    source: Size
    flip: Flip | None = None
    crop: CropBox | None = None
    resized: Size | None = None
    padding: Padding | None = None
    space: PatientSpace | None = None

    @property
    def crop_box(self) -> CropBox:
        """The kept rectangle, which is the complete image if it was not cropped."""
        return self.crop or CropBox(0, 0, self.source.width, self.source.height)

    @property
    def active_size(self) -> Size:
        """Size of the image within the padding."""
        return self.resized or self.crop_box.size

    @property
    def scale(self) -> tuple[float, float]:
        """Ratio (x, y) of output over input size, after rounding to pixels."""
        box, size = self.crop_box, self.active_size
        return size.width / box.width, size.height / box.height

    @property
    def active_area(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the non-padded area; right and bottom exclusive."""
        size, pad = self.active_size, self.padding or Padding(0, 0, 0, 0)
        return pad.left, pad.top, pad.left + size.width, pad.top + size.height

    @property
    def output(self) -> Size:
        """Size of the output image."""
        size, pad = self.active_size, self.padding or Padding(0, 0, 0, 0)
        return Size(size.width + pad.left + pad.right, size.height + pad.top + pad.bottom)

    def to_output(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map points of the stored image to the output.

        Parameters
        ----------
        points : (..., 2) array_like
            x and y in stored pixels, pixel centres at integers.

        Returns
        -------
        (..., 2) float64
            x and y in output pixels; outside 0 .. width - 1 where the point was cropped away.
        """
        xy = np.array(points, dtype=np.float64)
        if self.flip is not None:
            xy = _mirror(xy, self.flip)
        box = self.crop_box
        left, top, _, _ = self.active_area
        scaled = (xy - (box.left, box.top) + 0.5) * self.scale - 0.5
        return np.add(scaled, (left, top))

    def to_source(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map points of the output back to the stored image; the inverse of ``to_output``."""
        box = self.crop_box
        left, top, _, _ = self.active_area
        xy = np.array(points, dtype=np.float64) - (left, top)
        xy = (xy + 0.5) / self.scale - 0.5 + (box.left, box.top)
        return _mirror(xy, self.flip) if self.flip is not None else xy

    def to_patient(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map points of the output to the patient.

        Parameters
        ----------
        points : (..., 3) array_like
            x and y in output pixels, pixel centres at integers, and page from 0. Between pages, and
            outside by the nearest step, positions are linear; of a single page the page does not
            count.

        Returns
        -------
        (..., 3) float64
            x, y and z in mm, LPS.

        Raises
        ------
        ValueError
            It is unknown where the image lies, or another shape.
        """
        space, given = self._require_space(), as_points(points)
        given[..., :2] = self.to_source(given[..., :2])
        return space.to_patient(given)

    def from_patient(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map points of the patient in mm to the output; the inverse of ``to_patient``.

        Of a single page it is page 0, and the distance of the point from its plane is dropped.

        Raises
        ------
        ValueError
            As for ``to_patient``, or pages are not one behind the other along the normal.
        """
        mapped = self._require_space().from_patient(points)
        mapped[..., :2] = self.to_output(mapped[..., :2])
        return mapped

    def affine(self) -> NDArray[np.float64]:
        """Return the matrix from output column index, row index and page from 0 to the patient.

        Returns
        -------
        (4, 4) float64
            Of homogeneous coordinates, to LPS in mm, as ITK counts; NIfTI counts the first two the
            other way. A single page is taken for 1 mm thick.

        Raises
        ------
        ValueError
            It is unknown where the image lies, or pages are not evenly spaced: no matrix maps them.
        """
        space, matrix = self._require_space(), np.eye(4)
        origin, column, row = self.to_patient([[0, 0, 0], [1, 0, 0], [0, 1, 0]])
        matrix[:3] = np.stack((column - origin, row - origin, space.page_step(), origin), axis=1)
        return matrix

    @property
    def position(self) -> Vector | None:
        """LPS in mm of the centre of output pixel (0, 0) of the first page, also in padding."""
        pages = self.page_positions
        return None if pages is None else pages[0]

    @property
    def page_positions(self) -> tuple[Vector, ...] | None:
        """LPS in mm of the centre of output pixel (0, 0) of each page."""
        if self.space is None:
            return None
        if len(self.space.positions) == 1:
            return (self._find_position(self.space),)
        corners = [[0, 0, page] for page in range(len(self.space.positions))]
        return tuple(map(_as_vector, self.to_patient(corners)))

    def _find_position(self, space: PatientSpace) -> Vector:
        """Return the position of a single page, by the way that slices of a series may share."""
        steps = (self.source, self.flip, self.crop, self.resized, self.padding)
        to_x, to_y, to_z = _find_way_to_corner(steps, space.orientation, space.pixel_spacing)
        x, y, z = space.positions[0]
        return to_x + x + 0.0, to_y + y + 0.0, to_z + z + 0.0  # no -0.0

    @property
    def page_distances(self) -> tuple[float, ...] | None:
        """Distance of each page along the normal of the stored image in mm."""
        return None if self.space is None else tuple(self.space.distances.tolist())

    @property
    def row_direction(self) -> Vector | None:
        """Unit vector (LPS) along which the column index of the output grows."""
        if self.space is None:
            return None
        is_mirrored = self.flip is not None and self.flip.horizontal
        return _find_direction(self.space.orientation, 0, is_mirrored=is_mirrored)

    @property
    def column_direction(self) -> Vector | None:
        """Unit vector (LPS) along which the row index of the output grows."""
        if self.space is None:
            return None
        is_mirrored = self.flip is not None and self.flip.vertical
        return _find_direction(self.space.orientation, 1, is_mirrored=is_mirrored)

    def _require_space(self) -> PatientSpace:
        if self.space is None:
            raise ValueError(
                "it is unknown where the image lies in the patient: that takes a usable Image "
                "Position (Patient), Image Orientation (Patient) and Pixel Spacing; a row of the "
                "manifest tells it only of an image of one page, geometry_of_tiff of all"
            )
        return self.space

    @property
    def kept_area(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the kept area of the stored image: the crop box unflipped."""
        box = self.crop_box
        return self.flip_area((box.left, box.top, box.right, box.bottom))

    def flip_area(self, area: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """Return an area of the stored image in the decoded one, or the other way round.

        Areas are left, top, right and bottom, right and bottom exclusive.
        """
        left, top, right, bottom = area
        flip = self.flip
        if flip is not None and flip.horizontal:
            left, right = flip.width - right, flip.width - left
        if flip is not None and flip.vertical:
            top, bottom = flip.height - bottom, flip.height - top
        return left, top, right, bottom

    def boxes_to_output(self, boxes: ArrayLike) -> MappedBoxes:
        """Map boxes of the stored image to the output.

        Parameters
        ----------
        boxes : (n, 4) array_like
            Left, top, right, bottom in stored pixels with pixel edges at integers, so that a box
            with integer sides is ``image[top:bottom, left:right]``; fractions are allowed.

        Returns
        -------
        MappedBoxes
            In output pixels of the same kind, cut to the non-padded area.

        Raises
        ------
        ValueError
            Other shapes, values that are not finite, or negative sides.
        """
        return map_boxes(boxes, self.to_output, self.kept_area)

    def boxes_to_source(self, boxes: ArrayLike) -> MappedBoxes:
        """Map boxes of the output back to the stored image, without their parts in the padding."""
        return map_boxes(boxes, self.to_source, self.active_area)

    def polygon_to_output(self, polygon: ArrayLike) -> MappedPolygon:
        """Map a polygon of the stored image to the output.

        ``to_output`` maps the corners alone, of any number of polygons.

        Parameters
        ----------
        polygon : (n, 2) array_like
            x and y of the corners in stored pixels, pixel centres at integers.

        Returns
        -------
        MappedPolygon
            In output pixels, cut to the non-padded area.

        Raises
        ------
        ValueError
            Other shapes, no corner, or values that are not finite.
        """
        return map_polygon(polygon, self.to_output, self.kept_area)

    def polygon_to_source(self, polygon: ArrayLike) -> MappedPolygon:
        """Map a polygon of the output to the stored image, without its part in the padding."""
        return map_polygon(polygon, self.to_source, self.active_area)

    def masks_to_output(self, masks: ArrayLike, *, fill: float = 0) -> NDArray[Any]:
        """Map masks of the stored image to the output, as the filter ``nearest`` does.

        Parameters
        ----------
        masks : (..., rows, columns) array_like, any dtype
            Labels or booleans of the stored size: one mask, or a stack such as frames.
        fill : number, optional
            Label of the padding.

        Returns
        -------
        (..., output rows, output columns), dtype of ``masks``
            Each pixel has the label of the stored pixel under its centre.

        Raises
        ------
        ValueError
            The masks do not have the stored size.
        """
        _check_size(masks, self.source, "stored image")
        box, active, size = self.crop_box, self.active_size, self.output
        rows = box.top + nearest_index(active.height, box.height)
        columns = box.left + nearest_index(active.width, box.width)
        return sample_mask(
            masks,
            self._undo_flip(rows, columns),
            shape=(size.height, size.width),
            within=self.active_area,
            fill=fill,
        )

    def masks_to_source(self, masks: ArrayLike, *, fill: float = 0) -> NDArray[Any]:
        """Map masks of the output back to the stored image.

        Parameters
        ----------
        masks : (..., output rows, output columns) array_like, any dtype
        fill : number, optional
            Label of pixels that were cropped away.

        Returns
        -------
        (..., rows, columns), dtype of ``masks``
            Each pixel has the label of the output pixel in which its centre is.

        Raises
        ------
        ValueError
            The masks do not have the output size.
        """
        _check_size(masks, self.output, "output")
        box, active, (left, top, _, _) = self.crop_box, self.active_size, self.active_area
        rows = top + nearest_index(box.height, active.height)
        columns = left + nearest_index(box.width, active.width)
        flip = self.flip
        if flip is not None:
            rows = rows[:: -1 if flip.vertical else 1]
            columns = columns[:: -1 if flip.horizontal else 1]
        return sample_mask(
            masks,
            (rows, columns),
            shape=(self.source.height, self.source.width),
            within=self.kept_area,
            fill=fill,
        )

    def _undo_flip(
        self, rows: NDArray[np.intp], columns: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return rows and columns of the stored image, from those after the flip."""
        flip = self.flip
        if flip is not None and flip.vertical:
            rows = flip.height - 1 - rows
        if flip is not None and flip.horizontal:
            columns = flip.width - 1 - columns
        return rows, columns

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values from which ``from_dict`` makes the same geometry."""
        parts = as_record(self)
        return {name: None if part is None else as_record(part) for name, part in parts.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Geometry:
        """Make a geometry from the result of ``as_dict``."""
        return cls(
            source=Size(**data["source"]),
            flip=Flip(**data["flip"]) if data["flip"] else None,
            crop=CropBox(**data["crop"]) if data["crop"] else None,
            resized=Size(**data["resized"]) if data["resized"] else None,
            padding=Padding(**data["padding"]) if data["padding"] else None,
            space=PatientSpace.from_dict(data["space"]) if data.get("space") else None,
        )

    def with_crop(self, box: CropBox) -> Geometry:
        """Return this geometry with a crop box."""
        return replace(self, crop=box)

    def with_resized(self, size: Size) -> Geometry:
        """Return this geometry with a resized size."""
        return replace(self, resized=size)

    def with_padding(self, padding: Padding) -> Geometry:
        """Return this geometry with a padding."""
        return replace(self, padding=padding)

    def with_space(self, space: PatientSpace | None) -> Geometry:
        """Return this geometry with the place of its stored image in the patient."""
        return replace(self, space=space)


@lru_cache(maxsize=CACHED_CORNERS)
def _find_way_to_corner(
    steps: tuple[Any, ...], orientation: tuple[float, ...], pixel_spacing: tuple[float, float]
) -> Vector:
    """Return the way in mm from stored pixel (0, 0) to output pixel (0, 0) of the same page."""
    source, flip, crop, resized, padding = steps
    corner = Geometry(source, flip, crop, resized, padding).to_source([[0, 0]])
    return _as_vector(PatientSpace(orientation, pixel_spacing, positions=()).way_to(corner)[0])


@lru_cache(maxsize=CACHED_AXES)
def _find_direction(orientation: tuple[float, ...], axis: int, *, is_mirrored: bool) -> Vector:
    """Return the unit vector along an axis of the output, x or y, which slices share."""
    return _as_vector(find_axes(orientation)[axis] * (-1 if is_mirrored else 1))


def _as_vector(values: NDArray[np.float64]) -> Vector:
    x, y, z = (values + 0.0).tolist()  # no -0.0
    return x, y, z


def _mirror(xy: NDArray[np.float64], flip: Flip) -> NDArray[np.float64]:
    out = xy.copy()
    if flip.horizontal:
        out[..., 0] = flip.width - 1 - out[..., 0]
    if flip.vertical:
        out[..., 1] = flip.height - 1 - out[..., 1]
    return out


def _check_size(masks: ArrayLike, size: Size, of: str) -> None:
    shape = np.shape(masks)
    if shape[-2:] != (size.height, size.width):
        expected = f"(..., {size.height}, {size.width})"
        raise ValueError(f"masks have shape {shape} instead of {expected}, that of the {of}")
