"""highdicom: stored and modality values, windows at full precision, and the geometry of frames."""

import logging
from types import SimpleNamespace

import numpy as np
import pydicom

try:
    import highdicom
    from highdicom.pixels import apply_voi_window
except ImportError:  # its codec for JPEG-LS has no wheel for some platforms
    highdicom = None

is_installed = highdicom is not None


def read(path):
    """The image, None where highdicom reads nothing."""
    logging.getLogger("highdicom").setLevel(logging.CRITICAL)
    try:
        return highdicom.imread(path)
    except Exception:  # noqa: BLE001  # whatever it cannot read
        return None


def store(path, layout):
    """Stored values (frames, rows, columns, 1) of a grey image, None where nothing is read."""
    if not layout.is_monochrome or layout.is_float:
        return None
    return _read_frames(path, layout, lambda image, i: image.get_stored_frame(i + 1))


def apply_modality(path, layout):
    """Modality values (frames, rows, columns, 1) as float64, None where nothing is read."""
    options = {
        "apply_real_world_transform": False,
        "apply_modality_transform": None,
        "apply_voi_transform": False,
        "apply_presentation_lut": False,
    }
    return _read_frames(path, layout, lambda image, i: image.get_frame(i + 1, **options))


def _read_frames(path, layout, get_frame):
    image = read(path)
    if image is None:
        return None
    try:
        frames = [get_frame(image, i) for i in range(layout.number_of_frames)]
    except Exception:  # noqa: BLE001  # whatever it cannot read
        return None
    return np.stack(frames).reshape(layout.number_of_frames, layout.rows, layout.columns, 1)


def display(path, data_set, layout, top):
    """Values (frames, rows, columns, 1) from 0 to ``top`` as float64; None without windows.

    Not by highdicom's own chain, which joins slope and window to one window of stored values: its
    width less 1 (PS3.3 C.11.2.1.2.1) is then less 1 stored value, and not less 1 modality value.
    """
    windows = [find_window(data_set, i) for i in range(layout.number_of_frames)]
    if None in windows:
        return None
    values = apply_modality(path, layout)
    if values is None:
        return None
    is_inverted = layout.photometric_interpretation == "MONOCHROME1"
    return np.stack(
        [apply_window(v, w, top, is_inverted) for v, w in zip(values, windows, strict=True)]
    )


def apply_window(values, window, top, is_inverted):
    """Display values from 0 to ``top`` as float64."""
    settings = (window.center, window.width, window.function, (0.0, float(top)))
    shown = apply_voi_window(values, *settings, np.float64, is_inverted)
    # The value at the lower bound is 0 here (and in the reference program), half a step of the
    # window below the standard's: all other values are as in the standard.
    shown[find_lower_bound(values, window)] = top if is_inverted else 0
    return shown


def find_lower_bound(values, window):
    """Where values are LINEAR's lower bound c-(w-1)/2, or at most half a step below it."""
    bound = window.center - (window.width - 1) / 2
    return (window.function == "LINEAR") & (values <= bound) & (values > bound - 0.5)


def find_window(data_set, index):
    """The window of a frame: in its functional group, the shared one, or the top level."""
    for group in (*_functional_groups(data_set, index), data_set):
        item = group.get("FrameVOILUTSequence", [group])[0]
        if "WindowCenter" in item:
            return SimpleNamespace(
                center=_first(item.WindowCenter),
                width=_first(item.WindowWidth),
                function=item.get("VOILUTFunction") or "LINEAR",
            )
    return None


def _functional_groups(data_set, index):
    per_frame = data_set.get("PerFrameFunctionalGroupsSequence") or []
    yield from per_frame[index : index + 1]
    yield from data_set.get("SharedFunctionalGroupsSequence") or []


def _first(value):
    is_list = isinstance(value, pydicom.multival.MultiValue)
    return float(value[0] if is_list else value)


def find_slices(path):
    """Positions (slices, 3) and spacing of the regular volume of a multi-frame object, else None.

    Slices are in either order.
    """
    image = read(path)
    try:
        geometry = image.get_volume_geometry() if image is not None else None
    except Exception:  # noqa: BLE001  # whatever it cannot read
        return None
    if geometry is None:
        return None
    return _place_slices(geometry), geometry.spacing


def read_series(paths):
    """Positions (slices, 3), spacing (z, y, x) and modality values of a regular volume of files.

    Raises
    ------
    ValueError
        Files are no regular volume.
    """
    data_sets = [pydicom.dcmread(path) for path in paths]
    for data_set in data_sets:
        # Without it highdicom has no positions, though no other file is asked for.
        data_set.FrameOfReferenceUID = data_set.get("FrameOfReferenceUID") or "1.2.3"
    volume = highdicom.get_volume_from_series(data_sets)
    return _place_slices(volume), volume.spacing, volume.array


def _place_slices(geometry):
    steps = np.zeros((geometry.spatial_shape[0], 4))
    steps[:, 0], steps[:, 3] = np.arange(len(steps)), 1
    return (steps @ geometry.affine.T)[:, :3]
