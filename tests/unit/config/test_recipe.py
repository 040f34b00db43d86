"""The recipe: what of the configuration a job sees, and what makes it run again."""

import json
import re

import pytest

from dicom_preprocessing.config import STAGES, parse_config
from dicom_preprocessing.config import recipe as recipe_module
from dicom_preprocessing.config.recipe import (
    STAGE_VERSIONS,
    Recipe,
    installed_decoders,
    make_recipe,
)


def recipe_of(stage="write", **values):
    config, _ = parse_config(values)
    return make_recipe(config, stage)


# The column "alters stage" of the manual; stack is there where it has an effect.
KEYS = {
    "decode": {
        "intensity",
        "window",
        "volume",
        "target_frames",
        "skip_frames",
        "mip_weight",
        "projection",
        "series",
        "orient",
        "spacing_z",
    },
    "crop": {"crop", "crop_max", "crop_components", "border_frac", "region"},
    "resize": {"size", "spacing", "filter"},
    "pad": {"size", "padding"},
    "write": {"compressor", "layout"},
}


@pytest.mark.parametrize("stage", STAGES)
def test_stage_gets_the_keys_that_alter_it_and_no_others(stage):
    assert set(recipe_of().settings[stage]) == KEYS[stage]


@pytest.mark.parametrize("stage", STAGES)
def test_recipe_holds_the_stages_up_to_its_own_and_no_others(stage):
    names = list(STAGES[: STAGES.index(stage) + 1])
    recipe = recipe_of(stage)
    assert (recipe.stage, list(recipe.settings), list(recipe.versions)) == (stage, names, names)


@pytest.mark.parametrize("values", [{}, {"fast_decode": True, "size": [4, 4]}])
@pytest.mark.parametrize("last", STAGES)
@pytest.mark.parametrize("stage", STAGES)
def test_recipe_of_an_earlier_stage_is_in_that_of_a_later_one(values, stage, last):
    if STAGES.index(stage) <= STAGES.index(last):
        assert recipe_of(last, **values).up_to(stage) == recipe_of(stage, **values)


def test_recipe_holds_the_values_of_the_configuration():
    recipe = recipe_of(
        crop=True, size=[64, 32], padding="center", window=[40, 400], layout="study/series/sop"
    )
    assert recipe.settings == {
        "decode": {
            "intensity": "voi",
            "window": [40.0, 400.0],
            "volume": "keep",
            "target_frames": 32,
            "skip_frames": None,
            "mip_weight": 1.5,
            "projection": "parallel-beam",
            "series": "separate",
            "orient": "none",
            "spacing_z": None,
        },
        "crop": {
            "crop": True,
            "crop_max": False,
            "crop_components": False,
            "border_frac": None,
            "region": "none",
        },
        "resize": {"size": [64, 32], "spacing": None, "filter": "triangle"},
        "pad": {"size": [64, 32], "padding": "center"},
        "write": {"compressor": "packbits", "layout": "study/series/sop"},
    }


def test_x_and_y_of_the_spacing_belong_to_resize():
    assert recipe_of(spacing=[0.5, 1, 2]).settings["resize"]["spacing"] == [0.5, 1.0]


def test_z_of_the_spacing_belongs_to_decode():
    assert recipe_of(spacing=[0.5, 1, 2]).settings["decode"]["spacing_z"] == 2.0


