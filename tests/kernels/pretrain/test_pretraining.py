"""Pretraining: it learns from context, and not what cannot be learned; its bits stay; workers share it."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from somray.errors import ShapeError, StoreError
from somray.kernels.pretrain import prepare
from somray.kernels.pretrain import train as module
from somray.kernels.pretrain.masking import MaskedReader
from somray.kernels.pretrain.networks.backbone import build_backbone, new_backbone
from somray.kernels.pretrain.patches import PatchSampler
from somray.kernels.pretrain.prepare import settle_statistics
from somray.kernels.pretrain.state import (
    PretrainGang,
    pretrain_state_from_bytes,
    pretrain_state_to_bytes,
)
from somray.kernels.pretrain.targets import PixelTarget
from somray.kernels.pretrain.train import iterations_of, pretrain
from somray.kernels.student.determinism import deterministic
from somray.kernels.student.training.schedule import ProcessGroup
from tests.kernels.pretrain.textures import CLASSES, pieces, same, spec_of
from tests.kernels.student.training.test_training import Meeting


def accuracy(encoder, target, steps, dimensions=2):
    spec = spec_of(encoder, target, dimensions, steps=steps)
    return pretrain(pieces(dimensions=dimensions), spec).training[-1]["accuracy"]


def majority(source):
    nodes = np.concatenate([piece.nodes.reshape(-1) for piece in source.pieces])
    return np.bincount(nodes).max() / len(nodes)


@pytest.mark.parametrize(("encoder", "steps"), [("unet", 75), ("resenc", 75), ("vit", 75)])
def test_nodes_under_masks_are_told_from_what_surrounds_them(encoder, steps):
    assert accuracy(encoder, "nodes", steps) > majority(pieces()) + 0.2


def test_numbers_that_mean_something_else_in_every_patch_cannot_be_learned():
    assert accuracy("unet", "shuffled", 75) < 1.2 / CLASSES


def test_volumes_are_learned_from_as_well():
    assert accuracy("unet", "nodes", 25, dimensions=3) > majority(pieces(dimensions=3)) + 0.05


@pytest.mark.parametrize(("target", "share"), [("features", 0.8), ("pixels", 0.93)])
def test_numbers_under_masks_are_regressed(target, share):
    rows = pretrain(pieces(), spec_of(target=target, steps=50)).training
    assert rows[-1]["loss"] < share * rows[0]["loss"]
    assert all(row["accuracy"] is None for row in rows)


def test_rows_tell_all_that_was_done(monkeypatch):
    monkeypatch.setattr(module, "EPOCH_STEPS", 2)
    ticks = iter(range(100))
    gang = PretrainGang(clock=lambda: float(next(ticks)))
    found = pretrain(pieces(), spec_of(target="nodes2", steps=4), gang)
    told = [
        (row["iteration"], row["epoch"], row["pixels"], row["seconds"]) for row in found.training
    ]
    assert told == [(i, e, 2 * 4 * 24 * 24, 1.0) for i in (1, 2) for e in (1, 2)]
    model = found.model
    assert model.history["data"] == "4 pieces"
    assert model.history["iterations"] == iterations_of(spec_of(target="nodes2")) == 2
    assert (model.target, model.channels) == ("nodes2", ("CT", "PET"))
    build_backbone(model.network, model.weights)


def states_of(spec, source):
    states = []
    found = pretrain(source, spec, PretrainGang(save=states.append))
    return found, states


@pytest.mark.parametrize(
    ("encoder", "target"), [("unet", "nodes2"), ("vit", "kmeans"), ("resenc", "shuffled")]
)
def test_a_pretraining_resumed_after_any_epoch_ends_with_the_same_bits(
    encoder, target, monkeypatch
):
    monkeypatch.setattr(module, "EPOCH_STEPS", 2)
    monkeypatch.setattr(prepare, "DRAWS", 1)
    spec = spec_of(encoder, target, steps=4)
    found, states = states_of(spec, pieces())
    assert len(states) == 2 * iterations_of(spec)
    for number, state in enumerate(states):
        stored = pretrain_state_from_bytes(pretrain_state_to_bytes(state))
        later = []
        again = pretrain(pieces(), spec, PretrainGang(resume=stored, save=later.append))
        assert same(again.model.weights, found.model.weights)
        assert again.training == found.training
        assert len(later) == len(states) - 1 - number  # nothing is trained twice
    other = pretrain(pieces(), replace(spec, seed=1))
    assert not same(other.model.weights, found.model.weights)


def test_bytes_that_are_no_state_are_refused():
    for data in (
        b"",
        b"no state",
        pretrain_state_to_bytes(states_of(spec_of(), pieces())[1][0])[:-9],
    ):
        with pytest.raises(StoreError, match="cannot be read"):
            pretrain_state_from_bytes(data)


def gang_of_two(spec):
    """Pretrain with two workers in threads: what each ended with, and what they brought to their means."""
    meeting, found = Meeting(2), [None, None]

    def work(rank):
        gang = PretrainGang(ProcessGroup(rank, 2, meeting.average(rank)))
        found[rank] = pretrain(pieces(), spec, gang)

    with deterministic(1):  # threads share torch's settings
        workers = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    return found, meeting.brought


@pytest.mark.parametrize("target", ["nodes2", "kmeans"])
def test_two_workers_end_with_one_encoder(target):
    (first, second), _ = gang_of_two(spec_of(target=target))
    assert same(first.model.weights, second.model.weights)
    assert first.training[-1]["accuracy"] == second.training[-1]["accuracy"]
    assert first.training[-1]["pixels"] == 2 * 4 * 24 * 24


def test_two_workers_take_the_gradient_of_all_patches_together():
    """Without batch statistics, and with as many pixels asked on each, the mean of means is the mean."""
    spec = spec_of("resenc", "pixels", steps=1)
    _, brought = gang_of_two(spec)
    reader = MaskedReader(new_backbone(module.network_of_spec(spec), spec.seed), (5,), spec.seed)
    target, drawn = PixelTarget((5,), spec.block), []
    for rank in range(2):
        sampler = PatchSampler(pieces(), spec)
        sampler.begin((spec.seed, 1, 0, rank))
        drawn.append(sampler.draw(2))
    inputs, masked = (
        torch.from_numpy(np.concatenate([getattr(p, part) for p in drawn]))
        for part in ("inputs", "masked")
    )
    wanted = torch.cat([target.answers(p, np.random.default_rng(0)) for p in drawn])
    places = masked.reshape(-1).nonzero()[:, 0]
    (said,) = reader(inputs, masked, places)
    torch.nn.functional.smooth_l1_loss(said, wanted[places]).backward()
    gradient = torch.cat([p.grad.reshape(-1) for p in reader.parameters()])
    mean = torch.stack(brought[0]).mean(0)
    torch.testing.assert_close(mean, gradient, rtol=1e-3, atol=1e-5)


def test_what_is_left_has_the_statistics_of_images_without_masks():
    spec = spec_of()
    backbone = build_backbone(*(lambda m: (m.network, m.weights))(pretrain(pieces(), spec).model))
    norm = backbone.down[0][0][1]
    sampler = PatchSampler(pieces(), spec)
    means = []
    with torch.no_grad():
        for number in range(8):
            sampler.begin((99, number))
            planes = backbone.down[0][0][0](torch.from_numpy(sampler.draw(16).inputs))
            means.append(planes.mean((0, 2, 3)))
    wanted, spread = torch.stack(means).mean(0), norm.running_var.sqrt()
    assert ((norm.running_mean - wanted).abs() < 0.2 * spread).all()
    vit = new_backbone(module.network_of_spec(spec_of("vit")), 0)
    sampler = PatchSampler(pieces(), spec_of("vit"))
    settle_statistics(vit, sampler, (0, 1), ProcessGroup())  # has none: nothing is read
    assert not sampler._source.reads


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"target": "answers"}, "target must be"),
        ({"classes": ()}, "codebooks of two nodes"),
        ({"target": "shuffled", "classes": (5, 1)}, "codebooks of two nodes"),
        ({"target": "features", "features": 0}, "needs pieces with features"),
        ({"patch": 22}, "whole blocks"),
        ({"patch": 4}, "whole blocks"),
        ({"steps": 0}, "1 or more"),
        ({"masked": 1.0}, "can be masked"),
    ],
)
def test_what_cannot_be_done_is_refused(changes, match):
    with pytest.raises(ShapeError, match=match):
        pretrain(pieces(), spec_of(**changes))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("encoder", ["unet", "vit", "resenc"])
@pytest.mark.parametrize("bf16", [False, True])
def test_a_gpu_gives_the_same_bits_twice_and_across_an_interruption(encoder, bf16, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    monkeypatch.setattr(module, "EPOCH_STEPS", 5)
    spec, states = spec_of(encoder, "nodes2", 3, steps=10), []
    group = ProcessGroup(device="cuda", bf16=bf16)
    first = pretrain(pieces(dimensions=3), spec, PretrainGang(group, save=states.append))
    for state in (None, states[2]):
        again = pretrain(pieces(dimensions=3), spec, PretrainGang(group, resume=state))
        assert same(again.model.weights, first.model.weights)
        assert again.training == first.training
