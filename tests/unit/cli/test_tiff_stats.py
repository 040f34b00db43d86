"""tiff-stats: output as text and as JSON, bad files, and which are chosen."""

import csv
import json

from dicom_preprocessing.cli.tiff_stats import main
from tests.unit.tools.pages import PAGES, save


class TestCommand:
    def test_tree_as_json(self, tmp_path, capsys):
        save(tmp_path / "1" / "a.tiff", PAGES)
        save(tmp_path / "2" / "b.tiff", PAGES)
        assert main([str(tmp_path), "--json", "-", "-j", "2"]) == 0
        record = json.loads(capsys.readouterr().out)
        assert (record["files"], record["kinds"][0]["frames"]) == (2, 4)

    def test_bad_file_is_reported_and_the_others_count(self, tmp_path, capsys):
        save(tmp_path / "a.tiff", PAGES)
        (tmp_path / "b.tiff").write_bytes(b"II*\0 no TIFF")
        assert main([str(tmp_path)]) == 1
        shown = capsys.readouterr()
        assert "b.tiff: cannot be read as TIFF" in shown.err
        assert "2 files, 1 of them cannot be read" in shown.out
        assert "1 channel: 1 file, 2 frames" in shown.out
        assert "values in 0 to 1, 1 channel: mean" in shown.out
        assert "12 pixels" in shown.out

    def test_manifest_chooses(self, tmp_path):
        for name in ("a", "b"):
            save(tmp_path / "images" / f"{name}.tiff", PAGES)
        with (tmp_path / "train.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["path"], ["b.tiff"]])
        assert main([str(tmp_path / "train.csv"), "--json", str(tmp_path / "x.json")]) == 0
        assert json.loads((tmp_path / "x.json").read_text())["files"] == 1

    def test_nothing_there(self, tmp_path, capsys):
        assert main([str(tmp_path)]) == 1
        assert "contains no TIFFs" in capsys.readouterr().err
