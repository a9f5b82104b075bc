"""The whole chain on a tiny cohort, in one process."""

import json
from collections import Counter
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest
from ome_zarr_models.v05.image import Image

import somray
from somray.domain.tables import TABLES
from somray.io.status import read_status
from somray.runtime.serial import SerialExecutor
from tests.cohort_fixtures import run_in
from tests.pipeline.same import differences


class Killed(BaseException):
    """What a SIGKILL is to a driver that lives in this process."""


class DyingExecutor(SerialExecutor):
    """Does some units of a stage and dies at the next one."""

    def __init__(self, stage, units=0):
        self.stage, self.left = stage, units

    async def submit(self, function, unit, shared=None, actor=None):
        self.left -= unit.stage == self.stage
        if self.left < 0:  # nothing is done after that, whichever its stage
            raise Killed
        return await super().submit(function, unit, shared, actor)


class CountingExecutor(SerialExecutor):
    """Counts the units of each stage."""

    def __init__(self):
        self.count = Counter()

    async def submit(self, function, unit, shared=None, actor=None):
        self.count[unit.stage] += 1
        return await super().submit(function, unit, shared, actor)


def test_the_run_ends_done_with_three_scans_set_aside(finished):
    _, summary = finished
    assert summary["state"] == "done"
    assert (summary["failed"], summary["broken"], summary["left"]) == (3, 0, 0)


def test_bad_scans_are_quarantined_with_their_codes_and_the_rest_is_done(finished):
    run = somray.open_run(finished[0])
    scans = run.table("scans").set_index("subject")
    assert len(scans) == 7
    failures = run.table("failures").set_index("subject")["code"]
    assert failures.to_dict() == {"twin": "duplicate", "cut": "truncated", "gone": "missing"}
    assert set(scans.loc[["twin", "cut", "gone"], "status"]) == {"quarantined"}
    assert scans.loc["twin", "shape_z"] is pd.NA or np.isnan(scans.loc["twin", "shape_z"])
    assert not list(Path(finished[0]).glob("scans/sub-twin*"))


@pytest.mark.parametrize("table", TABLES)
def test_every_table_can_be_read_by_pandas_as_it_stands(finished, table):
    frame = pd.read_parquet(Path(finished[0]) / "tables" / table)
    assert "protocol" in frame.columns
    # Of several sessions, materials, encoders, segmenters, and of what was assumed of a scan.
    asked = ("evolution", "porosity", "pretraining", "finetune", "notes")
    assert len(frame) > 0 or table in asked


def test_every_slice_of_every_scan_has_its_rows(finished):
    run = somray.open_run(finished[0])
    slices = run.table("slices").groupby(["subject", "session", "method"]).size()
    assert set(slices) == {12}
    assert len(slices) == 12
    areas = run.table("areas")
    assert (areas.groupby(["subject", "session", "z"])["fraction"].sum() <= 1 + 1e-9).all()


def test_every_scan_is_valid_ome_zarr_with_complete_labels(finished):
    import zarr

    scans = sorted(Path(finished[0]).glob("scans/*.ome.zarr"))
    assert len(scans) == 4
    for scan in scans:
        group = zarr.open_group(scan, mode="r")
        Image.from_zarr(group)
        assert group.attrs["somray"]["complete"] is True
        assert set(group["labels"].attrs["ome"]["labels"]) == {
            "som",
            "student",
            "objects",
            "lesions",
        }
        for label in ("som", "student", "objects", "lesions"):
            assert group[f"labels/{label}"].attrs["somray"]["complete"] is True


def test_lesion_volumes_equal_the_voxels_of_their_labels(finished):
    run = somray.open_run(finished[0])
    lesions = run.table("lesions")
    for (subject, session), rows in lesions.groupby(["subject", "session"]):
        scan = run.scan(subject, session)
        labels = scan["lesions"].values[0]
        voxel = abs(np.linalg.det(np.asarray(scan.attrs["affine"])[:3, :3]))
        for row in rows.itertuples():
            assert row.volume_mm3 == pytest.approx((labels == row.lesion_id).sum() * voxel)


