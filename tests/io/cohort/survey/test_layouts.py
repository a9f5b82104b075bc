import json

from tests.io.cohort.trees import nifti, seen, series

ROW = ("subject", "session", "protocol", "channel", "path", "truth")


def test_decathlon_cases_have_their_labels_as_truth(tmp_path):
    for n in range(2):
        nifti(tmp_path / f"imagesTr/liver_{n}.nii.gz")
        nifti(tmp_path / f"labelsTr/liver_{n}.nii.gz", "mask")
    nifti(tmp_path / "imagesTs/liver_7.nii.gz")
    (tmp_path / "dataset.json").write_text(json.dumps({"modality": {"0": "CT"}}))
    rows, _ = seen(tmp_path, *ROW)
    assert rows == [
        ("liver_0", "t0", "ct", "CT", "imagesTr/liver_0.nii.gz", "labelsTr/liver_0.nii.gz"),
        ("liver_1", "t0", "ct", "CT", "imagesTr/liver_1.nii.gz", "labelsTr/liver_1.nii.gz"),
        ("liver_7", "t0", "ct", "CT", "imagesTs/liver_7.nii.gz", ""),
    ]


def test_channels_in_a_fourth_axis_are_no_times(tmp_path):
    nifti(tmp_path / "imagesTr/BRATS_001.nii.gz", times=3)
    nifti(tmp_path / "labelsTr/BRATS_001.nii.gz", "mask")
    (tmp_path / "dataset.json").write_text(
        json.dumps({"modality": {"0": "FLAIR", "1": "T1w", "2": "T2w"}})
    )
    rows, notes = seen(tmp_path, *ROW)
    assert rows == []
    assert "(FLAIR, T1w, T2w), no times" in notes


def test_numbered_files_are_channels_of_one_case(tmp_path):
    for n in range(2):
        for channel in range(2):
            nifti(tmp_path / f"imagesTr/case_{n:03}_{channel:04}.nii.gz")
        nifti(tmp_path / f"labelsTr/case_{n:03}.nii.gz", "mask")
    rows, _ = seen(tmp_path, *ROW)
    assert rows == [
        (
            f"case_{n:03}", "t0", "other", f"ch{c}", f"imagesTr/case_{n:03}_{c:04}.nii.gz",
            "" if c else f"labelsTr/case_{n:03}.nii.gz",
        )
        for n in range(2)
        for c in range(2)
    ]  # fmt: skip
    (tmp_path / "dataset.json").write_text(json.dumps({"channel_names": {"0": "CT", "1": "PET"}}))
    rows, _ = seen(tmp_path, "protocol", "channel")
    assert rows == [("petct", "CT"), ("petct", "PET")] * 2


def test_equal_cases_of_training_and_test_are_two_people(tmp_path):
    nifti(tmp_path / "imagesTr/c_001_0000.nii.gz")
    nifti(tmp_path / "imagesTs/c_001_0000.nii.gz")
    (tmp_path / "dataset.json").write_text("{damaged")
    rows, _ = seen(tmp_path, "subject")
    assert rows == [("tr-c_001",), ("ts-c_001",)]


def test_organs_of_totalsegmentator_are_anatomy(tmp_path):
    for n in range(2):
        nifti(tmp_path / f"s{n:04}/ct.nii.gz")
        for organ in ("liver", "spleen", "aorta"):
            nifti(tmp_path / f"s{n:04}/segmentations/{organ}.nii.gz", "mask")
    rows, _ = seen(tmp_path, "subject", "path", "truth", "anatomy")
    assert rows == [
        (f"s{n:04}", f"s{n:04}/ct.nii.gz", "", f"s{n:04}/segmentations") for n in range(2)
    ]


def test_bids_entities_tell_subject_session_and_truth(tmp_path):
    for n in range(2):
        for session in ("01", "02", "10"):
            nifti(tmp_path / f"sub-{n}/ses-{session}/ct/sub-{n}_ses-{session}_ct.nii.gz")
        place = f"derivatives/manual/sub-{n}/ses-02/ct/sub-{n}_ses-02"
        nifti(tmp_path / f"{place}_desc-lesion_mask.nii.gz", "mask")
        nifti(tmp_path / f"{place}_desc-preproc_ct.nii.gz")
    rows, notes = seen(tmp_path, "subject", "session", "protocol", "truth")
    mask = "derivatives/manual/sub-{n}/ses-02/ct/sub-{n}_ses-02_desc-lesion_mask.nii.gz"
    assert rows == [
        (str(n), t, "ct", mask.format(n=n) if t == "02" else "")
        for n in range(2)
        for t in ("01", "02", "10")
    ]
    assert "left out (derived)" in notes


