"""The model of the configuration: its keys and their defaults."""

import pytest

from dicom_preprocessing.config import Config, defaults
from tests.unit.config.manual import DEFAULTS


def test_defaults_are_those_of_the_manual():
    assert defaults() == DEFAULTS


def test_keys_stand_in_the_order_of_the_manual():
    assert list(defaults()) == list(DEFAULTS)


def test_configuration_cannot_be_changed():
    with pytest.raises(AttributeError):
        Config().crop = True
