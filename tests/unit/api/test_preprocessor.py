"""Settings of the direct API: what they mean for the configuration, and what is refused."""

import pickle
from dataclasses import FrozenInstanceError

import pytest

from dicom_preprocessing import Preprocessor, VolumeHandler
from dicom_preprocessing.config import Config, parse_config


def config_of(**settings):
    return Preprocessor(**settings).config


DEFAULT = {"crop": True, "crop_max": True, "crop_components": True, "skip_frames": [0, 0]}
"""Where the defaults differ from those of the configuration."""

SAME = [
    ({}, {}),
    ({"crop": False}, {"crop": False}),
    ({"crop_max": False}, {"crop_max": False}),
    ({"use_components": False}, {"crop_components": False}),
    ({"border_frac": 0.1}, {"border_frac": 0.1}),
    ({"size": [64, 32]}, {"size": [64, 32]}),
    ({"spacing": (0.5, 1)}, {"spacing": [0.5, 1.0]}),
    ({"spacing": (0.5, 1, None)}, {"spacing": [0.5, 1.0]}),
    ({"spacing": (0.5, 1, 2)}, {"spacing": [0.5, 1.0, 2.0]}),
    ({"filter": "Nearest"}, {"filter": "nearest"}),
    ({"filter": "catmull"}, {"filter": "catmull-rom"}),
    ({"filter": "Catmull-Rom"}, {"filter": "catmull-rom"}),
    ({"filter": "gaussian"}, {"filter": "gaussian"}),
    ({"filter": "LANCZOS3"}, {"filter": "lanczos3"}),
    ({"filter": "maxpool"}, {"filter": "max-pool"}),
    ({"filter": "max-pool"}, {"filter": "max-pool"}),
    ({"padding_direction": "Top-Left"}, {"padding": "top-left"}),
    ({"padding_direction": "bottom-right"}, {"padding": "bottom-right"}),
    ({"padding_direction": "center"}, {"padding": "center"}),
    ({"use_padding": False}, {"padding": "none"}),
    ({"volume_handler": "Keep"}, {"volume": "keep"}),
    ({"volume_handler": "central"}, {"volume": "central-slice"}),
    ({"volume_handler": "central-slice"}, {"volume": "central-slice"}),
    ({"volume_handler": "MAX-intensity"}, {"volume": "max-intensity"}),
    (
        {"volume_handler": "interpolate", "target_frames": 7},
        {"volume": "interpolate", "target_frames": 7},
    ),
    (
        {"volume_handler": VolumeHandler.interpolate(7), "target_frames": 9},
        {"volume": "interpolate", "target_frames": 7},
    ),
    ({"volume_handler": "laplacian-mip"}, {"volume": "laplacian-mip"}),
    (
        {"volume_handler": VolumeHandler.max_intensity(1, 2)},
        {"volume": "max-intensity", "skip_frames": [1, 2]},
    ),
    (
        {"volume_handler": VolumeHandler.laplacian_mip(3, 4, 0.5, "central-slice")},
        {
            "volume": "laplacian-mip",
            "skip_frames": [3, 4],
            "mip_weight": 0.5,
            "projection": "central-slice",
        },
    ),
    ({"convert_options": "Default"}, {"intensity": "voi"}),
    ({"convert_options": "normalize"}, {"intensity": "minmax"}),
    ({"convert_options": "-600, 1500"}, {"window": [-600, 1500]}),
]


@pytest.mark.parametrize(("settings", "values"), SAME)
def test_settings_are_those_of_the_configuration(settings, values):
    expected, _ = parse_config(DEFAULT | values)
    assert config_of(**settings) == expected


def test_target_frames_alone_changes_nothing():
    assert config_of(target_frames=5) == config_of()


def test_recipe_ends_with_padding():
    assert Preprocessor(size=(8, 8)).recipe.settings["pad"] == {"size": [8, 8], "padding": "zero"}


def test_settings_may_be_given_by_place():
    assert Preprocessor(False, (8, 4), None, "nearest") == Preprocessor(
        crop=False, size=[8, 4], filter="Nearest"
    )


def test_equal_preprocessors_are_equal_and_hash_alike():
    one, other = Preprocessor(volume_handler=None), Preprocessor(volume_handler="KEEP")
    assert one == other
    assert hash(one) == hash(other)
    assert one != Preprocessor(volume_handler="central")


def test_preprocessor_survives_pickling():
    preprocessor = Preprocessor(spacing=(1, 1), volume_handler=VolumeHandler.max_intensity(1, 2))
    assert preprocessor.config  # which is remembered
    assert pickle.loads(pickle.dumps(preprocessor)) == preprocessor


def test_preprocessor_is_read_only():
    with pytest.raises(FrozenInstanceError):
        Preprocessor().crop = False


def test_repr_reads_like_the_call():
    preprocessor = Preprocessor(size=(8, 4), volume_handler=VolumeHandler.max_intensity(1, 2))
    assert "size=(8, 4), " in repr(preprocessor)
    assert "volume_handler=VolumeHandler.max_intensity(skip_start=1, skip_end=2)" in repr(
        preprocessor
    )
    scope = {"Preprocessor": Preprocessor, "VolumeHandler": VolumeHandler}
    assert eval(repr(preprocessor), scope) == preprocessor


