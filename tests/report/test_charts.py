"""Charts and choices of the report: shared scales, fixed colours, bounded numbers, honest words."""

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest

from somray.report.data.selection import pictured_pairs, slices_to_show
from somray.report.drawing.changes import CHANGES, LesionTables, TimeAxis
from somray.report.drawing.classes import Profile, short_names
from somray.report.drawing.style import class_colour, class_colours, plain_text
from somray.report.drawing.table import TableColumn, fact, number, rows_table, table_of
from somray.report.figures.classes import node_heatmap
from somray.report.figures.flow import MOST_ROWS, lesion_flow
from somray.report.figures.method import rounds
from somray.report.figures.method.rounds import agreement_by_round, delta_by_round
from somray.report.figures.radar import radar, radar_limit
from somray.report.figures.volumes import lesion_volumes
from somray.report.texts.student import account, comparisons, verdict

from .small_run import teacher


def profile(name: str, *mean: float) -> Profile:
    values = np.array(mean)
    return Profile(name, class_colour(name), values, np.full_like(values, 0.2), 0.25)


def round_row(number_: int, mean: float | None, delta: float | None, **other: object) -> dict:
    row = {"round": number_, "stage": "A+B+C"[: 2 * number_ - 1], "mean_iou": mean}
    row |= {"delta_iou": delta, "converged": False, "copy_forward_iou": 0.8, "control_iou": None}
    return row | other


def lesion(session: str, number_: int, volume: float) -> dict:
    return {"session": session, "lesion_id": number_, "volume_mm3": volume, "t": 0}


def change(kind: str, number_: int) -> dict:
    return {"from_session": "a", "to_session": "b", "change": kind, "lesion_id": number_}


def test_all_radars_share_one_scale_that_fits_every_class():
    profiles = [profile("normal", 0.1, -0.2, 0.3), profile("lesion", 2.2, 0.1, np.nan)]
    assert radar_limit(profiles) == 2.5
    assert radar_limit([profile("lesion", 40.0)]) == 4.0
    assert radar_limit([profile("lesion", np.nan)]) == 1.0


def test_a_chart_is_the_same_bytes_twice_and_leaves_matplotlib_alone():
    before = dict(mpl.rcParams)
    profiles = [profile("normal", 0.1, -0.2, 0.3), profile("lesion", 2.2, 0.1, np.nan)]
    labels = ["a", "b", "c"]
    once = radar(profiles[1], profiles[:1], labels, 2.5, "r")
    assert once == radar(profiles[1], profiles[:1], labels, 2.5, "r")
    assert node_heatmap(profiles, labels, "h")
    assert dict(mpl.rcParams) == before


def test_a_users_matplotlib_settings_change_nothing():
    profiles = [profile("normal", 0.1, -0.2, 0.3)]
    plain = radar(profiles[0], [], ["a", "b", "c"], 1.0, "r")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "pink", "svg.fonttype": "path"}):
        assert radar(profiles[0], [], ["a", "b", "c"], 1.0, "r") == plain


def test_charts_follow_the_pages_colours_and_prefix_their_ids():
    drawn = delta_by_round([round_row(1, 0.9, None), round_row(2, 0.95, 0.05)], 0.002, "p7-delta")
    assert "var(--ink)" in drawn
    assert "#010203" not in drawn
    assert 'id="p7-delta-figure_1"' in drawn
    assert "tolerance 0.002" in drawn


def test_a_dollar_in_a_name_is_no_mathematics():
    assert plain_text("a$b$") == r"a\$b\$"
    drawn = radar(profile("lesion", 1, 0, 0), [], [plain_text("$x$"), "b", "c"], 1.0, "r")
    assert "$x$" in drawn


def test_classes_always_wear_the_same_colours_and_no_two_share_one():
    names = {
        1: "background",
        2: "normal",
        3: "lesion",
        4: "boundary",
        5: "fat",
        6: "bone",
        7: "gas",
    }
    colours = class_colours(names)
    assert len(set(colours.values())) == len(names)
    assert colours[3] == class_colour("lesion")
    assert class_colours({6: "other"})[6] == colours[6]


