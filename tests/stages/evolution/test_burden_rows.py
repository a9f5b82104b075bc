"""One subject's figures from stored scans: values, peaks, shapes, burden and response."""

import numpy as np
import pytest

from somray.config import LesionConfig
from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.io.ome import image as ome_zarr
from somray.io.storage import Storage
from somray.stages.evolution import evolve
from tests.slabs import write_label_slab, write_slab

SHAPE = (40, 48, 50)  # two slabs
SPACING = (3.0, 2.0, 2.0)
GRID = Geometry.from_spacing(SHAPE, SPACING)
STILL = tuple(np.eye(4).ravel().tolist())
RNG = np.random.default_rng(0)
CT = RNG.normal(40.0, 12.0, SHAPE).astype(np.float32)


def ball(centre, radius_mm):
    offset = (np.indices(SHAPE) - np.array(centre)[:, None, None, None]).T * np.array(SPACING)
    apart_mm2 = (offset**2).sum(axis=-1).T
    return apart_mm2 <= radius_mm**2


A, B = ball((31, 20, 20), 14.0), ball((12, 34, 34), 9.0)  # A lies in both slabs


def pet(**hot):
    image = RNG.gamma(4.0, 0.1, SHAPE).astype(np.float32)
    for mask, level in hot.values():
        image[mask] = level + RNG.normal(0, 0.3, int(mask.sum())).astype(np.float32)
    return image


def store(root, session, channels, mask, anatomical=True):
    """Write channels {name: (unit, (z, y, x) or (t, z, y, x))} and labels/som as one complete scan."""
    series = [np.atleast_3d(v) if v.ndim == 4 else v[None] for _, v in channels.values()]
    whole = np.stack(series, axis=1)  # (t, c, z, y, x)
    units = ",".join(unit for unit, _ in channels.values())
    meta = ome_zarr.ScanMeta(
        whole.shape, GRID, tuple(channels), units, session, anatomical=anatomical
    )
    storage, place = Storage.at(root), ScanPlace(str(root), "s", session)
    ome_zarr.create_scan(storage, place.name, meta)
    masks = mask if mask.ndim == 4 else mask[None]
    for t, block in enumerate(whole):
        for z0, z1 in meta.slabs:
            write_slab(storage, place.name, t, z0, block[:, z0:z1].astype(np.float32))
    ome_zarr.finish_scan(storage, place.name, meta)
    ome_zarr.create_labels(storage, place.name, "som", "uint8")
    for t, block in enumerate(masks):
        for z0, z1 in meta.slabs:
            part = np.where(block[z0:z1], 3, 1).astype(np.uint8)
            write_label_slab(storage, place.name, "som", t, z0, part)
    ome_zarr.finish_labels(storage, place.name, "som", {})
    return place


def follow(root, *sessions, channel=1, transforms=None, anatomical=True, config=None):
    places = [
        store(root, f"t{n}", channels, mask, anatomical)
        for n, (channels, mask) in enumerate(sessions)
    ]
    to_first = transforms or [STILL] * len(places)
    items = tuple(evolve.EvolveSession(p, m) for p, m in zip(places, to_first, strict=True))
    config = config or LesionConfig()
    return evolve.run(evolve.EvolveItem(items, "som", 3, channel, config)).rows


def petct(image, unit="SUVbw"):
    return {"CT": ("HU", CT), "PET": (unit, image)}


def sphere_mean(image, centre):
    z, y, x = np.indices(SHAPE) - np.array(centre)[:, None, None, None]
    inside = (3.0 * z) ** 2 + (2.0 * y) ** 2 + (2.0 * x) ** 2 <= (750.0 / np.pi) ** (2 / 3)
    return float(image[inside].astype(np.float64).mean())


