"""Units of CT and MR, rescaling, padding."""

import numpy as np
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from somray.domain.scan import Scan
from somray.errors import DataError
from somray.io.ome.image import read_slab
from somray.io.readers import open_source
from somray.io.storage import Storage
from somray.stages.ingest import IngestItem, run
from tests.io.dicom_files import make_slice, save

STORED = np.arange(48, dtype="<i2").reshape(6, 8) * 20 + 100


def make(z, stored=STORED, **changes):
    wanted = {
        "RescaleSlope": "1",
        "RescaleIntercept": "-1024",
        "PixelData": stored.tobytes(),
    } | changes
    return make_slice((0, 0, z), **wanted)


def header_of(tmp_path, **changes):
    with open_source(save(tmp_path / "a", [make(z, **changes) for z in (0, 2)])) as source:
        return source.header


@pytest.mark.parametrize(
    ("changes", "unit"),
    [
        ({}, "HU"), ({"RescaleType": "HU"}, "HU"), ({"RescaleType": "US"}, "raw"),
        ({"RescaleType": "HU_MOD"}, "raw"), ({"RescaleType": "MGML"}, "raw"),
        ({"RescaleIntercept": None}, "raw"), ({"RescaleIntercept": ""}, "raw"),
        ({"RescaleSlope": None}, "HU"), ({"RescaleSlope": None, "RescaleIntercept": None}, "raw"),
        ({"RescaleIntercept": "0"}, "HU"),
        ({"RescaleIntercept": "0", "PixelRepresentation": 0}, "raw"),  # no air can be in it
        ({"RescaleIntercept": "-1000", "PixelRepresentation": 0}, "HU"),
        ({"RescaleIntercept": "0", "PixelRepresentation": 0, "RescaleType": "HU"}, "HU"),
        ({"Modality": "MR"}, "raw"),
    ],
)  # fmt: skip
def test_ct_is_in_hu_where_its_header_vouches_for_it(tmp_path, changes, unit):
    assert header_of(tmp_path, **changes).unit == unit


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"RescaleSlope": "0"}, "RescaleSlope"),
        (
            {"RescaleSlope": None, "RescaleIntercept": None, "ModalityLUTSequence": [Dataset()]},
            "ModalityLUTSequence",
        ),
    ],
)
def test_rescaling_that_is_not_read_is_refused_by_its_field(tmp_path, changes, field):
    with pytest.raises(DataError, match=field) as caught:
        header_of(tmp_path, **changes)
    assert caught.value.code == "no_units"


def test_every_slice_has_its_own_slope_and_vendors_scales_are_left_alone(tmp_path):
    slices = [make(2 * z, Modality="MR", RescaleSlope=str(1 + z)) for z in range(3)]
    for data in slices:
        block = data.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        block.add_new(0x0E, "FL", 0.0625)
    with open_source(save(tmp_path / "a", slices)) as source:
        found = source.read(0, 0, 3)
        assert source.header.unit == "raw"
    for z in range(3):
        np.testing.assert_allclose(found[z], STORED * (1.0 + z) - 1024)


PADDED = {
    "signed": (-2000, "SS", -2000, 1),
    "signed, written unsigned": (-2000, "US", 63536, 1),
    "far below, written unsigned": (-32000, "US", 33536, 1),
    "above everything": (30000, "SS", 30000, 1),
    "unsigned": (63536, "US", 63536, 0),
    "unsigned, written signed": (63536, "SS", -2000, 0),
}


def with_padding(z, stored_value, vr, value, signed, limit=None):
    stored = STORED.astype("<i4")
    stored[[0, 0, -1, -1], [0, -1, 0, -1]] = stored_value
    stored = stored.astype("<u2" if not signed else "<i2")
    data = make(z, stored, PixelRepresentation=signed, RescaleIntercept="-1100")
    data[0x00280120] = DataElement(0x00280120, vr, value)
    if limit is not None:
        data[0x00280121] = DataElement(0x00280121, vr, limit)
    return data


@pytest.mark.parametrize("name", PADDED)
def test_padding_is_found_whatever_its_vr_and_becomes_air(tmp_path, name):
    stored_value, vr, value, signed = PADDED[name]
    slices = [with_padding(z, stored_value, vr, value, signed) for z in (0, 2)]
    folder = save(tmp_path / "a", slices)
    with open_source(folder) as source:
        assert source.header.padding == stored_value - 1100
    scan = Scan("s", "t0", "p", (str(folder),), "a")
    item = IngestItem(str(tmp_path / "run"), scan, "CT", ("CT",), (None,), "refuse", 0.1)
    result = run(item)
    assert result.rows["scans"][0].repairs == "padding_filled"
    found = read_slab(Storage.at(item.root), "scans/sub-s_ses-t0.ome.zarr", 0, 0, 2)[0]
    wanted = STORED - 1100.0
    wanted[[0, 0, -1, -1], [0, -1, 0, -1]] = -1000
    np.testing.assert_array_equal(found, [wanted, wanted])


def test_a_range_of_padding_is_one_value(tmp_path):
    slices = [
        with_padding(z, value, "US", 63536, 1, 63540) for z, value in ((0, -2000), (2, -1997))
    ]
    with open_source(save(tmp_path / "a", slices)) as source:
        found = source.read(0, 0, 2)
        assert source.header.padding == -3100
    assert (found[:, 0, 0] == -3100).all()
    assert found[:, 1].min() > -1100


def test_padding_that_only_later_slices_name_is_found(tmp_path):
    slices = [with_padding(z, -2000, "SS", -2000, 1) for z in (0, 2)]
    del slices[0][0x00280120]
    slices[0].PixelData = np.abs(STORED).astype("<i2").tobytes()
    with open_source(save(tmp_path / "a", slices)) as source:
        assert source.header.padding == -3100
