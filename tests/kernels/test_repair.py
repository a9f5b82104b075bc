from dataclasses import replace

import numpy as np
import pytest

from somray.kernels.repair import Place, SliceFacts, repair, slice_facts
from tests.kernels.naive_repair import outside_circle

RNG = np.random.default_rng(0)


def noise(shape=(3, 40, 40), mean=0.0):
    return RNG.normal(mean, 20, shape).astype(np.float32)


def test_sound_values_are_handed_on_untouched():
    values = noise(mean=-1000)
    found = repair(values, "CT", padding=-1024.0)
    assert found.values is values
    assert (found.counts, found.by_design) == ({}, 0)


@pytest.mark.parametrize("padding", [-1500, -2000, -3024, -32768])
def test_ct_padding_becomes_air_and_is_counted_by_place(padding):
    values = noise()
    corners = outside_circle(40, 40)
    values[:, corners] = padding
    values[1, 20, 18:22] = padding
    found = repair(values, "CT")
    assert found.counts == {"padding_filled": 3 * corners.sum() + 4}
    assert found.by_design == 3 * corners.sum()
    assert (found.values[:, corners] == -1000).all()
    assert found.values[1, 20, 20] == -1000
    np.testing.assert_array_equal(found.values[:, ~corners][values[:, ~corners] != padding],
                                  values[:, ~corners][values[:, ~corners] != padding])  # fmt: skip


def test_nan_and_infinities_take_the_channels_background():
    for kind, background in (("CT", -1000.0), ("PET", 0.0)):
        values = noise()
        values[0, 3, 3], values[1, 4, 4], values[2, 5, 5] = np.nan, np.inf, -np.inf
        found = repair(values, kind)
        assert found.counts == {"nan_filled": 1, "inf_filled": 2}
        assert found.by_design == 0
        assert [found.values[0, 3, 3], found.values[1, 4, 4], found.values[2, 5, 5]] == [
            background
        ] * 3
    values = noise()
    values[0, 3, 3] = np.nan
    assert repair(values, "MR").values[0, 3, 3] == np.nanmin(values[0])


def test_nan_that_means_no_data_stays():
    values = noise()
    values[:, :5] = np.nan
    found = repair(values, "CT", outside_is_nan=True)
    assert found.counts == {}
    assert np.isnan(found.values[:, :5]).all()


def test_padding_that_the_header_declares_counts_unless_it_is_air():
    values = noise()
    values[0, 20, 20] = 3000.0
    assert repair(values, "CT", padding=3000.0).counts == {"padding_filled": 1}
    assert repair(values, "CT").counts == {}
    pet = np.abs(noise())
    pet[0, 0, 0] = -5.0
    assert repair(pet, "PET", padding=-5.0).values[0, 0, 0] == 0.0


def test_padding_that_tissue_has_too_is_padding_around_the_circle_alone():
    values, corners = noise(), outside_circle(40, 40)
    values[:, corners] = values[1, 20, 20] = 0.0
    found = repair(values, "CT", padding=0.0)
    assert (
        found.counts == {"padding_filled": found.by_design} == {"padding_filled": 3 * corners.sum()}
    )
    assert (found.values[:, corners] == -1000).all()
    assert found.values[1, 20, 20] == 0.0


def test_the_circle_follows_a_slice_on_a_larger_canvas():
    values = np.full((1, 60, 50), np.nan, np.float32)
    values[:, 10:50, 5:45] = noise((1, 40, 40))
    values[:, 10:50, 5:45][:, outside_circle(40, 40)] = -2000
    corners = outside_circle(40, 40).sum()
    assert repair(values, "CT").by_design == corners
    values[0, 30, 25] = -2000
    found = repair(values, "CT")
    assert found.counts == {"nan_filled": 60 * 50 - 40 * 40, "padding_filled": corners + 1}
    assert found.by_design == corners


def test_slices_are_repaired_one_by_one():
    values = noise()
    values[0, 3, 3], values[2, 1, 1] = np.nan, np.nan
    whole = repair(values, "MR").values
    parts = [repair(values[z : z + 1], "MR").values for z in range(3)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("kind", ["CT", "PET", "XCT"])
@pytest.mark.parametrize("nan_stays", [False, True])
def test_a_slice_is_repaired_part_by_part_as_it_is_whole(kind, nan_stays):
    values = noise((2, 41, 57), mean=300)
    values[:, outside_circle(41, 57)] = -2000 if kind == "CT" else -7.0
    values[0, :3] = np.nan
    values[1, 20:22, 30] = -2000.0 if kind == "CT" else -7.0, np.inf
    whole = repair(values, kind, -7.0, outside_is_nan=nan_stays)
    facts = [SliceFacts(), SliceFacts()]
    cuts = [(y, x) for y in (0, 16, 32) for x in (0, 25, 50)]
    for y, x in cuts:
        parts = (slice_facts(v[y : y + 16, x : x + 25], (y, x)) for v in values)
        facts = [one.join(part) for one, part in zip(facts, parts, strict=True)]
    counts, by_design = dict.fromkeys(whole.counts, 0), 0
    for y, x in cuts:
        part = values[:, y : y + 16, x : x + 25]
        place = Place((0, y, x))
        found = repair(
            part, kind, -7.0, outside_is_nan=nan_stays, whole=facts.__getitem__, place=place
        )
        np.testing.assert_array_equal(found.values, whole.values[:, y : y + 16, x : x + 25])
        by_design += found.by_design
        for code, count in found.counts.items():
            counts[code] += count
    assert (counts, by_design) == (whole.counts, whole.by_design)
    assert by_design > 0 or kind == "XCT"


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1), (1, 2, 0)])
def test_the_circle_lies_in_the_axial_plane_however_slices_are_cut(order):
    values = noise((5, 40, 40))
    corners = outside_circle(40, 40)
    values[:, corners] = -3024
    values[2, 18:22, 20] = -3024  # damage
    turned = np.ascontiguousarray(values.transpose(order))
    place = Place((0, 0, 0), turned.shape, (order.index(1), order.index(2)))
    found = repair(turned, "CT", place=place)
    assert found.counts == {"padding_filled": 5 * corners.sum() + 4}
    assert found.by_design == 5 * corners.sum()
    rest = replace(place, first=(2, 0, 0))
    parts = repair(turned[:2], "CT", place=place), repair(turned[2:], "CT", place=rest)
    assert sum(part.by_design for part in parts) == found.by_design
