"""No output, log, record or temporary file of a run has a text of a header that may be a secret.

Files have a marker in each place that text can be written to, the whole product runs over them, and
each marker is searched for in all that is left behind, printed, or in TMPDIR while a run goes on.

DP_PRIVACY=1, as in ``make faults``, takes all sound files and values, and every kind of run.
"""

import ast
import base64
import gzip
import json
import logging
import os
import pickle
import re
import signal
import subprocess
import sys
import time
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from dicom_preprocessing import Preprocessor, preprocess_u8_with_metadata, validate_dicom
from dicom_preprocessing.dicom.keywords import IMAGE_PIXEL
from dicom_preprocessing.errors import DicomPreprocessingError, InternalError
from tests.conftest import CHECKOUT
from tests.privacy.markers import Markers, jpeg_comment, utf16
from tests.privacy.sources import make_sources
from tests.privacy.watching import Watch

LOG = logging.getLogger(__name__)

IS_LONG = bool(os.environ.get("DP_PRIVACY"))
STRIDE = 1 if IS_LONG else 60
SETTINGS = {"source": "source", "size": [8, 8], "crop": True, "limits": {"pixels": 1_000_000}}
RUNS = {
    "strict": ({"keep": ["decode"], "strict": True, "duplicates": "fail"}, (), {}),
    "quiet": ({"duplicates": "first", "volume": "max-intensity"}, ("--quiet", "rules"), {}),
    "cold": ({"spacing": [1, 1], "size": None}, (), {"DP_FORK_SERVER": "off"}),
    "stored": ({"intensity": "stored", "keep": ["crop", "resize"], "compressor": "zstd"}, (), {}),
}
"""Settings, options of Snakemake and environment of each kind of run."""
CONFIGS = list(RUNS) if IS_LONG else ["strict"]

