"""Patches: where they come from, what counts in them, and that a seed fixes them."""

import numpy as np
import pytest
import torch

from somray.errors import ShapeError
from somray.kernels.student.training import patches as module
from somray.kernels.student.training.patches import MARGIN, Example, Sampler
from tests.student_fixtures import PlainViews, example_of, hu_image


@pytest.fixture
def as_they_are(monkeypatch):
    """Patches that nothing makes worse."""
    monkeypatch.setattr(module.Degrader, "draw", lambda self, values, rng: values.copy())


def numbered(shapes, weights=None):
    """Images whose every pixel has a value of its own; every seventh is target."""
    examples, start = [], 1
    for number, shape in enumerate(shapes):
        size = int(np.prod(shape))
        values = np.arange(start, start + size, dtype=np.float32).reshape(1, *shape)
        weight = np.ones(shape, np.float32) if weights is None else weights[number]
        target = (values[0] % 7 == 0).astype(np.float32)
        examples.append(Example(values, target, weight, PlainViews()))
        start += size
    return examples


@pytest.mark.parametrize("shapes", [[(50, 70)] * 2, [(60, 80), (20, 90), (70, 25)], [(9, 30, 28)]])
def test_labels_stay_with_their_pixels(as_they_are, shapes):
    sampler = Sampler(numbered(shapes), 24, (1,))
    for _ in range(10):
        batch = sampler.draw(6)
        known = batch.weight > 0
        assert batch.inputs.shape == (6, 1, *[24] * len(shapes[0]))
        values = batch.inputs[:, 0][known]
        assert torch.equal(batch.target[known] > 0, values % 7 == 0)
        assert (values > 0).all()


def test_all_images_are_drawn_from(as_they_are):
    shapes = [(60, 80), (20, 90), (70, 25)]
    ends = np.cumsum([y * x for y, x in shapes])
    sampler, seen = Sampler(numbered(shapes), 24, (1,)), set()
    for _ in range(10):
        batch = sampler.draw(6)
        values = [
            part[count > 0].max()
            for part, count in zip(batch.inputs[:, 0], batch.weight, strict=True)
        ]
        seen |= {int(np.searchsorted(ends, int(value))) for value in values}
    assert seen == {0, 1, 2}


@pytest.mark.parametrize("shape", [(61, 75), (17, 12, 15)])
def test_every_patch_holds_a_pixel_that_counts(as_they_are, shape):
    rng = np.random.default_rng(0)
    for place in [
        (0,) * len(shape),
        tuple(n - 1 for n in shape),
        *rng.integers(0, shape, (8, len(shape))),
    ]:
        weight = np.zeros(shape, dtype=np.float32)
        weight[tuple(place)] = 1
        (example,) = numbered([shape], [weight])
        batch = Sampler([example], 28 if len(shape) == 2 else 10, (0,)).draw(6)
        counted = batch.inputs[:, 0][batch.weight > 0]
        assert counted.tolist() == [float(example.values[(0, *place)])] * 6


def test_a_third_each_lie_round_target_border_and_anything(as_they_are):
    mask = np.zeros((200, 200), dtype=bool)
    mask[97:103, 97:103] = True
    image = np.zeros((1, 200, 200), np.float32)
    sampler = Sampler([example_of(image, mask)], 32, (0,))
    shown = np.array([[part.any() for part in sampler.draw(6).target.numpy()] for _ in range(30)])
    by_kind = shown.reshape(-1, 3).mean(axis=0)
    assert by_kind[0] == 1
    assert by_kind[1] > 0.9  # a border pixel outside may stand at a patch's end
    assert by_kind[2] < 0.3


def test_half_of_the_patches_lie_where_an_example_says_to_look(as_they_are):
    mask, focus = np.zeros((200, 200), dtype=bool), np.zeros((200, 200), dtype=bool)
    mask[40:44, 40:44], focus[150:152, 150:152] = True, True
    image = focus[None].astype(np.float32)
    views = PlainViews()
    example = Example(
        image, mask.astype(np.float32), np.ones(mask.shape, np.float32), views, 1.0, focus
    )
    sampler = Sampler([example], 32, (0,))
    batch = sampler.draw(40)
    shown = batch.inputs.flatten(1).amax(1) > 0
    target = batch.target.flatten(1).amax(1) > 0
    assert 20 <= shown.sum() < 26
    assert 10 <= target.sum() < 15
    unseen = Example(image, mask.astype(np.float32), 1 - image[0], views, 1.0, focus)
    assert (Sampler([unseen], 32, (0,)).draw(8).weight.flatten(1).sum(1) > 0).all()


