"""What every bundled file becomes: digests of the TIFFs, under settings that reach all of the code.

python -m tests.unit.outputs    writes tests/data/outputs.json anew, after a wanted change
"""

import hashlib
import json
import tempfile
import warnings
from pathlib import Path

from dicom_preprocessing.config import Limits, parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.processing.instance import OutputSpec, group_by_instance, process_instance

CHECKOUT = Path(__file__).resolve().parents[2]
TABLE = CHECKOUT / "tests" / "data" / "outputs.json"
SOURCES = (CHECKOUT / "examples" / "studies", CHECKOUT / "tests" / "data" / "corpus")

SETTINGS = {
    "default": {},
    "cropped": {"crop": True, "size": [96, 80]},
    "components": {"crop": True, "crop_components": True, "border_frac": 0.05, "size": [60, 60]},
    "crop max": {"crop": True, "crop_max": True, "intensity": "minmax", "filter": "lanczos3"},
    "stored": {"crop": True, "intensity": "stored", "size": [40, 90], "filter": "catmull-rom"},
    "window": {"window": [300, 700], "spacing": [1.5, 2.0], "compressor": "uncompressed"},
    "central": {"volume": "central-slice", "size": [50, 50], "filter": "nearest"},
    "maximum": {"volume": "max-intensity", "crop": True, "size": [64, 64], "padding": "center"},
    "interpolated": {"volume": "interpolate", "target_frames": 7, "size": [32, 32]},
    "z": {"spacing": [2, 2, 4], "crop": True, "filter": "max-pool"},
}


def outputs(source, values, folder):
    """Digest or error of each file below ``source`` that takes part, by its path there."""
    index = build_index(find_files([str(source)]))
    config, _ = parse_config(values)
    target = OutputSpec(folder, make_recipe(config, "write"))
    found = {}
    for entries in index.studies.values():
        for group in group_by_instance(entries):
            for receipt in process_instance(group, target, limits=Limits()):
                name = str(Path(receipt.source_path).relative_to(CHECKOUT))
                found[name] = receipt.error or digest(target.root / receipt.output)
    return found


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def all_outputs(name, folder):
    return {
        path: outcome
        for source in SOURCES
        for path, outcome in outputs(source, SETTINGS[name], folder / source.name).items()
    }


def main():
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        table = {name: all_outputs(name, Path(folder) / name) for name in SETTINGS}
    TABLE.write_text(json.dumps(table, indent=0, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