CHANGES = {
    "window": ({"window": [40, 400]}, "decode"),
    "intensity": ({"intensity": "minmax"}, "decode"),
    "volume": ({"volume": "central-slice"}, "decode"),
    "target_frames": ({"target_frames": 8}, "decode"),
    "skip_frames": ({"skip_frames": 1}, "decode"),
    "mip_weight": ({"mip_weight": 1}, "decode"),
    "projection": ({"projection": "central-slice"}, "decode"),
    "series": ({"series": "stack"}, "decode"),
    "orient": ({"orient": "left"}, "decode"),
    "region": ({"region": "ultrasound"}, "crop"),
    "spacing with z": ({"spacing": [1, 1, 2]}, "decode"),
    "crop": ({"crop": True}, "crop"),
    "crop_max": ({"crop_max": True}, "crop"),
    "crop_components": ({"crop_components": True}, "crop"),
    "border_frac": ({"border_frac": 0.1}, "crop"),
    "size": ({"size": [64, 64]}, "resize"),
    "spacing": ({"spacing": [1, 1]}, "resize"),
    "filter": ({"filter": "nearest"}, "resize"),
    "padding": ({"padding": "center"}, "pad"),
    "compressor": ({"compressor": "zstd"}, "write"),
    "layout": ({"layout": "study/series/sop"}, "write"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_key_changes_its_stage_and_those_behind_it_only(name):
    values, first = CHANGES[name]
    changed = [s for s in STAGES if recipe_of(s, **values).to_json() != recipe_of(s).to_json()]
    assert changed == list(STAGES[STAGES.index(first) :])


@pytest.mark.parametrize(
    "values",
    [
        {"source": "a"},
        {"output": "b"},
        {"duplicates": "fail"},
        {"keep": ["decode", "crop"]},
        {"strict": True},
        {"prune": True},
        {"stack": {"gap": "warn"}},
    ],
    ids=lambda values: next(iter(values)),
)
def test_key_that_alters_no_stage_is_not_in_the_recipe(values):
    assert recipe_of(**values).to_json() == recipe_of().to_json()


def test_policies_are_in_the_recipe_of_stacks():
    recipe = recipe_of(series="stack", stack={"gap": "warn"})
    assert recipe.settings["decode"]["stack"]["gap"] == "warn"
    assert recipe.to_json() != recipe_of(series="stack").to_json()


@pytest.mark.parametrize("stage", STAGES)
def test_json_gives_the_recipe_back(stage):
    recipe = recipe_of(
        stage, crop=True, spacing=[0.5, 1, 2], skip_frames=[1, 2], window=[-600, 1500]
    )
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_json_is_one_line():
    assert "\n" not in recipe_of().to_json()


def test_json_has_sorted_keys():
    text = recipe_of(size=[64, 64]).to_json()
    assert json.dumps(json.loads(text), sort_keys=True) == text


def test_json_of_the_same_configuration_is_the_same_text():
    one = recipe_of(size=[64, 32], crop=True).to_json()
    assert recipe_of(crop=True, size=["64", "32"]).to_json() == one


def test_json_changes_with_a_stage_version(monkeypatch):
    before = recipe_of().to_json()
    monkeypatch.setitem(STAGE_VERSIONS, "crop", STAGE_VERSIONS["crop"] + 1)
    assert recipe_of().to_json() != before


def test_version_of_a_later_stage_leaves_the_recipe_alone(monkeypatch):
    before = recipe_of("resize").to_json()
    monkeypatch.setitem(STAGE_VERSIONS, "pad", STAGE_VERSIONS["pad"] + 1)
    assert recipe_of("resize").to_json() == before


def test_json_changes_with_the_decoders(monkeypatch):
    before = recipe_of("decode").to_json()
    monkeypatch.setattr(recipe_module, "installed_decoders", lambda: ("another",))
    assert recipe_of("decode").to_json() != before


def test_installed_decoders_are_found_by_package_name():
    assert set(installed_decoders()) == {"imagecodecs", "pylibjpeg-openjpeg", "pylibjpeg-rle"}


def test_fingerprint_is_16_hex_digits():
    assert re.fullmatch("[0-9a-f]{16}", recipe_of().fingerprint)


def test_fingerprint_survives_json():
    recipe = recipe_of(size=[64, 64], spacing=None)
    assert Recipe.from_json(recipe.to_json()).fingerprint == recipe.fingerprint


@pytest.mark.parametrize(
    "values",
    [
        {"layout": "study/series/sop"},
        {"compressor": "zstd"},
        {"keep": ["decode"]},
        {"source": "a"},
        {"output": "b"},
        {"strict": True},
    ],
    ids=lambda values: next(iter(values)),
)
def test_fingerprint_ignores_what_leaves_pixels_alone(values):
    assert recipe_of(**values).fingerprint == recipe_of().fingerprint


def test_fingerprint_ignores_the_decoders(monkeypatch):
    before = recipe_of().fingerprint
    monkeypatch.setattr(recipe_module, "installed_decoders", lambda: ("another",))
    assert recipe_of().fingerprint == before


@pytest.mark.parametrize("name", [name for name in CHANGES if name not in KEYS["write"]])
def test_fingerprint_changes_with_each_pixel_key(name):
    values, _ = CHANGES[name]
    assert recipe_of(**values).fingerprint != recipe_of().fingerprint


@pytest.mark.parametrize("stage", STAGES)
def test_fingerprint_changes_with_each_stage_version(stage, monkeypatch):
    before = recipe_of().fingerprint
    monkeypatch.setitem(STAGE_VERSIONS, stage, STAGE_VERSIONS[stage] + 1)
    assert recipe_of().fingerprint != before
