"""Slices over HTTP: the same classes as the run has, in every format, with what speaks against them."""

import asyncio
import base64
import io
import json
import zipfile

import numpy as np
import pytest
from imagecodecs import png_encode

from somray.commands.serve.settings import Limits
from somray.io.run import open_run
from somray.stages.answers.slices import SliceAsked, answer_slice
from tests.commands.serve.served import NPY, PLANE, QUERY, Served, npy
from tests.pipeline.tiny import body

Z = 3


@pytest.fixture(scope="module")
def image():
    return body().astype(np.float32)[Z]


@pytest.fixture(scope="module")
def truth(served_run):
    return open_run(served_run).scan("s1", "t0").som.values[0, Z]


def loaded(data):
    return np.load(io.BytesIO(data), allow_pickle=False)


def test_the_class_map_is_that_of_the_run(served, image, truth):
    found = served.slice(image, {"Accept": "application/x-npy"})
    assert found.status_code == 200
    assert found.headers["content-type"] == "application/x-npy"
    assert np.array_equal(loaded(found.content), truth)
    assert loaded(found.content).dtype == np.uint8


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "int32"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_come_in_any_type_and_order(served, image, truth, dtype, order):
    sent = np.array(image[None], dtype=dtype, order=order)
    found = served.slice(sent, {"Accept": "application/x-npy"})
    assert np.array_equal(loaded(found.content), truth)


def test_a_png_of_sixteen_bits_holds_a_slice(served, image):
    counts = (image + 1100).astype(np.uint16)
    found = served.client.post(
        "/slices", params=QUERY, content=png_encode(counts), headers={"Content-Type": "image/png"}
    )
    same = served.slice(counts)
    assert found.status_code == 200
    assert found.json()["slices"] == same.json()["slices"]


def test_json_tells_areas_verdict_doubts_and_use(served, image, truth):
    told = served.slice(image, map="true").json()
    assert told["slices"][0]["area_mm2"]["lesion"] == pytest.approx(
        np.count_nonzero(truth == 3) * PLANE[0] * PLANE[1]
    )
    assert told["slices"][0]["target_area_mm2"] == told["slices"][0]["area_mm2"]["lesion"]
    assert 0 < told["target_confidence"] <= 1
    assert told["drift"]["status"] == told["verdict"]
    assert "lesion" in told["doubts"]
    assert any(text.startswith("lesion is doubtful") for text in told["warnings"])
    assert "not for clinical use" in told["use"]
    assert np.array_equal(loaded(base64.b64decode(told["map_npy"])), truth)
    assert "map_npy" not in served.slice(image).json()


def test_a_zip_holds_all_maps(served, image, truth):
    found = served.slice(image, {"Accept": "application/zip"})
    with zipfile.ZipFile(io.BytesIO(found.content)) as packed:
        maps = {n: packed.read(n) for n in packed.namelist()}
    assert np.array_equal(loaded(maps["classes.npy"]), truth)
    assert np.array_equal(loaded(maps["target.npy"]), truth == 3)
    assert 0 < loaded(maps["confidence.npy"]).max() <= 100
    assert json.loads(maps["answer.json"])["warnings"]
    assert served.slice(image, {"Accept": "application/zip"}).content == found.content


@pytest.mark.parametrize("accept", ["application/json", "application/x-npy", "application/zip"])
def test_a_drifted_slice_says_so_in_every_format(served, image, accept):
    drifted = served.slice(image * 3 + 700, {"Accept": accept})
    assert drifted.headers["Somray-Verdict"] == "drifted"
    assert "may not carry over" in drifted.headers["Somray-Warning"]
    assert "clinical" in drifted.headers["Somray-Use"]
    if accept == "application/json":
        assert "may not carry over" in drifted.json()["warnings"][0]
    if accept == "application/zip":
        with zipfile.ZipFile(io.BytesIO(drifted.content)) as packed:
            assert json.loads(packed.read("answer.json"))["verdict"] == "drifted"


