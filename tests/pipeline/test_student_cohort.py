"""The cohort's round in whole runs: who teaches, what the tables tell, and runs that died meanwhile."""

import json
from dataclasses import replace

import numpy as np
import pytest

import somray
from somray.cli import main
from somray.commands.launch import load_cohort
from somray.domain.run import ScanPlace
from somray.io import models
from somray.io.storage import Storage
from somray.kernels.student.rounds.spec import network_of
from somray.pipeline import chains, intake
from somray.pipeline.plan import make_plan
from somray.pipeline.units.protocol import Units
from somray.pipeline.units.scan_state import ScanState
from somray.pipeline.units.student import student_unit
from tests.cohort_fixtures import run_in
from tests.pipeline.same import differences
from tests.pipeline.test_cohort import CountingExecutor, DyingExecutor, Killed

CT, PETCT = "protocols.phantom-ct", "protocols.phantom-petct"


def history_of(root, protocol):
    return models.read_student(Storage.at(str(root)), protocol).history


def test_stages_are_told_by_round_and_the_cohorts_comes_last(petct_run):
    root, summary = petct_run
    assert (summary["state"], summary["broken"], summary["failed"]) == ("done", 0, 0)
    run = somray.open_run(root)
    convergence = run.table("convergence").sort_values("round")
    assert convergence.stage.tolist()[0] == "A"
    assert convergence.stage.tolist()[-1] == "cohort"
    assert set(convergence.stage) <= {"A", "A+B", "cohort"}
    agreement = run.table("agreement")
    assert set(agreement.stage) == set(convergence.stage)
    assert (agreement[agreement.stage == "cohort"].role == "held_out").all()
    assert agreement[agreement.stage == "A"].role.tolist() == ["train", "held_out"]
    assert set(agreement.ref) == {"som_teacher"}
    assert agreement.z.nunique() == 2
    assert set(run.table("training")["round"]) == set(convergence["round"])
    history = history_of(root, "phantom-petct")
    assert (history["cohort_scans"], history["dimensions"]) == (2, 3)


def test_the_students_mask_of_a_volume_has_the_targets_number(petct_run):
    run = somray.open_run(petct_run[0])
    for subject in ("s01", "s02"):
        scan = run.scan(subject, "t0")
        assert scan.student.shape == scan.som.shape
        assert set(np.unique(scan.student.values)) <= {0, 3}
        slices = run.table("slices").query(f"subject == '{subject}' and method == 'student'")
        told = slices.sort_values("z").target_fraction
        np.testing.assert_allclose(told, (scan.student.values[0] == 3).mean(axis=(1, 2)))


def test_truth_is_told_with_and_without_the_student(petct_run):
    truth = somray.open_run(petct_run[0]).table("truth").query("label == 0")
    told = truth.groupby("subject")["method"].agg(set)
    assert told.tolist() == [{"som", "student", "lesions", "som_lesions"}] * 2


def test_the_baselines_objects_are_no_label_for_readers(petct_run):
    import zarr

    place = petct_run[0] / "scans/sub-s01_ses-t0.ome.zarr/labels"
    listed = zarr.open_group(place, mode="r").attrs["ome"]["labels"]
    assert listed == ["som", "student", "objects", "lesions"]


def test_applying_the_student_of_volumes_equals_the_run(petct_run, petct_folder, tmp_path, capsys):
    import zarr

    ct, pet = (str(petct_folder / f"scans/s02_t0_{channel}.nii.gz") for channel in ("CT", "PET"))
    arguments = ["--protocol", "phantom-petct", "--method", "student", "--channel", pet, "--json"]
    found = main(["apply", str(petct_run[0]), ct, *arguments, "--out", str(tmp_path / "masks")])
    told = capsys.readouterr()
    assert found == 0, told.err
    group = zarr.open_group(json.loads(told.out)["scan"], mode="r")
    expected = somray.open_run(petct_run[0]).scan("s02", "t0").student.values
    np.testing.assert_array_equal(group["labels/student/0"][:], expected)


def test_a_second_run_does_nothing(petct_run, petct_folder):
    executor = CountingExecutor()
    run_in(petct_folder, f"output={petct_run[0]}", executor=executor)
    assert not executor.count


