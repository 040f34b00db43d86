"""A series of slices, tables of it, and the volume that the command makes."""

import csv

from dicom_preprocessing.cli.tiff_combine import main

AXIAL = [1, 0, 0, 0, 1, 0]
MM = {1: -2.0, 2: 0.5, 3: 3.0, 4: 5.5}
"""Position by instance number; files are named in another order."""


def save_table(path, columns, *records):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *records])
    return str(path)


def table_of(folder, name="instance_number", values=(1, 2, 3, 4)):
    columns = ("sop_instance_uid", "series_instance_uid", name)
    records = [(f"1.2.3.1.{8 - i}", "1.2.3.1", value) for i, value in enumerate(values)]
    return save_table(folder / "table.csv", columns, *records)


def run(tree, *arguments):
    return main([str(tree), str(tree.parent / "volumes"), *arguments])
