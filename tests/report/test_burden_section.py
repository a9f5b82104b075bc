"""Burden over time: figures by session, a response only where there is one, every doubt in words."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from somray.config import ProtocolConfig
from somray.config.objects import ObjectsConfig
from somray.domain import tables as t
from somray.kernels.objects.prior import LEAST_SUBJECTS
from somray.kernels.objects.uptake.rule import LESION_FROM
from somray.report.figures.burden import BurdenUnits
from somray.report.pages import write_report
from somray.report.texts.object_rule import rule_told
from somray.report.texts.response import NO_RESPONSE, class_doubt

from .objects_run import PROTOCOL, build, burden_row
from .small_run import EVIL, SmallRun, teacher
from .small_run import PROTOCOL as CT
from .test_pages import section

LARGE = {"volume_mm3": 4000.0, "axes_mm": 30.0}


def made(folder: Path, *rows: t.BurdenRow) -> SmallRun:
    run = build(folder, sessions=len(rows))
    run.rows("burden", PROTOCOL, list(rows))
    write_report(str(run.root))
    return run


def test_a_response_stands_with_its_reason(tmp_path: Path):
    second = burden_row(
        "t1", 500.0, response="PMR", reason=f"cooled {EVIL}", change_from_baseline=-0.5
    )
    run = made(tmp_path, burden_row("t0", 4000.0, tlg=12.0), second)
    shown = section(run.page("sub-s01.html"), "p0-burden")
    for told in (
        "PMR",
        "cooled &lt;script",
        "−50 %",
        "first session",
        "TLG",
        "partial metabolic response",
    ):
        assert told in shown
    assert EVIL not in shown
    assert "No response is told" not in shown
    assert "Volume (ml), TLG (uptake·ml), sum of axes (mm) of subject s01" in shown


def test_what_is_small_is_told_in_micrometres():
    rows = [{"volume_mm3": 2e-7, "axes_mm": 0.0125}, {"volume_mm3": None, "axes_mm": None}]
    small, usual, none = (BurdenUnits.of(some) for some in (rows, [*rows, LARGE, LARGE], []))
    assert (small.volume, small.length.name, usual.volume, none.volume) == ("µm³", "µm", "ml", "ml")
    volume, _, axes = small.panels()
    assert (volume.label, axes.label) == ("volume (µm³)", "sum of axes (µm)")
    assert (2e-7 * volume.times, 0.0125 * axes.times) == pytest.approx((200.0, 12.5))


def test_without_a_response_its_doubts_are_told_in_words(tmp_path: Path):
    doubt = "not_registered,no_peak"
    run = made(tmp_path, burden_row("t0", 4000.0), burden_row("t1", 500.0, doubt=doubt))
    shown = section(run.page("sub-s01.html"), "p0-burden")
    assert "No response is told for 1 session." in shown
    assert "not told" in shown
    for code in doubt.split(","):
        assert NO_RESPONSE[code] in shown
        assert code not in shown
    assert "TLG" not in shown  # null in every session


def test_a_response_of_a_class_in_doubt_is_in_doubt_itself(small_run: SmallRun, tmp_path: Path):
    run = SmallRun(tmp_path / "run")  # its teacher's lesion class is doubtful
    shutil.copytree(small_run.root, run.root)
    first = burden_row("t0", 700.0)
    last = burden_row("t1", 1390.0, response="PD", reason="new: lesion 2")
    run.rows("burden", CT, [first, last])
    write_report(str(run.root))
    page, cohort = section(run.page("sub-s01.html"), "p0-burden"), run.page()
    for shown in (page, cohort):
        assert "PD, in doubt" in shown
        assert "All responses are in doubt." in shown
        assert "on CT alone dense tissue looks the same" in shown
    assert "progression, in doubt" in cohort


def test_on_pet_the_objects_decide_and_not_the_class():
    doubtful = replace(teacher(), doubtful={"lesion": "uptake alone"})
    assert class_doubt(ProtocolConfig(modality="PET", channels=["PET"]), doubtful) is None
    assert class_doubt(ProtocolConfig(modality="CT"), doubtful) == "uptake alone"
    assert class_doubt(ProtocolConfig(modality="CT"), None) is None


def test_one_session_has_figures_and_no_chart(tmp_path: Path):
    shown = section(made(tmp_path, burden_row("t0", 4000.0)).page("sub-s01.html"), "p0-burden")
    assert "<figure" not in shown
    assert "first session" in shown
    assert "4.000" in shown or "4.0" in shown


def test_every_code_of_the_data_dictionary_is_told_in_words():
    told = {s.name: s.meaning for s in t.field_specs(t.BurdenRow)}["doubt"]
    for code in (
        "not_registered",
        "not_covered",
        "misaligned",
        "no_target",
        "no_peak",
        "no_suv",
        "material",
    ):
        assert code in told
        assert code in NO_RESPONSE


def test_lesion_figures_stand_where_they_are_known(small_run: SmallRun):
    page = section(small_run.page("sub-s01.html"), "p0-lesions")
    assert "SUVpeak" not in page  # CT: null in all lesions


def test_suvpeak_and_axes_stand_in_the_lesion_table_where_they_exist(tmp_path: Path):
    run = build(tmp_path, sessions=1)
    row = t.LesionRow("s01", "t0", 0, 1, 700.0, 9.0, 20.0, 51.0, 12.5, 7.0, 9.0, 3.0, 1.0,
                      suv_peak=6.25, tlg_ml=4.9, axial_axis_mm=11.5)  # fmt: skip
    run.rows("lesions", PROTOCOL, [row])
    write_report(str(run.root))
    shown = section(run.page("sub-s01.html"), "p0-lesions")
    for told in ("SUVpeak", "6.250", "TLG", "longest axis in a slice"):
        assert told in shown
    assert "across it" not in shown


@pytest.mark.parametrize(
    ("modality", "channels"),
    [("PET", ["PET"]), ("PETCT", ["CT", "PET"]), ("MR", ["MR"]), ("XCT", ["XCT"])],
)
def test_the_rule_is_explained_with_the_numbers_that_apply(modality: str, channels: list[str]):
    config = ProtocolConfig(modality=modality, channels=channels)
    told = " ".join(b.text for d in rule_told(config) for b in getattr(d, "blocks", ()))
    assert (f"a score of {LESION_FROM:g}" in told) == ("PET" in channels)
    assert ("HU" in told) == (modality == "PETCT")
    assert (f"{LEAST_SUBJECTS} other subjects" in told) == ("PET" in channels)
    assert "Nothing is deleted" in told


def test_without_a_rule_none_is_explained():
    config = ProtocolConfig(modality="PET", objects=ObjectsConfig(rule="none"))
    assert [b.text for b in rule_told(config)] == [
        "Lesions are followed as they are drawn; no rule on objects applies here."
    ]
