"""A cohort whose truth is an RT Structure Set scores as with the mask that its contours outline."""

import csv

import numpy as np
import pyarrow.dataset as ds
import yaml

from somray.commands.launch import load_cohort
from somray.domain.run import RunLayout
from somray.io.readers import open_source
from somray.io.writers.dicom.contours import outlines
from somray.pipeline.plan import make_plan
from tests.io.masks.structures import write_structures
from tests.pipeline.tiny import QUICK, body, run_tiny, save


def write_cohort(folder, truth):
    with (folder / "scans.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("subject", "session", "protocol", "path", "truth"), ("a", "t0", "p", "a.nii", truth)]
        )
    config = {"scans": "scans.csv", "output": "run", "protocols": {"p": QUICK}}
    (folder / "cohort.yaml").write_text(yaml.safe_dump(config))


def rows(folder):
    found = ds.dataset(folder / "run" / RunLayout.partition("truth", "p")).to_table().to_pylist()
    return sorted(found, key=lambda row: (row["method"], row["label"]))


def test_contours_score_as_their_mask_does_and_check_tells_what_they_leave_out(tmp_path):
    values = body()
    mask = (values > 250).astype(np.uint8)
    save(tmp_path / "a.nii", values)
    save(tmp_path / "mask.nii", mask)
    with open_source(tmp_path / "a.nii") as source:
        grid = source.header.geometry
    contours = [
        grid.to_world(np.column_stack([np.full(len(ring), float(z)), ring[:, ::-1]]))
        for z, plane in enumerate(mask)
        if plane.any()
        for ring in outlines(plane > 0)
    ]
    rois = [
        (1, "GTV", "GTV", contours),
        (2, "core", "", contours[:1]),
        (3, "iso", "", [("POINT", contours[0][:1])]),
    ]
    write_structures(tmp_path / "rs.dcm", rois)
    write_cohort(tmp_path, "rs.dcm")
    notes = make_plan(load_cohort(tmp_path / "cohort.yaml")).notes
    assert "a t0: its truth leaves out 1 points and open contours" in notes
    assert any("overlap" in note and "2 core" in note for note in notes)
    run_tiny(tmp_path)
    drawn = rows(tmp_path)
    write_cohort(tmp_path, "mask.nii")
    run_tiny(tmp_path)
    assert drawn == rows(tmp_path)
    assert drawn[0]["dice"] > 0.5
