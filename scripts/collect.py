"""Job of the rule collect."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from dicom_preprocessing.cli.job import collect_main

if __name__ == "__main__":
    raise SystemExit(collect_main())
