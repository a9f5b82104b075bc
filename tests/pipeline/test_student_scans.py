"""Rounds over several scans: whose slices they take, whom they wait for, and who is left out."""

import pytest

import somray
from somray.config import StudentConfig
from somray.domain.run import ScanPlace
from somray.io import models
from somray.io.storage import Storage
from somray.kernels.reference import slice_interest
from somray.launch import load_cohort
from somray.pipeline.plan import make_plan
from somray.pipeline.units import ScanState, Units
from tests.cohort_fixtures import run_in

PROTOCOL = "protocols.phantom-ct"
QUICK = (f"{PROTOCOL}.registration.pairs=[]", f"{PROTOCOL}.student.steps=8")


@pytest.fixture(scope="module")
def across(cohort_folder, tmp_path_factory):
    """A run of four rounds over three of the four usable scans."""
    place = tmp_path_factory.mktemp("across") / "run"
    settings = (f"{PROTOCOL}.student.rounds=4", f"{PROTOCOL}.student.scans=3")
    run_in(cohort_folder, f"output={place}", *QUICK, *settings)
    return somray.open_run(place)


def _trained_on(agreement, number):
    """Scans whose slices were trained on in a round, one for each slice."""
    rows = agreement[(agreement["round"] == number) & (agreement.role != "held_out")]
    return sorted(zip(rows.subject, rows.session, strict=True))


def test_the_first_rounds_stay_with_the_reference_and_the_last_go_over_further_scans(across):
    agreement = across.table("agreement")
    order = [("s01", "t0"), ("s01", "t0"), ("s01", "t1"), ("s02", "t0")]
    for number in (1, 2, 3, 4):
        assert _trained_on(agreement, number) == order[:number]
    history = models.read_student(Storage.at(str(across.root)), "phantom-ct").history
    assert history["scans"] == 3
    assert history["trainer"] == "in process"


def test_a_further_scan_gives_its_most_worthwhile_slice(across):
    model = across.teacher("phantom-ct")
    agreement = across.table("agreement")
    z = agreement[(agreement.subject == "s02") & (agreement["round"] == 1)].z.item()
    image = across.scan("s02", "t0").image.values[0]
    rated = [
        slice_interest(image[:, n], "CT", model.windows, ("CT",)) for n in range(len(image[0]))
    ]
    assert rated[z] == max(rated)


def test_scans_set_aside_are_left_out(cohort_folder, tmp_path):
    """All scans asked for: the twin, the cut and the missing one never take part."""
    settings = (f"{PROTOCOL}.student.rounds=5", f"{PROTOCOL}.student.scans=all")
    run_in(cohort_folder, f"output={tmp_path / 'run'}", *QUICK, *settings)
    agreement = somray.open_run(tmp_path / "run").table("agreement")
    history = models.read_student(Storage.at(str(tmp_path / "run")), "phantom-ct").history
    assert history["scans"] == 4
    subjects = agreement[["subject", "session"]].drop_duplicates()
    assert len(subjects) == 4
    assert set(subjects.subject) == {"s01", "s02"}
    assert (
        len(agreement[agreement["round"] == 1]) == 5
    )  # two of the reference scan, one of each other


def _state(units, scan, digest):
    place = ScanPlace(units.root, scan.subject, scan.session)
    return ScanState(scan, place, (1, 1, 12, 48, 48), digest)


def test_the_digest_and_the_memory_cover_the_further_scans(cohort_folder):
    cohort = load_cohort(cohort_folder / "cohort.yaml", (f"{PROTOCOL}.student.scans=all",))
    units = Units("run", "phantom-ct", cohort.config)
    first, second, third = (_state(units, scan, f"d{n}") for n, scan in enumerate(cohort.scans[:3]))
    alone, with_second, with_third = (
        units.student(first, 4, "t", further) for further in ([], [second], [third])
    )
    assert len({unit.digest for unit in (alone, with_second, with_third)}) == 3
    changed = _state(units, cohort.scans[1], "other")
    assert units.student(first, 4, "t", [changed]).digest != with_second.digest
    wide = ScanState(second.scan, second.place, (1, 1, 400, 2048, 2048), "d1")
    assert units.student(first, 4, "t", [wide]).needs.memory_bytes > 2 * wide.slab_bytes


def test_the_plan_looks_for_slices_in_further_scans(cohort_folder):
    hours = []
    for scans in (1, "all"):
        settings = (f"{PROTOCOL}.student.scans={scans}", f"{PROTOCOL}.student.rounds=4")
        plan = make_plan(load_cohort(cohort_folder / "cohort.yaml", settings))
        hours.append(plan.stages["student"].cpu_hours)
    assert hours[1] > hours[0]


@pytest.mark.parametrize(
    ("scans", "rounds", "further"), [(1, 3, 0), (2, 3, 1), (9, 3, 2), ("all", 3, 2), ("all", 1, 0)]
)
def test_a_round_at_least_is_left_to_the_reference(scans, rounds, further):
    assert StudentConfig(scans=scans, rounds=rounds).most_further == further


def test_fewer_scans_than_asked_are_said(cohort_folder, tmp_path):
    settings = (f"{PROTOCOL}.student.rounds=2", f"{PROTOCOL}.student.scans=7")
    run_in(cohort_folder, f"output={tmp_path / 'run'}", *QUICK, *settings)
    history = models.read_student(Storage.at(str(tmp_path / "run")), "phantom-ct").history
    assert "7 scans asked, slices of 2 taken" in history["note"]
