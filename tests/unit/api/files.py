"""Files of the direct API, and settings for them."""

import numpy as np

import dicom_preprocessing as dp
from tests.conftest import data_folder
from tests.unit.datasets import data_set_of, save, show_stored_values

CORPUS, GOLDEN = data_folder("corpus"), data_folder("golden")
DTYPES = {"u8": np.uint8, "u16": np.uint16, "f32": np.float32}
PLAIN = dp.Preprocessor(crop=False)
EMRI = CORPUS / "pydicom-data" / "emri_small_jpeg_2k_lossless.dcm"
SMALL = dp.Preprocessor(size=(20, 30), spacing=None)


def function(short, *, stream=False, slices=False, metadata=False):
    """One of the 24 functions."""
    name = f"preprocess_{'stream_' if stream else ''}{short}{'_slices' if slices else ''}"
    return getattr(dp, name + ("_with_metadata" if metadata else ""))


def write_shown_file(path, *frames, **attributes):
    """A file of 8-bit frames whose display values are these."""
    pixels = np.array(frames, np.uint8)
    return save(path, show_stored_values(data_set_of(pixels, **attributes)))


def ramp(value, rows=4, columns=5):
    """A frame whose values tell where they were, with a border of 0."""
    frame = np.zeros((rows, columns), np.uint8)
    frame[1:, 1:] = value
    return frame


SETTINGS = [
    {},
    {"crop": False},
    {"size": (33, 47), "padding_direction": "center"},
    {"size": (40, 24), "filter": "lanczos3", "crop_max": False, "use_components": False},
    {"size": (16, 16), "filter": "maxpool", "use_padding": False, "border_frac": 0.1},
    {"volume_handler": "interpolate", "target_frames": 3, "convert_options": "normalize"},
    {"volume_handler": "laplacian-mip", "size": (64, 64)},
    {"volume_handler": dp.VolumeHandler.max_intensity(0, 1), "convert_options": "40,400"},
]