def test_contrasts_of_one_visit_are_channels_where_every_visit_has_them(tmp_path):
    for session in ("1", "2"):
        for contrast in ("T1w", "T2w", "FLAIR"):
            nifti(tmp_path / f"sub-01/ses-{session}/anat/sub-01_ses-{session}_{contrast}.nii.gz")
    rows, _ = seen(tmp_path, "subject", "session", "protocol", "channel")
    assert rows == [("01", t, "mr", c) for t in ("1", "2") for c in ("T1w", "FLAIR", "T2w")]
    (tmp_path / "sub-01/ses-2/anat/sub-01_ses-2_FLAIR.nii.gz").unlink()
    rows, _ = seen(tmp_path, "session", "protocol")
    assert {p for _, p in rows} == {"mr-t1w", "mr-t2w", "mr-flair"}
    assert len(set(rows)) == len(rows) == 5


def test_equal_subjects_of_two_data_sets_are_two_people(tmp_path):
    for data in ("ds1", "ds2"):
        nifti(tmp_path / data / "sub-01/anat/sub-01_T1w.nii.gz")
        nifti(tmp_path / data / "rawdata/sub-02/anat/sub-02_T1w.nii.gz")
    rows, _ = seen(tmp_path, "subject")
    assert len(set(rows)) == 4


def test_a_run_of_the_same_contrast_is_no_session(tmp_path):
    for run in ("", "_run-2", "_run-3"):
        nifti(tmp_path / f"sub-01/ses-1/anat/sub-01_ses-1{run}_T1w.nii.gz")
    rows, notes = seen(tmp_path, "path")
    assert rows == [("sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz",)]
    assert notes.count("left out (repeat)") == 2


def test_trees_of_tcia_tell_patient_and_study(tmp_path):
    studies = [("LIDC-0001", "01-01-2000-NA-NA-30178"), ("LIDC-0001", "01-01-2001-NA-NA-99999"),
               ("LIDC-0002", "01-01-2000-NA-NA-98329")]  # fmt: skip
    for patient, study in studies:
        series(tmp_path / patient / study / "3000522.000000-NA-04919", patient="anon", day="")
    rows, _ = seen(tmp_path, "subject", "session", "days")
    assert rows == [(*studies[0], "0"), (*studies[1], "366"), (*studies[2], "")]


def test_contrasts_with_the_patients_name_are_of_the_patient(tmp_path):
    for patient in ("B_001", "B_002"):
        for contrast in ("t1", "t1ce", "t2", "flair"):
            nifti(tmp_path / patient / f"{patient}_{contrast}.nii.gz")
        nifti(tmp_path / patient / f"{patient}_seg.nii.gz", "mask")
    rows, _ = seen(tmp_path, "subject", "channel", "truth")
    channels = ("T1", "T1CE", "FLAIR", "T2")
    assert rows == [
        (p, c, f"{p}/{p}_seg.nii.gz" if c == "T1" else "")
        for p in ("B_001", "B_002")
        for c in channels
    ]


def test_ct_and_pet_in_series_of_their_own_make_one_scan(tmp_path):
    for patient in ("P1", "P2"):
        study = {"StudyInstanceUID": f"1.2.{patient[-1]}"}
        series(tmp_path / patient / "s1", patient, **study)
        series(tmp_path / patient / "s2", patient, Modality="PT", **study)
    rows, _ = seen(tmp_path, "subject", "protocol", "channel", "path")
    assert rows == [
        (p, "petct", c, f"{p}/{s}") for p in ("P1", "P2") for c, s in (("CT", "s1"), ("PET", "s2"))
    ]


def test_ct_and_pet_that_lie_apart_are_not_paired(tmp_path):
    nifti(tmp_path / "P1/ct.nii.gz")
    nifti(tmp_path / "P1/pet.nii.gz", shift=500.0)
    rows, notes = seen(tmp_path, "session", "protocol")
    assert rows == [("t0-ct", "ct"), ("t0-pet", "pet")]
    assert "do not overlap" in notes