def test_features_are_named_by_channel_only_where_there_are_several():
    one = teacher()
    assert short_names(one) == ["intensity", "edge", "contrast", "mean 3×3"]
    both = replace(one, channels=("CT", "PET"), windows=one.windows * 2, features=("mean3", "edge"))
    assert short_names(both) == ["CT mean 3×3", "CT edge", "PET mean 3×3", "PET edge"]


@pytest.mark.parametrize("count", [1, 2, 5, 300])
def test_at_most_six_slices_are_shown_and_all_of_them_exist(count):
    areas = {z: float(z % 7) for z in range(count)}
    chosen = slices_to_show(areas, count)
    assert len(chosen) == len(set(chosen)) <= 6
    assert all(0 <= z < count for z in chosen)


def test_reference_and_largest_slice_are_always_shown():
    areas = dict.fromkeys(range(10, 90), 1.0) | {42: 50.0}
    chosen = slices_to_show(areas, 100, always=[3])
    assert {3, 42} <= set(chosen)
    assert chosen == sorted(chosen)


def test_slices_without_target_are_spread_over_the_scan():
    assert slices_to_show({}, 9) == [2, 4, 6]


def test_pictured_pairs_are_the_one_with_most_target_and_the_worst():
    rows = [
        {"fixed_z": z, "moving_z": z + 1, "matrix": [1.0] * 9, "status": "ok"} for z in range(5)
    ]
    rows[1] |= {"status": "weak"}
    rows[4] |= {"status": "refused", "matrix": None}
    chosen = pictured_pairs(rows, {2: 5.0, 3: 9.0})
    assert [r["fixed_z"] for r in chosen] == [2, 4]
    assert pictured_pairs([], {}) == []


def test_the_verdict_is_told_in_words():
    first = round_row(1, 0.9, None)
    assert verdict([first], 0.002).lead == "Convergence unknown."
    moved = verdict([first, round_row(2, 0.95, 0.05)], 0.002)
    assert moved.lead == "Not converged."
    assert "+0.0500" in moved.text
    settled = round_row(2, 0.901, 0.001, converged=True)
    assert verdict([settled, first], 0.002).tone == "good"
    assert "may replace the SOM" in verdict([settled, first], 0.002).text
    spoiled = verdict([first, round_row(2, 0.5, -0.4, collapse="the target grew")], 0.002)
    assert (spoiled.lead, spoiled.tone) == ("Collapsed.", "bad")
    assert "the target grew" in spoiled.text
    assert "round 1 was kept" in spoiled.text


def test_the_verdict_is_of_the_slices_whatever_the_cohort_did():
    slices = [round_row(1, 0.9, None), round_row(2, 0.901, 0.001, converged=True)]
    for cohort in (
        round_row(3, 0.4, -0.5, stage="cohort"),
        round_row(3, 0.4, -0.5, stage="cohort", collapse="Dice is 0.10"),
    ):
        told = verdict([*slices, cohort], 0.002)
        assert (told.lead, told.tone) == ("Converged.", "good")
        assert "In round 2" in told.text


def test_the_comparison_tells_what_the_cohorts_round_did():
    slices = [round_row(1, 0.9, None), round_row(2, 0.95, 0.05, control_iou=0.93)]
    first, second = comparisons([*slices, round_row(3, 0.7, -0.25, stage="cohort")])
    assert "after round 2: 0.950" in first.text
    assert "mean IoU of 0.700" in second.text
    assert "only a truth can tell" in second.text
    _, second = comparisons([*slices, round_row(3, None, None, stage="cohort")])
    assert "no slice here has an IoU" in second.text
    _, second = comparisons(
        [*slices, round_row(3, 0.0, -0.9, stage="cohort", collapse="Dice is 0")]
    )
    assert second.text == "The cohort's round was not believed: Dice is 0."