START = "^invalid preprocessor configuration "
WRONG = [
    ({"size": (8, 8), "spacing": (1, 1)}, START + "'size/spacing': "),
    ({"size": (0, 8)}, START + "'size': "),
    ({"size": (8, 8, 8)}, START + "'size': "),
    ({"spacing": (0, 1)}, START + "'spacing_mm_x': .* not 0"),
    ({"spacing": (1, -1)}, START + "'spacing_mm_y': .* not -1"),
    ({"spacing": (1, float("inf"))}, START + "'spacing_mm_y': "),
    ({"spacing": (None, 1)}, START + "'spacing_mm_x': .* not None"),
    ({"spacing": (1, 1, float("nan"))}, START + "'spacing_mm_z': "),
    ({"spacing": (1,)}, START + "'spacing_mm_x': "),
    ({"target_frames": 0}, START + "'target_frames': .* not 0"),
    ({"target_frames": -1}, START + "'target_frames': .* not -1"),
    ({"border_frac": -0.1}, START + "'border_frac': .* not -0.1"),
    ({"border_frac": 0.51}, START + "'border_frac': "),
    ({"border_frac": float("nan")}, START + "'border_frac': .* not nan"),
    ({"filter": "cubic"}, "^Invalid filter type: cubic$"),
    ({"padding_direction": "none"}, "^Invalid padding direction: none$"),
    ({"volume_handler": "mean"}, "^Invalid volume handler: mean$"),
    ({"volume_handler": 3}, "^volume_handler must be a string or VolumeHandler$"),
    ({"convert_options": "a,100"}, "^Invalid window center: a$"),
    ({"convert_options": "inf,100"}, "^Invalid window center: inf$"),
    ({"convert_options": "40,b"}, "^Invalid window width: b$"),
    ({"convert_options": "40,0"}, "^Invalid window width: 0$"),
    ({"convert_options": "40,-400"}, "^Invalid window width: -400$"),
    ({"convert_options": "voi"}, "^Invalid convert options: voi$"),
    ({"convert_options": "1,2,3"}, "^Invalid convert options: 1,2,3$"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_wrong_value_is_a_value_error(settings, message):
    with pytest.raises(ValueError, match=message):
        Preprocessor(**settings)


@pytest.mark.parametrize("size", [(-1, 8), (8, -1), (2**32, 8)])
def test_negative_or_huge_size_overflows(size):
    with pytest.raises(OverflowError, match=r"size must be within 0 and 4294967295"):
        Preprocessor(size=size)


@pytest.mark.parametrize(
    "settings",
    [
        {"size": (8.5, 8)},
        {"spacing": ("1", 1)},
        {"border_frac": "0.1"},
        {"crop": "false"},
        {"crop_max": None},
        {"use_components": 2},
        {"use_padding": "none"},
    ],
)
def test_wrong_type_is_a_type_error(settings):
    with pytest.raises(TypeError):
        Preprocessor(**settings)


def test_border_may_be_half_of_the_image():
    assert config_of(border_frac=0.5).border_frac == 0.5


class TestVolumeHandler:
    def test_equal_configurations_are_equal(self):
        assert VolumeHandler.max_intensity(1, 2) == VolumeHandler.max_intensity(
            skip_end=2, skip_start=1
        )
        assert VolumeHandler.max_intensity() != VolumeHandler.max_intensity(1)

    def test_is_read_only(self):
        with pytest.raises(FrozenInstanceError):
            VolumeHandler.keep().skip_start = 1

    @pytest.mark.parametrize(
        ("handler", "text"),
        [
            (VolumeHandler.keep(), "VolumeHandler.keep()"),
            (VolumeHandler.central_slice(), "VolumeHandler.central_slice()"),
            (VolumeHandler.interpolate(8), "VolumeHandler.interpolate(target_frames=8)"),
            (
                VolumeHandler.laplacian_mip(projection_mode="Central-Slice", mip_weight=2),
                (
                    "VolumeHandler.laplacian_mip(skip_start=0, skip_end=0, mip_weight=2.0, "
                    "projection_mode='central-slice')"
                ),
            ),
        ],
    )
    def test_repr_reads_like_the_call(self, handler, text):
        assert repr(handler) == text

    @pytest.mark.parametrize("make", [VolumeHandler.max_intensity, VolumeHandler.laplacian_mip])
    @pytest.mark.parametrize("name", ["skip_start", "skip_end"])
    @pytest.mark.parametrize("value", [-1, 2**32, 1.5, "1", None, True])
    def test_wrong_skip_is_named(self, make, name, value):
        message = f"^{name} must be an integer from 0 to 4294967295"
        with pytest.raises(ValueError, match=message):
            make(**{name: value})

    @pytest.mark.parametrize("value", [0, -1, 2**32, 2.0])
    def test_wrong_target_frames_is_named(self, value):
        with pytest.raises(ValueError, match=r"^target_frames must be an integer from 1"):
            VolumeHandler.interpolate(value)

    @pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
    def test_wrong_weight_is_named(self, value):
        with pytest.raises(ValueError, match=r"^mip_weight must be finite and not negative"):
            VolumeHandler.laplacian_mip(mip_weight=value)

    def test_wrong_projection_is_named(self):
        with pytest.raises(ValueError, match=r"^Invalid projection mode: cone-beam$"):
            VolumeHandler.laplacian_mip(projection_mode="cone-beam")

    def test_wrong_kind_is_named(self):
        with pytest.raises(ValueError, match=r"^Invalid volume handler: mean$"):
            VolumeHandler("mean")


def test_handlers_by_name_skip_no_frames():
    for name in ("max-intensity", "laplacian-mip"):
        assert config_of(volume_handler=name).skip_frames == (0, 0)
    assert Config().skip_frames is None
