"""What results look like: lines worth reading, and HTML that is small, escaped and needs nothing from outside."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

import somray
from somray.api.shown.colours import class_colour, coloured
from somray.api.shown.nodes import CELL, node_picture
from somray.api.shown.page import png, table
from somray.domain.teacher import CLASSES
from somray.report.drawing import style


@pytest.fixture(scope="module")
def image():
    y, x = np.mgrid[:40, :48]
    body = np.where(np.hypot(y - 20, x - 24) < 16, 50.0, -900.0)
    body[14:22, 20:28] = 160.0
    return body + np.random.default_rng(0).normal(0, 6, body.shape)


@pytest.fixture(scope="module")
def teacher(image):
    return somray.Teacher((4, 4), "CT").fit(image, spacing_mm=(2.0, 1.0))


def pictures(html):
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in found]


def is_contained(html):
    outside = re.findall(r"https?://|<script|<link|@import|url\(", html)
    return not outside and len(html) < 200_000 and html.count("<img") == html.count(" alt=")


def test_a_png_holds_its_pixels():
    pixels = np.random.default_rng(0).integers(0, 255, (7, 5, 3)).astype("u1")
    assert (np.asarray(Image.open(io.BytesIO(png(pixels)))) == pixels).all()


def test_classes_wear_the_reports_colours():
    for value, name in {**CLASSES, 5: "fat", 7: "dense", 14: "other"}.items():
        assert class_colour(name, value) == style.class_colour(name, value)


def test_cells_are_escaped():
    assert "<script>" not in table(["<b>"], [["<script>alert(1)</script>"]])


def test_a_teacher_says_what_it_is(teacher):
    assert repr(somray.Teacher(modality="PETCT")) == (
        "Teacher PETCT (CT, PET), 5 × 5 nodes, not fitted yet: call fit(image)"
    )
    lines = repr(teacher).split("\n")
    assert lines[0].startswith("Teacher CT (CT), 4 × 4 nodes, pixels of 2 × 1 mm, window CT ")
    assert any(re.match(r"  3 lesion: \d+ nodes?, doubtful: on CT alone", line) for line in lines)


def test_a_teacher_shows_its_slice_classes_and_map(teacher, image):
    html = teacher._repr_html_()
    assert is_contained(html)
    grey, classes, nodes = pictures(html)
    assert grey.shape == classes.shape == (40, 48, 3)
    labels = teacher.predict(image, (2.0, 1.0))
    assert (classes == coloured(labels, teacher.classes)).all()
    assert nodes.shape == (4 * CELL, 4 * CELL, 3)
    for name in teacher.classes.values():
        assert name in html
    assert not pictures(somray.Teacher()._repr_html_())


def test_a_teacher_of_a_run_shows_its_map_alone(teacher, image):
    taken = somray.Teacher.of(teacher.model)
    assert len(pictures(taken._repr_html_())) == 1
    assert (taken.predict(image, (2.0, 1.0)) == teacher.predict(image, (2.0, 1.0))).all()


def test_a_hexagonal_map_shifts_every_second_row():
    colours = np.arange(18).reshape(6, 3).astype("u1")
    drawn = node_picture(colours, (2, 3), "hexagonal")
    assert drawn.shape == (2 * CELL, 3 * CELL + CELL // 2, 3)
    assert (drawn[CELL, CELL // 2] == colours[3]).all()
    assert (drawn[CELL, 0] == 255).all()


def test_a_codebook_says_and_shows_its_map():
    book = somray.som.fit(np.random.default_rng(0).normal(size=(90, 3)), (3, 4), epochs=3)
    assert re.match(
        r"Codebook 3 × 4, rectangular, 3 features, 90 samples, quantization error", repr(book)
    )
    assert len(pictures(book._repr_html_())) == 2
    assert is_contained(book._repr_html_())


def test_drift_says_what_it_found(teacher, image):
    assert repr(teacher.drift(image, (2.0, 1.0))).startswith("Drift ok (distance ")
    moved = teacher.drift(image + 200, (2.0, 1.0))
    assert repr(moved).startswith("Drift drifted: pixels lie ")
    assert "drifted" in moved._repr_html_()


def test_a_registration_says_and_shows_the_motion(image):
    moved = somray.register(np.roll(image, (3, 5), (0, 1)), image)
    assert "shift (5.0" in repr(moved)
    assert len(pictures(moved._repr_html_())) == 4
    refused = somray.register(image * 0, image)
    assert repr(refused).startswith("Registration refused (fixed: blank")
    assert len(pictures(refused._repr_html_())) == 3
    assert is_contained(moved._repr_html_())


def test_a_student_says_and_shows_what_it_learned(image):
    student = somray.Student("CT", steps=1)
    assert repr(student) == "Student (CT), not fitted yet: call fit(images, masks)"
    student.fit(image, image > 100)
    assert re.match(r"Student \(CT\), \d+ weights, pixels of 1 × 1 mm, window CT", repr(student))
    assert len(pictures(student._repr_html_())) == 3
    assert is_contained(student._repr_html_())