def test_the_comparison_admits_when_pseudo_labels_did_not_help():
    (text,) = comparisons([round_row(2, 0.9, 0.0, control_iou=0.93)])
    assert "did not help" in text.text
    (text,) = comparisons([round_row(2, 0.95, 0.0, control_iou=0.93)])
    assert "helped here (+0.020)" in text.text
    (text,) = comparisons([round_row(2, None, None)])
    assert "No mean IoU exists" in text.text
    spoiled = round_row(3, 0.2, -0.75, collapse="the target grew")
    (text,) = comparisons([round_row(2, 0.95, 0.0), spoiled])
    assert "after round 2: 0.950" in text.text


def test_the_training_tells_its_calibration_and_what_was_unusual():
    history = {"calibration_pixels": 2048, "calibration_error_before": 0.021,
               "calibration_error_after": 0.004, "note": "3 rounds asked, 1 slices"}  # fmt: skip
    calibration, note = (text.text for text in account(history))
    assert "0.0210" in calibration
    assert "0.0040" in calibration
    assert "3 rounds asked" in note
    assert not list(account({"calibration_error_before": None, "note": "", "cohort_scans": 0}))
    volumes, scans = (text.text for text in account({"dimensions": 3, "cohort_scans": 12}))
    assert "sees volumes" in volumes
    assert scans == "Scans that teach its last round: 12."


def test_sessions_stand_to_scale_only_where_all_days_are_known():
    known = [{"session": "a", "days": 0.0}, {"session": "b", "days": 90.0}]
    assert TimeAxis.of(known).places == (0.0, 90.0)
    unknown = [{"session": "a", "days": 0.0}, {"session": "b", "days": None}]
    assert TimeAxis.of(unknown).places == (0.0, 1.0)
    assert not TimeAxis.of(unknown).in_days


def test_every_kind_of_change_is_drawn_and_counted():
    time = TimeAxis(("a", "b"), (0.0, 1.0), False)
    lesions = [lesion(s, n, 100.0 * n) for n in range(1, 8) for s in "ab"]
    lesions = [r for r in lesions if (r["session"], r["lesion_id"]) not in {("a", 1), ("b", 2)}]
    changes = [change(kind, n + 1) for n, kind in enumerate(CHANGES)]
    drawn = lesion_volumes(LesionTables(lesions, changes, []), time, "v")
    assert "Volumes of 7 lesions over 2 sessions" in drawn
    for kind in CHANGES:
        assert f"1 {kind}" in drawn
    for number_ in range(1, 8):
        assert f">#{number_}<" in drawn


def test_a_change_in_doubt_is_drawn_as_such():
    time = TimeAxis(("a", "b"), (0.0, 1.0), False)
    gone, come = change(None, 1), change(None, 2)
    lesions = [lesion("a", 1, 90.0), lesion("b", 2, 70.0)]
    drawn = lesion_volumes(LesionTables(lesions, [gone, come], []), time, "v")
    assert "changes: 2 in doubt." in drawn
    assert ">in doubt<" in drawn
    assert "Volumes of 0 lesions" in lesion_volumes(LesionTables([], [], []), time, "v")


def link(one, other, by="overlap", sessions=("a", "b")):
    return {"from_session": sessions[0], "to_session": sessions[1], "from_id": one, "to_id": other,
            "by": by, "shared_fraction": 0.5, "carried": one == other}  # fmt: skip


def told(kind, number_, doubt=None):
    return change(kind, number_) | {"doubt": doubt, "registered": doubt != "not_registered"}


def test_the_match_graph_shows_links_merges_and_what_is_in_doubt():
    lesions = [
        lesion("a", 1, 900.0),
        lesion("b", 1, 1500.0),
        lesion("a", 2, 400.0),
        lesion("b", 3, 9.0),
    ]
    changes = [told("merged", 1), told("merged", 2), told(None, 3, "not_covered")]
    flow = lesion_flow(LesionTables(lesions, changes, [link(1, 1), link(2, 1)]), ("a", "b"), "f")
    drawn = flow.markup
    assert flow.left_out == 0
    assert "links between them: 2, of these merges or splits: 1; changes in doubt: 1." in drawn
    for text in ("#1", "#2", "#3", "merged", "merged or split", "left open", "in doubt", "?"):
        assert f">{text}<" in drawn
    assert ">came back<" not in drawn
    assert ">not registered<" not in drawn


