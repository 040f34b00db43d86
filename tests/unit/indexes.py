"""Indexes of small sources."""

import os

from dicom_preprocessing.index.build import build_index, update_index
from dicom_preprocessing.index.walk import find_files

REPORT = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11", "Modality": "SR"}


def index_of(*sources, **options):
    return build_index(find_files([str(path) for path in sources]), **options)


def update(source, output, **options):
    return update_index(output, [str(source)], excluded=[str(output)], **options)


def make_mixture(source, write_dicom):
    write_dicom(source / "a" / "1.dcm")
    write_dicom(source / "a" / "2.dcm")
    write_dicom(source / "b" / "1.dcm", SOPInstanceUID="1.2.3.1.2")
    write_dicom(source / "b" / "2.dcm", None, **REPORT)
    write_dicom(source / "c" / "1.dcm", StudyInstanceUID="1.2.4")
    write_dicom(source / "c" / "2.dcm", StudyInstanceUID="..")
    (source / "notes.txt").write_text("notes")
    (source / "broken").symlink_to("nowhere")


def unreadable(monkeypatch, *paths):
    """Let opening some files fail: tests may run as root, who can read everything."""
    refused = set(map(os.fspath, paths))

    def guard(really_open):
        def guarded(path, *arguments, **options):
            if not isinstance(path, int) and os.fspath(path) in refused:
                raise PermissionError(13, "Permission denied")
            return really_open(path, *arguments, **options)

        return guarded

    monkeypatch.setattr("builtins.open", guard(open))
    monkeypatch.setattr(os, "open", guard(os.open))
