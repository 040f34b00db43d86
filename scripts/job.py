"""Run a job of the workflow: python job.py NAME OPTIONS. Names and options: --help."""

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "src"))

from dicom_preprocessing.cli.job import main

if __name__ == "__main__":
    raise SystemExit(main(examples=CHECKOUT / "examples" / "studies"))
