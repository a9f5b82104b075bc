"""The object step through the whole chain: the cohort's voice, a person's word, kills and reruns."""

import shutil

import nibabel as nib
import numpy as np
import pytest
import yaml

import somray
from somray.commands.launch import load_cohort
from somray.domain.run import RunLayout
from somray.pipeline.cohort import run_cohort
from somray.runtime.serial import SerialExecutor
from tests.cohort_fixtures import run_in
from tests.kernels.objects.drawn_body import SPACING, at, ball, scan
from tests.pipeline.same import differences

BRAIN, BLADDER = (at(-0.22, 0.0), 11, 9.0, 40.0), (at(0.85, 0.0, 0.4), 6, 25.0, 5.0)
COMMON = (at(0.2, -80.0, 0.4), 4, 6.0, 45.0)  # a place of its own that is hot in everybody
NODE = (at(0.6, 80.0, 0.6), 3, 8.0, 42.0)
SUBJECTS = 5


def save(path, values):
    affine = np.diag([-SPACING[2], -SPACING[1], SPACING[0], 1.0])  # RAS; the arrays are LPS
    nib.save(nib.Nifti1Image(values.transpose(2, 1, 0), affine), path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five bodies with the same hot place; the first has a node as well, with its truth."""
    place = tmp_path_factory.mktemp("bodies")
    rows = ["subject,session,protocol,path,channel,truth"]
    for n in range(SUBJECTS):
        hot = [BRAIN, BLADDER, COMMON, *([NODE] if n == 0 else [])]
        pet, ct = scan(hot, seed=n)
        save(place / f"{n}_ct.nii.gz", ct.astype(np.int16))
        save(place / f"{n}_pet.nii.gz", pet)
        save(place / f"{n}_truth.nii.gz", (ball(*NODE[:2]) * (n == 0)).astype(np.uint8))
        rows.append(f"s{n},t0,body,{n}_ct.nii.gz,CT,{n}_truth.nii.gz")
        rows.append(f"s{n},t0,body,{n}_pet.nii.gz,PET,")
    (place / "scans.csv").write_text("\n".join(rows) + "\n")
    protocol = {
        "modality": "PETCT", "channels": ["CT", "PET"], "segment": "som",
        "teacher": {"epochs": 4}, "registration": {"pairs": []},
    }  # fmt: skip
    config = {"scans": "scans.csv", "output": "run", "protocols": {"body": protocol}}
    (place / "cohort.yaml").write_text(yaml.safe_dump(config))
    return place


@pytest.fixture(scope="module")
def done(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("objects") / "run"
    run_in(folder, f"output={place}")
    return place


def objects_of(place):
    return somray.open_run(place).table("objects")


def test_what_is_hot_in_everybody_is_physiology_by_the_cohort(done):
    objects = objects_of(done)
    common = objects[objects.by == "cohort"]
    assert sorted(common.subject) == [f"s{n}" for n in range(SUBJECTS)]
    assert set(common.cohort_subjects) == {SUBJECTS - 1}
    assert (common.cohort_fraction > 0.5).all()


def test_the_one_lesion_is_followed_and_scored(done):
    run = somray.open_run(done)
    assert sorted(run.table("lesions").subject) == ["s0"]
    truth = run.table("truth").query("method == 'lesions' and label == 0").set_index("subject")
    assert truth.dice["s0"] > 0.75
    assert truth.false_positive_ml.drop("s0").max() == 0.0
    slices = run.table("slices").query("method == 'lesions' and target_fraction > 0")
    assert set(slices.subject) == {"s0"}
    burden = run.table("burden").set_index("subject")
    assert burden.lesions.to_dict() == {"s0": 1, "s1": 0, "s2": 0, "s3": 0, "s4": 0}
    labels = run.scan("s0", "t0")
    assert int((labels["objects"] > 0).sum()) > int((labels["lesions"] > 0).sum()) > 0


class Dead(BaseException):
    """What a SIGKILL is to a driver that lives in this process."""


class Counting(SerialExecutor):
    """Notes the stage of each unit; dies after n of one stage."""

    def __init__(self, last=None, stage=None):
        self.left, self.stage, self.stages = last, stage, []

    async def submit(self, function, unit, shared=None, actor=None):
        if self.left is not None:
            self.left -= unit.stage == self.stage
            if self.left < 0:  # nothing is done after that, whichever its stage
                raise Dead
        self.stages.append(unit.stage)
        return await super().submit(function, unit, shared, actor)


def again(folder, done, tmp_path, change):
    """Run a copy of the finished run again with other `objects` settings; return it and what was done anew."""
    place = tmp_path / "run"
    shutil.copytree(done, place)
    config = yaml.safe_load((folder / "cohort.yaml").read_text())
    config["output"] = str(place)
    config["protocols"]["body"]["objects"] = change
    path = folder / f"{tmp_path.name}.yaml"
    path.write_text(yaml.safe_dump(config))
    executor = Counting()
    run_cohort(load_cohort(path, ()), executor, lambda root: None)
    return place, executor.stages


def test_without_the_cohort_the_place_is_a_lesion_in_everybody(folder, done, tmp_path):
    place, stages = again(folder, done, tmp_path, {"cohort": False})
    assert set(objects_of(place).by) == {"rule"}
    assert somray.open_run(place).table("lesions").subject.nunique() == SUBJECTS
    assert "objects" not in stages


def test_a_persons_word_costs_no_second_look(folder, done, tmp_path):
    node = objects_of(done).query("subject == 's0' and called == 'lesion'").iloc[0]
    at_mm = [float(node[f"centroid_{axis}_mm"]) for axis in "xyz"]
    word = {"subject": "s0", "session": "t0", "at_mm": at_mm, "call": "physiological"}
    place, stages = again(folder, done, tmp_path, {"calls": [word]})
    assert set(stages) <= {"calls", "evolve", "truth", "publish"}
    assert stages.count("calls") == 1
    assert somray.open_run(place).table("lesions").empty


def test_an_object_step_that_was_killed_ends_with_the_same_bits(folder, done, tmp_path):
    """`test_cohort.py` kills runs in the stages before."""
    place = tmp_path / "run"
    shutil.copytree(done, place)
    for stage in ("objects", "calls", "evolve", "truth"):
        shutil.rmtree(place / RunLayout.ledger(stage, "body"))  # none of them was ever done
    lives = Counting(3, "objects"), Counting(2, "calls"), Counting()
    for executor in lives[:2]:
        with pytest.raises(Dead):
            run_in(folder, f"output={place}", executor=executor)
    run_in(folder, f"output={place}", executor=lives[2])
    objects, calls = ([life.stages.count(s) for life in lives] for s in ("objects", "calls"))
    assert (sum(objects), objects[2]) == (SUBJECTS, 0)
    assert 0 < objects[0] < SUBJECTS
    assert 0 < calls[2] < SUBJECTS
    assert differences(done, place) == []
