"""The table of slices: its rows by receipts, its order, and how shards come together."""

from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import path_key
from dicom_preprocessing.imaging.geometry import CropBox, Geometry, Padding
from dicom_preprocessing.results import collection
from dicom_preprocessing.results.receipts import write_receipts
from dicom_preprocessing.results.slice_table import (
    SLICE_COLUMNS,
    StudyRows,
    find_sliced_images,
    merge_slices,
    order_of_study,
    slices_of_study,
    write_slices,
)
from dicom_preprocessing.results.verdict import judge_run
from tests.conftest import needs_byte_names
from tests.limits import limit_open_files
from tests.unit.receipts import (
    SIZE,
    HandMadeRun,
    failed,
    space_of,
    stack,
    written,
)
from tests.unit.run_results import NOT_UTF_8, column, csv_header, csv_rows


def pages_of(*receipts):
    """Page, file and frame of each row."""
    return [
        (row.page, row.sop_instance_uid, row.source_frame)
        for row in slices_of_study(list(receipts))
    ]


def test_columns_and_their_order(tmp_path):
    write_slices([], tmp_path / "slices.csv")
    assert csv_header(tmp_path / "slices.csv") == [
        *("path", "page", "sop_instance_uid", "source_path", "source_frame"),
        *("position_mm", "x", "y", "z"),
    ]


class TestRows:
    def test_image_of_one_page_frame_and_file_has_none(self):
        assert pages_of(written("1"), failed("2")) == []

    def test_pages_of_a_multi_frame_object_are_its_frames(self):
        assert pages_of(written("1", frames=3)) == [(1, "1", 1), (2, "1", 2), (3, "1", 3)]

    def test_frames_in_another_order_are_named(self):
        receipt = written("1", frames=3, page_frames=(3, 1, 2))
        assert pages_of(receipt) == [(1, "1", 3), (2, "1", 1), (3, "1", 2)]

    def test_pages_between_frames_name_the_nearest(self):
        receipt = written("1", frames=3, source_frames=2, page_frames=(1, 1, 2))
        assert pages_of(receipt) == [(1, "1", 1), (2, "1", 1), (3, "1", 2)]

    def test_one_page_of_several_frames_says_which(self):
        receipt = written("1", frames=1, source_frames=7, page_frames=(4,))
        assert pages_of(receipt) == [(1, "1", 4)]

    def test_pages_of_a_stack_are_its_files(self):
        assert pages_of(*stack("5", "3", "4")) == [(1, "5", 1), (2, "3", 1), (3, "4", 1)]

    def test_receipts_of_a_stack_may_be_in_any_order(self):
        receipts = stack("5", "3", "4")
        assert pages_of(*reversed(receipts)) == pages_of(*receipts)

    def test_file_of_a_stack_that_is_no_page_has_a_row_without(self):
        receipts = stack("1", "2", "3", "4", page_frames=(2, 4))
        assert pages_of(*receipts) == [(1, "2", 1), (2, "4", 1), (None, "1", 1), (None, "3", 1)]

    def test_projection_of_a_stack_has_a_row_for_each_file(self):
        receipts = stack("1", "2", "3", page_frames=(1,))
        assert pages_of(*receipts) == [(1, "1", 1), (None, "2", 1), (None, "3", 1)]

    def test_slices_name_their_own_files_and_the_image_of_the_stack(self):
        rows = list(slices_of_study(stack("5", "3")))
        assert [(row.path, row.source_path) for row in rows] == [
            ("1.2/5.tiff", "/in/5.dcm"),
            ("1.2/5.tiff", "/in/3.dcm"),
        ]

    def test_images_are_in_the_order_of_their_paths(self):
        receipts = [*stack("5", "1"), written("4", frames=2), written("6"), written("10", frames=2)]
        assert [row.path for row in slices_of_study(receipts)] == [
            *["1.2/10.tiff"] * 2,
            *["1.2/4.tiff"] * 2,
            *["1.2/5.tiff"] * 2,
        ]

    def test_number_of_rows_is_known_before_they_are_made(self):
        receipts = [*stack("1", "2", "3", page_frames=(2, 2)), written("7", frames=5), written("8")]
        assert [len(image) for image in find_sliced_images(receipts)] == [4, 5]
        assert len(list(slices_of_study(receipts))) == 9


