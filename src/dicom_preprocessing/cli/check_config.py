"""check_config.py: check configuration files, with the line of each mistake."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_preprocessing.config.files import check_config_file
from dicom_preprocessing.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Check files; the exit status is 0, 1 (a file is wrong) or 2 (wrong usage)."""
    parser = argparse.ArgumentParser(
        prog="check_config.py",
        description="Check configuration files before snakemake --configfile reads them. "
        "The exit status is 0 if all can be used, 1 if one is wrong, 2 for wrong usage.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="YAML to check")
    status = 0
    for path in parser.parse_args(argv).files:
        try:
            _, warnings = check_config_file(path)
        except ConfigError as error:
            print(f"error: {error}", file=sys.stderr)
            status = 1
        else:
            for warning in warnings:
                print(f"{path}: warning: {warning}", file=sys.stderr)
    return status
