"""Strips must say what the network says, whatever the shape, and whoever works on them."""

import numpy as np
import pytest
import torch

from somray.errors import ShapeError
from somray.kernels.student import strips
from somray.kernels.student.prototypes import Vote
from somray.kernels.student.strips import logits_in_strips
from somray.kernels.student.unet import NetworkShape, UNet

VOTED = {"vote": Vote(3.0, (1.0, 0.7)), "soft": False, "counts": (3, 2, 4), "target": 1}


def _network(**facts):
    module = UNet(NetworkShape(inputs=6, **facts)).eval()
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for value in (*module.parameters(), module.center):
            value.copy_(torch.from_numpy(np.asarray(rng.normal(0, 0.3, value.shape))))
        module.scale.copy_(torch.from_numpy(rng.uniform(0.5, 2, module.scale.shape)))
        module.prototypes.nodes.mul_(3)
    return module.requires_grad_(requires_grad=False)


def _stack(module, shape, *, noisy, holes):
    rng, first = np.random.default_rng(1), module.shape.views * module.shape.inputs
    planes = module.shape.planes if noisy else module.shape.inputs
    stack = rng.normal(0, 2, (planes, *shape)).astype(np.float32)
    if noisy:
        stack[first : first + module.shape.channels] = np.float32(0.3)
    if holes:
        stack[:, rng.random(shape) < 0.2] = np.nan
    return torch.from_numpy(stack)


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("facts", [VOTED, {}, {"channels": 2, "beside": 4, "levels": 1}])
@pytest.mark.parametrize("shape", [(1, 1), (37, 50), (64, 9), (3, 7)])
def test_strips_say_what_the_network_says(monkeypatch, noisy, holes, facts, shape):
    monkeypatch.setattr(strips, "PIXELS", 300)
    monkeypatch.setattr(strips, "VOTE_PIXELS", 300)
    module = _network(**facts)
    stack = _stack(module, shape, noisy=noisy, holes=holes)
    expected = module(stack[None])[0]
    found = logits_in_strips(module, stack)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("noisy", [False, True])
def test_bits_do_not_depend_on_threads(monkeypatch, noisy):
    monkeypatch.setattr(strips, "PIXELS", 300)
    module = _network(**VOTED)
    stack = _stack(module, (61, 40), noisy=noisy, holes=True)
    assert torch.equal(logits_in_strips(module, stack), logits_in_strips(module, stack, 3))


def test_votes_counted_by_rows_are_exactly_those_over_the_disc():
    module = _network(**VOTED)
    y, x = module.prototypes.reach
    ones = torch.from_numpy(np.random.default_rng(2).random((4, 20, 30)) < 0.5).float()
    wide = torch.nn.functional.pad(ones, (x, x, y, y))
    found = module.prototypes.elected(ones[:3], wide)
    votes = module.prototypes._voted(ones[:, None])[:, 0]
    expected = 12 * (votes[:3] + 0.5 * ones[:3]) / votes[3].clamp_min(1)
    assert (y, x) == (3, 4)
    assert torch.equal(found, expected)


def test_a_raw_student_is_refused():
    module = UNet(NetworkShape(inputs=1, raw=True))
    with pytest.raises(ShapeError, match="raw"):
        logits_in_strips(module, torch.zeros(1, 4, 4))
