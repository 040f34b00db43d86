"""The same TIFFs written by tifffile, to compare bytes with."""

import numpy as np
import tifffile

from dicom_preprocessing.tiff.compressors import COMPRESSOR_BY_NAME
from dicom_preprocessing.tiff.tags import SOFTWARE
from tests.unit.tiff.images import FLOAT, LONG, SHORT


def extra_tags(geometry, number, total):
    box, flip = geometry.crop_box, geometry.flip
    tags = [
        (297, SHORT, 2, (number, total), False),
        (50718, FLOAT, 2, geometry.scale, False),
        (50719, LONG, 2, (box.left, box.top), False),
        (50720, LONG, 2, (box.width, box.height), False),
        (50829, LONG, 4, geometry.active_area, False),
    ]
    if flip is not None:
        values = (flip.width, flip.height, int(flip.horizontal), int(flip.vertical))
        tags.append((65000, LONG, 4, values, False))
    return tags


def write_by_tifffile(path, frames, tags, *, compressor, bigtiff=False):
    """Write frames, tags of all pages or of each, as ``write_pages`` does."""
    chosen = COMPRESSOR_BY_NAME[compressor]
    is_colour = frames.shape[3] > 1
    predictor = (3 if frames.dtype.kind == "f" else 2) if chosen.is_predicted else None
    with tifffile.TiffWriter(path, bigtiff=bigtiff, byteorder="<") as file:
        for number, frame in enumerate(frames):
            of_page = tags[number] if len(tags) > 1 else tags[0]
            x, y = of_page.resolution
            pixels = frame if is_colour else frame[..., 0]
            file.write(
                np.ascontiguousarray(pixels, frame.dtype.newbyteorder("<")),
                photometric="rgb" if is_colour else "minisblack",
                planarconfig="contig" if is_colour else None,
                rowsperstrip=frame.shape[0],
                compression=chosen.code,
                predictor=predictor,
                description=of_page.description,
                software=SOFTWARE,
                metadata=None,
                resolution=(x or (1, 1), y or (1, 1)),
                resolutionunit=3 if x and y else 1,
                extratags=extra_tags(of_page.geometry, number, len(frames)),
                contiguous=False,
                maxworkers=1,
            )
