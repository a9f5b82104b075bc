"""The tree against a slow oracle that labels every level anew, and the laws that it must keep.

The compiled walk takes some 20 s to compile at its first call in a fresh checkout.
"""

import numpy as np
import pytest
from scipy import ndimage

from somray.errors import ShapeError
from somray.kernels.objects.tree import FACES_OF_A_BALL, component_tree, most_salient, paint

SPACING = (2.0, 1.0, 1.5)
LOWEST, STEP = 0.5, 0.25
EVERY = np.ones((3, 3, 3), dtype=bool)


def noise_field(seed=0, shape=(7, 8, 9), smooth=1.0, missing=0.0):
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=shape), smooth)
    field = 1.0 + field / field.std()
    field[rng.uniform(size=shape) < missing] = np.nan
    return field


def oracle_parts(field, spacing, least_voxels=1):
    """List (level, frozenset of voxels) of every connected part that is new at its level."""
    top = int(np.floor((np.nanmax(field) - LOWEST) / STEP))
    found, seen = [], set()
    for rung in range(top, -1, -1):
        with np.errstate(invalid="ignore"):
            rungs = np.floor((field - LOWEST) / STEP)
            labels, count = ndimage.label((field >= LOWEST) & (rungs >= rung), EVERY)
        for n in range(1, count + 1):
            voxels = frozenset(map(tuple, np.argwhere(labels == n).tolist()))
            if voxels not in seen and len(voxels) >= least_voxels:
                seen.add(voxels)
                found.append((LOWEST + STEP * rung, voxels))
    return found


def oracle_faces(field, voxels, spacing):
    """Return area of all faces, area of those where nothing was scanned, mean difference per mm of the rest."""
    area, cut, drop = 0.0, 0.0, 0.0
    for voxel in voxels:
        for axis in range(3):
            face = float(np.prod(spacing)) / spacing[axis]
            for sign in (-1, 1):
                near = tuple(v + sign * (a == axis) for a, v in enumerate(voxel))
                if near in voxels:
                    continue
                area += face
                inside = all(0 <= v < n for v, n in zip(near, field.shape, strict=True))
                if not inside or np.isnan(field[near]):
                    cut += face
                else:
                    drop += (field[voxel] - field[near]) / spacing[axis] * face
    return area, cut, drop / max(area - cut, 1e-12)


def voxels_of(tree):
    """Return the voxels of every part, from the voxels' smallest parts and the parents."""
    parents = tree.parts.parent.tolist()
    held = [set() for _ in parents]
    for voxel in map(tuple, np.argwhere(tree.voxel_part >= 0).tolist()):
        part = int(tree.voxel_part[voxel])
        while part >= 0:
            held[part].add(voxel)
            part = parents[part]
    return [frozenset(own) for own in held]


@pytest.fixture(params=[(0, 0.0), (1, 0.0), (2, 0.15)], ids=["smooth", "other", "holes"])
def field(request):
    seed, missing = request.param
    return noise_field(seed, missing=missing)


def test_parts_are_the_connected_parts_of_every_level(field):
    tree = component_tree(field, SPACING, LOWEST, STEP, 0.0)
    expected = {own: level for level, own in oracle_parts(field, SPACING)}
    found = voxels_of(tree)
    assert len(found) == len(set(found)) > 5
    assert set(found) == set(expected)
    assert [expected[own] for own in found] == pytest.approx(tree.parts.level.tolist())


def test_a_parent_is_the_smallest_part_around_and_stands_later(field):
    tree = component_tree(field, SPACING, LOWEST, STEP, 0.0)
    found = voxels_of(tree)
    for n, (own, parent) in enumerate(zip(found, tree.parts.parent.tolist(), strict=True)):
        around = [other for other in found if own < other]
        if not around:
            assert parent == -1
        else:
            assert parent > n
            assert found[parent] == min(around, key=len)


def test_volume_surface_edge_peak_and_cut_are_those_counted_one_by_one(field):
    tree = component_tree(field, SPACING, LOWEST, STEP, 0.0)
    for n, own in enumerate(voxels_of(tree)):
        area, cut, edge = oracle_faces(field, own, SPACING)
        assert tree.parts.volume_mm3[n] == pytest.approx(len(own) * np.prod(SPACING))
        assert tree.parts.surface_mm2[n] == pytest.approx(area / FACES_OF_A_BALL)
        assert tree.parts.cut_fraction[n] == pytest.approx(cut / area)
        assert tree.parts.edge[n] == pytest.approx(edge, abs=1e-9)
        assert tree.parts.peak[n] == max(field[voxel] for voxel in own)


