"""Volumes of crafted series: what is an error, a warning, or several volumes, by the policies."""

import pytest

from dicom_preprocessing.tiff.info import read_info
from tests.unit.tools.stacks import (
    AXIAL,
    SERIES,
    STUDY,
    combine,
    description_of,
    save_slice,
    save_stack,
    save_table,
    values_of,
    volume_of,
    volumes_in,
)

TURNED = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


@pytest.fixture
def tree(tmp_path):
    return tmp_path / "tree"


def test_order_is_that_of_the_positions(tree, capsys):
    save_stack(tree, 7.5, 2.5, 10, 0, 5)
    assert combine(tree) == 0
    assert values_of(volume_of(tree)) == [4, 2, 5, 1, 3]
    assert capsys.readouterr().out == f"1 of 1 series in {tree.parent / 'volumes'}, 1 volume\n"


def test_place_is_that_of_the_first_page_with_the_step(tree):
    save_stack(tree, (-4, 5, 7.5), (-4, 5, 2.5), (-4, 5, 5))
    combine(tree)
    description = description_of(volume_of(tree))
    assert [description[f"position_{axis}"] for axis in "xyz"] == [-4, 5, 2.5]
    assert [description[f"row_{axis}"] for axis in "xyz"] == [1, 0, 0]
    assert [description[f"column_{axis}"] for axis in "xyz"] == [0, 1, 0]
    assert description["page_step"] == [0, 0, 2.5]
    assert description["frame_spacing"] == 2.5


class TestGap:
    def test_is_an_error_with_its_place_and_others_are_written(self, tree, capsys):
        save_stack(tree, 0, 1, 2, 4, 5)
        save_stack(tree, 0, 1, 2, series="1.2.3.2")
        assert combine(tree) == 1
        shown = capsys.readouterr()
        assert f"error: series {SERIES} of {STUDY}: gap: slices seem to be missing" in shown.err
        assert "from 2 to 4 mm (2 steps)" in shown.err
        assert "1 of 2 series" in shown.out
        assert volumes_in(tree) == {"1.2.3.2.tiff": [1, 2, 3]}

    def test_is_a_warning_if_that_is_asked_for(self, tree, capsys):
        save_stack(tree, 0, 1, 2, 4, 5)
        assert combine(tree, "--stack", "gap=warn") == 0
        shown = capsys.readouterr()
        assert f"warning: series {SERIES} of {STUDY}: gap: " in shown.err
        assert "1 volume, 1 warning\n" in shown.out
        assert description_of(volume_of(tree))["tools"][0]["warnings"] == ["gap"]
        assert len(description_of(volume_of(tree))["page_positions"]) == 5

    def test_parts_a_series_if_that_is_asked_for(self, tree):
        save_stack(tree, 0, 1, 2, 4, 5)
        assert combine(tree, "--stack", "gap=split") == 0
        first, second = (f"{SERIES}/{number * 37 % 101:03}.tiff" for number in (1, 4))
        assert volumes_in(tree) == {first: [1, 2, 3], second: [4, 5]}


class TestUneven:
    def test_half_a_percent_is_even(self, tree, capsys):
        save_stack(tree, 0, 10, 20.05, 30.05)
        assert combine(tree) == 0
        assert "warning" not in capsys.readouterr().out
        assert [p[2] for p in description_of(volume_of(tree))["page_positions"]][2] == 20.05

    def test_sixteen_percent_are_a_warning(self, tree, capsys):
        save_stack(tree, 0, 10, 21.6, 31.6)
        assert combine(tree) == 0
        shown = capsys.readouterr()
        assert "uneven: 1 step along the normal differs from the usual one of 10 mm" in shown.err
        assert "1 warning\n" in shown.out
        assert read_info(volume_of(tree)).frame_spacing == 10

    def test_is_an_error_if_that_is_asked_for(self, tree):
        save_stack(tree, 0, 10, 21.6, 31.6)
        assert combine(tree, "--stack", "uneven=fail") == 1
        assert volumes_in(tree) == {}


class TestRepeatedPosition:
    def test_of_other_pixels_is_an_error(self, tree, capsys):
        save_stack(tree, 0, 1, 1, 2)
        assert combine(tree) == 1
        found = "duplicate_position: several slices are at one position along the normal: 2 at 1 mm"
        assert found in capsys.readouterr().err

    def test_of_other_pixels_is_the_first_if_that_is_asked_for(self, tree, capsys):
        save_stack(tree, 0, 1, 1, 2)
        assert combine(tree, "--stack", "duplicate_position=first") == 0
        assert values_of(volume_of(tree)) == [1, 3, 4]
        assert f"left out: series {SERIES}: 1 image: stack: dupl" in capsys.readouterr().err

    def test_of_the_same_pixels_is_one_page(self, tree, capsys):
        save_stack(tree, 0, 1, 2)
        again = save_slice(tree, "999", (0, 0, 1), value=2)
        assert combine(tree) == 0
        assert values_of(volume_of(tree)) == [1, 2, 3]
        name = again.relative_to(tree)
        assert f"left out: series {SERIES}: 1 image: duplicate: {name}" in capsys.readouterr().err


