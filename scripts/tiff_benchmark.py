"""Job of the rule tiff_benchmark; also run by hand for other images."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from dicom_preprocessing.cli.tiff_benchmark import main

if __name__ == "__main__":
    raise SystemExit(main())