def test_parts_of_fewer_voxels_are_left_out_and_what_they_held_goes_up(field):
    least = 5
    tree = component_tree(field, SPACING, LOWEST, STEP, least * float(np.prod(SPACING)))
    expected = {own for _, own in oracle_parts(field, SPACING, least)}
    assert set(voxels_of(tree)) == expected
    assert tree.parts.volume_mm3.min() >= least * np.prod(SPACING)


def test_a_ball_is_nearly_as_spherical_as_a_ball_and_a_plate_is_not():
    z, y, x = np.indices((31, 31, 31)) - 15
    ball = np.where(z**2 + y**2 + x**2 <= 12**2, 2.0, 0.0)
    plate = np.where((abs(z) <= 1) & (abs(y) <= 12) & (abs(x) <= 12), 2.0, 0.0)
    round_one, flat = (component_tree(f, (1, 1, 1), 0.5, 1.0, 0.0).parts for f in (ball, plate))
    assert round_one.sphericity == pytest.approx([1.0], abs=0.05)
    faces = 2 * 25 * 25 + 4 * 3 * 25
    assert flat.sphericity == pytest.approx([np.cbrt(36 * np.pi * 1875**2) / (faces / 1.5)])
    assert round_one.salience == pytest.approx(
        round_one.edge * np.sqrt(round_one.volume_mm3) * round_one.sphericity**2
    )


def test_chosen_parts_are_disjoint_and_beat_all_they_hold(field):
    tree = component_tree(field, SPACING, LOWEST, STEP, 0.0)
    found = voxels_of(tree)
    chosen = most_salient(tree.parts)
    salience = tree.parts.salience
    assert len(chosen) > 0
    for n in chosen.tolist():
        inner = [salience[k] for k, own in enumerate(found) if own < found[n]]
        assert all(salience[n] >= value for value in inner)
        assert not any(found[n] & found[k] for k in chosen.tolist() if k != n)


def test_every_part_lies_in_a_chosen_one_or_holds_one_or_is_beaten_by_one(field):
    tree = component_tree(field, SPACING, LOWEST, STEP, 0.0)
    found = voxels_of(tree)
    chosen = most_salient(tree.parts).tolist()
    assert all(any(own & found[n] for n in chosen) for own in found)


def test_painted_parts_hold_exactly_their_voxels_and_nothing_twice(field):
    tree = component_tree(field, SPACING, LOWEST, STEP, 0.0)
    found = voxels_of(tree)
    chosen = most_salient(tree.parts)
    drawn = paint(tree, chosen)
    for number, n in enumerate(chosen.tolist(), start=1):
        assert frozenset(map(tuple, np.argwhere(drawn == number).tolist())) == found[n]
    assert set(np.unique(drawn)) <= set(range(len(chosen) + 1))


def test_only_allowed_parts_are_chosen():
    field = noise_field()
    tree = component_tree(field, SPACING, LOWEST, STEP, 0.0)
    allowed = tree.parts.volume_mm3 <= 20 * np.prod(SPACING)
    chosen = most_salient(tree.parts, allowed)
    assert len(chosen) > 0
    assert allowed[chosen].all()
    assert len(most_salient(tree.parts, np.zeros_like(allowed))) == 0


def test_a_part_around_two_things_must_beat_both_together():
    z, y, x = np.indices((21, 21, 49)) - 10
    off = [z**2 + y**2 + (x - c) ** 2 for c in (8, 20)]
    uptake = ndimage.gaussian_filter(np.where(np.minimum(*off) <= 25, 8.0, 1.0), 1.5)
    tree = component_tree(np.log2(uptake), (1, 1, 1), 0.25, 0.125, 0.0)
    assert len(most_salient(tree.parts)) == 1
    drawn = paint(tree, most_salient(tree.parts, adds=tree.parts.volume_mm3 >= 100))
    assert {tuple(np.unique(drawn[r <= 16])) for r in off} == {(1,), (2,)}