def test_the_slices_table_tells_the_area_of_the_mask(finished):
    run = somray.open_run(finished[0])
    scan = run.scan("s01", "t0")
    rows = run.table("slices").query("subject == 's01' and session == 't0'")
    for method, value in (("som", 3), ("student", 3)):
        found = rows[rows["method"] == method].sort_values("z")["target_fraction"]
        mask = scan[method].values[0] == value
        assert np.allclose(found, mask.mean(axis=(1, 2)))


def test_truth_is_told_for_each_mask_and_for_the_objects(finished):
    """With the CT's object rule; `test_student_cohort` has PET/CT's."""
    run = somray.open_run(finished[0])
    truth = run.table("truth").query("label == 0")
    told = truth.groupby(["subject", "session"])["method"].agg(set)
    assert len(told) == 4
    assert all(methods == {"som", "student", "lesions", "som_lesions"} for methods in told)


def test_a_second_run_does_nothing(finished, cohort_folder):
    executor = CountingExecutor()
    before = {p: p.read_bytes() for p in Path(finished[0]).rglob("*.parquet")}
    summary = run_in(cohort_folder, f"output={finished[0]}", executor=executor)
    assert executor.count == Counter()
    assert summary["failed"] == 3
    assert {p: p.read_bytes() for p in Path(finished[0]).rglob("*.parquet")} == before


LIVES = (
    ("ingest", 2), ("register", 1), ("student", 0), ("open", 1), ("segment", 0), ("close", 1),
    ("objects", 0), ("calls", 0), ("evolve", 0), ("truth", 0),
)  # fmt: skip
"""None can do all of a later one's units: masks' truth goes on beside objects, that of lesions comes last."""


def test_a_run_on_a_url_that_died_again_and_again_equals_an_undisturbed_one_on_disk(
    finished, cohort_folder, tmp_path
):
    """Each life goes on where the one before died, until the last one is left to finish."""
    url = "memory://somray-test/run"
    for stage, units in LIVES:
        with pytest.raises(Killed):
            run_in(cohort_folder, f"output={url}", executor=DyingExecutor(stage, units), report=len)
        assert read_status(url)["state"] == "stopped"
        assert read_status(url)["left"] > 0
    run_in(cohort_folder, f"output={url}", report=len)
    run, other = somray.open_run(url), somray.open_run(finished[0])
    assert run.table("registration").equals(other.table("registration"))
    lesions = [one.scan("s01", "t1")["lesions"].values for one in (run, other)]
    assert (lesions[0] == lesions[1]).all()
    fsspec.filesystem("memory").get("/somray-test/run", str(tmp_path / "run"), recursive=True)
    assert differences(finished[0], tmp_path / "run") == []


def test_another_setting_redoes_only_what_depends_on_it(finished_copy, cohort_folder):
    executor = CountingExecutor()
    protocol = json.loads(json.dumps(list(somray.open_run(finished_copy).config.protocols)))[0]
    setting = f"protocols.{protocol}.lesions.change_fraction=0.9"
    run_in(cohort_folder, f"output={finished_copy}", setting, executor=executor)
    assert set(executor.count) == {"evolve", "truth"}
    assert executor.count["truth"] == 4  # of the objects; the masks are the same


def test_a_removed_image_is_made_again(finished_copy, finished, cohort_folder):
    import shutil

    shutil.rmtree(finished_copy / "scans/sub-s02_ses-t1.ome.zarr")
    executor = CountingExecutor()
    run_in(cohort_folder, f"output={finished_copy}", executor=executor)
    assert executor.count["ingest"] == 1
    assert executor.count["som"] == 1
    assert differences(finished[0], finished_copy) == []


def test_transfer_alone_needs_no_student(cohort_folder, tmp_path):
    protocol = "phantom-ct"
    place = tmp_path / "run"
    settings = ("segment=som", "registration.pairs=[]")
    run_in(cohort_folder, f"output={place}", *(f"protocols.{protocol}.{one}" for one in settings))
    run = somray.open_run(place)
    assert set(run.table("slices")["method"]) == {"som", "lesions"}
    assert run.student(protocol) is None
    assert len(run.table("agreement")) == 0
    assert len(run.table("lesions")) > 0


def test_run_json_tells_what_ran(finished):
    info = json.loads((Path(finished[0]) / "run.json").read_text())
    assert info["somray"] == somray.__version__
    assert info["versions"]["ray"]
    assert info["finished"] >= info["started"]
