"""A scan of several time points: every stage looks at all of them; sessions are compared at t 0."""

import numpy as np
import pandas as pd
import pytest

import somray
from somray.report.pages import write_report
from tests.pipeline.tiny import body, run_tiny, save, write_manifest

TIMES, SHAPE = 3, (6, 32, 32)
RADII = {"t0": (4.0, 5.0, 6.5), "t1": (6.0, 5.0, 4.0)}  # of the lesion at each t
STUDENT = {"rounds": 2, "steps": 30, "cohort": 0}
PROTOCOL = {"modality": "CT", "student": STUDENT, "objects": {"rule": "none"}}


def moving(session):
    """Return (t, z, y, x) and where its lesion is."""
    drawn = [body(SHAPE, seed, radius) for seed, radius in enumerate(RADII[session])]
    return np.stack(drawn), np.stack([one > 200 for one in drawn])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("times")
    for session in RADII:
        save(folder / f"{session}.nii", moving(session)[0])
    write_manifest(folder, [("s", n, "p", f"{n}.nii") for n in RADII], {"p": PROTOCOL})
    summary = run_tiny(folder, report=write_report)
    assert (summary["failed"], summary["broken"]) == (0, 0)
    return somray.open_run(folder / "run")


@pytest.mark.parametrize("session", RADII)
def test_pixels_and_masks_of_every_time_point_are_there(run, session):
    scan, (values, lesion) = run.scan("s", session), moving(session)
    assert scan.image.shape == (TIMES, 1, *SHAPE)
    np.testing.assert_array_equal(scan.image.values[:, 0], values)
    for t in range(TIMES):
        for label, value in (("som", 3), ("student", 3), ("lesions", 1)):
            mask = scan[label].values[t]
            assert (
                np.isin(mask[lesion[t]], (value,) if label != "lesions" else range(1, 9)).mean()
                > 0.7
            )


def test_tables_of_slices_have_rows_at_every_time_point(run):
    slices, areas = run.table("slices"), run.table("areas")
    for table in (slices[slices.method == "som"], slices[slices.method == "student"]):
        assert table.groupby(["session", "t"]).size().tolist() == [SHAPE[0]] * 2 * TIMES
    assert set(areas.t) == set(range(TIMES))
    pairs = run.table("registration").query("kind == 'slices'")
    assert pairs.groupby(["moving_session", "t"]).size().tolist() == [SHAPE[0] - 1] * 2 * TIMES


def test_lesions_are_measured_at_every_time_point(run):
    lesions = run.table("lesions")
    found = lesions.groupby(["session", "t"])["volume_mm3"].max().unstack("t")
    for session in RADII:
        expected = moving(session)[1].sum(axis=(1, 2, 3)) * 2.0 * 0.8 * 0.8
        np.testing.assert_allclose(found.loc[session], expected, rtol=0.3)
        assert (np.diff(found.loc[session]) > 0).all() == (session == "t0")


def test_sessions_are_compared_at_the_first_time_point(run):
    evolution = run.table("evolution")
    first = run.table("lesions").query("t == 0").groupby("session")["volume_mm3"].max()
    row = evolution.iloc[evolution["volume_to_mm3"].argmax()]
    assert row.volume_from_mm3 == pytest.approx(first["t0"])
    assert row.volume_to_mm3 == pytest.approx(first["t1"])


def test_burden_is_told_at_every_time_point_and_the_report_was_made(run):
    burden = run.table("burden")
    assert set(zip(burden.session, burden.t, strict=True)) == {
        (s, t) for s in RADII for t in range(TIMES)
    }
    lesions = run.table("lesions").groupby(["session", "t"])["volume_mm3"].sum()
    told = burden.set_index(["session", "t"])["volume_mm3"]
    pd.testing.assert_series_equal(told.sort_index(), lesions.sort_index(), check_names=False)
    assert run.storage.exists("report/sub-s.html")
