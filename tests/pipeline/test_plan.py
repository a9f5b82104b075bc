"""`check`: the walk of the run itself, counted. `run_in` compares it with every run of the tests."""

import json
import shutil
from dataclasses import replace

import pytest

import somray
from somray.cli import main
from somray.commands.launch import load_cohort
from somray.domain.work import Needs, Unit
from somray.io.ome import metadata
from somray.pipeline.bounds.sizes import fine_pixels, odd_sizes
from somray.pipeline.plan import CORES_OF_A_GPU, CountingExecutor, RunPlan, make_plan
from somray.pipeline.stages import STAGES
from tests.pipeline.planned import planned_units

CT = "protocols.phantom-ct"


def _checked(capsys, folder, *settings):
    arguments = [part for setting in settings for part in ("--set", setting)]
    code = main(["check", str(folder / "cohort.yaml"), "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def _timed(run):
    return run.table("timings").groupby("stage").size().to_dict()


def test_planned_units_are_those_that_timings_tell(petct_folder, petct_run, capsys):
    code, plan = _checked(capsys, petct_folder)
    planned = {one["stage"]: one["units"] for one in plan["stages"] if one["units"]}
    assert code == 0
    assert planned == _timed(somray.open_run(petct_run[0]))


def test_the_plan_finds_every_scan_that_the_run_sets_aside(finished, cohort_folder, capsys):
    code, plan = _checked(capsys, cohort_folder, f"output={finished[0]}")
    assert code == 3
    assert [(q["subject"], q["code"]) for q in plan["quarantine"]] == [
        ("twin", "duplicate"),
        ("cut", "truncated"),
        ("gone", "missing"),
    ]
    done = _timed(somray.open_run(finished[0]))
    assert {one["stage"]: one["units"] for one in plan["stages"] if one["units"]} == done
    cohort = load_cohort(cohort_folder / "cohort.yaml", (f"output={finished[0]}",))
    assert {k: n for k, n in planned_units(cohort).items() if n} == done


def test_a_copy_under_another_name_is_a_duplicate_in_the_plan_too(cohort_folder, tmp_path):
    cohort = load_cohort(cohort_folder / "cohort.yaml", (f"output={tmp_path / 'run'}",))
    first = cohort.scans[0]
    shutil.copy(str(first.paths[0]), tmp_path / "again.nii.gz")
    again = replace(first, subject="again", paths=(str(tmp_path / "again.nii.gz"),))
    (found,) = make_plan(replace(cohort, scans=(first, again))).quarantine
    assert (found["subject"], found["code"]) == ("again", "duplicate")


def test_three_sessions_are_planned_with_the_pairs_that_are_always_asked(cohort_folder):
    cohort = load_cohort(cohort_folder / "cohort.yaml", (f"{CT}.registration.pairs=[sessions]",))
    first, second = cohort.scans[:2]
    third = replace(second, session="t2", order=2, paths=cohort.scans[2].paths)
    plan = make_plan(replace(cohort, scans=(first, second, third)))
    assert plan.stages["register"].units == 3 + 1 + 1  # pairs, the question for more, the group
    assert "further pairs" in STAGES["register"].unforeseen


def test_every_unit_runs_a_function_of_its_stage(petct_folder, cohort_folder, monkeypatch):
    seen, submit = set(), CountingExecutor.submit

    async def noted(self, function, unit, shared=None, actor=None):
        seen.add((unit.stage, function))
        return await submit(self, function, unit, shared, actor)

    monkeypatch.setattr(CountingExecutor, "submit", noted)
    for folder in (petct_folder, cohort_folder):
        make_plan(load_cohort(folder / "cohort.yaml", ()))
    pretrained = "protocols.phantom-ct.pretrain.codebooks=2"
    make_plan(load_cohort(cohort_folder / "cohort.yaml", (pretrained,)))
    monkeypatch.setattr(metadata, "TILE_PIXELS", 16)
    monkeypatch.setattr(metadata, "MAX_SLAB_BYTES", 4 * 16 * 16)  # slices are cut into tiles
    make_plan(load_cohort(cohort_folder / "cohort.yaml", ()))
    table = {(name, function) for name, stage in STAGES.items() for function in stage.functions}
    large = {"fill", "close"}  # of scans that no test here has
    assert {f.__name__ for _, f in table - seen} == {"run_bridges", "missing", *large}
    assert not seen - table


def test_nothing_is_written(cohort_folder, tmp_path, capsys):
    before = {p: p.stat().st_mtime_ns for p in cohort_folder.rglob("*")}
    _checked(capsys, cohort_folder, f"output={tmp_path / 'run'}")
    assert {p: p.stat().st_mtime_ns for p in cohort_folder.rglob("*")} == before
    assert list(tmp_path.iterdir()) == []


def test_a_reference_that_cannot_be_used_leaves_the_protocol_without_masks(cohort_folder):
    named = {"subject": "gone", "session": "t0", "slices": [4]}
    setting = f"{CT}.teacher.reference={named}"
    plan = make_plan(load_cohort(cohort_folder / "cohort.yaml", (setting,)))
    assert ["gone t0" in reason for reason in plan.unfitted] == [True]
    assert (plan.stages["teacher"].units, plan.stages["som"].units) == (1, 0)
    assert plan.stages["register"].units > 0


def test_reference_slices_that_a_scan_does_not_have_are_told(cohort_folder, capsys):
    named = "{subject: s01, session: t0, slices: [3, 12, 40]}"
    arguments = ["--set", f"{CT}.teacher.reference={named}"]
    assert main(["check", str(cohort_folder / "cohort.yaml"), *arguments]) == 4  # as the run
    told = capsys.readouterr().err
    assert "s01 t0 has slices 0 to 11, no 12, 40; correct teacher.reference" in told


def test_a_truth_that_cannot_be_compared_is_told_as_the_run_will(cohort_folder, tmp_path, capsys):
    cohort = load_cohort(cohort_folder / "cohort.yaml", (f"output={tmp_path / 'run'}",))
    lost = replace(cohort.scans[0], truth=str(tmp_path / "gone.nii.gz"))
    plan = make_plan(replace(cohort, scans=(lost,)))
    (told,) = plan.refused
    assert f"{lost.subject} {lost.session} has no truth: " in told
    assert "does not exist" in told
    assert told in plan.notes
    assert plan.stages["truth"].units == 1  # one scan's one failure, whatever masks wait for it
    assert plan.stages["segment"].units > 0
    assert not plan.quarantine


def test_a_wrong_unit_is_seen_in_the_size_of_pixels():
    sizes = {"a t0": (2.0, 0.8, 0.7), "b t0": (5.0, 0.5, 0.5), "c t0": (0.002, 0.0008, 0.0007)}
    (note,) = odd_sizes({"p": sizes, "q": {"d t0": (1.0, 1.0, 1.0)}})
    assert "pixels of p are 0.5 mm wide, those of c t0 0.000748 mm" in note
    assert odd_sizes({"p": {"a t0": (2.0, 0.8, 0.7), "b t0": (1.0, 3.9, 3.9)}}) == []


def test_pixels_finer_than_a_patients_are_told_where_lesions_of_patients_are_looked_for():
    sizes = {
        "p": {"a t0": (0.6, 0.15, 0.15), "b t0": (0.012, 0.012, 0.012)},
        "x": {"c t0": (1e-3, 1e-3, 1e-3)},
    }
    (note,) = fine_pixels(sizes, {"p": "CT", "empty": "MR"})
    assert "pixels of b t0 0.012 mm are finer than a patient's; the rules of CT" in note


@pytest.mark.parametrize(
    ("setting", "stage"),
    [("resources.segment_gpus=0.5", "segment"), (f"{CT}.teacher.engine=torch", "teacher")],
)
def test_gpu_hours_follow_from_what_units_need(cohort_folder, setting, stage):
    with_gpu = make_plan(load_cohort(cohort_folder / "cohort.yaml", (setting,))).stages
    without = make_plan(load_cohort(cohort_folder / "cohort.yaml", ())).stages
    assert {s for s, plan in with_gpu.items() if plan.gpu_hours} == {stage}
    assert not any(plan.gpu_hours for plan in without.values())
    assert with_gpu[stage].cpu_hours == pytest.approx(without[stage].cpu_hours / CORES_OF_A_GPU)


def test_hours_bytes_and_memory_are_what_units_say():
    plan = RunPlan(1)
    unit = Unit(
        "segment", "a", "p", "", None, Needs(gpus=0.5, memory_bytes=7), work=3.6e4, written=5
    )
    plan.add(unit)
    plan.add(replace(unit, needs=Needs(memory_bytes=9)))
    found = plan.as_json()["stages"][list(STAGES).index("segment")]
    hours = 10 * STAGES["segment"].seconds
    assert found == {
        "stage": "segment", "units": 2, "bytes": 10, "peak_bytes": 9,
        "cpu_hours": pytest.approx(hours + hours / CORES_OF_A_GPU),
        "gpu_hours": pytest.approx(0.5 * hours / CORES_OF_A_GPU),
    }  # fmt: skip