def test_one_thing_is_not_beaten_by_what_it_holds_only_because_it_adds_up(field):
    tree = component_tree(field, SPACING, LOWEST, STEP, 0.0)
    chosen = most_salient(tree.parts, adds=np.ones(len(tree.parts.parent), dtype=bool))
    found, own = voxels_of(tree), tree.parts.distinctness
    for n in chosen.tolist():  # no set of disjoint parts inside, here any two, has more together
        inner = [k for k, held in enumerate(found) if held < found[n]]
        pairs = [own[a] + own[b] for a in inner for b in inner if not found[a] & found[b]]
        assert own[n] >= max([own[k] for k in inner] + pairs, default=0.0)


def test_turned_axes_give_the_same_parts():
    field = noise_field(3)
    order = (2, 0, 1)
    tree = component_tree(field, SPACING, LOWEST, STEP, 0.0)
    turned = component_tree(
        field.transpose(order), tuple(SPACING[a] for a in order), LOWEST, STEP, 0.0
    )
    there = {
        frozenset(tuple(v[order.index(a)] for a in range(3)) for v in own): n
        for n, own in enumerate(voxels_of(turned))
    }
    for n, own in enumerate(voxels_of(tree)):
        for measure in ("level", "volume_mm3", "surface_mm2", "edge", "peak", "salience"):
            one, other = getattr(tree.parts, measure)[n], getattr(turned.parts, measure)[there[own]]
            assert one == pytest.approx(other, abs=1e-9)


def test_twice_the_size_is_eight_times_the_volume_and_half_the_edge():
    field = noise_field(4)
    tree = component_tree(field, SPACING, LOWEST, STEP, 0.0).parts
    large = component_tree(field, tuple(2 * s for s in SPACING), LOWEST, STEP, 0.0).parts
    assert large.volume_mm3 == pytest.approx(8 * tree.volume_mm3)
    assert large.surface_mm2 == pytest.approx(4 * tree.surface_mm2)
    assert large.edge == pytest.approx(tree.edge / 2)
    assert large.sphericity == pytest.approx(tree.sphericity)
    assert large.salience == pytest.approx(np.sqrt(2) * tree.salience)


def test_the_same_field_gives_the_same_bits():
    field = noise_field(5)
    one, other = (component_tree(field, SPACING, LOWEST, STEP, 0.0) for _ in range(2))
    assert one.voxel_part.tobytes() == other.voxel_part.tobytes()
    assert one.parts.salience.tobytes() == other.parts.salience.tobytes()


def test_what_was_not_scanned_is_in_no_part_and_told_as_cut():
    field = np.zeros((5, 5, 5))
    field[1:4, 1:4, 1:4] = 2.0
    field[4] = np.nan
    tree = component_tree(field, (1, 1, 1), 0.5, 1.0, 0.0)
    assert (tree.voxel_part[4] == -1).all()
    assert tree.parts.cut_fraction == pytest.approx([9 / 54])
    assert tree.parts.edge == pytest.approx([2.0])  # of the scanned faces alone


def test_the_volumes_end_is_a_cut_too():
    tree = component_tree(np.full((2, 2, 2), 1.0), (1, 1, 1), 0.5, 1.0, 0.0)
    assert tree.parts.cut_fraction == pytest.approx([1.0])
    assert tree.parts.edge == pytest.approx([0.0])


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_field_with_nothing_above_the_lowest_level_has_no_parts(value):
    tree = component_tree(np.full((3, 3, 3), value), (1, 1, 1), 0.5, 1.0, 0.0)
    assert len(tree.parts.parent) == 0
    assert (tree.voxel_part == -1).all()
    assert len(most_salient(tree.parts)) == 0
    assert (paint(tree, most_salient(tree.parts)) == 0).all()


def test_a_field_that_is_no_volume_is_refused():
    with pytest.raises(ShapeError, match=r"\(z, y, x\)"):
        component_tree(np.zeros((3, 3)), (1, 1, 1), 0.5, 1.0, 0.0)


def test_voxels_that_touch_by_a_corner_belong_together():
    field = np.zeros((4, 4, 4))
    field[1, 1, 1] = field[2, 2, 2] = 1.0
    tree = component_tree(field, (1, 1, 1), 0.5, 1.0, 0.0)
    assert tree.parts.volume_mm3.tolist() == [2.0]
