"""Time points, and acquisitions between each other."""

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from somray.errors import DataError
from somray.io.readers import open_source
from tests.io.dicom_files import make_slice, save

HEIGHTS = (0.0, 3.0, 6.0, 9.0)


def one(z, level, **changes):
    """Make a slice whose values tell its time point: the field plus 1000 for each level."""
    return make_slice((0, 0, z), RescaleIntercept=str(-100 + 1000 * level), **changes)


def levels(source):
    """Return how much each time point lies above the field, in thousands."""
    header = source.header
    found = [source.read(t, 0, header.shape[1]) for t in range(header.shape[0])]
    base = found[0] - found[0].mean()
    assert all(np.allclose(f - f.mean(), base, atol=0.1) for f in found)
    return [round(float(f.mean() - 300) / 1000) for f in found]


def siemens_b(value):
    def edit(data):
        block = data.private_block(0x0019, "SIEMENS MR HEADER", create=True)
        block.add_new(0x0C, "IS", str(value))

    return edit


def ge_b(value):
    def edit(data):
        block = data.private_block(0x0043, "GEMS_PARM_01", create=True)
        block.add_new(0x39, "IS", [str(10**9 + value), "8", "0", "0"])

    return edit


def plain(**changes):
    def edit(data):
        for name, value in changes.items():
            setattr(data, name, value)

    return edit


DATES = ("20011231230000", "20011231233000", "20020101000000")
CLOCK = ("101500.25", "102000", "103000.5")
ORDERS = {
    "temporal position": ((), lambda t, z: plain(TemporalPositionIdentifier=t + 1)),
    "trigger time": (("time_by_trigger",), lambda t, z: plain(TriggerTime=str(40.5 * t + z))),
    "b-value": (("time_by_bvalue",), lambda t, z: plain(DiffusionBValue=500.0 * t)),
    "b-value of Siemens": (("time_by_bvalue",), lambda t, z: siemens_b(400 * t)),
    "b-value of GE": (("time_by_bvalue",), lambda t, z: ge_b(400 * t)),
    "acquisition number": (("time_by_acquisition",), lambda t, z: plain(AcquisitionNumber=t + 7)),
    "acquisition time": (
        ("time_by_acquisition",), lambda t, z: plain(AcquisitionTime=f"1{t}15{round(z):02}.25")
    ),
    "acquisition over midnight": (
        ("time_by_acquisition",), lambda t, z: plain(AcquisitionTime=("235900", "000100", "000300")[t])
    ),
    "dated acquisition": (
        ("time_by_acquisition",), lambda t, z: plain(AcquisitionDateTime=DATES[t])
    ),
    "frame reference time": (("time_by_acquisition",), lambda t, z: plain(FrameReferenceTime=str(100 * t))),
    "content time": (("time_by_content",), lambda t, z: plain(ContentTime=CLOCK[t])),
}  # fmt: skip


@pytest.mark.parametrize("name", ORDERS)
def test_time_points_ascend_by_what_the_header_tells(tmp_path, name):
    codes, edit_of = ORDERS[name]
    slices = []
    for z in HEIGHTS:
        for t in (2, 0, 1):
            data = one(z, t, Modality="MR")
            edit_of(t, z)(data)
            slices.append(data)
    with open_source(save(tmp_path / "a", slices)) as source:
        assert source.header.shape[:2] == (3, 4)
        assert levels(source) == [0, 1, 2]
        assert source.header.repairs == codes


@pytest.mark.parametrize(
    ("how", "named"),
    [
        (lambda t, z: {}, "same place"),
        (lambda t, z: {"AcquisitionTime": "101500"}, "same place"),
        (lambda t, z: {"AcquisitionTime": f"1015{(round(z) * 2 + t):02}"}, "same place"),
        (lambda t, z: {"EchoTime": str(5 + 5 * t), "AcquisitionNumber": t}, "EchoTime"),
        (lambda t, z: {"ConvolutionKernel": "BH"[t], "ContentTime": CLOCK[t]}, "ConvolutionKernel"),
        (lambda t, z: {"SOPInstanceUID": f"1.2.3.{round(z)}", "AcquisitionNumber": t}, "copies"),
    ],
)
def test_what_tells_no_time_points_is_refused_with_two_files(tmp_path, how, named):
    slices = [one(z, t, **how(t, z)) for z in HEIGHTS for t in (0, 1)]
    with pytest.raises(DataError, match=named) as caught:
        open_source(save(tmp_path / "a", slices))
    assert caught.value.code == "mixed_series"
    assert "000.dcm" in caught.value.message
    assert "001.dcm" in caught.value.message
    assert "1015" not in caught.value.message.replace(str(tmp_path), "")


def test_time_points_of_unequal_slices_are_refused(tmp_path):
    slices = [one(z, t, AcquisitionNumber=t) for z in HEIGHTS for t in (0, 1)]
    with pytest.raises(DataError) as caught:
        open_source(save(tmp_path / "a", slices[:-1]))
    assert caught.value.code == "mixed_series"


