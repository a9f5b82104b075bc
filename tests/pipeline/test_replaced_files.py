"""Files that change between two runs: what changed is taken in again, what is the same stays done."""

import os
import shutil
from collections import Counter

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

import somray
from somray.runtime.serial import SerialExecutor
from tests.pipeline.tiny import body, run_tiny, save, write_manifest


class Counting(SerialExecutor):
    """Counts what is asked of it, by function."""

    def __init__(self):
        self.count = Counter()

    async def submit(self, function, unit, shared=None, actor=None):
        self.count[f"{function.__module__.rpartition('.')[2]}.{function.__name__}"] += 1
        return await super().submit(function, unit, shared, actor)


def rerun(folder):
    executor = Counting()
    summary = run_tiny(folder, executor)
    assert summary["failed"] == 0
    return executor.count


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate("ab"):
        save(tmp_path / f"{name}.nii", body(seed=seed))
    write_manifest(tmp_path, [("a", "t0", "p", "a.nii"), ("b", "t0", "p", "b.nii")])
    run_tiny(tmp_path)
    return tmp_path


def test_an_unchanged_cohort_is_not_looked_at(folder):
    assert rerun(folder) == {}


def test_pixels_replaced_with_size_and_time_kept_are_taken_in(folder):
    path, before = folder / "b.nii", (folder / "b.nii").stat()
    save(path, body(seed=7))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    count = rerun(folder)
    assert (count["scan.run"], count["som.run_som"]) == (1, 1)
    scan = somray.open_run(folder / "run").scan("b", "t0")
    np.testing.assert_array_equal(scan.image.values[0, 0], body(seed=7))


def test_pixels_replaced_behind_a_detached_header_are_taken_in(folder):
    image = sitk.GetImageFromArray(body(seed=3))
    sitk.WriteImage(image, str(folder / "c.mhd"))
    write_manifest(folder, [("a", "t0", "p", "a.nii"), ("c", "t0", "p", "c.mhd")])
    run_tiny(folder)
    (folder / "c.raw").write_bytes(body(seed=8).tobytes())
    assert rerun(folder)["scan.run"] == 1
    scan = somray.open_run(folder / "run").scan("c", "t0")
    np.testing.assert_array_equal(scan.image.values[0, 0], body(seed=8))


def test_copies_with_other_times_are_looked_at_and_nothing_is_done_again(folder):
    for name in ("a.nii", "b.nii"):
        shutil.copyfile(folder / name, folder / "copy")
        (folder / "copy").replace(folder / name)
        os.utime(folder / name, (1, 1))
    labels = somray.open_run(folder / "run").scan("a", "t0").som.values
    assert rerun(folder) == {"scan.look": 2}
    np.testing.assert_array_equal(somray.open_run(folder / "run").scan("a", "t0").som, labels)
    assert rerun(folder) == {}


def test_a_folder_that_was_renamed_is_told_by_its_new_name(folder):
    (folder / "moved").mkdir()
    for name in ("a.nii", "b.nii"):
        (folder / name).rename(folder / "moved" / name)
    write_manifest(folder, [(n, "t0", "p", f"moved/{n}.nii") for n in "ab"])
    assert set(rerun(folder)) <= {"scan.look"}
    told = somray.open_run(folder / "run").table("scans")["path"]
    assert sorted(told) == ["moved/a.nii", "moved/b.nii"]
