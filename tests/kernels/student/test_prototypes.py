"""Prototypes judge by the nearest node, and vote as the teacher does."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from somray.kernels.class_smoothing import smooth_classes
from somray.kernels.student.prototypes import Prototypes, Vote

COUNTS = (3, 1, 4)


def _layer(soft=False, vote=None, counts=COUNTS, inputs=5, sharpness=3.0):
    layer = Prototypes(inputs, counts, 1, vote or Vote(), soft=soft)
    rng = np.random.default_rng(0)
    with torch.no_grad():
        layer.nodes.copy_(torch.from_numpy(rng.normal(size=(sum(counts), inputs))))
        layer.factors.copy_(torch.from_numpy(rng.normal(0, 0.3, inputs)))
        layer.sharpness.fill_(sharpness)
    return layer


def _pixels(count=400, inputs=5):
    return torch.from_numpy(np.random.default_rng(1).normal(size=(count, inputs))).float()


def _nearest_slowly(layer, pixels):
    """Class of the nearest node, and how much nearer the target is than the rest."""
    owner = np.repeat(np.arange(len(layer.counts)), layer.counts)
    factors, nodes = layer.factors.exp().numpy(), layer.nodes.numpy()
    classes, leads = [], []
    for pixel in pixels.numpy():
        squared = [sum((f * p - n) ** 2) for n in nodes for f, p in [(factors, pixel)]]
        best = [min(s for s, k in zip(squared, owner, strict=True) if k == c) for c in range(3)]
        classes.append(int(np.argmin(best)))
        leads.append(0.5 * (min(best[0], best[2]) - best[1]))
    return np.array(classes), np.array(leads)


def test_a_pixel_has_the_class_of_its_nearest_node():
    with torch.no_grad():
        layer = _layer()
        evidence = layer.pointwise(_pixels())
        classes, leads = _nearest_slowly(layer, _pixels())
        assert (evidence.argmax(dim=0).numpy() == classes).all()
        assert len(set(classes)) == 3
        expected = np.exp(3.0) * leads
        np.testing.assert_allclose(layer.margin(evidence).numpy(), expected, rtol=1e-4, atol=1e-3)


def test_without_a_vote_a_slice_is_judged_pixel_by_pixel():
    layer, plane = _layer(), _pixels().view(2, 10, 20, 5)
    with torch.no_grad():
        found = layer(plane, torch.ones(2, 10, 20, dtype=torch.bool))
        torch.testing.assert_close(found.reshape(3, -1), layer.pointwise(plane.reshape(-1, 5)))


def test_a_factor_weighs_its_input_in_the_distance():
    layer = Prototypes(2, (1, 1), 0, Vote(), soft=False)
    with torch.no_grad():
        layer.nodes.copy_(torch.tensor([[0.0, 0.0], [2.0, 0.0]]))
        layer.factors[0] = np.log(0.5)
        near, far = layer.margin(layer.pointwise(torch.tensor([[1.9, 0.0], [2.1, 0.0]])))
    assert near > 0 > far


def test_soft_prototypes_weigh_all_of_a_class():
    layer, hard = _layer(soft=True, sharpness=0.0), _layer(sharpness=0.0)
    with torch.no_grad():
        found, lone = layer.pointwise(_pixels()), hard.pointwise(_pixels())
        assert torch.allclose(found[1], lone[1])  # of one node
        scores = hard.classes(_pixels())  # same nodes; every class by its nearest
        assert (found[[0, 2]] > scores[[0, 2]]).all()
        rest = torch.logsumexp(found[[0, 2]], dim=0)
        torch.testing.assert_close(layer.margin(found), found[1] - rest)


def _voted(labels, known, vote):
    """Classes by the student's vote, and every class's votes counted by scipy."""
    layer = Prototypes(1, (1, 1, 1, 1), 0, vote, soft=False)
    with torch.no_grad():
        layer.nodes.copy_(torch.arange(4.0)[:, None])
        layer.sharpness.fill_(np.log(500.0))
        plane = torch.from_numpy(labels[None, ..., None].astype(np.float32))
        found = layer(plane, torch.from_numpy(known[None]))[:, 0].argmax(dim=0).numpy()
    disc = vote.disc().numpy().astype(int)
    votes = [
        ndimage.convolve(((labels == c) & known).astype(int), disc, mode="constant")
        for c in range(4)
    ]
    return found, np.stack(votes)


@pytest.mark.parametrize(
    ("radius", "spacing"), [(3.0, (1.0, 1.0)), (5.0, (0.9, 1.7)), (2.0, (0.7, 3.0)), (1.0, (1, 1))]
)
def test_the_vote_is_the_teachers_but_for_ties(radius, spacing):
    rng = np.random.default_rng(2)
    labels = ndimage.zoom(rng.integers(0, 4, (12, 11)), 5, order=0)
    labels = np.where(rng.random(labels.shape) < 0.4, rng.integers(0, 4, labels.shape), labels)
    known = rng.random(labels.shape) > 0.1
    known[:8, :8] = False
    found, votes = _voted(labels, known, Vote(radius, spacing))
    teacher = smooth_classes(
        np.where(known, labels + 1, 0).astype(np.uint8), radius, spacing
    ).astype(int)
    leading = votes == votes.max(axis=0)
    clear = known & (leading.sum(axis=0) == 1)
    np.testing.assert_array_equal(found[clear] + 1, teacher[clear])
    assert (found != labels)[clear].any()
    own_leads = np.take_along_axis(leading, labels[None], axis=0)[0]
    tied = known & ~clear & own_leads
    assert tied.any()
    np.testing.assert_array_equal(found[tied], labels[tied])


def test_a_disc_of_whole_pixels_keeps_its_outermost_ones():
    assert Vote(0.3, (0.1, 0.1)).reach == (3, 3)
    assert Vote(0.3, (0.1, 0.1)).disc()[0].tolist() == [0, 0, 0, 1, 0, 0, 0]
    assert Vote(2.0, (5.0, 1.0)).disc().shape == (1, 5)
    assert not Prototypes(1, (1, 1), 0, Vote(2.0, (5.0, 5.0)), soft=False).has_vote


def test_gradients_pass_through_the_vote_while_learning():
    layer = _layer(vote=Vote(2.0), sharpness=np.log(500.0))
    plane = _pixels().view(1, 20, 20, 5).requires_grad_()
    known = torch.ones(1, 20, 20, dtype=torch.bool)
    margin = layer.margin(layer(plane, known, learning=True))
    margin.abs().sum().backward()
    assert torch.isfinite(plane.grad).all()
    assert (plane.grad.abs().amax(dim=-1) > 1e-6).float().mean() > 0.05
