"""Figures say what is so: no name covers another, lines join what belongs together, legends name what is seen."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from somray.domain.teacher import Codebook
from somray.report.drawing.classes import Profile
from somray.report.figures import map as map_figure
from somray.report.figures import radar, truth
from somray.report.figures.classes import (
    areas_along_z,
    classes_in,
    classes_on_map,
    has_blank,
    shown_legend,
)
from somray.report.texts.map_order import order_notices

from .small_run import teacher

FEATURES = (
    "intensity", "edge", "contrast", "thickness", "mean 3×3", "mean 5×5", "anisotr. p", "anisotr. q",
    "row/column", "local/global",
)  # fmt: skip
CHANNELS = {
    "one channel": ("",),
    "two channels": ("CT ", "PET "),
    "three channels": ("T1w ", "T2w ", "FLAIR "),
    "long names": ("T1-weighted, contrast enhanced ", "PET of the late acquisition "),
    "names without spaces": ("diffusion_weighted_b1000_trace_", "強度の画像 "),
}


@pytest.fixture
def drawn(monkeypatch):
    """Keep the figures that are drawn."""
    figures = []

    def keep(module):
        original = module.to_svg

        def kept(figure, alt, name):
            figures.append(figure)
            return original(figure, alt, name)

        monkeypatch.setattr(module, "to_svg", kept)
        return figures

    return keep


def profile(name, count, size=1.5):
    mean = np.random.default_rng(3).normal(0, size, count)
    return Profile(name, "#1B9E89", mean, np.full(count, 0.3), 0.25)


def boxes_of(figure):
    """Return text and box of every name on a radar plot, and those of its legend, in pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (axes,) = figure.axes
    legend = axes.get_legend()
    texts = [*axes.texts, *([] if legend is None else legend.get_texts())]
    found = {(i, t.get_text()): t.get_window_extent() for i, t in enumerate(texts)}
    return found, figure.bbox


def covered(boxes):
    names = list(boxes)
    return [
        (one, two)
        for at, one in enumerate(names)
        for two in names[:at]
        if boxes[one].overlaps(boxes[two])
    ]


def assert_readable(figure):
    boxes, sheet = boxes_of(figure)
    assert covered(boxes) == []
    beyond = [
        n for n, b in boxes.items() if b.x0 < 0 or b.y0 < 0 or b.x1 > sheet.x1 or b.y1 > sheet.y1
    ]
    assert beyond == []


@pytest.mark.filterwarnings("ignore:Glyph")  # the page's own fonts have it
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("limit", [1.0, 4.0])
def test_no_name_on_a_radar_plot_covers_another_or_leaves_the_sheet(drawn, channels, limit):
    names, figures = [c + f for c in CHANNELS[channels] for f in FEATURES], drawn(radar)
    one = profile("lesion", len(names))
    radar.radar(one, [], names, limit, "r")
    sessions = [profile(f"{year}-03-04 follow-up", len(names)) for year in range(2015, 2022)]
    radar.radar_over_sessions(one, sessions, names, limit, "s")
    for figure in figures:
        assert_readable(figure)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 11, 12, 13, 14, 19, 40, 50])
def test_any_number_of_features_can_be_read_around_a_radar_plot(drawn, count):
    names, figures = [f"CT {f}" for f in FEATURES * 5][:count], drawn(radar)
    radar.radar(profile("lesion", count), [], names, 3.0, "r")
    assert_readable(figures[0])


def test_names_stand_in_the_order_of_their_spokes_and_beside_them():
    names = [f"feature {n}" for n in range(20)]
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False) - np.pi / 20
    placed = radar._labels_around(names, angles, 1.5, 0.13)
    assert [label.text for label in placed] == names
    for label, angle in zip(placed, angles, strict=True):
        assert np.hypot(label.x, label.y) >= 1.5 - 1e-6
        assert np.hypot(label.x - 1.5 * np.sin(angle), label.y - 1.5 * np.cos(angle)) < 0.1


def test_a_mean_beyond_the_rim_is_drawn_on_it_as_an_open_point(drawn):
    figures = drawn(radar)
    one = Profile("lesion", "#D9541E", np.array([0.5, 9.0, -7.0]), np.full(3, 0.1), 0.1)
    radar.radar(one, [], ["a", "b", "c"], 4.0, "r")
    points = [line for line in figures[0].axes[0].lines if line.get_marker() == "o"]
    counts = {line.get_markerfacecolor(): len(line.get_xdata()) for line in points}
    assert counts == {"#D9541E": 1, radar.PAPER: 2}


def score(subject, method, dice, session="t0"):
    return {"subject": subject, "session": session, "method": method, "dice": dice, "label": 0}


def joined(figure):
    return [
        line.get_ydata().tolist() for line in figure.axes[0].lines if line.get_linestyle() == "-"
    ]


def test_a_line_of_scores_joins_one_scan_over_the_methods_and_not_ranks(drawn):
    figures = drawn(truth)
    crossing = [score("a", "som", 0.9), score("a", "student", 0.4),
                score("b", "som", 0.3), score("b", "student", 0.8),
                score("b", "som", 0.7, "t1"), score("b", "student", 0.6, "t1")]  # fmt: skip
    picture = truth.truth_scores(crossing[::-1], "t")
    lines = joined(figures[0])
    for pair in ([0.9, 0.4], [0.3, 0.8], [0.7, 0.6]):
        assert pair in lines
    assert [0.9, 0.8] not in lines  # best with best
    ticks = [t.get_text() for t in figures[0].axes[0].get_xticklabels()]
    assert ticks == ["SOM (direct\ntransfer)\nn = 3", "student\nn = 3"]
    assert "joins the scores of one scan" in picture.caption
    assert "SOM (direct transfer) mean 0.63 over 3; student mean 0.60 over 3" in picture.markup


