"""What a service counts reaches Ray once a second, all of it, each once."""

from collections import Counter

import pytest

from somray.runtime.on_ray.serving import counts

TAGS = {"protocol": "p", "what": "slices"}


class Metric:
    """Stands in for one of Ray's."""

    def __init__(self, name, *_, **__):
        self.name, self.told = name, []

    def inc(self, value, tags):
        self.told.append((value, tags))

    observe = set = inc


@pytest.fixture
def meter(monkeypatch):
    for kind in ("Counter", "Histogram", "Gauge"):
        monkeypatch.setattr(counts.metrics, kind, Metric)
    monkeypatch.setattr(counts.RayMeter, "_start", lambda self: None)
    return counts.RayMeter("p", (0.1, 1.0))


def test_counts_are_told_together_and_once(meter):
    for seconds in (0.2, 0.0, 0.3):
        meter.waits("slices", 2)
        meter.answered("slices", 200, "ok", seconds)
    meter.answered("slices", 503, "", 0.1)
    assert meter._answers.told == []
    for _ in range(2):
        meter.tell()
    found = Counter({tags["status"]: value for value, tags in meter._answers.told})
    assert found == {"200": 3, "503": 1}
    assert [value for value, _ in meter._seconds.told] == [0.2, 1e-6, 0.3, 0.1]
    assert {tuple(tags.items()) for _, tags in meter._seconds.told} == {tuple(TAGS.items())}
    assert meter._waiting.told == [(2, TAGS)]


def test_an_error_of_rays_is_logged_once_and_telling_goes_on(meter, monkeypatch, caplog):
    told, rounds = [], iter(range(3))

    def tell():
        told.append(len(told))
        raise ValueError("no exporter")

    monkeypatch.setattr(meter, "tell", tell)
    monkeypatch.setattr(counts.time, "sleep", lambda _: next(rounds))
    with pytest.raises(StopIteration):  # the fourth wait
        meter._keep_telling()
    assert told == [0, 1, 2]
    assert [r.getMessage() for r in caplog.records] == [
        "counts do not reach Ray (ValueError: no exporter)"
    ]
