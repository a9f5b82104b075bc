"""What a teacher is fitted on: several slices, several scans, a cohort, or an earlier run's teacher."""

import numpy as np
import pytest

import somray
from somray.errors import ConfigError
from somray.kernels.teacher.fit import TeacherSpec, apply_teacher, fit_teacher
from tests.cohort_fixtures import run_in

PROTOCOL = "protocols.phantom-ct"
ALONE = (f"{PROTOCOL}.registration.pairs=[]", f"{PROTOCOL}.objects={{rule: none}}")
QUICK = (f"{PROTOCOL}.segment=som", *ALONE)


@pytest.fixture(scope="module")
def folded(cohort_folder, tmp_path_factory):
    """A run whose teacher was fitted on every third slice of all scans."""
    place = tmp_path_factory.mktemp("folded") / "run"
    run_in(cohort_folder, f"output={place}", *QUICK, f"{PROTOCOL}.teacher.reference={{every: 3}}")
    return somray.open_run(place)


def usable(run):
    scans = run.table("scans")
    return [(r.subject, r.session) for r in scans[scans.status == "done"].itertuples()]


def test_a_fold_over_the_cohort_fits_what_all_its_slices_in_memory_would(folded):
    model = folded.teacher("phantom-ct")
    volumes = [folded.scan(*key) for key in usable(folded)]
    slices = [v.image.values[0, :, z] for v in volumes for z in range(0, v.sizes["z"], 3)]
    spec = TeacherSpec("CT", ("CT",), windows=model.windows)
    whole = fit_teacher(np.stack(slices), spec, model.spacing_mm).model
    np.testing.assert_allclose(model.codebook.weights, whole.codebook.weights, atol=1e-3)
    assert model.codebook.hits.sum() == whole.codebook.hits.sum()
    assert "one slice in 3 of 4 scans (16 slices)" in model.fitted_on


def test_slices_of_two_scans_are_named_in_the_model(cohort_folder, tmp_path):
    named = [{"subject": "s01", "session": "t0", "slices": [4, 5]},
             {"subject": "s02", "session": "t1", "slices": [6]}]  # fmt: skip
    place = f"output={tmp_path / 'run'}"
    run_in(cohort_folder, place, *QUICK, f"{PROTOCOL}.teacher.reference={named}")
    model = somray.open_run(tmp_path / "run").teacher("phantom-ct")
    assert model.reference == (("s01", "t0", 4), ("s01", "t0", 5), ("s02", "t1", 6))
    assert model.fitted_on == "3 slices of 2 scans"


def test_a_reference_that_was_set_aside_fails_the_protocol_and_says_why(cohort_folder, tmp_path):
    named = {"subject": "twin", "session": "t0", "slices": [4]}
    place = f"output={tmp_path / 'run'}"
    summary = run_in(cohort_folder, place, *QUICK, f"{PROTOCOL}.teacher.reference={named}")
    failures = somray.open_run(tmp_path / "run").table("failures")
    told = failures[failures.stage == "teacher"].message.item()
    assert summary["broken"] == 1
    assert "twin t0" in told


def test_a_teacher_is_carried_over_unchanged(folded, cohort_folder, tmp_path):
    settings = (f"output={tmp_path / 'run'}", *QUICK, f"{PROTOCOL}.teacher.previous={folded.root}")
    run_in(cohort_folder, *settings)
    run = somray.open_run(tmp_path / "run")
    old, new = folded.teacher("phantom-ct"), run.teacher("phantom-ct")
    assert old.codebook.weights.tobytes() == new.codebook.weights.tobytes()
    assert old.node_classes.tobytes() == new.node_classes.tobytes()
    assert "carried over unchanged" in new.fitted_on
    for key in usable(run):
        assert (run.scan(*key).som.values == folded.scan(*key).som.values).all()


def test_a_refitted_teacher_keeps_what_its_classes_mean(folded, cohort_folder, tmp_path):
    settings = (
        f"output={tmp_path / 'run'}",
        *QUICK,
        f"{PROTOCOL}.teacher.previous={folded.root}",
        f"{PROTOCOL}.teacher.refit=true",
    )
    run_in(cohort_folder, *settings)
    run = somray.open_run(tmp_path / "run")
    old, new = folded.teacher("phantom-ct"), run.teacher("phantom-ct")
    assert old.codebook.weights.tobytes() != new.codebook.weights.tobytes()
    assert old.class_names == new.class_names
    for key in usable(run):
        one, other = run.scan(*key).som.values, folded.scan(*key).som.values
        assert (one == other).mean() > 0.9


def test_a_previous_run_without_the_protocol_is_refused_before_anything_starts(
    cohort_folder, tmp_path
):
    settings = (f"output={tmp_path / 'run'}", f"{PROTOCOL}.teacher.previous={tmp_path}")
    with pytest.raises(ConfigError, match="holds no teacher of protocol 'phantom-ct'"):
        run_in(cohort_folder, *settings)
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_three_dimensions_labels_slabs_as_the_whole_scan(cohort_folder, tmp_path):
    """Sub-slabs with their halo give what the API gives on the whole volume at once."""
    settings = (f"output={tmp_path / 'run'}", *QUICK, f"{PROTOCOL}.teacher.dimensions=3")
    run_in(cohort_folder, *settings)
    run = somray.open_run(tmp_path / "run")
    model = run.teacher("phantom-ct")
    assert model.dimensions == 3
    scan = run.scan("s02", "t1")
    spacing = run.table("scans").set_index(["subject", "session"]).loc[("s02", "t1")]
    labels = apply_teacher(
        model,
        np.moveaxis(scan.image.values[0], 0, 1),
        (spacing.spacing_y_mm, spacing.spacing_x_mm),
        spacing_z_mm=spacing.spacing_z_mm,
    ).labels
    assert (scan.som.values[0] == labels).all()


def test_a_target_keeps_its_number_in_the_students_labels(cohort_folder, tmp_path):
    settings = (
        f"output={tmp_path / 'run'}",
        *ALONE,
        f"{PROTOCOL}.teacher.target=normal",
        f"{PROTOCOL}.student.rounds=1",
    )
    run_in(cohort_folder, *settings)
    run = somray.open_run(tmp_path / "run")
    found = [set(np.unique(run.scan(*key).student.values)) for key in usable(run)]
    assert set.union(*found) == {0, 2}