def test_a_scan_without_a_score_leaves_a_gap_and_is_not_counted(drawn):
    figures = drawn(truth)
    rows = [score("a", "som", 0.9), score("a", "student", None), score("a", "lesions", 0.5),
            score("b", "som", 0.7), score("b", "student", 0.6), score("b", "lesions", None),
            score("c", "som", None), score("c", "student", None)]  # fmt: skip
    truth.truth_scores(rows, "t")
    (line,) = [y for y in joined(figures[0]) if y[0] == 0.9]
    assert np.array_equal(line, [0.9, np.nan, 0.5], equal_nan=True)
    ticks = [t.get_text().splitlines()[-1] for t in figures[0].axes[0].get_xticklabels()]
    assert ticks == ["n = 2", "n = 1", "n = 1"]
    assert figures[0].axes[0].get_ylim()[0] == 0


def test_of_many_scans_some_are_drawn_all_are_counted_and_the_caption_says_so(drawn):
    figures = drawn(truth)
    rows = [score(f"{n:04}", m, n / 999) for n in range(1000) for m in ("som", "lesions")]
    picture = truth.truth_scores(rows, "t")
    drawn_lines = [y for y in joined(figures[0]) if y[0] == y[1]]
    assert len([y for y in drawn_lines if y != [0.5, 0.5]]) <= truth.MOST_LINES
    assert [0.0, 0.0] in drawn_lines
    assert [1.0, 1.0] in drawn_lines
    assert f"{truth.MOST_LINES} of 1000 scans are drawn" in picture.caption
    assert "mean 0.50 over 1000" in picture.markup
    assert truth.truth_scores([], "t").markup


def area(z, name, fraction):
    return {"z": z, "class_name": name, "fraction": fraction}


def named(legend):
    return [entry.label for entry in legend.entries]


def test_a_legend_names_what_is_seen_and_nothing_else():
    model = replace(
        teacher(),
        class_names={1: "background", 2: "normal", 3: "lesion", 4: "boundary", 7: "dense"},
        node_classes=np.array([1, 1, 2, 4], np.uint8),
        doubtful={"lesion": "why", "boundary": "why"},
    )
    assert classes_on_map(model) == {"background", "normal", "boundary"}
    assert named(shown_legend(model, classes_on_map(model))) == ["background", "normal", "boundary"]
    rows = [
        area(0, "normal", 0.4),
        area(0, "lesion", 0.0),
        area(0, "dense", 0.1),
        area(1, "normal", 0.0),
    ]
    assert classes_in(rows) == {"normal", "dense"}  # dense is told by CT and has no node
    assert has_blank(rows)
    assert not has_blank([area(0, "normal", 0.1), area(0, "lesion", 0.9), area(1, "normal", 1.0)])
    legend = shown_legend(model, {"boundary", "dense"}, has_no_data=True)
    assert named(legend) == ["boundary", "dense", "no data"]
    assert [entry.doubtful for entry in legend.entries] == [True, False, False]


def test_areas_leave_out_classes_that_cover_nothing_and_say_what_is_blank():
    rows = [
        area(z, n, f)
        for z in (0, 1)
        for n, f in (("normal", 0.7), ("background", 0.3), ("lesion", 0.0))
    ]
    whole = areas_along_z(rows, teacher(), "here", "a")
    assert "shares of 2 classes" in whole.markup
    assert "lesion" not in whole.markup
    assert "blank" not in whole.caption
    rows[0]["fraction"] = 0.5
    assert "What is left blank holds no data" in areas_along_z(rows, teacher(), "here", "a").caption


@pytest.mark.parametrize(
    ("error", "count"), [(None, 0), (0.02, 0), (0.5, 0), (0.51, 1), (0.708, 1)]
)
def test_only_a_badly_ordered_map_is_told_as_such(error, count):
    notices = order_notices(Codebook(np.zeros((4, 2), "f4"), (2, 2), topographic_error=error))
    assert len(notices) == count
    for notice in notices:
        assert f"{100 * error:.0f} % of the reference's pixels" in notice.text
        assert "Classes do not depend on the order" in notice.text


def test_a_node_without_pixels_is_left_empty_and_shares_never_round_to_nothing(drawn):
    figures, book = drawn(map_figure), teacher().codebook
    model = replace(teacher(), codebook=replace(book, hits=np.arange(len(book.weights)) * 40))
    clusters = [
        {"kind": "node", "node": n, "share_fraction": share}
        for n, share in enumerate((0.0, 0.0004))
    ]
    shares, hits = list(map_figure.map_pictures(model, clusters, "m"))[:2]
    assert "0.0 %" in shares.markup
    assert "&lt; 0.1 %" in shares.markup
    assert "left empty won none" in hits.caption
    patches = figures[1].axes[0].patches
    assert patches[0].get_facecolor() == (0, 0, 0, 0)
    assert all(patch.get_facecolor()[3] == 1 for patch in patches[1:])
    assert f"40 to {40 * (len(book.weights) - 1)}" in hits.markup


def test_text_on_a_node_stands_out_from_its_colour():
    assert map_figure._ink_on("#E6B820") == map_figure.DARK
    assert map_figure._ink_on("#262E38") == map_figure.LIGHT
