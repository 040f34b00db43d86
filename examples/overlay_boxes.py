"""Boxes drawn on a bone scan and, mapped, on what dicom-preprocess makes of it.

.venv/bin/python examples/overlay_boxes.py [FOLDER]

writes FOLDER/source.png and FOLDER/output.png, by default below ``overlay``. Boxes that are cut are
orange; those that are outside of the output are told and not drawn there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from dicom_preprocessing import geometry_of_tiff
from dicom_preprocessing.cli.preprocess import main as preprocess
from dicom_preprocessing.mapping.preview import write_preview

SCAN = Path(__file__).parent / "studies" / "nm_whole_body" / "JPEG-LL.dcm"
BOXES = {
    "skull": (98, 90, 170, 205),
    "bladder": (122, 405, 160, 435),
    "left knee": (144, 595, 190, 650),
    "feet": (62, 770, 168, 900),
    "below the feet": (60, 930, 190, 1010),
}
"""Left, top, right, bottom in pixels of the DICOM image, right and bottom exclusive."""


def main() -> None:
    """Make both images and draw the boxes on them."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "overlay")
    folder.mkdir(parents=True, exist_ok=True)
    source, output = folder / "source.tiff", folder / "output.tiff"
    preprocess([str(SCAN), str(source)])
    preprocess([str(SCAN), str(output), "--crop", "--size", "512,512", "--padding", "center"])

    boxes = np.array(list(BOXES.values()), float)
    mapped = geometry_of_tiff(output).boxes_to_output(boxes)
    for name, box, inside, state in zip(
        BOXES, mapped.boxes, mapped.inside, mapped.state, strict=True
    ):
        print(f"{name}: {state}, {inside:.0%} at {np.round(box, 1).tolist()}")

    is_whole = mapped.state == "inside"
    is_there = mapped.state != "outside"
    write_preview(folder / "source.png", source, boxes, is_whole)
    write_preview(folder / "output.png", output, mapped.boxes[is_there], is_whole[is_there])


if __name__ == "__main__":
    main()
