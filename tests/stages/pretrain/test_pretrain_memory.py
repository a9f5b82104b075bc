"""What writing shards and training on volumes hold stays within what their units declare."""

import tracemalloc

import pytest

from somray.config import PretrainConfig
from somray.domain.work import WORKER_BYTES, Result, Unit
from somray.kernels.teacher.fit import fit_teacher
from somray.kernels.teacher.spec import TeacherSpec
from somray.runtime.execute import execute
from somray.runtime.train import train_in_process
from somray.stages.pretrain import fit, shards
from somray.stages.pretrain.nodes import NodeMaps
from somray.stages.pretrain.source import ScanShards
from somray.stages.training import TrainingShared
from tests.stages.stored import store, texture

SHAPE = (32, 36, 40)
SPACING = (2.0, 0.8, 0.8)


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A scan, its teacher, and what was told of its shards as a volume."""
    volume = texture(SHAPE[0], SHAPE[1:])
    spec = TeacherSpec("CT", ("CT",), grid=(3, 3), epochs=1)
    teacher = fit_teacher(volume[5:6, None], spec, SPACING[1:]).model
    place = store(tmp_path_factory.mktemp("memory"), volume)
    item = shard_item(place)
    return place, teacher, ScanShards.of(item.group, shards.run(item, NodeMaps(teacher)).value)


def shard_item(place):
    return shards.ShardItem(place, "p", "sub-s_ses-t0", None, 0.8, features=True)


def test_writing_shards_holds_what_it_declares(scan):
    place, teacher, _ = scan
    tracemalloc.start()
    shards.run(shard_item(place), NodeMaps(teacher))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    needs = shards.needs(4 * SHAPE[1] * SHAPE[2], 1, len(teacher.center))
    assert peak < needs.memory_bytes - WORKER_BYTES


def test_training_on_volumes_holds_what_it_declares(scan):
    place, teacher, told = scan
    config = PretrainConfig(steps=1, grid_mm=0.8)
    item = fit.PretrainItem(place.root, "p", config, (told,), 1, 0, "digest")
    nothing = Unit("pretrain", "nothing", "p", "d", 0)
    before = execute(lambda item, shared: Result(), nothing).peak_bytes
    unit, shared = Unit("pretrain", "p", "p", "d", item), TrainingShared(teacher, train_in_process)
    found = execute(fit.run, unit, shared)
    assert found.ok, found.message
    declared = fit.needs(config, 3).memory_bytes - WORKER_BYTES
    assert 2**24 < found.peak_bytes - before < declared