def test_patches_of_several_lesions_show_each_part_alike_often(as_they_are):
    (example,) = numbered([(120, 120)])
    sampler = Sampler([example], 40, (0,))
    seen = np.zeros(example.values.size + 1)
    for _ in range(150):
        batch = sampler.draw(6)
        np.add.at(seen, batch.inputs[:, 0][batch.weight > 0].numpy().astype(int), 1)
    times = seen[1:].reshape(120, 120)
    assert times.min() > 0  # corners too
    middle = times[30:90, 30:90]
    assert middle.std() < 0.5 * middle.mean()


def test_pixels_beside_a_cut_edge_are_seen_but_not_learned_from(as_they_are):
    (example,) = numbered([(90, 100)])
    sampler = Sampler([example], 60, (2,))
    for _ in range(5):
        batch = sampler.draw(4)
        for weight, values in zip(batch.weight, batch.inputs[:, 0].long() - 1, strict=True):
            y, x = values // 100, values % 100
            rows = (y - y.min() >= MARGIN) | (y.min() == 0)
            rows &= (y.max() - y >= MARGIN) | (y.max() == 89)
            columns = (x - x.min() >= MARGIN) | (x.min() == 0)
            columns &= (x.max() - x >= MARGIN) | (x.max() == 99)
            assert torch.equal(weight > 0, rows & columns)


def test_an_image_smaller_than_a_patch_is_taken_whole_and_filled_up(as_they_are):
    sampler = Sampler(numbered([(30, 40), (8, 12)]), 96, (0,))
    small = 0
    for _ in range(6):
        batch = sampler.draw(6)
        assert batch.inputs.shape == (6, 1, 40, 40)  # no larger than the largest image
        beyond = batch.inputs[:, 0] == -1
        assert not batch.weight[beyond].any()
        assert not batch.target[beyond].any()
        counts = (batch.weight > 0).flatten(1).sum(1).tolist()
        assert set(counts) <= {30 * 40, 8 * 12}
        small += counts.count(8 * 12)
    assert small


@pytest.mark.parametrize(("shape", "ways"), [((16, 16), 8), ((6, 6, 6), 16)])
def test_patches_are_mirrored_and_turned_in_every_way(as_they_are, shape, ways):
    sampler = Sampler(numbered([shape]), 16, (0,))
    found = {part.numpy().tobytes() for _ in range(40) for part in sampler.draw(6).inputs}
    assert len(found) == ways


def test_the_seed_decides_and_a_sampler_can_be_seeded_anew():
    image, mask = hu_image((56, 60))

    def drawn(sampler):
        batch = sampler.draw(6)
        return torch.cat([batch.inputs.flatten(), batch.target.flatten(), batch.weight.flatten()])

    first, second, other = (Sampler([example_of(image, mask)], 40, (0, n)) for n in (1, 1, 2))
    begun = drawn(first)
    assert torch.equal(begun, drawn(second))
    assert not torch.equal(begun, drawn(other))
    assert not torch.equal(begun, drawn(first))
    first.reseed((0, 1))
    assert torch.equal(begun, drawn(first))


def test_patches_are_made_worse_but_never_their_labels_nor_the_image():
    image, mask = hu_image((48, 48), noise=0.0)
    before, example = image.copy(), example_of(image, mask)
    batch = Sampler([example], 48, (0,)).draw(12)
    np.testing.assert_array_equal(image, before)
    assert (batch.target.flatten(1).sum(1) == mask.sum()).all()
    # About half of a slice's patches stay as they are.
    assert len({round(float(part.std()), 5) for part in batch.inputs}) > 3
    assert np.isfinite(batch.inputs.numpy()).all()
    assert batch.inputs.abs().max() <= 1


def test_no_data_is_never_nan_for_the_network():
    image, mask = hu_image((48, 48))
    image[:, :20, :20] = np.nan
    weight = (~np.isnan(image[0])).astype(np.float32)
    batch = Sampler([example_of(image, mask, weight)], 40, (0,)).draw(12)
    assert np.isfinite(batch.inputs.numpy()).all()


def test_examples_that_do_not_fit_or_hold_nothing_are_refused():
    image, mask = hu_image()
    with pytest.raises(ShapeError, match="needs target and weight alike"):
        example_of(image[:, 1:], mask)
    with pytest.raises(ShapeError, match="needs target and weight alike"):
        example_of(image, mask, np.ones((3, 3), np.float32))
    nothing = example_of(image, mask, np.zeros(mask.shape, np.float32))
    with pytest.raises(ShapeError, match="weight 0"):
        Sampler([nothing], 32, (0,))
    Sampler([nothing, example_of(image, mask)], 32, (0,)).draw(3)