def test_a_name_with_both_modalities_of_petct_says_neither(tmp_path):
    study = "PETCT_01/03-23-2003-NA-PET-CT Ganzkoerper-10445"
    for name in ("CT", "CTres", "PET", "SUV"):
        nifti(tmp_path / f"{study}/{name}.nii.gz")
    nifti(tmp_path / f"{study}/SEG.nii.gz", "mask")
    rows, notes = seen(tmp_path, "subject", "channel", "path", "truth")
    assert rows == [
        ("PETCT_01", "CT", f"{study}/CT.nii.gz", f"{study}/SEG.nii.gz"),
        ("PETCT_01", "PET", f"{study}/SUV.nii.gz", ""),  # not the counts beside it
    ]
    assert notes.count("a second scan like") == 2


def test_ct_and_pt_of_a_case_are_one_patient(tmp_path):
    for channel in ("CT", "PT"):
        nifti(tmp_path / f"imagesTr/MDA-001__{channel}.nii.gz")
    nifti(tmp_path / "labelsTr/MDA-001.nii.gz", "mask")
    assert seen(tmp_path, "subject", "channel", "truth")[0] == [
        ("MDA-001", "CT", "labelsTr/MDA-001.nii.gz"),
        ("MDA-001", "PET", ""),
    ]


def test_numbered_files_of_other_folders_are_channels_too(tmp_path):
    for n in range(2):
        nifti(tmp_path / f"images/F_{n}_0000.nii.gz")
        nifti(tmp_path / f"labels/F_{n}.nii.gz", "mask")
        nifti(tmp_path / f"plain/images/P_{n}.nii.gz")
        nifti(tmp_path / f"plain/labels/P_{n}.nii.gz", "mask")
    rows, _ = seen(tmp_path, "subject", "truth")
    assert rows == [
        *((f"F_{n}", f"labels/F_{n}.nii.gz") for n in range(2)),
        *((f"P_{n}", f"plain/labels/P_{n}.nii.gz") for n in range(2)),
    ]


def test_loni_and_xnat_number_series_not_people(tmp_path):
    for who, day, image in (("002_S_1", "2006-04-18_08_20_30.0", 1), ("002_S_1", "2006-11-02_08_16_44.0", 2),
                            ("003_S_9", "2006-09-11_10_00_00.0", 3)):  # fmt: skip
        nifti(tmp_path / f"adni/ADNI/{who}/MPR__B1/{day}/S1340{image}/ADNI_{who}_MR_{image}.nii")
        nifti(tmp_path / f"tau/ADNI/{who}/MPRAGE/{day}/I1340{image}/a.nii")
        nifti(tmp_path / f"tau/ADNI/{who}/ADNI3_AV1451__AC__Tau_PET/{day}/I2340{image}/a.nii")
    assert {row[0] for row in seen(tmp_path / "tau", "subject")[0]} == {"002_S_1", "003_S_9"}
    rows, _ = seen(tmp_path / "adni", "subject", "session", "days")
    assert rows == [
        ("002_S_1", "2006-04-18_08_20_30.0", "0"),
        ("002_S_1", "2006-11-02_08_16_44.0", "198"),
        ("003_S_9", "2006-09-11_10_00_00.0", ""),
    ]
    for who, scan in (("X1", "1"), ("X1", "5-flair"), ("X2", "1")):
        nifti(tmp_path / f"xnat/{who}/SCANS/{scan}/NIFTI/image.nii.gz")
    rows, _ = seen(tmp_path / "xnat", "subject")
    assert {row[0] for row in rows} == {"X1", "X2"}


def test_a_number_of_a_file_that_a_folder_shares_by_chance_is_its_own(tmp_path):
    for n in (0, 1, 10):
        nifti(tmp_path / f"Training Batch 1/volume-{n}.nii")
        nifti(tmp_path / f"Training Batch 1/segmentation-{n}.nii", "mask")
    nifti(tmp_path / "patient 7/scan_7.nii")
    rows, _ = seen(tmp_path, "subject", "truth")
    assert rows == [
        ("patient-7", ""),
        *((f"volume-{n}", f"Training Batch 1/segmentation-{n}.nii") for n in (0, 1, 10)),
    ]


