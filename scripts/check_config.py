"""Check configuration files, as make run does: python check_config.py FILE..."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from dicom_preprocessing.cli.check_config import main

if __name__ == "__main__":
    raise SystemExit(main())
