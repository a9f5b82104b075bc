"""Objects of a stored scan: drawn, told, called, with an organ mask and without."""

import nibabel as nib
import numpy as np
import pytest

from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.io.ome import image as ome_zarr
from somray.io.ome.marks import group_attributes
from somray.io.storage import Storage
from somray.kernels.objects.calls import Word
from somray.kernels.objects.scan_rule import rule_for
from somray.stages import object_calls, objects
from tests.kernels.objects.drawn_body import SHAPE, SPACING, at, ball, scan
from tests.slabs import read_label_slab, write_label_slab, write_slab

BRAIN, NODE = (at(-0.22, 0.0), 11, 9.0, 40.0), (at(0.3, -45.0, 0.4), 4, 7.0, 42.0)
RULE = rule_for("PETCT", ("CT", "PET"))
GRID = Geometry.from_spacing(SHAPE, SPACING)


def stored(root, hot=(BRAIN, NODE), anatomical=True):
    """Write a drawn body as a scan with an empty map."""
    pet, ct = scan(hot)
    meta = ome_zarr.ScanMeta(
        (1, 2, *SHAPE), GRID, ("CT", "PET"), "HU,SUVbw", "digest", anatomical=anatomical
    )
    storage, place = Storage.at(root), ScanPlace(str(root), "s", "t0")
    ome_zarr.create_scan(storage, place.name, meta)
    for z0, z1 in meta.slabs:
        write_slab(storage, place.name, 0, z0, np.stack([ct[z0:z1], pet[z0:z1]]))
    ome_zarr.finish_scan(storage, place.name, meta)
    ome_zarr.create_labels(storage, place.name, "som", "uint8")
    for z0, z1 in meta.slabs:
        empty = np.ones((z1 - z0, *SHAPE[1:]), dtype=np.uint8)
        write_label_slab(storage, place.name, "som", 0, z0, empty)
    ome_zarr.finish_labels(storage, place.name, "som", {})
    return place


def found_in(place, anatomy=None):
    return objects.find(objects.FindItem(place, RULE, "som", 3, anatomy))


def called_in(place, found, words=(), heard=None):
    times = tuple(tuple(facts) for facts in found.value["times"])
    heard = heard or tuple(tuple((None, None) for _ in facts) for facts in times)
    return object_calls.call(object_calls.CallItem(place, times, heard, words))


def drawn(place):
    return read_label_slab(Storage.at(place.root), place.name, objects.GROUP, 0, 0, SHAPE[0])


def mask_file(path, inside, moved_mm=0.0):
    affine = np.diag([-SPACING[2], -SPACING[1], SPACING[0], 1.0])  # NIfTI is RAS, the grid LPS
    affine[2, 3] = moved_mm
    values = np.where(inside, 7, 0).astype(np.uint8).transpose(2, 1, 0)
    nib.save(nib.Nifti1Image(values, affine), path)
    return str(path)


def test_objects_are_drawn_numbered_and_told_with_their_place(tmp_path):
    place = stored(tmp_path)
    found = found_in(place)
    (facts,) = found.value["times"]
    labels = drawn(place)
    assert [one["number"] for one in facts] == sorted(set(np.unique(labels)) - {0})
    node = facts[labels[NODE[0]] - 1]
    assert node["centroid_mm"] == pytest.approx(GRID.to_world(np.array([NODE[0]]))[0], abs=3.0)
    assert found.value["voxels"] == np.count_nonzero(labels)
    assert found.value["heights"][0][0] < 0 < 1 < found.value["heights"][0][1]


def test_calls_give_rows_and_names_and_mark_the_labels_complete(tmp_path):
    place = stored(tmp_path)
    found = found_in(place)
    storage = Storage.at(place.root)
    assert not ome_zarr.labels_complete(storage, place.name, objects.GROUP)
    result = called_in(place, found)
    assert ome_zarr.labels_complete(storage, place.name, objects.GROUP)
    rows = {row.object_id: row for row in result.rows["objects"]}
    labels = drawn(place)
    assert rows[labels[BRAIN[0]]].name == "brain"
    assert result.value["lesions"] == [[int(labels[NODE[0]])]]
    attributes = group_attributes(storage, f"{place.name}/labels/{objects.GROUP}")
    names = {p["label-value"]: p["class"] for p in attributes["ome"]["image-label"]["properties"]}
    assert names[labels[BRAIN[0]]] == "physiological (brain)"
    assert names[labels[NODE[0]]] == "lesion"