def test_t0_beside_t1_makes_all_of_them_times_and_no_mr(tmp_path):
    for when in ("T0", "T1", "T2"):
        nifti(tmp_path / f"times/{when}/mouse_1.nii.gz")
        nifti(tmp_path / f"ct/{when}/ct_1.nii.gz")
    assert {row[0] for row in seen(tmp_path / "times", "protocol")[0]} == {"other"}
    assert {row[0] for row in seen(tmp_path / "ct", "protocol")[0]} == {"ct"}


def test_masks_of_derivatives_say_what_they_are_of(tmp_path):
    nifti(tmp_path / "sub-01/dwi/sub-01_dwi.nii.gz")
    nifti(tmp_path / "derivatives/sub-01/sub-01_msk.nii.gz", "mask")
    nifti(tmp_path / "derivatives/sub-01/sub-01_seg-vert_msk.nii.gz", "mask")
    (row,), _ = seen(tmp_path, "truth", "anatomy")
    assert [name.rpartition("/")[2] for name in row] == [
        "sub-01_msk.nii.gz",
        "sub-01_seg-vert_msk.nii.gz",
    ]


def test_masks_of_targets_are_of_inputs_of_the_same_name(tmp_path):
    for when in ("BL", "FU"):
        nifti(tmp_path / f"inputsTr/0a1b_{when}_img_00.nii.gz")
        nifti(tmp_path / f"targetsTr/0a1b_{when}_mask_00.nii.gz", "mask")
    rows, _ = seen(tmp_path, "session", "truth")
    assert rows == [(w, f"targetsTr/0a1b_{w}_mask_00.nii.gz") for w in ("BL", "FU")]


def test_what_was_done_to_an_image_names_nobody(tmp_path):
    for name in ("T1", "FLAIR_bias", "mprage_pp"):
        nifti(tmp_path / f"G-0001_nifti/G-0001_{name}.nii.gz")
    rows, _ = seen(tmp_path, "subject", "channel")
    assert rows == [(rows[0][0], channel) for channel in ("T1", "FLAIR", "MPRAGE")]


def test_folders_t1_and_t2_of_the_same_contrasts_are_visits(tmp_path):
    for visit in ("T1", "T2"):
        for contrast in ("T1", "FLAIR"):
            nifti(tmp_path / "P1" / visit / f"P1_{visit}_{contrast}.nii.gz")
        nifti(tmp_path / "P1" / visit / f"P1_{visit}_MASK.nii.gz", "mask")
    rows, _ = seen(tmp_path, "subject", "session", "channel", "truth")
    assert rows == [
        ("P1", "T1", "T1", "P1/T1/P1_T1_MASK.nii.gz"), ("P1", "T1", "FLAIR", ""),
        ("P1", "T2", "T1", "P1/T2/P1_T2_MASK.nii.gz"), ("P1", "T2", "FLAIR", ""),
    ]  # fmt: skip


def test_a_third_folder_beside_such_is_a_visit_too(tmp_path):
    for visit in ("T1", "T2", "T3"):
        nifti(tmp_path / "ISPY1_1001" / visit / "dce.nii.gz")
    rows, _ = seen(tmp_path, "subject", "session")
    assert rows == [("ISPY1_1001", visit) for visit in ("T1", "T2", "T3")]


def test_folders_t1_and_t2_of_other_contrasts_are_contrasts(tmp_path):
    nifti(tmp_path / "P1" / "T1" / "P1_T1_mprage.nii.gz")
    nifti(tmp_path / "P1" / "T2" / "P1_T2_flair.nii.gz")
    assert {row[0] for row in seen(tmp_path, "subject")[0]} == {"P1"}
    assert (
        len({row[0] for row in seen(tmp_path, "protocol")[0]})
        + len({row[0] for row in seen(tmp_path, "channel")[0]})
        == 3
    )


def test_sessions_with_a_folder_each_are_of_the_subject_that_these_name(tmp_path):
    for day in ("0129", "0757"):
        nifti(tmp_path / f"OAS1_MR_d{day}" / "anat2" / f"sub-OAS1_ses-d{day}_T1w.nii.gz")
    assert seen(tmp_path, "subject", "session")[0] == [("OAS1", "d0129"), ("OAS1", "d0757")]