WOVEN = {
    "acquisition number": lambda i: {"AcquisitionNumber": 1 + i % 2},
    "acquisition time": lambda i: {"AcquisitionTime": ("101500", "101730")[i % 2]},
    "times of every slice": lambda i: {"AcquisitionTime": f"10{15 + 3 * (i % 2)}{i:02}.5"},
    "content time": lambda i: {"ContentTime": ("101500", "101730")[i % 2]},
    "pairs": lambda i: {"AcquisitionNumber": 1 + i // 2 % 2},
}


@pytest.mark.parametrize("name", WOVEN)
def test_acquisitions_between_each_other_are_refused_and_in_mr_noted(tmp_path, name):
    slices = [one(1.0 * i, i % 2, **WOVEN[name](i)) for i in range(12)]
    with pytest.raises(DataError, match="acquisitions lie between") as caught:
        open_source(save(tmp_path / "ct", slices))
    assert caught.value.code == "mixed_series"
    assert "1015" not in caught.value.message.replace(str(tmp_path), "")
    slices = [one(1.0 * i, i % 2, Modality="MR", **WOVEN[name](i)) for i in range(12)]
    with open_source(save(tmp_path / "mr", slices)) as source:
        assert source.header.repairs == ("acquisitions_woven",)


def test_acquisitions_that_overlap_at_their_ends_are_not_resampled_into_one(tmp_path):
    heights = [(0, 2.0 * i) for i in range(8)] + [(1, 13.0 + 2 * i) for i in range(6)]
    folder = save(tmp_path / "a", [one(z, 0, AcquisitionNumber=n) for n, z in heights])
    with pytest.raises(DataError, match="acquisitions lie between"):
        open_source(folder, "resample")


def test_kernels_between_each_other_are_refused_in_any_modality(tmp_path):
    slices = [one(1.0 * i, 0, Modality="MR", EchoTime=str(5 + i % 2)) for i in range(12)]
    with pytest.raises(DataError, match="EchoTime"):
        open_source(save(tmp_path / "a", slices))


@pytest.mark.parametrize(
    "how",
    [
        lambda i: {"AcquisitionNumber": 1 + i // 3},  # step and shoot
        lambda i: {"AcquisitionNumber": i, "AcquisitionTime": f"1015{i:02}"},
        lambda i: {"AcquisitionTime": f"10{15 + 3 * (i // 6)}{i:02}"},  # beds
        lambda i: {"ContentTime": f"1015{(i + 2 * (i % 2)):02}"},  # made by two at once
    ],
)
def test_acquisitions_one_after_the_other_are_one_volume(tmp_path, how):
    slices = [one(1.0 * i, 0, **how(i)) for i in range(12)]
    with open_source(save(tmp_path / "a", slices)) as source:
        assert source.header.shape[:2] == (1, 12)
        assert source.header.repairs == ()


def test_frames_of_an_enhanced_file_are_sorted_by_their_b_value(tmp_path):
    whole = make_slice((0, 0, 0), Modality="MR", ImagePositionPatient=None, NumberOfFrames=8)
    groups, planes = [], []
    for z in HEIGHTS:
        for b in (800.0, 0.0):
            group, place, diffusion = Dataset(), Dataset(), Dataset()
            place.ImagePositionPatient, diffusion.DiffusionBValue = [0.0, 0.0, z], b
            group.PlanePositionSequence = Sequence([place])
            group.MRDiffusionSequence = Sequence([diffusion])
            groups.append(group)
            planes.append(np.full((6, 8), 1000 + b, "<i2").tobytes())
    whole.PerFrameFunctionalGroupsSequence, whole.PixelData = Sequence(groups), b"".join(planes)
    with open_source(save(tmp_path / "a", [whole])) as source:
        assert source.header.shape[:2] == (2, 4)
        assert source.header.repairs == ("time_by_bvalue",)
        np.testing.assert_allclose(source.read(1, 0, 4) - source.read(0, 0, 4), 16.0, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("ImageType", (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"])),
        ("ImageType", (["ORIGINAL", "PRIMARY", "M"], ["DERIVED", "PRIMARY", "M"])),
        ("EchoTime", ("4.6", "9.2")),
        ("ComplexImageComponent", ("MAGNITUDE", "PHASE")),
        ("ConvolutionKernel", ("B30", "B70")),
    ],
)
def test_kinds_of_image_are_no_time_points_whatever_numbers_them(tmp_path, name, values):
    slices = [
        one(z, t, TemporalPositionIdentifier=t + 1, **{name: values[t]})
        for z in HEIGHTS
        for t in (0, 1)
    ]
    with pytest.raises(DataError, match=name) as caught:
        open_source(save(tmp_path / "a", slices))
    assert caught.value.code == "mixed_series"


def test_a_number_written_in_two_ways_is_one_kind_of_image(tmp_path):
    slices = [
        one(
            z,
            t,
            AcquisitionNumber=t,
            EchoTime="5" if (z, t) != (HEIGHTS[0], 0) else "5.00000",
            Modality="MR",
        )
        for z in HEIGHTS
        for t in range(2)
    ]
    with open_source(save(tmp_path / "a", slices)) as source:
        assert source.header.shape[:2] == (2, 4)
