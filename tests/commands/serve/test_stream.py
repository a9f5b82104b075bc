"""Slices over a websocket: one answer for each, in order, late or not; never more held than was promised."""

import io
import json
import threading

import numpy as np
import pytest
from starlette.websockets import WebSocketDisconnect

from somray.commands.serve.settings import Limits
from somray.io.run import open_run
from tests.commands.serve.served import Served
from tests.pipeline.tiny import body

HELLO = {"shape": [32, 32], "spacing_mm": [0.8, 0.8]}


@pytest.fixture(scope="module")
def volume():
    return body().astype(np.float32)


def test_every_slice_is_answered_in_order_with_its_map(served, served_run, volume):
    truth = open_run(served_run).scan("s1", "t0").som.values[0]
    with served.client.websocket_connect("/stream") as line:
        line.send_text(json.dumps({**HELLO, "map": True, "frame_ms": 60_000}))
        welcome = line.receive_json()
        assert welcome["ready"]
        assert welcome["backlog"] == 8
        assert "not for clinical use" in welcome["use"]
        for plane in volume:
            line.send_bytes(plane.tobytes())
        for z, plane in enumerate(truth):
            told = line.receive_json()
            found = np.load(io.BytesIO(line.receive_bytes()))
            assert told["index"] == z
            assert np.array_equal(found, plane)
            assert told["late"] is False
            assert told["seconds"] > 0
            assert told["target_area_mm2"] == pytest.approx(np.count_nonzero(plane == 3) * 0.64)
            assert told["warnings"]
        line.send_text("end")
        with pytest.raises(WebSocketDisconnect):
            line.receive_text()


def test_integers_and_late_answers_are_told(served, volume):
    with served.client.websocket_connect("/stream") as line:
        line.send_text(json.dumps({**HELLO, "dtype": "int16", "frame_ms": 0.0001}))
        line.receive_json()
        line.send_bytes(volume[3].astype("<i2").tobytes())
        told = line.receive_json()
        assert told["late"] is True
        assert "map" not in told


def test_a_slice_that_does_not_fit_is_told_and_the_stream_goes_on(served, volume):
    with served.client.websocket_connect("/stream") as line:
        line.send_text(json.dumps(HELLO))
        line.receive_json()
        line.send_bytes(b"too short")
        line.send_bytes(volume[3].tobytes())
        assert line.receive_json()["error"]["code"] == "length"
        assert line.receive_json()["index"] == 1


@pytest.mark.parametrize(
    "hello",
    [
        "", "[]", "nonsense", "{}",
        {**HELLO, "shape": [32]}, {**HELLO, "shape": [0, 4]}, {**HELLO, "spacing_mm": [1]},
        {**HELLO, "dtype": "object"}, {**HELLO, "frame_ms": -1}, {**HELLO, "on_full": "explode"},
        {**HELLO, "shape": [1 << 20, 1 << 20]}, {**HELLO, "method": "magic"}, {**HELLO, "what": 1},
        {**HELLO, "level": "high"},
    ],
)  # fmt: skip
def test_a_wrong_hello_ends_the_stream(served, hello):
    with served.client.websocket_connect("/stream") as line:
        line.send_text(hello if isinstance(hello, str) else json.dumps(hello))
        assert "error" in line.receive_json()
        with pytest.raises(WebSocketDisconnect) as ended:
            line.receive_json()
    assert ended.value.code == 1008


@pytest.fixture
def slow(served_run, monkeypatch):
    """A service whose worker waits at a gate."""
    own = Served(served_run, Limits(backlog=2), threads=1)
    gate, sign = threading.Event(), own.fitted.transfer.sign

    def held(self, slices, threads=1):
        gate.wait(10)
        return sign(slices, threads)

    monkeypatch.setattr(type(own.fitted), "labels", held)
    return own, gate


def test_the_oldest_that_waits_is_skipped_and_told(slow, volume):
    own, gate = slow
    with own.client.websocket_connect("/stream") as line:
        line.send_text(json.dumps({**HELLO, "on_full": "skip"}))
        line.receive_json()
        for plane in volume[:6]:
            line.send_bytes(plane.tobytes())
        line.send_text("end")
        threading.Timer(0.3, gate.set).start()
        told = [line.receive_json() for _ in range(6)]
    assert [one["index"] for one in told] == list(range(6))
    skipped = [one["index"] for one in told if one.get("skipped")]
    assert 2 <= len(skipped) <= 4
    assert 5 not in skipped
    assert all("verdict" in one for one in told if not one.get("skipped"))


def test_who_sends_too_fast_is_told_where_nothing_may_be_skipped(slow, volume):
    own, gate = slow
    with own.client.websocket_connect("/stream") as line:
        line.send_text(json.dumps(HELLO))
        line.receive_json()
        for plane in volume[:6]:
            line.send_bytes(plane.tobytes())
        threading.Timer(0.3, gate.set).start()
        found = line.receive_json()
        while "error" not in found:
            found = line.receive_json()
        assert found["error"]["code"] == "too_fast"
        with pytest.raises(WebSocketDisconnect) as ended:
            line.receive_json()
    assert ended.value.code == 1013