def test_figures_of_a_pet_lesion_are_those_of_its_voxels(tmp_path):
    image = pet(a=(A, 9.0), b=(B, 5.0))
    rows = follow(tmp_path, (petct(image), A | B))
    for row, mask in zip(sorted(rows["lesions"], key=lambda r: -r.volume_mm3), (A, B), strict=True):
        values, tissue = image[mask].astype(np.float64), CT[mask].astype(np.float64)
        found = row.suv_max, row.suv_mean, row.ct_mean_hu, row.ct_std_hu
        assert found == pytest.approx((values.max(), values.mean(), tissue.mean(), tissue.std()))
        assert row.tlg_ml == pytest.approx(values.mean() * mask.sum() * 12.0 / 1000)
        spheres = [sphere_mean(image, c) for c in np.argwhere(mask)]
        assert row.suv_peak == pytest.approx(max(spheres))
        assert row.volume_mm3 == pytest.approx(mask.sum() * 12.0)
        assert 0.85 < row.sphericity < 1.05
        assert row.axial_axis_mm <= row.longest_axis_mm
        assert row.axial_perpendicular_mm == pytest.approx(row.axial_axis_mm, rel=0.1)
    points = [np.argwhere(m) * np.array(SPACING) for m in (A, B)]
    apart = np.linalg.norm(points[0][:, None] - points[1][None], axis=-1)
    assert [r.nearest_mm for r in rows["lesions"]] == pytest.approx([apart.min()] * 2)
    (burden,) = rows["burden"]
    assert burden.dmax_mm == pytest.approx(apart.max())
    assert burden.tlg == pytest.approx(sum(r.tlg_ml for r in rows["lesions"]))
    assert burden.axes_mm == pytest.approx(sum(r.longest_axis_mm for r in rows["lesions"]))
    assert (burden.lesions, burden.response, burden.doubt) == (2, None, None)


def test_a_pet_in_another_unit_has_no_suv_and_no_response(tmp_path):
    first, then = (petct(pet(a=(A, 9.0)), "Bq/ml") for _ in range(2))
    rows = follow(tmp_path, (first, A), (then, A))
    for row in rows["lesions"]:
        assert (row.suv_max, row.suv_mean, row.suv_peak, row.tlg_ml) == (None,) * 4
        assert row.ct_mean_hu is not None
    assert [(b.tlg, b.response, b.doubt) for b in rows["burden"]] == [
        (None, None, None), (None, None, "no_suv"),
    ]  # fmt: skip


def test_pet_responds_by_its_peak_and_ct_by_its_axes(tmp_path):
    small = ball((31, 20, 20), 8.0)
    metabolic = follow(tmp_path / "pet", (petct(pet(a=(A, 9.0))), A), (petct(pet(a=(A, 4.0))), A))[
        "burden"
    ]
    assert [b.response for b in metabolic] == [None, "PMR"]
    assert metabolic[1].suv_peak_change_from_baseline == pytest.approx(4 / 9 - 1, abs=0.05)
    ct = {"CT": ("HU", CT)}
    size = follow(tmp_path / "ct", (ct, A), (ct, small), channel=0)["burden"]
    assert [b.response for b in size] == [None, "PR"]
    assert (size[1].tlg, size[1].suv_peak) == (None, None)
    assert size[1].targets_change_from_baseline == pytest.approx(16 / 28 - 1, abs=0.05)


def test_a_lesion_of_the_ct_alone_has_hu_figures_and_no_suv(tmp_path):
    (row,) = follow(tmp_path, ({"CT": ("HU", CT)}, A), channel=0)["lesions"]
    assert (row.ct_mean_hu, row.ct_std_hu) == (row.mean_intensity, row.std_intensity)
    assert (row.suv_max, row.nearest_mm) == (None, None)


def test_no_response_where_the_session_was_refused_or_the_thing_is_a_material(tmp_path):
    ct = {"CT": ("HU", CT)}
    refused = follow(tmp_path / "a", (ct, A), (ct, A), channel=0, transforms=[STILL, None])
    assert [(b.response, b.doubt) for b in refused["burden"]] == [
        (None, None), (None, "not_registered"),
    ]  # fmt: skip
    grain = {"XCT": ("raw", CT)}
    material = follow(tmp_path / "b", (grain, A), (grain, A), channel=0, anatomical=False)
    assert [(b.response, b.doubt) for b in material["burden"]] == [(None, None), (None, "material")]


def test_thresholds_come_from_the_configuration(tmp_path):
    ct = {"CT": ("HU", CT)}
    config = LesionConfig.model_validate({"response": {"target_mm": 60.0}})
    rows = follow(tmp_path, (ct, A), (ct, A), channel=0, config=config)["burden"]
    assert [(b.targets, b.doubt) for b in rows] == [([], None), ([], "no_target")]


def test_later_time_points_are_added_up_but_not_compared(tmp_path):
    ct = {"CT": ("HU", np.stack([CT, CT]))}
    masks = np.stack([A, A | B])
    rows = follow(tmp_path, (ct, masks), (ct, masks), channel=0)["burden"]
    assert [(b.session, b.t, b.lesions) for b in rows] == [
        ("t0", 0, 1), ("t0", 1, 2), ("t1", 0, 1), ("t1", 1, 2),
    ]  # fmt: skip
    assert [b.response for b in rows] == [None, None, "SD", None]
    assert rows[3].change_from_baseline is None
    assert rows[3].targets is None
