"""PET/CT: two channels on their grids, uptake at the scan's own level, a student that sees whole volumes."""

import csv

import numpy as np
import pytest

from somray.errors import ShapeError
from somray.io.run import open_run
from somray.stages.answers.fitted import load_fitted
from somray.stages.answers.held import hold
from somray.stages.answers.scans import answer_scan
from somray.stages.answers.slices import SliceAsked, answer_slice


@pytest.fixture(scope="module")
def asked(petct_folder, petct_run):
    """The run's model and scan, as a stranger would ask about it."""
    with (petct_folder / "scans.csv").open() as file:
        rows = list(csv.DictReader(file))
    first = [
        r for r in rows if (r["subject"], r["session"]) == (rows[0]["subject"], rows[0]["session"])
    ]
    run = open_run(petct_run[0])
    fitted = load_fitted(run, first[0]["protocol"])
    paths = {row["channel"]: str(petct_folder / row["path"]) for row in first}
    held = hold(fitted, [paths[name] for name in fitted.channels])
    return run.scan(first[0]["subject"], first[0]["session"]), fitted, held


@pytest.mark.parametrize("method", ["som", "student"])
def test_the_voxels_are_those_of_the_run(asked, method):
    stored, fitted, held = asked
    assert np.array_equal(held.values, stored.image.values, equal_nan=True)
    assert held.level > 0
    found = answer_scan(fitted, held, method, 2)
    assert np.array_equal(found.labels, stored[method].values)
    assert found.level == held.level


def test_a_slice_at_its_scans_level_is_the_slice_of_the_scan(asked):
    stored, fitted, held = asked
    assert fitted.sees_uptake
    z = int(np.argmax((stored.som.values[0] == fitted.value).sum(axis=(1, 2))))
    image, plane = held.values[0, :, z], held.meta.geometry.spacing_mm[1:]
    found = answer_slice(fitted, SliceAsked(image, plane, level=held.level))
    assert np.array_equal(found.labels[0, 0], stored.som.values[0, z])
    with pytest.raises(ShapeError, match="whole volumes"):
        answer_slice(fitted, SliceAsked(image, plane, "student"))
    with pytest.raises(ShapeError, match="positive uptake"):
        answer_slice(fitted, SliceAsked(image, plane, level=-1.0))
    fitted.warm()
