"""Every real scan reads as SimpleITK reads it (pixels and place), traps included."""

import numpy as np
import pytest
import SimpleITK

from somray.errors import DataError
from somray.io.readers import open_source


def whole(source):
    header = source.header
    return np.stack([source.read(t, 0, header.shape[1]) for t in range(header.shape[0])])


def rows_as(header, other):
    """Return what turns the rows of one file to the other's direction, both along the same axes."""
    first, second = header.geometry.matrix, other.geometry.matrix
    np.testing.assert_allclose(np.abs(first[:3, :3]), np.abs(second[:3, :3]), atol=1e-4)
    turned = first[1, 1] * second[1, 1] < 0
    return (slice(None), slice(None, None, -1 if turned else 1))


def reference(image):
    """Return pixels as (t, z, y, x) and voxel index to LPS of a SimpleITK image."""
    size = image.GetDimension()
    kept = min(size, 3)
    matrix = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(size, size)[:kept, :kept]
    matrix[:kept, :kept] = direction * np.array(image.GetSpacing())[:kept]
    matrix[:kept, 3] = image.GetOrigin()[:kept]
    return SimpleITK.GetArrayFromImage(image), matrix


def test_every_file_reads_as_simpleitk_reads_it(real_data):
    endings = (".nii.gz", ".nrrd", ".mha", ".tif", ".tiff")
    files = sorted(p for p in real_data.rglob("*") if p.name.endswith(endings))
    assert len(files) > 30
    for path in files:
        pixels, matrix = reference(SimpleITK.ReadImage(str(path)))
        with open_source(path) as source:
            found = whole(source)
            np.testing.assert_allclose(found, pixels.reshape(found.shape), rtol=1e-6, atol=1e-4)
            if ".tif" not in path.name:
                np.testing.assert_allclose(source.header.geometry.matrix, matrix, atol=1e-4)
                assert source.header.repairs == ()
            else:
                assert source.header.repairs == ("spacing_assumed",)


def test_slab_by_slab_equals_the_whole(real_data):
    with open_source(real_data / "mri4d_dce_breast_UCSF-BR-06" / "dce4d.nii.gz") as source:
        assert source.header.shape == (3, 60, 256, 256)
        slabs = [source.read(t, z, z + 20) for t in range(3) for z in range(0, 60, 20)]
        np.testing.assert_array_equal(np.concatenate(slabs), np.concatenate(whole(source)))


def test_the_three_ct_slices_are_in_hu_and_ascend(real_data):
    folder = real_data / "ct_3slices" / "dicom"
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    pixels, matrix = reference(SimpleITK.ReadImage(names))
    with open_source(folder) as source:
        np.testing.assert_array_equal(whole(source)[0], pixels)
        np.testing.assert_allclose(source.header.geometry.matrix, matrix, atol=1e-6)
        assert (source.header.unit, source.header.modality) == ("HU", "CT")
        assert source.header.geometry.spacing_mm[0] == pytest.approx(1.0)
        assert source.header.padding == -3024.0


def test_pet_becomes_suv_with_the_documented_factor(real_data):
    folder = real_data / "pet_wholebody_QIN24"
    with open_source(folder / "dicom_pt") as suv, open_source(folder / "pet_bqml.nii.gz") as raw:
        assert (suv.header.unit, suv.header.modality) == ("SUVbw", "PT")
        hot = suv.read(0, 245, 254)
        same = rows_as(suv.header, raw.header)
        np.testing.assert_allclose(
            hot, raw.read(0, 245, 254)[same] * 2.9448e-4, rtol=1e-4, atol=1e-6
        )
    with open_source(folder / "lesions.nii.gz") as mask:
        lesions = mask.read(0, 245, 254)[rows_as(suv.header, mask.header)]
    assert hot[lesions > 0].max() == pytest.approx(7.21, abs=0.01)
    assert hot[lesions > 0].mean() == pytest.approx(3.67, abs=0.01)


def test_pet_lies_and_reads_as_simpleitk_reads_it(real_data):
    folder = real_data / "pet_wholebody_QIN24" / "dicom_pt"
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    pixels, matrix = reference(SimpleITK.ReadImage(names))
    with open_source(folder) as source:
        np.testing.assert_allclose(source.header.geometry.matrix, matrix, atol=1e-6)
        assert source.header.repairs == ()
        np.testing.assert_allclose(whole(source)[0], pixels * 2.9448042e-4, rtol=1e-6, atol=1e-7)


def test_one_file_of_the_pet_is_the_whole_series(real_data):
    with open_source(sorted((real_data / "pet_wholebody_QIN24/dicom_pt").iterdir())[7]) as source:
        assert source.header.shape == (1, 299, 128, 128)
        assert source.header.repairs == ("series_completed",)


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("dicom_ct_head_irregular", "irregular"),
        ("dicom_ct_head_irregular/localizer_other_patient", "localizer"),
        ("dicom_ct_head_irregular/localizer_other_patient/I10", "localizer"),
        ("pet_wholebody_QIN24/dicom_seg.dcm", "unreadable"),
        ("pet_wholebody_QIN24", "unreadable"),
        ("README.md", "unreadable"),
        ("none", "missing"),
    ],
)
def test_what_is_no_volume_is_refused_with_its_code(real_data, place, code):
    with pytest.raises(DataError) as caught:
        open_source(real_data / place)
    assert caught.value.code == code


def test_the_tilted_uneven_head_is_resampled_on_request_and_says_so(real_data):
    with open_source(real_data / "dicom_ct_head_irregular", "resample") as source:
        header = source.header
        assert header.repairs == ("resampled_z", "untilted")
        matrix = header.geometry.matrix
        axes = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
        np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)  # upright again
        found = source.read(0, 0, header.shape[1])
    assert np.isnan(found[:, 0, 0]).any()  # outside what was scanned
    first = SimpleITK.ReadImage(str(real_data / "dicom_ct_head_irregular" / "08.dcm"))
    pixels = SimpleITK.GetArrayFromImage(first)[0]
    for y, x in ((100, 250), (256, 256), (400, 300)):  # the first slice keeps its plane and place
        place = np.array([first.TransformIndexToPhysicalPoint((x, y, 0))])
        z, row, column = header.geometry.to_index(place)[0]
        assert (z, row, column) == pytest.approx(np.round((z, row, column)), abs=1e-3)
        assert found[round(z), round(row), round(column)] == pixels[y, x]