class TestPlaces:
    def test_pages_lie_where_the_output_does(self):
        """Cropped by 2 columns, and padded by a row, of 0.5 mm."""
        geometry = Geometry(
            SIZE, crop=CropBox(2, 0, 2, 3), padding=Padding(0, 1, 0, 0), space=space_of(3, 5)
        )
        rows = list(slices_of_study(stack("1", "2", geometry=geometry)))
        assert [(row.x, row.y, row.z) for row in rows] == [(-9.0, 19.5, 3.0), (-9.0, 19.5, 5.0)]
        assert [row.position_mm for row in rows] == [3.0, 5.0]

    def test_first_page_is_where_the_manifest_says(self, tmp_path):
        geometry = Geometry(SIZE, crop=CropBox(1, 1, 2, 2), space=space_of(1 / 3, 0.7))
        results = HandMadeRun(tmp_path, *stack("1", "2", geometry=geometry)).gather()
        (image,) = csv_rows(results.manifest)
        first = csv_rows(results.slices)[0]
        assert [first[axis] for axis in "xyz"] == [image[f"position_{axis}"] for axis in "xyz"]

    def test_unknown_places_are_empty(self, tmp_path):
        geometry = Geometry(SIZE, space=space_of(3))
        receipts = stack("1", "2", page_frames=(1,), geometry=geometry)
        write_slices(slices_of_study([*receipts, *stack("3", "4")]), tmp_path / "slices.csv")
        rows = csv_rows(tmp_path / "slices.csv")
        assert [row["position_mm"] for row in rows] == ["3.0", "", "", ""]
        assert [row["z"] for row in rows] == ["3.0", "", "", ""]
        assert [row["page"] for row in rows] == ["1", "", "1", "2"]


class TestBadReceipts:
    @pytest.mark.parametrize(
        "receipts",
        [
            stack("1", "2")[1:],
            stack("1", "2", "3")[:1] + stack("1", "2", "3")[2:],
            stack("1", "2", page_frames=(1, 3)),
            stack("1", "2", page_frames=(0, 1)),
            [written("1", frames=2, page_frames=(1, 2, 3))],
        ],
    )
    def test_what_does_not_fit_is_refused(self, receipts):
        message = r"^the receipt of study 1\.2 lacks slices of an image: remove it and run again$"
        with pytest.raises(OutputError, match=message):
            list(slices_of_study(receipts))

    def test_positions_of_other_pages_are_refused(self):
        receipt = written("1", frames=3, geometry=Geometry(SIZE, space=space_of(1, 2)))
        with pytest.raises(OutputError, match="lacks slices of an image"):
            list(slices_of_study([receipt]))

    def test_receipts_that_change_while_tables_are_written_are_noticed(self, tmp_path):
        run = HandMadeRun(tmp_path, *stack("1", "2", "3"))
        run.gather()
        collected = run.collect()
        write_receipts(run.results.receipt("write", "1.2"), stack("1", "2"))
        with pytest.raises(OutputError, match=r"found 2 rows of slices instead of 3"):
            list(collected.iterate_slices())


def test_source_path_is_escaped_like_that_of_failures(tmp_path):
    paths = [NOT_UTF_8, "=1+1.dcm"]
    receipts = [
        replace(r, source_path=path) for r, path in zip(stack("1", "2"), paths, strict=True)
    ]
    write_slices(slices_of_study(receipts), tmp_path / "slices.csv")
    assert column(tmp_path / "slices.csv", "source_path") == [r"caf\xe9.dcm", "'=1+1.dcm"]


# A run


