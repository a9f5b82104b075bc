import pytest

from somray.io.cohort.survey.naming.names import fits, is_mask, modality_of, take_apart, tokens


@pytest.mark.parametrize(
    ("name", "core", "when", "what"),
    [
        ("P01_week2", "P01", "week2", ()), ("s01_t0_CT", "s01", "t0", ()), ("week2", "", "week2", ()),
        ("BraTS20_001_t1ce", "BraTS20_001", "", ("t1ce",)), ("arterial", "", "", ("arterial",)),
        ("CT_0001", "0001", "", ()), ("a (1)_CT", "a (1)", "", ()), ("a [1]", "a [1]", "", ()),
        ("P01_20200101_120000", "P01", "20200101_120000", ()), ("2020-01-01", "", "2020-01-01", ()),
        ("01-01-2000-NA-NA-30178", "", "01-01-2000-NA-NA-30178", ()), ("ST000001", "", "", ()),
        ("3000522.000000-NA-04919", "", "", ()), ("3.000000-Arterial-123", "", "", ("arterial",)),
        ("01-001-123", "01-001-123", "", ()), ("LIDC-IDRI-0001", "LIDC-IDRI-0001", "", ()),
        ("pre_contrast", "", "", ("precontrast",)), ("Post-Gd", "", "", ("postgd",)),
        ("Post", "", "Post", ()), ("Иванов", "Иванов", "", ()),
        ("D001_1", "D001_1", "", ()), ("DICOM", "", "", ()), ("mouse_ct", "mouse", "", ()),
        ("20209999", "20209999", "", ()), ("weekend", "weekend", "", ()),
    ],
)  # fmt: skip
def test_a_name_is_taken_apart(name, core, when, what):
    part = take_apart(name)
    assert (part.core, part.when, part.what) == (core, when, what)


def test_t1_is_a_contrast_unless_the_folder_counts_times():
    assert (take_apart("t1").what, take_apart("t1").when) == (("t1",), "")
    assert (take_apart("t1", is_t_time=True).what, take_apart("t1", is_t_time=True).when) == (
        (),
        "t1",
    )
    assert take_apart("t10").when == "t10"
    assert take_apart("T1w").what == ("t1w",)


def test_numbers_of_media_and_servers_name_nobody_as_folders():
    assert take_apart("PA000001").is_weak
    assert take_apart("1.2.840.113619.2.55").is_weak
    assert not take_apart("1.2.840.113619.2.55", is_folder=False).is_weak
    assert take_apart("site2").is_shelf
    assert not take_apart("P02").is_shelf


def test_masks_say_what_they_are_of():
    liver, lesion = take_apart("liver_mask"), take_apart("tumour_seg")
    assert (liver.is_organ, liver.is_lesion, liver.core) == (True, False, "")
    assert (lesion.is_mask, lesion.is_lesion, lesion.core) == (True, True, "")


@pytest.mark.parametrize(
    ("mask", "image", "fit"),
    [
        ("CT_mask.nii.gz", "CT_image.nii.gz", True), ("PET_mask.nii.gz", "CT_image.nii.gz", False),
        ("brain1_label.nrrd", "brain1_image.nrrd", True), ("lung_mask.mha", "baseline.mha", False),
        ("weave_150_phase_labels.tif", "weave_150.tif", True),
    ],
)  # fmt: skip
def test_a_mask_belongs_to_the_image_whose_name_it_carries(mask, image, fit):
    assert is_mask(mask)
    assert not is_mask(image)
    assert bool(fits(mask, image)) is fit


def test_names_tell_the_modality_if_they_say_one():
    assert modality_of(["scan.nii", "chest-CT"]) == "CT"
    assert modality_of(["fdg_pet.nii"]) == "PET"
    assert modality_of(["petct.nii", "sacred"]) is None
    assert tokens("Käse-µCT_1.nii.gz") == ["käse", "µct", "1"]


def test_t1_beside_another_modality_is_a_time_and_the_modality_names_nobody():
    assert modality_of(["s01_t1_CT"]) == "CT"
    assert modality_of(["s01_t2_PET"]) == "PET"
    assert modality_of(["s01_flair_CT"]) is None
    part = take_apart("s01_t1_CT.nii.gz", is_t_time=True, is_folder=False)
    assert (part.label, part.when, part.modality) == ("s01", "t1", "CT")
    assert take_apart("CT.nii.gz", is_folder=False).label == "CT"
