"""Whether headers tell that slices are missing: analytic cases, whole series that look thinned among them."""

import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from somray.commands.dicom_node.settings import RefusalError
from somray.commands.dicom_node.whole import check_files


def series(folder, places, numbers, **told):
    """Write headers of slices that lie so along z and are numbered so."""
    for n, (place, number) in enumerate(zip(places, numbers, strict=True)):
        one = pydicom.Dataset()
        one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, generate_uid(entropy_srcs=[str(n)])
        one.ImagePositionPatient, one.ImageOrientationPatient = [0, 0, place], [1, 0, 0, 0, 1, 0]
        one.InstanceNumber = number
        for name, value in told.items():
            setattr(one, name, value)
        meta = pydicom.dataset.FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = one.SOPClassUID
        meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
        one.file_meta = meta
        one.save_as(folder / f"{n}.dcm", enforce_file_format=True)
    return folder


@pytest.mark.parametrize(
    ("gap", "step", "told"),
    [
        (4.0, 2, {"SpacingBetweenSlices": 2.0, "SliceThickness": 2.0}),
        (4.0, -2, {"SliceThickness": 2.0}),  # numbered from the other end
        (7.5, 3, {"SpacingBetweenSlices": 2.5, "SliceThickness": 5.0}),  # they overlapped
        (4.0, 2, {"SliceThickness": 2.5}),
    ],
)
def test_evenly_missing_slices_are_noticed_where_number_and_place_agree(tmp_path, gap, step, told):
    places, numbers = [gap * n for n in range(5)], [40 + step * n for n in range(5)]
    with pytest.raises(RefusalError, match=rf"in steps of {abs(step)} and lie") as refused:
        check_files(series(tmp_path, places, numbers, **told))
    assert refused.value.code == "incomplete"


@pytest.mark.parametrize(
    ("gap", "step", "told"),
    [
        (2.0, 1, {"SpacingBetweenSlices": 2.0, "SliceThickness": 2.0}),
        (2.0, 2, {"SpacingBetweenSlices": 2.0, "SliceThickness": 2.0}),  # two echoes in turn
        (10.0, 1, {"SliceThickness": 1.0}),  # thin slices with room between
        (10.0, 2, {"SliceThickness": 1.0}),  # the same, in turn with others
        (4.0, 2, {"SliceThickness": 4.0}),
        (4.0, 2, {}),
    ],
)
def test_whole_series_pass(tmp_path, gap, step, told):
    places, numbers = [gap * n for n in range(5)], [1 + step * n for n in range(5)]
    check_files(series(tmp_path, places, numbers, **told))


def test_uneven_numbers_and_double_places_say_nothing(tmp_path):
    told = {"SpacingBetweenSlices": 2.0}
    for n, (places, numbers) in enumerate(
        [((0, 4, 8), (1, 3, 4)), ((0, 0, 4, 4), (1, 3, 5, 7)), ((0, 4), (1, 3))]
    ):
        (folder := tmp_path / str(n)).mkdir()
        check_files(series(folder, places, numbers, **told))


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({"NumberOfSlices": 3, "NumberOfTimeSlices": 4}, 12),
        ({"NumberOfSlices": 6}, 6),
        ({"NumberOfSeriesRelatedInstances": 9}, 9),
        ({"ImagesInAcquisition": 7, "AcquisitionNumber": 1}, 7),
    ],
)
def test_fewer_than_a_header_tells_of_are_refused(tmp_path, told, wanted):
    with pytest.raises(RefusalError, match=rf"3 slices are there, its header tells of {wanted}"):
        check_files(series(tmp_path, (0, 2, 4), (1, 2, 3), **told))
