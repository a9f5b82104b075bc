"""What was assumed, left out or decided of masks is found where people look after a run."""

import csv
from dataclasses import replace

import numpy as np
import pytest

import somray
from somray.commands.texts import status_text
from somray.config import ProtocolConfig
from somray.domain.run import ScanPlace
from somray.io.masks.opening import open_mask
from somray.io.status import read_notes, read_status
from somray.io.storage import Storage
from somray.pipeline.bounds.foreseen import made_up_teacher
from somray.stages.drift import DriftItem, _notes
from tests.io.masks.structures import write_structures
from tests.pipeline.tiny import body, run_tiny, save, write_manifest

SHAPE = (5, 32, 32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of three scans: truth as sparse contours, on another grid (as organ mask too), and empty."""
    place = tmp_path_factory.mktemp("noted")
    for seed, name in enumerate(("lines", "fine", "none")):
        save(place / f"{name}.nii", body(SHAPE, seed))
    with open_mask(str(place / "lines.nii")) as source:
        grid = source.header.geometry
    square = np.array([[10, 10], [10, 18], [18, 18], [18, 10]], float)
    rings = [grid.to_world(np.column_stack([np.full(4, float(z)), square])) for z in (0, 2, 4)]
    write_structures(place / "lines.dcm", [(n, f"part{n}", "GTV", rings) for n in (1, 2)])
    fine = np.zeros((10, 64, 64), np.uint8)
    fine[0:2, 20:30, 20:30] = 1
    save(place / "fine_mask.nii", fine, (1.0, 0.4, 0.4))
    save(place / "none_mask.nii", np.zeros(SHAPE, np.uint8))
    write_manifest(place, [])
    rows = [
        ("lines", "lines.dcm", ""),
        ("fine", "fine_mask.nii", "fine_mask.nii"),
        ("none", "none_mask.nii", ""),
    ]
    with (place / "scans.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("subject", "session", "protocol", "path", "truth", "anatomy"))
        writer.writerows((name, "0", "p", f"{name}.nii", *masks) for name, *masks in rows)
    run_tiny(place)
    return place


def test_each_mask_tells_once_what_was_decided(folder):
    notes = somray.open_run(folder / "run").table("notes")
    told = sorted(
        (row.subject, row.stage, row.note.partition(": ")[2]) for row in notes.itertuples()
    )
    grid = (
        "lies on another grid, of 0.4 × 0.4 × 1 mm; each voxel of the scan takes the nearest label"
    )
    overlap = "has regions that overlap, where the first holds the voxel: 2 part2 lose some"
    assert told == [
        ("fine", "objects", grid),
        ("fine", "objects", "names none of its organs; each is called by its value"),
        ("fine", "truth", grid),
        ("lines", "truth", "draws 1 part1, 2 part2 on one slice in 2; those between take the shape between"),
        ("lines", "truth", overlap),
        ("none", "truth", "holds no label; whatever is found counts as false"),
    ]  # fmt: skip


def test_status_tells_them_and_a_run_from_before_has_none(folder):
    root = str(folder / "run")
    notes = read_notes(root)
    assert "note: none 0: truth " in status_text(read_status(root), (), notes)
    Storage.at(root).remove("tables/notes")
    assert read_notes(root) == []


@pytest.mark.parametrize(
    ("modality", "level", "told"),
    [("PET", 21000.0, 1), ("PETCT", 0.0008, 1), ("PET", 12.0, 0), ("MR", 21000.0, 0), ("PET", None, 0)],
)  # fmt: skip
def test_pet_in_another_unit_than_the_references_is_noted_with_both_levels(modality, level, told):
    model = replace(
        made_up_teacher(ProtocolConfig(modality="PET")),
        modality=modality, extra={"subject_level": 4.2}, fitted_on="slice 3 of subject a, session 0",
    )  # fmt: skip
    notes = _notes(DriftItem(ScanPlace("run", "b", "0"), (), level), model)
    assert len(notes) == told
    for row in notes:
        assert f"at a level of {level:.3g}, that of the reference (slice 3 of subject a" in row.note
        assert "at 4.2: 5" in row.note
        assert (row.subject, row.session, row.stage) == ("b", "0", "drift")
