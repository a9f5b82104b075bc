from somray.domain.palette import FURTHER_CLASSES, class_rgb, class_rgba, lesion_rgba
from somray.domain.teacher import CLASSES
from somray.report.drawing import style


def test_report_and_viewers_show_a_class_in_one_colour():
    further = {n: f"tissue {n}" for n in range(5, 5 + 2 * len(FURTHER_CLASSES))}
    for value, name in [*CLASSES.items(), (3, "defect"), *further.items()]:
        assert style.rgb(style.class_colour(name, value)) == class_rgb(name, value)


def test_no_data_is_not_seen_and_what_is_looked_for_covers_most():
    opacity = {
        name: class_rgba(name, 3)[3] for name in ("background", "normal", "boundary", "lesion")
    }
    assert class_rgba("no data", 0)[3] == 0
    assert max(opacity, key=opacity.get) == "lesion"
    assert min(opacity, key=opacity.get) == "background"
    assert class_rgba("defect", 3) == class_rgba("lesion", 3)


def test_neighbouring_lesions_differ_and_a_lesion_keeps_its_colour():
    shown = [lesion_rgba(n) for n in range(1, 10)]
    assert len(set(shown[:8])) == 8
    assert shown[8] == shown[0]
