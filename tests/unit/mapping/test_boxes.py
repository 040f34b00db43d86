"""Tables of boxes: what becomes of each row."""

from dataclasses import replace

import pytest

from dicom_preprocessing.results.manifest import write_manifest
from tests.unit.mapping.tables import EDGES, ROW


class TestRows:
    def test_box_is_mapped_and_other_columns_stay(self, mapped):
        status, rows, err = mapped(f"id,{EDGES},label", '007,1.2.1,3,1,5,2,"a, b"')
        assert status == 0
        assert rows == [
            {
                "id": "007",
                "sop_instance_uid": "1.2.1",
                "left": "3",
                "top": "1",
                "right": "5",
                "bottom": "2",
                "label": "a, b",
                "mapped_left": "3.0",
                "mapped_top": "2.0",
                "mapped_right": "7.0",
                "mapped_bottom": "4.0",
                "mapped_inside": "1.0",
                "mapped_state": "inside",
            }
        ]
        assert err == "1 row: 1 inside\n"

    def test_corner_and_size_stay_so(self, mapped):
        _, (row,), _ = mapped("path,x,y,width,height", "1.2/1.2.1.tiff,3,1,2,1")
        values = [row[f"mapped_{name}"] for name in ("x", "y", "width", "height")]
        assert values == ["3.0", "2.0", "4.0", "2.0"]

    def test_back_to_the_source(self, mapped):
        _, (row,), _ = mapped(EDGES, "1.2.1,3,2,7,4", to="source")
        values = [row[f"mapped_{name}"] for name in ("left", "top", "right", "bottom")]
        assert values == ["3.0", "1.0", "5.0", "2.0"]

    def test_part_outside_is_reported(self, mapped):
        status, (row,), _ = mapped(EDGES, "1.2.1,0,1,4,3")
        assert (row["mapped_inside"], row["mapped_state"], status) == ("0.5", "partly", 0)

    def test_outside_is_reported_and_has_no_place(self, mapped):
        status, (row,), _ = mapped(EDGES, "1.2.1,0,0,1,1")
        assert (row["mapped_left"], row["mapped_inside"]) == ("", "0.0")
        assert (row["mapped_state"], status) == ("outside", 0)

    @pytest.mark.parametrize("cells", [",,,", " ,nan,NaN,"])
    def test_image_without_box_is_no_trouble(self, mapped, cells):
        status, (row,), _ = mapped(EDGES, f"1.2.1,{cells}")
        assert (row["mapped_state"], row["mapped_inside"], status) == ("no_box", "", 0)

    @pytest.mark.parametrize(
        ("line", "state"),
        [
            ("9.9,3,1,5,2", "unknown_image"),
            (",3,1,5,2", "unknown_image"),
            ("1.3.1,3,1,5,2", "no_geometry"),
            ("1.2.1,5,1,3,2", "bad_box"),
            ("1.2.1,3,1,,2", "bad_box"),
            ("1.2.1,3,1,five,2", "bad_box"),
            ("1.2.1,3,1,inf,2", "bad_box"),
            ("1.2.1,3,1,1_0,2", "bad_box"),
        ],
    )
    def test_what_cannot_be_mapped_is_reported_and_fails(self, mapped, line, state):
        status, rows, err = mapped(EDGES, line, "1.2.1,3,1,5,2")
        assert [row["mapped_state"] for row in rows] == [state, "inside"]
        assert rows[0]["mapped_left"] == rows[0]["mapped_inside"] == ""
        assert status == 1
        assert err.splitlines() == [
            f"2 rows: 1 {state}, 1 inside",
            "error: 1 row could not be mapped: see the column mapped_state",
        ]

    def test_order_of_rows_is_kept(self, mapped):
        lines = ["1.2.1,3,1,5,2", "9.9,0,0,1,1", "1.2.1,0,0,1,1", "1.3.1,0,0,1,1"]
        _, rows, _ = mapped(EDGES, *lines)
        states = ["inside", "unknown_image", "outside", "no_geometry"]
        assert [row["mapped_state"] for row in rows] == states

    def test_no_rows(self, mapped):
        status, rows, err = mapped(EDGES)
        assert (status, rows, err) == (0, [], "0 rows: nothing to map\n")


class TestSameUidInTwoStudies:
    @pytest.fixture(autouse=True)
    def twice(self, results):
        other = replace(ROW, study_instance_uid="1.9", path="1.9/1.2.1.tiff", crop_left=4)
        write_manifest([ROW, other], results / "results" / "manifest.csv")

    def test_is_told(self, mapped):
        status, (row,), _ = mapped(EDGES, "1.2.1,5,1,6,2")
        assert (row["mapped_state"], status) == ("several_images", 1)

    def test_study_decides(self, mapped):
        _, rows, _ = mapped(f"study_instance_uid,{EDGES}", "1.2,1.2.1,5,1,6,2", "1.9,1.2.1,5,1,6,2")
        assert [row["mapped_left"] for row in rows] == ["7.0", "3.0"]

    def test_path_decides(self, mapped):
        _, (row,), _ = mapped(f"path,{EDGES}", "1.9/1.2.1.tiff,1.2.1,5,1,6,2")
        assert row["mapped_left"] == "3.0"
