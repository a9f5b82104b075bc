"""Slice pairs slab by slab, and their chain."""

import pickle
import tracemalloc
from collections import Counter
from dataclasses import asdict

import nibabel
import numpy as np
import pytest

from somray.domain.run import RunLayout
from somray.io.ome.image import read_slab
from somray.io.pair_progress import PairProgress
from somray.io.storage import Storage
from somray.kernels.registration import register
from somray.stages.registration import align_slices
from somray.stages.registration import register as stage
from somray.stages.registration.register import SlicePairsItem, needs_slices, run_slices
from tests.stages.stored import shifted, store, texture


def item_for(place, z0, z1, digest="d", **changes):
    settings = {
        "t": 0, "detector": "kaze", "model": "auto", "robust": "ransac",
        "progress": f"work/pairs/{z0}.json", "digest": digest,
    } | changes  # fmt: skip
    return SlicePairsItem(place, z0=z0, z1=z1, **settings)


def slabs_of(place, depth, slab=8, **changes):
    """Results of all slabs, as if a slab were so deep: what decides must not depend on it."""
    return [
        run_slices(item_for(place, z, min(z + slab, depth), **changes))
        for z in range(0, depth, slab)
    ]


def chain_of(place, results):
    rows = tuple(asdict(row) for result in results for row in result.rows["registration"])
    bridges = tuple((z, m) for result in results for z, m in result.value["bridges"])
    item = align_slices.AlignSlicesItem(place, 0, rows, bridges, True)
    return align_slices.run(pickle.loads(pickle.dumps(item))).rows["alignment"]


@pytest.fixture
def counted(monkeypatch):
    """Count what is described and registered."""
    count = Counter()

    def counting(name, function):
        def call(*args, **kwargs):
            count[name] += 1
            return function(*args, **kwargs)

        return call

    for name in ("describe", "register_described", "register_direct"):
        monkeypatch.setattr(stage, name, counting(name, getattr(stage, name)))
    return count


def test_each_slice_is_described_once_and_every_pair_has_its_row(tmp_path, counted):
    volume = texture(12)
    place = store(tmp_path, volume)
    result = run_slices(pickle.loads(pickle.dumps(item_for(place, 0, 12))))
    rows = result.rows["registration"]
    assert [(row.fixed_z, row.moving_z) for row in rows] == [(z, z + 1) for z in range(11)]
    assert counted["describe"] == 12
    assert counted["register_described"] == 11
    assert counted["register_direct"] <= 3
    expected = register(volume[4], volume[5])
    assert rows[4].matrix == pytest.approx(list(expected.matrix.ravel()), abs=0)


def test_slabs_give_the_pairs_of_the_whole(tmp_path):
    place = store(tmp_path, texture(17))
    whole = run_slices(item_for(place, 0, 17, digest="whole"))
    parts = slabs_of(place, 17, slab=6)
    rows = [row for part in parts for row in part.rows["registration"]]
    assert rows == whole.rows["registration"]
    asked = [[z for z, _ in part.value["bridges"]] for part in parts]
    assert asked == [[0, 5], [8, 11], []]


def test_a_killed_slab_goes_on_where_it_was(tmp_path, counted, monkeypatch):
    place = store(tmp_path, shifted(texture(14), (6, 7), (3, -4)))
    undisturbed = run_slices(item_for(place, 0, 14, progress="work/pairs/other.json"))
    assert counted["register_described"] == 13
    real = PairProgress.keep

    def dies(self, z, record):
        if z == 8:
            raise KeyboardInterrupt
        return real(self, z, record)

    monkeypatch.setattr(PairProgress, "keep", dies)
    with pytest.raises(KeyboardInterrupt):
        run_slices(item_for(place, 0, 14))
    monkeypatch.setattr(PairProgress, "keep", real)
    counted.clear()
    again = run_slices(item_for(place, 0, 14))
    assert counted["register_described"] == 13 - 8  # the pair in flight and what followed it
    assert again == undisturbed
    counted.clear()
    run_slices(item_for(place, 0, 14, digest="another"))
    assert counted["register_described"] == 13


def test_composing_a_chain_removes_nothing_of_another_stage(tmp_path):
    place = store(tmp_path, texture(6))
    kept = [f"{RunLayout.pairs(place.name, t)}/z00000.json" for t in (0, 1)]
    for name in kept:
        results = [run_slices(item_for(place, 0, 6, progress=name))]
    chain_of(place, results)
    storage = Storage.at(tmp_path)
    assert all(storage.read_text(name) for name in kept)


def test_progress_that_cannot_be_read_is_no_progress(tmp_path):
    storage = Storage.at(tmp_path)
    for text in ("", "{", "[]", '{"digest": "d"}', '{"digest": "e", "pairs": {"3": {}}}'):
        storage.write_text("p.json", text)
        assert PairProgress(storage, "p.json", "d").find(3) is None


@pytest.mark.parametrize(
    ("detector", "model"), [("kaze", "similarity"), ("orb", "similarity"), ("kaze", "auto")]
)
def test_memory_is_that_of_a_few_slices_however_deep_the_scan(tmp_path, detector, model):
    peaks, shape = [], (96, 112)
    for depth in (48, 192):
        place = store(tmp_path / str(depth), np.tile(texture(12, shape), (depth // 12, 1, 1)))
        named = {"detector": detector, "model": model}
        run_slices(item_for(place, 0, 2, progress="work/warm.json", **named))
        tracemalloc.start()
        found = run_slices(item_for(place, 0, 10, **named))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found.rows["registration"]
    plane = shape[0] * shape[1] * 4
    declared = needs_slices(plane, model).memory_bytes - needs_slices(0, model).memory_bytes
    assert peaks[1] < 1.3 * peaks[0]
    assert peaks[1] < declared


def test_two_misplaced_slices_of_a_real_scan_are_put_back(tmp_path, real_data):
    file = real_data / "petct_sarcoma_STS002" / "CT_image.nii.gz"
    volume = nibabel.load(file).get_fdata(dtype=np.float32).T[8:24]
    place = store(tmp_path, shifted(volume, (6, 7), (0, 6)))
    links = chain_of(place, slabs_of(place, 16))
    pixel = 0.8
    for link in links:
        dx, dy = link.matrix[2] / 1, link.matrix[5] / 1
        aim = -6 if link.z in (6, 7) else 0
        assert np.hypot(dx - aim, dy) < 1.2, link.z
    assert [row.z for row in links if row.drift_mm > pixel] == [6, 7]


def test_a_blank_slice_is_refused_alone_and_one_slice_has_no_chain(tmp_path):
    volume = texture(12)
    volume[5] = 7.0
    place = store(tmp_path, volume)
    results = slabs_of(place, 12)
    links = chain_of(place, results)
    assert [row.z for row in links if row.status == "refused"] == [5]
    assert (links[4].status, links[6].reference_z) == ("repaired", 6)
    assert "past slice 5" in links[4].reason
    alone = store(tmp_path / "one", volume[:1])
    assert chain_of(alone, slabs_of(alone, 1)) == []


def test_reading_one_channel_reads_those_slices(tmp_path):
    volume = texture(5)
    place = store(tmp_path, np.stack([volume, volume + 1]))
    assert (read_slab(Storage.at(tmp_path), place.name, 1, 2, 4)[0] == volume[2:4] + 1).all()