@needs_byte_names
def test_names_of_any_bytes_and_breaks_come_through_shards(tmp_path):
    odd = ("\n/in/1.dcm", 'a,"b"', NOT_UTF_8, "\u2028\r.dcm", "=1")
    receipts = [replace(r, source_path=path) for r, path in zip(stack(*"12345"), odd, strict=True)]
    run = HandMadeRun(tmp_path, *receipts)
    whole = run.gather().slices.read_bytes()
    run.write_shards(2)
    assert run.gather_shards(2).slices.read_bytes() == whole
    assert whole.count(b"\n") == 6


def test_run_without_slices_has_a_table_without_rows(tmp_path):
    results = HandMadeRun(tmp_path, written("1")).gather()
    assert results.slices.read_text() == ",".join(SLICE_COLUMNS) + "\n"


def test_rows_of_a_run_are_in_the_order_of_paths_then_pages(tmp_path):
    studies = ("1.2", "1.2-a", "1.2.3", "1.10", "1.2.30")
    receipts = [r for uid in studies for r in stack("9", "8", "7", study=uid, page_frames=(2, 1))]
    results = HandMadeRun(tmp_path, *receipts).gather()
    rows = csv_rows(results.slices)
    paths = [path_key(row["path"]) for row in rows]
    assert paths == sorted(paths)
    assert [row["page"] for row in rows] == ["1", "2", ""] * 5


def test_rows_are_made_study_by_study(tmp_path, monkeypatch):
    receipts = [r for n in range(5) for r in stack("1", "2", study=f"1.2.{n}")]
    collected = HandMadeRun(tmp_path, *receipts).collect()
    read = []
    reading = collection.read_receipts
    monkeypatch.setattr(collection, "read_receipts", lambda p: read.append(p) or reading(p))
    numbers = [len(read) for _ in collected.iterate_slices()]
    assert numbers == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


class TestShards:
    @pytest.fixture
    def run(self, tmp_path):
        receipts = [
            r
            for n in range(9)
            for r in (
                *stack("1", "2", study=f"1.2.{n}"),
                written("3", f"1.2.{n}", frames=n % 3 + 1),
            )
        ]
        return HandMadeRun(tmp_path, *receipts)

    def test_they_make_the_same_table(self, run):
        whole = run.gather().slices.read_bytes()
        run.write_shards(4)
        assert run.gather_shards(4).slices.read_bytes() == whole

    def test_table_without_some_rows_is_refused(self, run):
        run.write_shards(2)
        path = run.output / "shards" / "1-of-2" / "slices.csv"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
        message = r"1-of-2/slices\.csv has 1 row less than it should\. Remove its folder and run"
        with pytest.raises(OutputError, match=message):
            run.gather_shards(2)
        assert not run.results.manifest.exists()

    def test_table_without_any_row_is_refused(self, run):
        run.write_shards(2)
        (run.output / "shards" / "1-of-2" / "slices.csv").write_text("path\n")
        with pytest.raises(OutputError, match=r"slices\.csv has \d+ rows less than it should"):
            run.gather_shards(2)

    def test_shard_of_a_version_without_the_table_is_to_be_run_again(self, run):
        run.write_shards(2)
        (run.output / "shards" / "0-of-2" / "slices.csv").unlink()
        with pytest.raises(OutputError, match=r"^shard 0 of 2 has not finished; run it again$"):
            run.gather_shards(2)

    def test_shard_without_some_rows_of_the_manifest_is_refused(self, run):
        run.write_shards(2)
        path = run.output / "shards" / "0-of-2" / "manifest.csv"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
        with pytest.raises(OutputError, match=r"shard 0 of 2: .* lists \d+ files instead of"):
            run.gather_shards(2)


def test_more_tables_are_merged_than_files_may_be_open(tmp_path):
    tables = []
    for n in range(40):
        path = tmp_path / f"{n}.csv"
        write_slices(slices_of_study(stack("1", "2", study=f"1.{n * 7 % 40}")), path)
        tables.append(StudyRows(path, 2))
    with limit_open_files(8):
        found = [row[0] for row in merge_slices(tables)]
    assert found == sorted(found, key=path_key)
    assert len(found) == 80


