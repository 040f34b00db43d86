"""Stacks beside SimpleITK, with GDCM, and highdicom: the same slices at the same millimetres."""

from pathlib import Path

import numpy as np
import pytest

from tests.unit.oracles import high_dicom, itk
from tests.unit.processing.stacks import (
    AGREE,
    IRREGULAR,
    LOCALIZERS,
    REGULAR,
    ROUND_AN_AXIS,
    TILTED,
    WITH_GAP,
    Stack,
    find_stacks,
    require,
)
from tests.unit.processing.test_volume import run

# Real files break the standard, of which other readers warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module", params=[*REGULAR, *IRREGULAR])
def real(request, tmp_path_factory):
    """Stacks of real files, and images of one page, with their files."""
    folder = require((REGULAR | IRREGULAR)[request.param])
    result = run(folder, tmp_path_factory.mktemp("real"), stack={"gap": "warn"})
    images = {r.source_path: r for r in result.images if r.frames == 1}
    singles = [
        Stack(result.output / r.output, [Path(path)], r.series_instance_uid)
        for path, r in images.items()
    ]
    return find_stacks(result) + singles


def find_other_series(folder):
    """Files of each single-frame series, as GDCM orders them, by folder and UID."""
    folders = {path.parent for path in folder.rglob("*") if path.is_file()}
    series = {
        (place, uid): files
        for place in folders
        for uid, files in itk.find_series(place).items()
        if len(files) > 1
    }
    assert series
    return series


class TestRegularSeries:
    def test_pages_are_in_gdcm_s_order(self, regular):
        folder, stacks = regular
        found = {(s.files[0].parent, s.series_instance_uid): s.files for s in stacks}
        assert found == find_other_series(folder)

    def test_affine_is_that_of_itk(self, regular):
        for stack in regular[1]:
            image = itk.read(*stack.files)
            assert np.abs(stack.geometry.affine() - itk.affine_of(image)).max() < AGREE
            spacing = np.linalg.norm(stack.geometry.affine()[:3, :3], axis=0)
            assert spacing == pytest.approx(image.GetSpacing(), abs=AGREE)

    def test_values_are_those_of_itk(self, regular):
        for stack in regular[1]:
            assert np.array_equal(stack.pages, itk.values_of(itk.read(*stack.files)))

    @pytest.mark.skipif(not high_dicom.is_installed, reason="no highdicom here")
    def test_slices_are_those_of_highdicom(self, regular):
        for stack in regular[1]:
            positions, spacing, values = high_dicom.read_series(stack.files)
            # It goes along the axis that makes a right-handed system of slice, row and column,
            # which is against the normal, the row times the column direction.
            found = np.array(stack.geometry.page_positions)
            assert found[::-1] == pytest.approx(positions, abs=AGREE)
            affine = stack.geometry.affine()
            x, y, z = np.linalg.norm(affine[:3, :3], axis=0)
            assert (z, y, x) == pytest.approx(spacing, abs=AGREE)
            assert np.array_equal(stack.pages[::-1], values.reshape(stack.pages.shape))


def test_each_page_lies_where_itk_has_its_file_alone(real):
    """Also where no matrix maps the volume, or another one than ITK makes."""
    for stack in real:
        geometry = stack.geometry
        right, below = geometry.output.width - 1, geometry.output.height - 1
        for page, path in enumerate(stack.files):
            image = itk.read(path)
            corners = [[0, 0, page], [right, 0, page], [0, below, page], [right, below, page]]
            expected = itk.find_points(image, [[x, y, 0] for x, y, _ in corners])
            assert geometry.to_patient(corners) == pytest.approx(expected, abs=AGREE)
            assert np.array_equal(stack.pages[page], itk.values_of(image)[0])


class TestIrregularSeries:
    """Series of which ITK makes one even volume, with a warning at most, and highdicom none."""

    @pytest.mark.skipif(not high_dicom.is_installed, reason="no highdicom here")
    @pytest.mark.parametrize("kind", IRREGULAR)
    def test_highdicom_refuses_them(self, kind):
        (files,) = find_other_series(require(IRREGULAR[kind])).values()
        with pytest.raises(ValueError, match=r"not a regularly-spaced|not have the same orient"):
            high_dicom.read_series(files)

    def test_tilt_is_in_the_affine_where_itk_has_none(self, tmp_path):
        result = run(require(TILTED), tmp_path)
        assert result.codes() == ["stack_tilt"]
        (stack,) = find_stacks(result)
        image = itk.read(*stack.files)
        found, other = stack.geometry.affine(), itk.affine_of(image)
        assert stack.files == next(iter(itk.find_series(TILTED).values()))
        assert np.abs(found - other)[:, [0, 1, 3]].max() < AGREE
        # Image Position (Patient) grows by 5 mm of z; ITK takes the same way along the normal.
        assert found[:3, 2] == pytest.approx([0, 0, 5], abs=AGREE)
        assert np.linalg.norm(other[:3, 2]) == pytest.approx(5, abs=AGREE)
        assert other[:3, 2] / 5 == pytest.approx(stack.geometry.space.normal, abs=AGREE)

    def test_gap_fails_where_itk_makes_it_even(self, tmp_path):
        assert run(WITH_GAP, tmp_path).states() == {"volume_error": 4}
        result = run(WITH_GAP, tmp_path, stack={"gap": "warn"})
        assert result.codes() == ["stack_gap"]
        (stack,) = find_stacks(result)
        assert stack.files == next(iter(itk.find_series(WITH_GAP).values()))
        assert np.diff(stack.geometry.page_distances) == pytest.approx([202.5, 1.25, 1.25])
        assert itk.read(*stack.files).GetSpacing()[2] == pytest.approx(205 / 3)
        with pytest.raises(ValueError, match="not evenly spaced"):
            stack.geometry.affine()

    def test_a_gap_may_split(self, tmp_path):
        result = run(WITH_GAP, tmp_path, stack={"gap": "split"})
        (stack,) = find_stacks(result)
        assert sorted(r.frames for r in result.images) == [1, 3]
        image = itk.read(*stack.files)
        assert np.abs(stack.geometry.affine() - itk.affine_of(image)).max() < AGREE

    def test_slices_round_an_axis_are_no_volume(self, tmp_path):
        assert [r.frames for r in run(ROUND_AN_AXIS, tmp_path).images] == [1] * 7

    def test_localizers_are_left_out(self, tmp_path):
        assert run(LOCALIZERS, tmp_path).states() == {"not_selected": 2}