def test_the_match_graph_shows_what_came_back_and_what_was_not_registered():
    lesions = [lesion("a", 1, 900.0), lesion("c", 1, 900.0)]
    rows = [told("resolved", 1), told("stable", 1, "not_registered")]
    tables = LesionTables(lesions, rows, [link(1, 1, sessions=("a", "c"))])
    drawn = lesion_flow(tables, ("a", "<b>", "c"), "f").markup
    for text in ("came back", "not registered", "&lt;b&gt;"):
        assert f">{text}<" in drawn


def test_the_match_graph_keeps_linked_lesions_side_by_side_and_leaves_out_the_smallest():
    lesions = [lesion(s, n, 10.0 + n) for n in range(1, MOST_ROWS + 4) for s in "ab"]
    flow = lesion_flow(LesionTables(lesions, [], [link(4, MOST_ROWS + 3)]), ("a", "b"), "f")
    drawn = flow.markup
    assert flow.left_out == 3
    assert ">#3<" not in drawn
    assert drawn.index(f">#{MOST_ROWS + 3}<") < drawn.index(">#4<") < drawn.index(">#5<")


def test_volumes_that_span_much_are_drawn_logarithmically_and_say_so():
    time = TimeAxis(("a", "b"), (0.0, 1.0), False)
    near, far = (
        LesionTables([lesion("a", 1, small), lesion("b", 2, large)], [], [])
        for small, large in ((900.0, 1000.0), (90.0, 100000.0))
    )
    narrow, wide = (lesion_volumes(tables, time, "v") for tables in (near, far))
    assert "logarithmic" not in narrow
    assert "logarithmic above" in wide


def test_numbers_are_written_for_people():
    assert number(-0.12345) == "−0.123"
    assert number(1234567.8) == "1\u202f234\u202f568"
    assert [number(v, 1) for v in (4.56, 72.34, 125.93)] == ["4.6", "72.3", "125.9"]
    assert [number(v, 0) for v in (6.4, 97.5, 512.3)] == ["6", "98", "512"]
    assert [number(v, 1) for v in (0.0026, 0.0, -1e-17)] == ["0.0026", "0.0", "−0.0"]
    assert (fact(None), fact(True), fact([1, 2]), fact([])) == ("–", "yes", "1, 2", "–")


def test_a_table_of_rows_names_units_and_meanings_from_the_data_dictionary():
    row = {"subject": "s", "lesion_id": 1, "volume_mm3": 12.0, "protocol": "p"}
    table = rows_table("lesions", [row], ("protocol", "lesion_id", "volume_mm3"), "c", "e")
    assert [(h.label, h.unit) for h in table.headings][-1] == ("volume", "mm³")
    assert table.headings[-1].meaning == "volume"
    assert [c.text for c in table.rows[0]] == ["p", "1", "12.00"]


def test_a_column_without_any_value_is_left_out_and_a_missing_value_is_a_muted_dash():
    columns = (
        TableColumn("a", lambda row: row["a"], "mm", numeric=True, digits=1, optional=True),
        TableColumn("b", lambda row: row["b"], optional=True),
    )
    table = table_of("c", [{"a": 1.25, "b": None}, {"a": None, "b": None}], columns)
    assert [(h.label, h.unit, h.numeric) for h in table.headings] == [("a", "mm", True)]
    assert [(c.text, c.tone) for (c,) in table.rows] == [("1.2", ""), ("–", "muted")]


def test_rounds_that_learned_nothing_are_drawn_without_a_legend():
    untold = dict.fromkeys(("mean_iou", *(column for column, *_ in rounds._LINES)))
    drawn = agreement_by_round([], [{"round": 1, "stage": "A", **untold}], "x")
    assert "mean: none" in drawn