def test_a_run_that_died_and_was_run_again_equals_an_undisturbed_one(
    petct_run, petct_folder, tmp_path
):
    place = tmp_path / "run"
    for stage, units in (("student", 0), ("objects", 1)):
        with pytest.raises(Killed):
            run_in(petct_folder, f"output={place}", executor=DyingExecutor(stage, units))
    run_in(petct_folder, f"output={place}")
    assert differences(petct_run[0], place) == []


def test_without_a_cohort_the_rounds_end_with_the_slices(petct_folder, tmp_path):
    place = tmp_path / "run"
    run_in(petct_folder, f"output={place}", f"{PETCT}.student.cohort=0")
    run = somray.open_run(place)
    assert "cohort" not in set(run.table("convergence").stage)
    assert history_of(place, "phantom-petct")["cohort_scans"] == 0
    truth = run.table("truth")
    assert set(truth.method) == {"som", "student", "lesions", "som_lesions"}


def test_slices_are_taught_by_all_usable_scans_and_by_nobody_set_aside(finished):
    run = somray.open_run(finished[0])
    assert run.table("convergence").sort_values("round").stage.tolist()[-1] == "cohort"
    history = history_of(finished[0], "phantom-ct")
    assert (history["cohort_scans"], history["dimensions"]) == (4, 2)
    assert history["trainer"] == "in process"
    assert set(run.table("agreement").subject) == {"s01"}


def states_of(cohort_folder, *settings):
    """Units of the CT cohort, and states of its first three scans."""
    cohort = load_cohort(cohort_folder / "cohort.yaml", settings)
    units = Units("run", "phantom-ct", cohort.config)
    states = [
        ScanState(scan, ScanPlace("run", scan.subject, scan.session), (1, 1, 12, 48, 48), f"d{n}")
        for n, scan in enumerate(cohort.scans[:3])
    ]
    return units, states


def test_the_digest_and_the_memory_cover_the_cohorts_scans(cohort_folder):
    units, (first, second, third) = states_of(cohort_folder)
    made = [student_unit(units, first, 4, "t", further) for further in ([], [second], [third])]
    alone, with_second, _ = made
    assert len({unit.digest for unit in made}) == 3
    changed = replace(second, source_digest="other")
    assert student_unit(units, first, 4, "t", [changed]).digest != with_second.digest
    assert student_unit(units, first, 5, "t", []).digest != alone.digest
    assert student_unit(units, first, 4, "u", []).digest != alone.digest
    wide = replace(second, shape=(1, 1, 400, 2048, 2048))
    assert student_unit(units, first, 4, "t", [wide]).needs.memory_bytes > 20 * wide.slice_bytes


def test_settings_that_change_no_bit_of_the_student_train_none_anew(cohort_folder):
    digests = []
    for setting in (
        "seed=3",
        "student.confidence=true",
        "student.trainer=in_process",
        "student.steps=9",
    ):
        key = setting if setting.startswith("seed") else f"{CT}.{setting}"
        units, (first, *_) = states_of(cohort_folder, key)
        digests.append(student_unit(units, first, 4, "t", []).digest)
    assert digests[0] == digests[1] == digests[2] != digests[3]


def test_the_plan_counts_the_cohorts_scans(cohort_folder):
    hours = []
    for cohort in (0, 2, 12):
        plan = make_plan(
            load_cohort(cohort_folder / "cohort.yaml", (f"{CT}.student.cohort={cohort}",))
        )
        hours.append(plan.stages["student"].cpu_hours)
    assert hours == sorted(set(hours))


def test_the_network_is_told_by_the_spec_that_was_trained(petct_run):
    model = models.read_student(Storage.at(str(petct_run[0])), "phantom-petct")
    assert model.network["kinds"] == "CT,PET"
    assert model.channels == ("CT", "PET")
    from somray.kernels.student.rounds.spec import StudentSpec

    spec = StudentSpec(model.channels, ("CT", "PET"), model.windows, dimensions=3)
    assert model.network == network_of(spec)


def test_a_window_of_one_neither_blocks_the_cohorts_voice_nor_changes_a_bit(
    petct_run, petct_folder, tmp_path, monkeypatch
):
    """Calls wait for every scan of the protocol, and only one subject at a time is on its way."""
    monkeypatch.setattr(chains, "SUBJECTS_AT_ONCE", 1)
    monkeypatch.setattr(intake, "SCANS_AT_ONCE", 1)
    place = tmp_path / "run"
    run_in(petct_folder, f"output={place}")
    assert differences(petct_run[0], place) == []
