"""Where NRRD headers put voxels: units, spaces, axes; world by hand and by SimpleITK."""

import numpy as np
import pytest
import SimpleITK

from tests.io.voxel_files import CUBE, LPS, PLACE, VALUES, opened, refused, write_nrrd

SERIES = np.stack([VALUES, VALUES + 3, VALUES + 7])  # t, z, y, x


def itk(path):
    image = SimpleITK.ReadImage(str(path))
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    return SimpleITK.GetArrayFromImage(image), matrix


@pytest.mark.parametrize(
    ("units", "mm"),
    [
        ('"mm" "mm" "mm"', (1, 1, 1)),
        ("mm mm mm", (1, 1, 1)),
        ('"um" "microns" "Micrometers"', (1e-3, 1e-3, 1e-3)),
        ('"µm" "μm" "um"', (1e-3, 1e-3, 1e-3)),
        ('"m" "cm" "inches"', (1000, 10, 25.4)),
        ('"nm" "angstrom" "mm"', (1e-6, 1e-7, 1)),
        ('"" "???" "mm"', (1, 1, 1)),
    ],
)
def test_the_unit_of_space_counts_for_sizes_and_origin(tmp_path, units, mm):
    header, found = opened(write_nrrd(tmp_path / "a.nrrd", f"{PLACE}\nspace units: {units}"))
    np.testing.assert_allclose(header.geometry.matrix, np.diag([*mm, 1.0]) @ LPS)
    np.testing.assert_array_equal(found[0], VALUES)
    assert header.repairs == ()


def test_blanks_within_vectors_are_read_as_teem_reads_them(tmp_path):
    vectors = "space directions: ( 0.8, 0, 0) (0, 0.9 ,0) (0,\t0, 2 )\nspace origin: (1, 2, 3)"
    path = write_nrrd(tmp_path / "a.nrrd", f"space: left-posterior-superior\n{vectors}")
    np.testing.assert_allclose(opened(path)[0].geometry.matrix, LPS)


def test_a_micro_sign_in_latin_1_is_a_micro_sign(tmp_path):
    path = write_nrrd(tmp_path / "a.nrrd", f'{PLACE}\nspace units: "µm" "µm" "µm"')
    path.write_bytes(path.read_bytes().replace("µ".encode(), b"\xb5"))
    assert opened(path)[0].geometry.spacing_mm == pytest.approx((0.002, 0.0009, 0.0008))


def test_a_unit_that_is_no_length_is_refused_and_voxels_are_told(tmp_path):
    error = refused(write_nrrd(tmp_path / "a.nrrd", f'{PLACE}\nspace units: "s" "s" "s"'))
    assert (error.code, "space units" in error.message) == ("no_space", True)
    header, _ = opened(
        write_nrrd(tmp_path / "b.nrrd", f'{PLACE}\nspace units: "pixel" "pixel" "pixel"')
    )
    assert header.repairs == ("spacing_assumed",)


@pytest.mark.parametrize(
    ("space", "signs"),
    [("left-posterior-superior", (1, 1, 1)), ("RAS", (-1, -1, 1)), ("Right-Anterior-Superior", (-1, -1, 1)),
     ("LAS", (1, -1, 1)), ("right-posterior-inferior", (-1, 1, -1))],
)  # fmt: skip
def test_patient_spaces_become_lps(tmp_path, space, signs):
    path = write_nrrd(tmp_path / "a.nrrd", PLACE.replace("left-posterior-superior", space))
    header, _ = opened(path)
    np.testing.assert_allclose(header.geometry.matrix, np.diag([*signs, 1.0]) @ LPS)
    assert header.repairs == ()


@pytest.mark.parametrize("space", ["scanner-xyz", "3D-right-handed", "3D-left-handed"])
def test_a_space_that_is_no_patients_is_told_as_assumed(tmp_path, space):
    path = write_nrrd(tmp_path / "a.nrrd", PLACE.replace("left-posterior-superior", space))
    header, _ = opened(path)
    np.testing.assert_allclose(header.geometry.matrix, itk(path)[1])
    assert header.repairs == ("position_assumed",)
    unnamed = PLACE.replace("space: left-posterior-superior", "space dimension: 3")
    assert opened(write_nrrd(tmp_path / "b.nrrd", unnamed))[0].repairs == ("position_assumed",)


@pytest.mark.parametrize("origin", ["", "space origin: (nan,2,3)", "space origin: none"])
def test_an_origin_that_is_not_said_is_told_as_assumed(tmp_path, origin):
    fields = PLACE.rpartition("\n")[0] + ("\n" + origin if origin else "")
    assert opened(write_nrrd(tmp_path / "a.nrrd", fields))[0].repairs == ("position_assumed",)


