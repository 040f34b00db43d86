"""Job of the rule index."""

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "src"))

from dicom_preprocessing.cli.job import index_main

if __name__ == "__main__":
    raise SystemExit(index_main(CHECKOUT / "examples" / "studies"))
