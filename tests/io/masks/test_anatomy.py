import json

import nibabel as nib
import nrrd
import numpy as np
import pytest

from somray.errors import DataError
from somray.io.masks.anatomy import organ_names
from somray.io.masks.name_tables import LONGEST_NAME, clean_name

ORGANS = {1: "spleen", 3: "kidney_left", 21: "urinary_bladder"}
BOX = np.zeros((3, 4, 5), np.uint8)


def nifti(path, *extensions, code=0):
    image = nib.Nifti1Image(BOX, np.eye(4))
    for content in extensions:
        image.header.extensions.append(nib.nifti1.Nifti1Extension(code, content.encode()))
    nib.save(image, path)
    return str(path)


def xml(organs, text="<![CDATA[{}]]>"):
    """As TotalSegmentator writes it: a Caret header, its end padded."""
    labels = "\n".join(
        f'<Label Key="{k}" Red="1" Green="0" Blue="0" Alpha="1">{text.format(name)}</Label>'
        for k, name in organs.items()
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?> <CaretExtension>  <Date><![CDATA[2013]]></Date>   '
        f'<VolumeInformation Index="0">   <LabelTable>\n{labels}\n  </LabelTable>  '
        "<VolumeType><![CDATA[Label]]></VolumeType>   </VolumeInformation></CaretExtension>\n     "
    )


@pytest.mark.parametrize("name", ["m.nii", "m.nii.gz"])
@pytest.mark.parametrize("code", [0, 30])
@pytest.mark.parametrize("text", ["<![CDATA[{}]]>", "{}"])
def test_totalsegmentators_header_names_its_organs(tmp_path, name, code, text):
    assert organ_names(nifti(tmp_path / name, xml(ORGANS, text), code=code)) == ORGANS


def test_other_extensions_of_a_header_are_passed_over(tmp_path):
    assert organ_names(nifti(tmp_path / "m.nii", "AFNI attributes", xml(ORGANS))) == ORGANS


@pytest.mark.parametrize(
    "content",
    [
        xml(ORGANS).replace("</LabelTable>", ""),
        '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "spleen">]><a><LabelTable><Label Key="1">&b;</Label>'
        "</LabelTable></a>",
        '<?xml version="1.0" encoding="nonsense"?><a><LabelTable/></a>',
        xml(ORGANS) + "x" * (1 << 20),
    ],
    ids=["cut", "entity", "encoding", "large"],
)
def test_a_damaged_table_in_the_header_is_refused_and_the_protocols_table_helps(tmp_path, content):
    path = nifti(tmp_path / "m.nii", content)
    with pytest.raises(DataError, match=r"\[unreadable\].*`anatomy`"):
        organ_names(path)
    assert organ_names(path, {5: "spleen"}) == {5: "spleen"}


@pytest.mark.parametrize("name", ["m.seg.nrrd", "m.nrrd"])
def test_slicers_segments_name_their_values(tmp_path, name):
    header = {}
    for n, (value, organ) in enumerate(ORGANS.items()):
        header |= {f"Segment{n}_LabelValue": str(value), f"Segment{n}_Name": organ}
        header |= {f"Segment{n}_ID": f"Segment_{n}", f"Segment{n}_Layer": "0"}
    nrrd.write(str(tmp_path / name), BOX, header)
    assert organ_names(str(tmp_path / name)) == ORGANS


def test_a_folder_of_masks_is_named_by_its_files(tmp_path):
    for name in ("spleen", "kidney_left", "vertebrae_L5"):
        nifti(tmp_path / f"{name}.nii.gz")
    assert organ_names(str(tmp_path)) == {1: "kidney_left", 2: "spleen", 3: "vertebrae_L5"}


