"""The side of a breast image on which the chest wall lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dicom_preprocessing.dicom.description import Description
    from dicom_preprocessing.image_warnings import ImageWarnings

MAMMOGRAPHY: Final = "MG"
BREAST: Final = "BREAST"

CHEST_WALL_RIGHT: Final = {"P": True, "A": False}
"""By the direction of rows: posterior is towards the chest wall, anterior towards the nipple."""
CHEST_WALL_RIGHT_BY_SIDE: Final = {"R": True, "L": False}
"""By laterality, as mammograms are hung for reading: the chest walls of both meet."""


def is_chest_wall_right(
    description: Description, warnings: ImageWarnings, *, turned: bool = False
) -> bool:
    """Whether the chest wall of a breast image is on the right, and it would have to be mirrored.

    Rows of the image run from left to right; where Patient Orientation does not say whether they
    run towards anterior or posterior, laterality does. Images of other modalities and body parts
    are left alone.

    Parameters
    ----------
    description : Description
    warnings : ImageWarnings
        Gets one if the side is unknown.
    turned : bool
        Whether the image is turned by 180 degrees before.

    References
    ----------
    DICOM PS3.3 C.7.6.1.1.1 (Patient Orientation), C.8.11.7 (Image Laterality).
    """
    if not _shows_breast(description):
        return False
    rows, _ = description.patient_directions() or ("", "")
    # The first letter is the main direction; a later one of an oblique image may be it, too.
    stated = next((CHEST_WALL_RIGHT[c] for c in rows if c in CHEST_WALL_RIGHT), None)
    if stated is not None:
        return stated != turned
    by_side = CHEST_WALL_RIGHT_BY_SIDE.get(description.breast_laterality())
    if by_side is None:
        message = "neither Patient Orientation nor laterality tells where the chest wall is"
        warnings.add("chest_wall_unknown", f"{message}: the image is not mirrored")
    return bool(by_side)


def _shows_breast(description: Description) -> bool:
    if description.header.modality in ("", MAMMOGRAPHY):
        return True
    return BREAST in description.body_part_examined.text().upper()