def test_studies_are_in_the_order_of_their_paths():
    assert sorted(["1.2", "1.2-a", "1.2.3"], key=order_of_study) == ["1.2-a", "1.2.3", "1.2"]


@st.composite
def studies(draw):
    """Receipts of a study: images, objects, stacks and files that were not written."""
    uids, receipts = map(str, count(1)), []
    uid = draw(st.sampled_from(["1.2", "1.2.3", "1.2-a"]))
    kinds = st.sampled_from(["image", "stack", "failed", "skipped"])
    for kind in draw(st.lists(kinds, min_size=1, max_size=5)):
        if kind == "stack":
            sops = [next(uids) for _ in range(draw(st.integers(2, 4)))]
            numbers = st.integers(1, len(sops))
            pages = draw(st.none() | st.lists(numbers, min_size=1, max_size=5).map(tuple))
            receipts += stack(*sops, study=uid, page_frames=pages)
        elif kind == "image":
            receipts.append(written(next(uids), uid, frames=draw(st.integers(1, 3))))
        else:
            receipts.append(failed(next(uids), uid, kind, "damaged"))
    named = [replace(r, source_path=f"/in/{uid}/{r.sop_instance_uid}.dcm") for r in receipts]
    return draw(st.permutations(named))


@given(st.lists(studies(), max_size=3, unique_by=lambda s: s[0].study_instance_uid))
@settings(max_examples=30, deadline=None)
def test_every_file_is_in_the_tables_as_it_should_and_counts_add_up(tmp_path_factory, of_studies):
    receipts = [receipt for study in of_studies for receipt in study]
    run = HandMadeRun(tmp_path_factory.mktemp("run"), *receipts, excluded=["/in/a.txt"])
    results = run.gather()
    manifest, slices = csv_rows(results.manifest), csv_rows(results.slices)
    failures = csv_rows(results.failures)

    images = {r.output for r in receipts if r.has_image}
    assert sorted(row["path"] for row in manifest) == sorted(images)
    for row in manifest:
        pages = [int(s["page"]) for s in slices if s["path"] == row["path"] and s["page"]]
        is_sliced = (row["num_frames"], row["volume"]) != ("1", "")
        assert pages == (list(range(1, int(row["num_frames"]) + 1)) if is_sliced else [])
    for receipt in receipts:
        named = {"study": receipt.study_instance_uid, "sop": receipt.sop_instance_uid}
        rows = [s for s in slices if _is_of(s, receipt)]
        assert bool(rows) == (receipt.is_written and (receipt.frames != 1 or bool(receipt.part_of)))
        assert len([s for s in rows if not s["page"]]) <= 1, named
        in_failures = [f for f in failures if _is_of(f, receipt)]
        assert len(in_failures) == (not receipt.is_written), named

    number = len([r for r in receipts if r.is_written])
    problem = judge_run(run.output, strict=False)
    said = results.verdict.read_text() if problem is None else problem
    skipped = len([r for r in receipts if r.state == "skipped"]) + 1
    assert f"{len(receipts) + 1} file{'s' if receipts else ''} found: {number} written" in said
    assert (f" written as {len(images)} image" in said) == (number != len(images))
    assert f", {skipped} skipped" in said
    assert f", {len(receipts) + 1 - number - skipped} failed" in said

    tables = [path.read_bytes() for path in (results.manifest, results.slices, results.failures)]
    run.write_shards(2)
    run.gather_shards(2)
    assert tables == [p.read_bytes() for p in (results.manifest, results.slices, results.failures)]


def _is_of(row, receipt):
    """Whether a row of failures or slices is of the file of a receipt."""
    study = row["path"].partition("/")[0] if "path" in row else row["study_instance_uid"]
    found = study, row["sop_instance_uid"]
    return found == (receipt.study_instance_uid, receipt.sop_instance_uid)