JSONS = {
    "value_first": {"0": "background", **{str(k): v for k, v in ORGANS.items()}},
    "name_first": {"background": 0, **{v: k for k, v in ORGANS.items()}},
    "name_first_as_text": {v: str(k) for k, v in ORGANS.items()},
    "labels": {"channel_names": {"0": "CT"}, "labels": {v: k for k, v in ORGANS.items()}},
    "regions": {"labels": {"all": [1, 3, 21], **{v: k for k, v in ORGANS.items()}}},
}


@pytest.mark.parametrize("form", JSONS)
def test_a_json_beside_the_mask_names_its_values(tmp_path, form):
    (tmp_path / "m.json").write_text(json.dumps(JSONS[form]))
    assert organ_names(nifti(tmp_path / "m.nii.gz")) == ORGANS


def test_names_beside_several_masks_name_all_of_them(tmp_path):
    (tmp_path / "names.json").write_text(json.dumps(JSONS["value_first"]))
    for name in ("a.nii.gz", "b.nii.gz"):
        assert organ_names(nifti(tmp_path / name)) == ORGANS


@pytest.mark.parametrize("form", ["labels", "regions"])
def test_nnunets_dataset_beside_the_mask_names_its_values(tmp_path, form):
    (tmp_path / "dataset.json").write_text(json.dumps(JSONS[form]))
    assert organ_names(nifti(tmp_path / "m.nii.gz")) == ORGANS


TEXTS = {
    "bids.tsv": "index\tname\tcolor\n0\tBackground\t#000\n1\tspleen\t#f00\n3\tkidney_left\t#0f0\n"
    "21\turinary_bladder\tn/a\n",
    "titles.csv": "Index,TotalSegmentator_name,TA2_name\n1,spleen,\n3,kidney_left,\n21,urinary_bladder,x\n",
    "moose.csv": "model,label_name,label_id,SegmentedPropertyCategoryCodeSequence.CodeValue\n"
    "organs,spleen,1,91723000\norgans,kidney_left,3,91723000\norgans,urinary_bladder,21,91723000\n",
    "moose_statistics.csv": ",Regions-Present,Mean\n1,spleen,1.5\n3,kidney_left,2\n21,urinary_bladder,3\n",
    "slicer.csv": "LabelValue,Name,Color_R,Color_G,Color_B,Color_A\n1,spleen,1,2,3,255\n"
    "3,kidney_left,1,2,3,255\n21,urinary_bladder,1,2,3,255\n",
    "label_twice.csv": "label,name\n1,spleen\n3,kidney_left\n21,urinary_bladder\n",
    "quoted.csv": '\ufeffname;value\n"spleen";1\n"kidney_left";3\n"urinary_bladder";21\n',
    "bare.csv": "1,spleen\n3,kidney_left\n21,urinary_bladder\n",
    "bare_reversed.csv": "spleen,1\nkidney_left,3\nurinary_bladder,21\n",
    "itksnap.txt": "# ITK-SnAP Label Description File\n    0  0 0 0  0 0 0 \"Clear Label\"\n"
    '    1 255 0 0 1 1 1 "spleen"\n    3 0 255 0 0.5 1 1 "kidney_left"\n'
    '   21 0 0 255 1 1 0 "urinary_bladder"\n',
    "freesurfer.txt": "#No. Label Name: R G B A\n\n0   Unknown  0 0 0 0\n1   spleen  70 130 180 0\n"
    "3   kidney_left 205 62 78 0\r\n21 urinary_bladder 1 2 3 0\n",
    "slicer.ctbl": "# Color table file\n0 Background 0 0 0 0\n1 spleen 1 2 3 255\n3 kidney_left 1 2 3 255\n"
    "21 urinary_bladder 1 2 3 255\n",
    "plain.txt": "1 spleen\n3: kidney_left\n21 = urinary_bladder\n",
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_beside_the_mask_names_its_values(tmp_path, name):
    form, ending = name.split(".")
    (tmp_path / f"{form}.{ending}").write_text(TEXTS[name], encoding="utf-8")
    assert organ_names(nifti(tmp_path / f"{form}.nii.gz")) == ORGANS


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.json", '{"Modality": "CT", "EchoTime": 0.01, "SliceThickness": 3}'),
        ("m.json", "[1, 2]"),
        ("m.csv", "x,y\n1.5,2.5\n"),
        ("m.csv", "time,dose\n1,2\n3,4\n"),
        ("m.txt", "acquired on a Tuesday\n3 times\n"),
        ("m.txt", ""),
        ("dataset.json", '{"spleen": 1}'),
        ("other.json", '{"spleen": 1}'),
    ],
)
def test_a_file_that_is_no_table_of_names_names_nothing(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert organ_names(nifti(tmp_path / "m.nii.gz")) == {}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.json", '{"1": "spleen"', "JSON is damaged"),
        ("m.json", "[" * 100_000, "JSON is damaged"),
        ("m.json", '{"kidney_left": 2, "kidney_right": 2}', "value 2 twice, 'kidney_left' and"),
        (
            "m.csv",
            "model,label_name,label_id\norgans,spleen,1\nribs,rib_left_1,1\n",
            "value 1 twice",
        ),
        ("m.txt", "1 spleen\n" * (1 << 17), "too large"),
        ("m.txt", "\n".join(f"{n} organ" for n in range(1, 6000)), "4096 names or more"),
    ],
)
def test_a_table_that_contradicts_itself_or_is_damaged_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=rf"\[unreadable\] .*{name}: .*{message}"):
        organ_names(nifti(tmp_path / "m.nii.gz"))


