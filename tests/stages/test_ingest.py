import pickle
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from somray.domain.run import RunLayout
from somray.domain.scan import Scan
from somray.errors import DataError
from somray.io.ome.image import is_complete, read_meta, read_slab
from somray.io.storage import Storage
from somray.stages.ingest import IngestItem, look, needs, probe, run
from tests.io.readers.omezarr.test_omezarr import write

NAME = RunLayout.scan("s", "t0")
RNG = np.random.default_rng(0)


def save(path, values, matrix=None):
    """Write (z, y, x) or (t, z, y, x) values as NIfTI on a grid given in LPS."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ (np.eye(4) if matrix is None else matrix)
    nib.save(nib.Nifti1Image(np.asarray(values).T, lps), path)
    return str(path)


def item_for(tmp_path, *paths, modality="CT", **changes):
    channels = ("CT", "PET") if modality == "PETCT" else (modality,)
    settings = {
        "root": str(tmp_path / "run"), "scan": Scan("s", "t0", "p", paths, str(paths[0])),
        "modality": modality, "channels": channels, "windows": (None,) * len(channels),
        "irregular": "refuse", "repair_fraction": 0.01,
    } | changes  # fmt: skip
    return IngestItem(**settings)


def code_of(item):
    with pytest.raises(DataError) as caught:
        run(item)
    assert not Storage.at(item.root).exists(NAME)
    return caught.value.code


def ct(shape=(5, 40, 40)):
    return RNG.integers(-1000, 1500, shape).astype(np.int16)


def test_pixels_grid_unit_and_row_arrive_as_they_are(tmp_path):
    values, matrix = ct(), np.diag([0.5, -0.7, 2.0, 1.0])
    matrix[:3, 3] = (1.0, 2.0, 3.0)
    item = item_for(tmp_path, save(tmp_path / "a.nii.gz", values, matrix))
    result = run(pickle.loads(pickle.dumps(item)))
    storage = Storage.at(item.root)
    np.testing.assert_array_equal(read_slab(storage, NAME, 0, 0, 5)[0], values)
    meta = read_meta(storage, NAME)
    np.testing.assert_allclose(meta.geometry.matrix, matrix, atol=1e-6)
    assert (meta.unit, meta.channels, meta.repairs) == ("HU", ("CT",), ())
    (row,) = result.rows["scans"]
    assert (row.shape_t, row.shape_c, row.shape_z, row.shape_y, row.shape_x) == (1, 1, 5, 40, 40)
    assert row.spacing_y_mm == pytest.approx(0.7)
    assert (row.status, row.repairs, row.unit) == ("done", None, "HU")
    assert result.value["source_digest"] == meta.source_digest
    assert result.value["shape"] == [1, 1, 5, 40, 40]


def test_probe_tells_the_same_from_headers_alone(tmp_path):
    item = item_for(tmp_path, save(tmp_path / "a.nii.gz", ct()))
    facts = probe(item)
    assert facts["shape"] == [1, 1, 5, 40, 40]
    assert facts["unit"] == "HU"
    assert not Storage.at(item.root).exists(NAME)


def test_time_points_are_kept(tmp_path):
    values = ct((3, 4, 8, 8))
    item = item_for(tmp_path, save(tmp_path / "a.nii", values), modality="MR")
    run(item)
    for t in range(3):
        found = read_slab(Storage.at(item.root), NAME, t, 0, 4)[0]
        np.testing.assert_array_equal(found, values[t])


def test_the_second_channel_is_brought_onto_the_firsts_grid_by_world_coordinates(tmp_path):
    fine = save(tmp_path / "ct.nii.gz", ct((6, 20, 20)))
    coarse = np.diag([4.0, 4.0, 2.0, 1.0])
    coarse[:3, 3] = (1.5, 1.5, 0.5)
    z, y, x = np.mgrid[:3, :4, :5]
    values = (1 + 4 * x + 1.5 + 4 * y + 1.5 + 2 * z + 0.5).astype(np.float32)  # 1 + x + y + z in mm
    item = item_for(tmp_path, fine, save(tmp_path / "pet.nii.gz", values, coarse), modality="PETCT")
    run(item)
    pet = read_slab(Storage.at(item.root), NAME, 0, 0, 6)[1]
    z, y, x = np.mgrid[:6, :20, :20]
    assert np.isnan(pet[:, 16:]).all()  # four rows of 4 mm end at 15.5 mm
    inner = (slice(1, 5), slice(2, 14), slice(2, 18))
    np.testing.assert_allclose(pet[inner], (1 + x + y + z)[inner], atol=1e-3)
    assert read_meta(Storage.at(item.root), NAME).unit == "HU,raw"


def test_channels_that_do_not_belong_together_are_refused(tmp_path):
    fine = save(tmp_path / "ct.nii", ct((4, 8, 8)))
    far = np.eye(4)
    far[2, 3] = 500.0
    elsewhere = save(tmp_path / "far.nii", np.ones((4, 8, 8), np.float32), far)
    moving = save(tmp_path / "t.nii", np.ones((2, 4, 8, 8), np.float32))
    for other in (elsewhere, moving):
        assert code_of(item_for(tmp_path, fine, other, modality="PETCT")) == "channel_mismatch"
    assert code_of(item_for(tmp_path, fine, None, modality="PETCT")) == "channel_missing"


def test_a_few_faults_are_repaired_and_told_many_are_refused(tmp_path):
    values = ct().astype(np.float32)
    values[2, 20, 20], values[3, 21, 21], values[1, 22, 22] = np.nan, np.inf, -3024
    item = item_for(tmp_path, save(tmp_path / "a.nii", values))
    assert run(item).rows["scans"][0].repairs == "inf_filled,nan_filled,padding_filled"
    found = read_slab(Storage.at(item.root), NAME, 0, 0, 5)[0]
    assert (found[2, 20, 20], found[3, 21, 21], found[1, 22, 22]) == (-1000, -1000, -1000)
    values[:, 15:25, 15:25] = np.nan
    assert code_of(item_for(tmp_path, save(tmp_path / "b.nii", values))) == "non_finite"
    allowed = item_for(tmp_path, str(tmp_path / "b.nii"), repair_fraction=0.2)
    assert run(allowed).rows["scans"][0].status == "done"


def test_padding_outside_the_scanners_circle_does_not_refuse_a_scan(tmp_path):
    values = ct((3, 64, 64))
    y, x = np.mgrid[:64, :64] - 31.5
    values[:, np.hypot(y, x) > 32] = -2000
    item = item_for(tmp_path, save(tmp_path / "a.nii", values))
    assert run(item).rows["scans"][0].repairs == "padding_filled"
    values[:, 20:30, 20:30] = -2000
    assert code_of(item_for(tmp_path, save(tmp_path / "b.nii", values))) == "non_finite"


def test_pet_and_ct_in_each_others_place_are_told_by_the_air(tmp_path):
    body = ct((4, 20, 20))
    body[:, :8] = -1000 + body[:, :8] // 100
    one = save(tmp_path / "ct.nii", body)
    other = save(tmp_path / "pet.nii", RNG.gamma(1.0, 2.0, body.shape).astype(np.float32))
    assert run(item_for(tmp_path, one, other, modality="PETCT")).value["unit"] == "HU,raw"
    Storage.at(str(tmp_path / "run")).remove(NAME)
    for channels in ((other, one), (one, one)):
        assert code_of(item_for(tmp_path, *channels, modality="PETCT")) == "wrong_modality"


def test_a_constant_scan_is_blank(tmp_path):
    path = save(tmp_path / "a.nii", np.full((3, 8, 8), 7, np.int16))
    assert code_of(item_for(tmp_path, path)) == "blank"


@pytest.mark.parametrize("wrong", ["swapped", "swapped large", "mark of missing data"])
def test_values_that_nothing_measures_are_refused(tmp_path, wrong):
    values = RNG.integers(1, 1500, (3, 20, 20)).astype(np.float32)
    if wrong.startswith("swapped"):  # whole numbers become denormal ones, others anything
        values = (values / (7.3 if "large" in wrong else 1)).astype(np.float32).byteswap()
        values = np.nan_to_num(values, posinf=0, neginf=0)
    else:
        values[0, :4] = np.finfo(np.float32).min
    item = item_for(tmp_path, save(tmp_path / "a.nii", values), modality="MR")
    with pytest.raises(DataError, match=r"\[unreadable\] .*which nothing measures"):
        run(item)


def test_a_scan_cut_short_leaves_nothing_behind(tmp_path):
    path = tmp_path / "a.nii.gz"
    save(path, RNG.integers(-1000, 1000, (70, 30, 30)).astype(np.int16))
    path.write_bytes(path.read_bytes()[:-4000])
    assert code_of(item_for(tmp_path, str(path))) == "truncated"


def test_digests_tell_pixels_from_place_and_are_the_same_every_time(tmp_path):
    values = ct()
    moved = np.eye(4)
    moved[0, 3] = 3.0
    first = run(item_for(tmp_path, save(tmp_path / "a.nii", values))).value
    again = run(item_for(tmp_path, save(tmp_path / "b.nii.gz", values))).value
    shifted = run(item_for(tmp_path, save(tmp_path / "c.nii", values, moved))).value
    values[2, 3, 4] += 1
    other = run(item_for(tmp_path, save(tmp_path / "d.nii", values))).value
    assert first["pixel_digest"] == again["pixel_digest"] == shifted["pixel_digest"]
    assert first["source_digest"] == again["source_digest"] != shifted["source_digest"]
    assert other["pixel_digest"] != first["pixel_digest"]


def test_memory_stays_that_of_a_slab_however_deep_the_scan(tmp_path):
    peaks = []
    for slices in (64, 256):
        values = RNG.integers(-1000, 1000, (slices, 128, 128)).astype(np.int16)
        item = item_for(tmp_path, save(tmp_path / "a.nii", values))
        del values
        run(item)
        tracemalloc.start()
        run(item)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
    assert peaks[1] < needs().memory_bytes


def test_dicom_of_another_modality_is_refused(tmp_path, real_data):
    folder = str(real_data / "pet_wholebody_QIN24" / "dicom_pt")
    with pytest.raises(DataError) as caught:
        probe(item_for(tmp_path, folder))
    assert caught.value.code == "wrong_modality"


def test_real_ct_and_pet_meet_where_the_tumour_is(tmp_path, real_data):
    place = real_data / "petct_sarcoma_STS002"
    paths = [str(place / f"{name}_image.nii.gz") for name in ("CT", "PET")]
    item = item_for(tmp_path, *paths, modality="PETCT")
    result = run(item)
    assert result.value["shape"] == [1, 2, 48, 143, 161]
    storage = Storage.at(item.root)
    assert is_complete(storage, NAME)
    mask = np.asarray(nib.load(place / "CT_mask.nii.gz").dataobj).T > 0
    pet = read_slab(storage, NAME, 0, 0, 48)[1]
    known = np.isfinite(pet)
    assert known.mean() > 0.9
    assert pet[mask & known].mean() > 5 * np.median(pet[~mask & known])


def test_the_three_dicom_slices_are_taken_in_with_default_settings(tmp_path, real_data):
    item = item_for(tmp_path, str(real_data / "ct_3slices" / "dicom"))
    assert run(item).rows["scans"][0].repairs == "padding_filled"
    assert read_slab(Storage.at(item.root), NAME, 0, 0, 3).min() >= -1500


def test_chunks_that_are_not_there_are_noted_before_and_after(tmp_path):
    place = write(tmp_path / "a.zarr", ct(), chunks=(1, 20, 20))
    (place / "0" / "c" / "2" / "0" / "1").unlink()
    item = item_for(tmp_path, str(place))
    told = f"{place}: 1 of its 20 chunks are not there and are read as its fill value, 0: "
    (note,) = run(item).rows["notes"]
    assert (note.subject, note.session, note.stage) == ("s", "t0", "ingest")
    assert note.note.startswith(told)
    assert look(item).rows["notes"] == [note]
    assert probe(item)["notes"] == [note.note]