@pytest.mark.parametrize(
    ("fields", "diagonal", "begin", "repairs"),
    [
        ("spacings: 1 2 3", (1, 2, 3), (0, 0, 0), ("position_assumed",)),
        ('spacings: 1 2 3\nunits: "um" "um" "um"', (1e-3, 2e-3, 3e-3), (0, 0, 0), ("position_assumed",)),
        ("spacings: -1 2 3", (-1, 2, 3), (0, 0, 0), ("position_assumed",)),
        ("spacings: 1 2 NaN", (1, 2, 1), (0, 0, 0), ("position_assumed", "spacing_assumed")),
        ("kinds: domain domain domain", (1, 1, 1), (0, 0, 0), ("spacing_assumed",)),
        ("spacings: 1 2 3\naxis mins: 4 5 6", (1, 2, 3), (4.5, 6, 7.5), ("position_assumed",)),
        ("spacings: 1 2 3\naxismins: 4 5 6\ncenters: node node node", (1, 2, 3), (4, 5, 6), ("position_assumed",)),
        ("axis mins: 0 0 0\naxis maxs: 6 10 12\ncenterings: cell cell cell", (1, 2, 3), (0.5, 1, 1.5),
         ("position_assumed",)),
        ("axis mins: 0 0 0\naxis maxs: 5 8 9\ncenters: node node node", (1, 2, 3), (0, 0, 0), ("position_assumed",)),
    ],
)  # fmt: skip
def test_headers_without_directions_give_what_they_say(tmp_path, fields, diagonal, begin, repairs):
    path = write_nrrd(tmp_path / "a.nrrd", fields)
    header, _ = opened(path)
    expected = np.diag([*diagonal, 1.0])
    expected[:3, 3] = begin
    np.testing.assert_allclose(header.geometry.matrix, expected)
    assert header.repairs == repairs
    if "maxs" not in fields and "um" not in fields:  # ITK passes over both
        np.testing.assert_allclose(expected, itk(path)[1])


@pytest.mark.parametrize(
    "place",
    [PLACE.replace("(0,0,2)", "(0,0,0)"), PLACE.replace("(0,0,2)", "(0.8,0,0)"), "spacings: 1 2 0"],
)
def test_axes_that_lead_nowhere_have_no_space(tmp_path, place):
    assert refused(write_nrrd(tmp_path / "a.nrrd", place)).code == "no_space"


FIRST = np.ascontiguousarray(SERIES.transpose(1, 2, 3, 0)).astype("<i2").tobytes()
LAST = SERIES.astype("<i2").tobytes()


def series(path, sizes, directions, kinds, data, more=""):
    fields = (
        f"{PLACE.replace(CUBE, directions)}\n{f'kinds: {kinds}' if kinds else '# no kinds'}{more}"
    )
    return write_nrrd(path, fields, data, dimension="4", sizes=sizes)


@pytest.mark.parametrize(
    ("kinds", "more"),
    [("list domain domain domain", ""), ("time space space space", ""),
     ("vector domain domain domain", "\nmodality:=DWMRI")],
)  # fmt: skip
def test_a_list_or_time_that_is_fastest_is_read_as_time(tmp_path, kinds, more):
    header, found = opened(
        series(tmp_path / "a.nrrd", "3 6 5 4", f"none {CUBE}", kinds, FIRST, more)
    )
    np.testing.assert_array_equal(found, SERIES)
    np.testing.assert_allclose(header.geometry.matrix, LPS)


@pytest.mark.parametrize(
    "kinds", ["", "domain domain domain list", "space space space time", "domain domain domain ???"]
)
def test_a_slowest_axis_that_is_no_space_is_time(tmp_path, kinds):
    header, found = opened(series(tmp_path / "a.nrrd", "6 5 4 3", f"{CUBE} none", kinds, LAST))
    np.testing.assert_array_equal(found, SERIES)
    np.testing.assert_allclose(header.geometry.matrix, LPS)


@pytest.mark.parametrize(
    ("sizes", "directions", "kinds", "word"),
    [
        ("3 6 5 4", f"none {CUBE}", "vector domain domain domain", "vector"),
        ("3 6 5 4", f"none {CUBE}", "RGB-color domain domain domain", "rgb-color"),
        ("3 6 5 4", f"none {CUBE}", "", "axis 0 of size 3"),
        ("6 5 4 3", f"{CUBE} none", "domain domain domain 3-vector", "3-vector"),
        ("6 3 5 4", "(1,0,0) none (0,1,0) (0,0,1)", "domain list domain domain", "list"),
    ],
)
def test_vectors_colors_and_strange_orders_are_refused_by_name(
    tmp_path, sizes, directions, kinds, word
):
    error = refused(series(tmp_path / "a.nrrd", sizes, directions, kinds, LAST))
    assert (error.code, word in error.message) == ("unreadable", True)


def test_space_with_time_as_its_fourth_dimension(tmp_path):
    fields = ("space: left-posterior-superior-time\nspace origin: (1,2,3,0)\nkinds: space space space time\n"
              "space directions: (0.8,0,0,0) (0,0.9,0,0) (0,0,2,0) (0,0,0,1.5)")  # fmt: skip
    header, found = opened(
        write_nrrd(tmp_path / "a.nrrd", fields, LAST, dimension="4", sizes="6 5 4 3")
    )
    np.testing.assert_array_equal(found, SERIES)
    np.testing.assert_allclose(header.geometry.matrix, LPS)
    assert header.repairs == ()


def test_a_single_slice_lies_anywhere_in_space_and_its_thickness_is_told(tmp_path):
    fields = "space: LPS\nspace directions: (0,1,0) (0,0,2)\nspace origin: (1,2,3)"
    data = VALUES[0].astype("<i2").tobytes()
    header, found = opened(
        write_nrrd(tmp_path / "a.nrrd", fields, data, dimension="2", sizes="6 5")
    )
    np.testing.assert_array_equal(found[0, 0], VALUES[0])
    np.testing.assert_allclose(
        header.geometry.matrix[:3], [[0, 0, 1, 1], [1, 0, 0, 2], [0, 2, 0, 3]]
    )
    assert header.repairs == ("thickness_assumed",)
    thick = write_nrrd(
        tmp_path / "b.nrrd", "spacings: 1 2\nthicknesses: NaN 4", data, dimension="2", sizes="6 5"
    )
    assert opened(thick)[0].geometry.spacing_mm == (4.0, 2.0, 1.0)