@pytest.mark.parametrize("method", ["student", "finetuned"])
def test_networks_answer_where_they_are_asked(served, image, method):
    told = served.slice(image, method=method).json()
    assert told["method"] == method
    assert told["classes"] == {"3": "lesion"}
    assert told["drift"] is not None
    asked = SliceAsked(np.float32(image[None]), PLANE, method)
    drawn = loaded(served.slice(image, {"Accept": "application/x-npy"}, method=method).content)
    assert np.array_equal(drawn, answer_slice(served.fitted, asked).labels[0, 0])


def test_a_client_that_leaves_while_it_sends_costs_nothing(served_run):
    own = Served(served_run)
    scope = {
        "type": "http", "method": "POST", "path": "/slices", "query_string": b"spacing_mm=1,1",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/x-npy")],
    }  # fmt: skip
    said, came = [], iter([{"type": "http.request", "body": b"x", "more_body": True}])

    async def receive():
        return next(came, {"type": "http.disconnect"})

    async def send(message):
        said.append(message)

    asyncio.run(own.client.app(scope, receive, send))
    assert said[0]["status"] == 499
    assert own.service.slices.held == 0
    assert ("slices", 499) in {key[:2] for key in own.meter.answers}


def test_holes_have_no_class(served, image):
    image = image.copy()
    image[:4] = np.nan
    found = loaded(served.slice(image, {"Accept": "application/x-npy"}).content)
    assert (found[:4] == 0).all()
    assert (found[6:] > 0).all()
    nothing = served.slice(np.full((16, 16), np.nan, np.float32))
    assert nothing.json()["verdict"] == "unknown"
    assert nothing.headers["Somray-Warning"].startswith("no pixel has data")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"spacing_mm": ""}, "spacing"),
        ({"spacing_mm": "1"}, "spacing"),
        ({"spacing_mm": "0,1"}, "spacing_mm"),
        ({"spacing_mm": "nan,1"}, "spacing_mm"),
        ({"spacing_mm": "inf,1"}, "spacing_mm"),
        ({"method": "magic"}, "shape"),
        ({"level": "2"}, "shape"),
    ],
)
def test_a_wrong_question_is_told_so(served, image, query, code):
    found = served.slice(image, **query)
    assert found.status_code == 422
    assert found.json()["error"]["code"] == code


def test_shapes_and_values_that_do_not_fit_are_refused(served, image):
    for wrong in (np.stack([image, image]), image[0], image[None, None], np.zeros((0, 4), "f4")):
        assert served.slice(wrong).status_code == 422
    image = image.copy()
    image[0, 0] = np.inf
    assert "infinite" in served.slice(image).json()["error"]["message"]


def test_other_formats_are_refused(served, image):
    assert served.slice(image, {"Accept": "text/html"}).status_code == 406
    assert served.slice(image, {"Content-Type": "image/jpeg"}).status_code == 415
    assert served.slice(image, {"Accept": "text/html, application/x-npy;q=0.5"}).status_code == 200


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(served_run, image):
    small = Served(served_run, Limits(max_mb=1, max_voxels=1000))
    assert small.slice(image).status_code == 413
    found = small.client.post("/slices", params=QUERY, content=b"x" * (1 << 20) + b"x", headers=NPY)
    assert found.status_code == 413

    def chunks():
        for _ in range(40):
            yield b"x" * (1 << 16)

    found = small.client.post("/slices", params=QUERY, content=chunks(), headers=NPY)
    assert found.status_code == 413
    assert found.json()["error"]["code"] == "too_large"


def test_what_is_served_is_told_and_counted(served_run, image):
    own = Served(served_run)
    about = own.client.get("/").json()
    assert about["channels"] == ["CT"]
    assert about["methods"] == ["som", "student", "finetuned"]
    assert "not for clinical use" in about["use"]
    own.slice(image)
    own.slice(image[0])
    counted = own.meter.answers
    assert counted["slices", 422, ""] == 1
    assert (
        sum(n for (what, status, _), n in counted.items() if (what, status) == ("slices", 200)) == 1
    )
    assert own.meter.waiting == {"slices": 0}


def test_no_pickle_is_loaded(served):
    class Bomb:
        def __reduce__(self):
            return (print, ("loaded",))

    sent = npy(np.array([Bomb()], dtype=object), allow_pickle=True)
    found = served.client.post("/slices", params=QUERY, content=sent, headers=NPY)
    assert found.status_code == 422