def test_the_protocols_table_comes_first_then_the_header_then_the_file_beside(tmp_path):
    path = nifti(tmp_path / "m.nii.gz", xml({1: "from_header"}))
    (tmp_path / "m.json").write_text('{"2": "from_json"}')
    (tmp_path / "m.csv").write_text("3,from_csv\n")
    (tmp_path / "dataset.json").write_text('{"labels": {"from_dataset": 4}}')
    assert organ_names(path, {9: "from_person"}) == {9: "from_person"}
    assert organ_names(path) == {1: "from_header"}
    nifti(tmp_path / "m.nii.gz")
    assert organ_names(path) == {2: "from_json"}
    (tmp_path / "m.json").unlink()
    assert organ_names(path) == {3: "from_csv"}
    (tmp_path / "m.csv").unlink()
    assert organ_names(path) == {4: "from_dataset"}
    (tmp_path / "dataset.json").unlink()
    assert organ_names(path) == {}


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("<script>alert('x')</script>", "script alert( x ) /script"),
        ("spl\x1b[31meen\x00\n", "spl 31meen"),
        ("\u202eneelps\u200b", "neelps"),
        ("=HYPERLINK(\"a\")", "HYPERLINK( a )"),
        ("  Niere   links ", "Niere links"),
        ("Gehörgang_L", "Gehörgang_L"),
        ("x" * 10_000_000, "x" * LONGEST_NAME),
        ("\x00\x07", ""),
    ],
)  # fmt: skip
def test_names_are_cleaned_of_markup_control_characters_and_length(written, kept):
    assert clean_name(written) == kept


def test_names_from_a_header_are_cleaned(tmp_path):
    path = nifti(tmp_path / "m.nii.gz", xml({1: "<b>sple\ten</b>", 2: " \u0007 ".strip("\u0007 ")}))
    assert organ_names(path) == {1: "b sple en /b"}


def test_values_beyond_what_a_mask_can_hold_are_left_out(tmp_path):
    (tmp_path / "m.json").write_text('{"0": "air", "16777216": "far", "7": "spleen"}')
    assert organ_names(nifti(tmp_path / "m.nii.gz")) == {7: "spleen"}


def test_a_damaged_mask_is_told(tmp_path):
    (tmp_path / "m.nii.gz").write_bytes(b"no gzip at all")
    with pytest.raises(DataError, match=r"\[unreadable\].*m\.nii\.gz: is not NIfTI"):
        organ_names(str(tmp_path / "m.nii.gz"))