SHOWN_BY_VALIDATE = {
    *IMAGE_PIXEL.values(),
    *("StudyInstanceUID", "SOPInstanceUID", "SeriesInstanceUID", "VOILUTFunction"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType", "WindowCenter", "WindowWidth"),
    *("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"),
    *("PixelPaddingValue", "SpacingBetweenSlices", "SliceThickness"),
}
"""Attributes of the checks of docs/validation.md: a report on one file shows their values."""


@dataclass
class Place:
    """A working folder with marked sources, and what is searched for secrets."""

    folder: Path
    markers: Markers
    paths: list[Path]
    searched: dict[str, bytes] = field(default_factory=dict)

    @property
    def temporary(self):
        return self.folder / "tmp"

    def call(self, name, *command, **environment):
        """Run a command, keep what it prints, and return its status."""
        process = subprocess.run(
            command,
            cwd=self.folder,
            env=os.environ | {"TMPDIR": str(self.temporary)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=600,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        self.searched[f"screen of {name}"] = process.stdout
        return process.returncode

    def snakemake(self, name, settings, *options, **environment):
        config = self.folder / f"{name}.yaml"
        settings = {"output": f"results_{name}"} | SETTINGS | settings
        config.write_text(yaml.safe_dump({k: v for k, v in settings.items() if v is not None}))
        snakemake = (sys.executable, "-m", "snakemake", "--snakefile", str(CHECKOUT / "Snakefile"))
        return self.call(
            name, *snakemake, "--configfile", config.name, "--cores", "2", *options, **environment
        )

    def leaks(self):
        """Where a marker was found, and from which place it is."""
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and not path.is_relative_to(self.folder / "source"):
                name = str(path.relative_to(self.folder))
                self.searched[name] = path.read_bytes()
                if path.suffix == ".parquet":
                    self.searched[f"{name} as text"] = repr(
                        pq.read_table(path).to_pylist()
                    ).encode()
        return [
            f"{place} is in {name}"
            for name, content in self.searched.items()
            for place in sorted(self.markers.find(content))
        ]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder, markers = tmp_path_factory.mktemp("privacy"), Markers()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, about the values that are put in on purpose
        sources = make_sources(folder / "source", markers, stride=STRIDE)
    (folder / "tmp").mkdir()
    return Place(folder, markers, sources.paths)


@pytest.mark.parametrize("name", CONFIGS)
def test_runs_of_the_workflow(place, name):
    start = time.monotonic()
    settings, options, environment = RUNS[name]
    with Watch(place.temporary) as watch:
        status = place.snakemake(name, settings, *options, **environment)
    screen = place.searched[f"screen of {name}"].decode()
    assert status == (1 if settings.get("strict") else 0), screen
    images = list((place.folder / f"results_{name}" / "images").rglob("*.tiff"))
    assert len(images) > 10, screen
    assert not sys.platform.startswith("linux") or watch.contents
    place.searched |= {f"temporary file {key[0]}": c for key, c in watch.contents.items()}
    assert place.leaks() == []
    LOG.info(
        "%s: %s markers in %s files are in none of %s places, %s of them temporary; %.0f seconds",
        *(name, len(place.markers.places), len(place.paths), len(place.searched)),
        *(len(watch.contents), time.monotonic() - start),
    )


if IS_LONG:

    def test_shards_and_the_report_of_snakemake(place):
        name, settings = "shards", {"output": "results_shards"}
        assert place.snakemake(name, settings, "--", "index") == 0
        for shard in range(2):
            assert place.snakemake(f"shard{shard}", settings, "--config", f"shard={shard},2") == 0
        assert place.snakemake("gather", settings, "--config", "gather=2") == 0
        assert place.snakemake("report", settings, "--report", "snakemake-report.html") == 0
        assert place.leaks() == []


def test_commands(place):
    scripts = Path(sys.executable).parent
    commands = [
        ("dicom-preprocess", "source", "preprocessed", "--crop", "--crop-components", "-s", "8,8"),
        ("dicom-preprocess", str(place.paths[0]), "one.tiff"),
        ("dicom-manifest", "preprocessed"),
        ("tiff-stats", "preprocessed", "--json", "stats.json"),
        ("tiff-resize", "preprocessed", "resized", "--size", "4,4"),
        ("tiff-combine", "preprocessed", "combined", "--source", "source", "--force"),
        ("tiff-benchmark", "preprocessed", "benchmark", "--limit", "2", "--repeat", "1"),
        (
            "dicom-map",
            "boxes.csv",
            "--to",
            "output",
            "--manifest",
            "preprocessed",
            "-o",
            "mapped.csv",
        ),
    ]
    (place.folder / "boxes.csv").write_text("sop_instance_uid,x,y,width,height\n1.2.3,0,0,4,4\n")
    with Watch(place.temporary) as watch:
        for number, (command, *arguments) in enumerate(commands if IS_LONG else commands[:1]):
            place.call(f"{command} {number}", scripts / command, *arguments)
    assert list((place.folder / "preprocessed").rglob("*.tiff"))
    place.searched |= {f"temporary file {key[0]}": c for key, c in watch.contents.items()}
    assert place.leaks() == []


def test_python_api(place, capfd, caplog):
    found, preprocessor = [], Preprocessor(size=(8, 8), crop=True)
    with warnings.catch_warnings(record=True) as recorded:
        warnings.simplefilter("always")
        for path in place.paths:
            try:
                _, metadata = preprocess_u8_with_metadata(path, preprocessor)
                found.append(repr(metadata))
                found += map(repr, metadata.warnings)
            except (DicomPreprocessingError, OSError) as error:
                found.append(str(error))
    found += [str(warning.message) for warning in recorded]
    found += [*capfd.readouterr(), caplog.text]
    place.searched["Python API"] = "\n".join(found).encode()
    assert len(found) > len(place.paths)
    assert place.leaks() == []


def test_validation_shows_only_values_of_the_attributes_that_it_checks(
    place, capfd, recwarn, caplog
):
    shown = set()
    for path in place.paths:
        try:
            said = json.dumps(validate_dicom(path))
        except RuntimeError as error:
            said = str(error)
        shown |= place.markers.find(said.encode())
    said = "".join([*capfd.readouterr(), *(str(warning.message) for warning in recwarn)])
    assert place.markers.find(said.encode() + caplog.text.encode()) == set()
    assert shown
    keywords = {re.sub(r"^(?:value of|text in) | as .*", "", place) for place in shown}
    assert keywords <= SHOWN_BY_VALIDATE, shown


@pytest.mark.parametrize(
    "write",
    [
        *(lambda text, c=c: text.encode(c) for c in ("utf-8", "utf-16-le", "utf-16-be")),
        utf16,
        jpeg_comment,
        lambda text: base64.b64encode(b"ab" + text.encode() + b"c"),
        lambda text: gzip.compress(text.encode() * 3),
        lambda text: b"PNG" + zlib.compress(text.encode()),
        lambda text: f"<td>{text}</td>".encode(),
        lambda text: text.encode().hex().encode(),
        lambda text: pickle.dumps({"name": text}),
    ],
)
def test_search_finds_a_marker_in_each_form(write):
    markers = Markers()
    texts = [markers.value(vr, vr) for vr in ("LO", "PN", "DA", "DT")]
    for text in texts[:2]:
        assert markers.find(b"x" * 3 + write(text) + b"\0y"), text
    assert markers.find(f'"{texts[2]}", {texts[3]}'.encode()) == {"DA", "DT"}


def test_bugs_do_not_quote_what_python_or_pydicom_says_of_a_value():
    said = InternalError.from_exception(ValueError("could not convert 'Zq00001Yx^Jane' to float"))
    assert "Jane" not in str(said)


TEMPORARY_FILES = {
    "imaging/frames.py": "frames",
    "files.py": "lines of a table that may be the same as before",
    "temporary_files.py": "rows of tables and header scans, sorted",
    "results/manifest.py": "the manifest",
    "tools/tiff_benchmark/benchmark.py": "images",
    "workflow/fork_server.py": "the socket of the server, and one image to warm it up",
    "workflow/checkout.py": "a commit of this project",
    "workflow/space.py": "nothing: how much is free",
}
"""What each module that imports tempfile puts there; none of it is a header."""


def test_temporary_files_are_those_that_are_known():
    package = CHECKOUT / "src" / "dicom_preprocessing"
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import) and "tempfile" in {alias.name for alias in node.names}
    }
    assert found == set(TEMPORARY_FILES)
