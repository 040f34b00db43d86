"""Receipts made by hand, of images, multi-frame objects and stacks, and runs of them."""

from dataclasses import replace

from dicom_preprocessing.files import as_record, json_lines
from dicom_preprocessing.imaging.geometry import Geometry, Size
from dicom_preprocessing.imaging.image import SourceInfo
from dicom_preprocessing.imaging.space import PatientSpace
from dicom_preprocessing.index.selection import Census
from dicom_preprocessing.index.table import ExcludedFile, IndexFolder, Study, format_study_table
from dicom_preprocessing.results.collection import collect_parts, collect_receipts, write_part
from dicom_preprocessing.results.collection import write_results as write_tables
from dicom_preprocessing.results.layout import ResultsFolder
from dicom_preprocessing.results.receipts import Receipt, write_receipts
from dicom_preprocessing.workflow.shards import assign_to_shards, list_parts

RECIPE, INVENTORY = "recipe", "inventory"
SIZE = Size(4, 3)


def space_of(*heights):
    """Axial pages at these heights in mm, of pixels of 0.5 mm."""
    positions = tuple((-10.0, 20.0, float(height)) for height in heights)
    return PatientSpace((1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (0.5, 0.5), positions)


def unwritten(sop, study="1.2", **changes):
    """The receipt of a file that has no image yet."""
    values = {
        "source_path": f"/in/{sop}.dcm",
        "study_instance_uid": study,
        "series_instance_uid": "1.2.9",
        "sop_instance_uid": sop,
        "attempt": 1,
        "recipe": RECIPE,
        "inventory": INVENTORY,
    }
    return Receipt(**values | changes)


def failed(sop, study="1.2", state="failed", error="damaged"):
    return unwritten(sop, study, state=state, error=error, message="cut", stage="decode")


def written(sop, study="1.2", *, frames=1, source_frames=None, geometry=None, **facts):
    """The receipt of an image of so many pages; ``facts`` are of ``SourceInfo``."""
    source_info = SourceInfo(
        study_instance_uid=study,
        series_instance_uid="1.2.9",
        sop_instance_uid=sop,
        modality="CT",
        source_rows=SIZE.height,
        source_columns=SIZE.width,
        source_frames=source_frames or frames,
        **facts,
    )
    return unwritten(
        sop,
        study,
        stage="write",
        output=f"{study}/{sop}.tiff",
        source_info=source_info.as_dict(),
        geometry=(geometry or Geometry(SIZE)).as_dict(),
        frames=frames,
        channels=1,
        dtype="uint8",
    )


def stack(*sops, study="1.2", page_frames=None, frames=None, geometry=None, volume=1, **facts):
    """The receipts of a stack, in its order; by default each file is a page."""
    count = frames or (len(sops) if page_frames is None else len(page_frames))
    image = written(
        sops[0],
        study,
        frames=count,
        source_frames=len(sops),
        page_frames=page_frames,
        geometry=geometry,
        **facts,
    )
    others = [unwritten(sop, study, stage="write") for sop in sops[1:]]
    return [
        replace(r, part_of=sops[0], place_in_stack=n, volume=volume, volume_id=f"id{volume}")
        for n, r in enumerate([image, *others], 1)
    ]


class HandMadeRun:
    """Results of receipts made by hand, and of files that the index left out."""

    def __init__(self, folder, *receipts, excluded=()):
        self.output, self.results = folder / "results", ResultsFolder(folder / "results")
        self.by_study = {}
        for receipt in receipts:
            self.by_study.setdefault(receipt.study_instance_uid, []).append(receipt)
        for study, of_study in self.by_study.items():
            write_receipts(self.results.receipt("write", study), of_study)
        for receipt in receipts:
            if receipt.has_image:
                path = self.results.images("write") / receipt.output
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        self._write_index(excluded)

    def _write_index(self, excluded):
        index = IndexFolder(self.output)
        index.studies.mkdir(parents=True)
        table = format_study_table(
            Study(
                study_instance_uid=uid,
                files=len(self.by_study[uid]),
                mem_mb=1,
                megapixels=1,
                inventory=INVENTORY,
            )
            for uid in sorted(self.by_study)
        )
        index.table.write_text("".join(table))
        files = (
            ExcludedFile(source_path=path, state="skipped", error="not_dicom", message="")
            for path in excluded
        )
        index.excluded_files.write_text("".join(json_lines(map(as_record, files))))
        index.census.write_text(Census().to_json())

    @property
    def studies(self):
        return list(IndexFolder(self.output).read_studies().values())

    def collect(self):
        return collect_receipts(self.output, self.studies, RECIPE)

    def gather(self):
        """The tables of one run."""
        write_tables(self.output, self.collect())
        return self.results

    def write_shards(self, shards):
        for part, studies in self._parts(shards):
            part.folder.mkdir(parents=True, exist_ok=True)
            collected = collect_receipts(self.output, studies, RECIPE)
            write_part(collected, part, studies)

    def gather_shards(self, shards):
        """The tables of a run in shards."""
        collected = collect_parts(self._parts(shards), RECIPE)
        write_tables(self.output, collected)
        return self.results

    def _parts(self, shards):
        studies = assign_to_shards(self.studies, shards)
        return list(zip(list_parts(self.output, shards), studies, strict=True))
