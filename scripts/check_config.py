"""Check configuration files: python check_config.py FILE. Also by hand, before a long run."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from dicom_preprocessing.cli.check_config import main

if __name__ == "__main__":
    raise SystemExit(main())