class TestTwoTimePoints:
    @pytest.fixture
    def records(self, tree):
        """Two slices at each of three places, and their table."""
        save_stack(tree, 0, 1, 2, 0, 1, 2)
        names = [f"{number * 37 % 101:03}" for number in range(1, 7)]
        return [(name, i % 3, 1 + i // 3) for i, name in enumerate(names)]

    @pytest.mark.usefixtures("records")
    def test_are_an_error_without_what_parts_them(self, tree, capsys):
        assert combine(tree) == 1
        assert "2 at 0 mm; 2 at 1 mm; 2 at 2 mm" in capsys.readouterr().err

    def test_are_two_volumes_by_a_column_of_the_table(self, tree, records, capsys):
        columns = ("sop_instance_uid", "position", "TemporalPositionIdentifier")
        assert combine(tree, "--table", save_table(tree, columns, *records)) == 0
        first, second = (f"{SERIES}/{records[i][0]}.tiff" for i in (0, 3))
        assert volumes_in(tree) == {first: [1, 2, 3], second: [4, 5, 6]}
        assert "1 of 1 series" in (out := capsys.readouterr().out)
        assert "2 volumes\n" in out

    def test_are_two_volumes_by_a_column_of_the_manifest(self, tree, records):
        columns = ("path", "TemporalPositionIdentifier")
        rows = [(f"{STUDY}/{SERIES}/{name}.tiff", time) for name, _, time in records]
        save_table(tree, columns, *rows)
        (tree.parent / "table.csv").rename(tree / "manifest.csv")
        assert combine(tree) == 0
        assert list(volumes_in(tree).values()) == [[1, 2, 3], [4, 5, 6]]


def test_tilt_is_a_warning_and_the_step_is_tilted(tree, capsys):
    save_stack(tree, (0, 0, 0), (0, 0.1, 1), (0, 0.2, 2))
    assert combine(tree) == 0
    assert "tilt: positions are up to 5.71 degrees off the normal" in capsys.readouterr().err
    assert description_of(volume_of(tree))["page_step"] == pytest.approx([0, 0.1, 1])
    assert combine(tree, "--stack", "tilt=fail") == 1


def test_lone_slice_of_another_orientation_is_left_out(tree, capsys):
    save_stack(tree, 0, 1, 2)
    save_slice(tree, "999", (0, 0, 9), orientation=TURNED)
    assert combine(tree) == 0
    assert values_of(volume_of(tree)) == [1, 2, 3]
    assert "1 image: stack: scout (a lone slice of another" in capsys.readouterr().err
    assert combine(tree, "--stack", "scout=keep") == 0
    assert len(volumes_in(tree)) == 3  # the volume of the first call stays


def test_two_orientations_are_two_volumes(tree):
    save_stack(tree, 0, 1, 2)
    save_stack(tree, (0, 0, 0), (1, 0, 0), first=4, orientation=TURNED)
    assert combine(tree) == 0
    # The normal of the second is -x.
    assert list(volumes_in(tree).values()) == [[1, 2, 3], [5, 4]]


class TestWithoutPositions:
    def test_numbers_of_a_table_order_pages_with_a_warning(self, tree, capsys):
        for number in (1, 2, 3):
            save_slice(tree, str(number), value=number)
        columns = ("sop_instance_uid", "instance_number")
        table = save_table(tree, columns, (1, 30), (2, 20.5), (3, 20))
        assert combine(tree, "--table", table) == 0
        assert values_of(volume_of(tree)) == [3, 2, 1]
        shown = capsys.readouterr()
        assert "no_positions: 3 slices have no positions in TIFFs or manifest" in shown.err
        assert "pages follow column instance_number of the table" in shown.err
        assert "1 warning\n" in shown.out
        assert read_info(volume_of(tree)).place is None

    def test_millimetres_of_a_table_are_judged(self, tree, capsys):
        for number in (1, 2, 3, 4):
            save_slice(tree, str(number), value=number)
        columns = ("sop_instance_uid", "position")
        table = save_table(tree, columns, (1, 8), (2, 4), (3, 2), (4, 0))
        assert combine(tree, "--table", table) == 1
        assert "gap: slices seem to be missing" in capsys.readouterr().err
        assert combine(tree, "--table", table, "--stack", "gap=warn") == 0
        assert values_of(volume_of(tree)) == [4, 3, 2, 1]
        assert read_info(volume_of(tree)).frame_spacing == 2
        assert read_info(volume_of(tree)).place is None

    def test_nothing_to_order_by_is_an_error_that_says_what_has_it(self, tree, capsys):
        for number in (1, 2):
            save_slice(tree, str(number), value=number)
        assert combine(tree) == 1
        assert "1.tiff has no number to order it by (--table or --source" in capsys.readouterr().err
        assert combine(tree, "--force") == 0
        assert values_of(volume_of(tree)) == [1, 2]
        assert "2 warnings" in capsys.readouterr().out

    def test_manifest_may_have_them(self, tree):
        for number in (1, 2, 3):
            save_slice(tree, str(number), value=number)
        columns = [
            "path",
            *(f"{v}_{axis}" for v in ("position", "row", "column") for axis in "xyz"),
        ]
        rows = [(f"{STUDY}/{SERIES}/{number}.tiff", 0, 0, -number, *AXIAL) for number in (1, 2, 3)]
        save_table(tree, columns, *rows)
        (tree.parent / "table.csv").rename(tree / "manifest.csv")
        assert combine(tree) == 0
        assert values_of(volume_of(tree)) == [3, 2, 1]
        assert read_info(volume_of(tree)).place.page_step == (0, 0, 1)


class TestOrderOfATable:
    @pytest.fixture
    def table(self, tree):
        save_stack(tree, 0, 1, 2, 3)
        names = [f"{number * 37 % 101:03}" for number in range(1, 5)]
        ranks = zip(names, (1, 3, 2, 4), strict=True)
        return save_table(tree, ("sop_instance_uid", "instance_number"), *ranks)

    def test_does_not_count_where_positions_are_known(self, tree, table, capsys):
        assert combine(tree, "--table", table) == 0
        assert values_of(volume_of(tree)) == [1, 2, 3, 4]
        shown = capsys.readouterr().err
        assert "order: pages follow their positions, and column instance_number of the" in shown
        assert "which --order instance_number keeps" in shown

    def test_is_kept_if_it_is_named(self, tree, table, capsys):
        assert combine(tree, "--table", table, "--order", "instance_number") == 0
        assert values_of(volume_of(tree)) == [1, 3, 2, 4]
        assert "order: slices are not in the order of their positions" in capsys.readouterr().err
        description = description_of(volume_of(tree))
        assert [z for _, _, z in description["page_positions"]] == [0, 2, 1, 3]
        assert description["tools"][0]["by"] == "number"

    def test_does_not_hide_a_gap(self, tree, table):
        save_stack(tree, 9, first=5)
        names = [f"{number * 37 % 101:03}" for number in range(1, 6)]
        table = save_table(
            tree, ("sop_instance_uid", "rank"), *((n, i) for i, n in enumerate(names))
        )
        assert combine(tree, "--table", table, "--order", "rank") == 1

    def test_needs_a_table(self, tree, capsys):
        with pytest.raises(SystemExit) as ended:
            combine(tree, "--order", "rank")
        assert ended.value.code == 2
        assert "--order is a column of the --table" in capsys.readouterr().err


def test_rescales_are_not_known_of_finished_images(tree, capsys):
    with pytest.raises(SystemExit) as ended:
        combine(tree, "--stack", "mixed_rescale=fail")
    assert ended.value.code == 2
    assert "finished TIFFs do not say how they were rescaled" in capsys.readouterr().err


class TestForce:
    def test_writes_what_is_an_error_and_says_so(self, tree, capsys):
        save_stack(tree, 0, 1, 1, 2, 4)
        assert combine(tree, "--force") == 0
        assert len(values_of(volume_of(tree))) == 5
        shown = capsys.readouterr()
        assert "warning: series 1.2.3.1 of 1.2.3: gap: " in shown.err
        assert "warning: series 1.2.3.1 of 1.2.3: duplicate_position: " in shown.err
        assert "1 volume, 2 warnings\n" in shown.out
        assert description_of(volume_of(tree))["tools"][0]["warnings"] == [
            "gap",
            "duplicate_position",
        ]

    def test_says_that_images_are_missing(self, tree, capsys):
        save_stack(tree, 0, 1, 2)
        columns = ("sop_instance_uid", "series_instance_uid", "instance_number")
        names = [f"{number * 37 % 101:03}" for number in range(1, 5)]
        rows = [(name, SERIES, i) for i, name in enumerate(names)]
        assert combine(tree, "--table", save_table(tree, columns, *rows), "--force") == 1
        shown = capsys.readouterr()
        assert f"warning: series {SERIES}: 047 is in the table and not in the tree" in shown.err
        assert values_of(volume_of(tree)) == [1, 2, 3]


def test_manifest_counts_the_warnings_of_a_volume(tree):
    save_stack(tree, 0, 1, 2.5, 3.5)
    combine(tree)
    lines = (tree.parent / "volumes" / "manifest.csv").read_text().splitlines()
    assert dict(zip(lines[0].split(","), lines[1].split(","), strict=True))["warnings"] == "1"


def test_volumes_of_one_name_are_an_error(tree, capsys):
    save_stack(tree, 0, 1)
    names = []
    for series, x in (("a", 0), ("b", 1)):
        names += [save_slice(tree, n, (x, 0, z), series=series) for n, z in (("1", 0), ("2", 1))]
    columns = ("path", "series_instance_uid", "EchoTime", "position")
    rows = [(p.relative_to(tree), "1.2.9", p.parent.name == "a", 0) for p in names]
    assert combine(tree, "--table", save_table(tree, columns, *rows)) == 1
    assert "another volume would be" in capsys.readouterr().err