def test_a_persons_word_and_the_cohort_are_heard_without_a_second_look(tmp_path):
    place = stored(tmp_path)
    found = found_in(place)
    labels = drawn(place)
    (facts,) = found.value["times"]
    node = facts[labels[NODE[0]] - 1]
    word = Word(tuple(node["centroid_mm"]), "physiological")
    assert called_in(place, found, (word,)).value["lesions"] == [[]]
    common = (tuple((0.9, 6) for _ in facts),)
    by = {
        row.by
        for row in called_in(place, found, (), common).rows["objects"]
        if row.object_id == node["number"]
    }
    assert by == {"cohort"}


def test_an_organ_mask_names_an_object_and_excludes_it_on_a_persons_word(tmp_path):
    place = stored(tmp_path)
    path = mask_file(tmp_path / "organs.nii.gz", ball(NODE[0], 7))
    anatomy = objects.AnatomyItem(path, ((7, "thymus"),), ("thymus",))
    result = called_in(place, found_in(place, anatomy))
    row = next(r for r in result.rows["objects"] if r.organ == "thymus")
    assert (row.called, row.by) == ("physiological", "anatomy")
    assert "excludes" in row.reason
    named = objects.AnatomyItem(path, ((7, "thymus"),))
    result = called_in(place, found_in(place, named))
    row = next(r for r in result.rows["objects"] if r.organ == "thymus")
    assert (row.called, row.by) == ("lesion", "rule")


def test_a_misplaced_organ_mask_is_told_and_the_scan_goes_on_without(tmp_path):
    place = stored(tmp_path)
    path = mask_file(tmp_path / "organs.nii.gz", ball(NODE[0], 7), moved_mm=5000.0)
    found = found_in(place, objects.AnatomyItem(path, ((7, "thymus"),), ("thymus",)))
    (failure,) = found.rows["failures"]
    assert failure.code == "anatomy_mismatch"
    assert all(one["organ"] is None for one in found.value["times"][0])
    assert called_in(place, found).value["lesions"][0]


def test_a_scan_without_directions_has_objects_without_heights(tmp_path):
    found = found_in(stored(tmp_path, anatomical=False))
    assert found.value["heights"] == [None]
    assert all(one["height_fraction"] is None for one in found.value["times"][0])


def test_an_excluded_organ_acts_on_any_image_and_the_rest_keeps_its_pixels(tmp_path):
    _, ct = scan((NODE,))
    meta = ome_zarr.ScanMeta((1, 1, *SHAPE), GRID, ("XCT",), "raw", "digest")
    storage, place = Storage.at(tmp_path), ScanPlace(str(tmp_path), "s", "t0")
    ome_zarr.create_scan(storage, place.name, meta)
    for z0, z1 in meta.slabs:
        write_slab(storage, place.name, 0, z0, ct[None, z0:z1])
    ome_zarr.finish_scan(storage, place.name, meta)
    ome_zarr.create_labels(storage, place.name, "som", "uint8")
    mask = ball(NODE[0], 4) | ball(BRAIN[0], 5)
    for z0, z1 in meta.slabs:
        labels = np.where(mask[z0:z1], 3, 1).astype(np.uint8)
        write_label_slab(storage, place.name, "som", 0, z0, labels)
    ome_zarr.finish_labels(storage, place.name, "som", {})
    path = mask_file(tmp_path / "organs.nii.gz", ball(NODE[0], 7))
    anatomy = objects.AnatomyItem(path, ((7, "sprue"),), ("sprue",))
    item = objects.FindItem(place, rule_for("XCT", ("XCT",)), "som", 3, anatomy)
    result = called_in(place, objects.find(item))
    assert {r.called for r in result.rows["objects"]} == {"lesion", "physiological"}
    kept = np.isin(drawn(place), result.value["lesions"][0])
    assert np.array_equal(kept, ball(BRAIN[0], 5))
