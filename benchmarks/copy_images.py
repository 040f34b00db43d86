"""Instead of the pixels: copies one TIFF for each file of an inventory, and writes the receipt.

Takes the place of `scripts/job.py` in a copy of the workflow, and gives all jobs but `write` to the
original beside it, `original_job.py`. The TIFF and its receipt are `example.tiff` and
`example.jsonl` where snakemake was called.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import runpy
import shutil
import sys
from pathlib import Path

FROM_INVENTORY = ("study_instance_uid", "series_instance_uid", "sop_instance_uid", "attempt")


def copy_images(inventory: Path, images: Path, receipt: Path, example: Path) -> None:
    """Write images and receipt of a study; the receipt of ``example`` lies beside it."""
    known = json.loads(example.with_suffix(".jsonl").read_text().splitlines()[0])
    images.mkdir(parents=True, exist_ok=True)
    receipt.parent.mkdir(parents=True, exist_ok=True)
    entries = inventory.read_text()
    known["inventory"] = hashlib.sha256(entries.encode()).hexdigest()[:16]
    with receipt.open("w") as lines:
        for entry in map(json.loads, entries.splitlines()):
            name = f"{entry['study_instance_uid']}/{entry['sop_instance_uid']}.tiff"
            shutil.copyfile(example, images.parent / name)
            own = {key: entry[key] for key in FROM_INVENTORY}
            record = known | own | {"source_path": entry["path"], "output": name}
            lines.write(json.dumps(record) + "\n")


def main() -> None:
    """Do this for the arguments of a job."""
    if sys.argv[1] != "write":
        runpy.run_path(str(Path(__file__).with_name("original_job.py")), run_name="__main__")
        return
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("input", "images", "receipt", "output", "study", "kept", "recipe", "threads"):
        parser.add_argument(f"--{name}")
    given = parser.parse_args(sys.argv[2:])
    example = Path(os.environ["DP_DIRECTORY"], "example.tiff")
    copy_images(Path(given.input), Path(given.images), Path(given.receipt), example)


if __name__ == "__main__":
    main()
