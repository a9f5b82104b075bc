import pandas as pd
import pytest

from somray.config import parse_config
from somray.errors import ConfigError
from somray.io.cohort.manifest import load_manifest

HEAD = "subject,session,protocol,path,channel,days,truth\n"


@pytest.fixture
def config():
    protocols = {"ct": {"modality": "CT"}, "petct": {"modality": "PETCT"}}
    return parse_config({"scans": "scans.csv", "output": "run", "protocols": protocols})


def load(tmp_path, config, body, head=HEAD):
    path = tmp_path / "scans.csv"
    path.write_text(head + body, encoding="utf-8")
    return load_manifest(path, config)


def message_of(tmp_path, config, body, head=HEAD):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, config, body, head)
    return str(caught.value)


def test_paths_are_relative_to_the_manifest_and_ids_stay_text(tmp_path, config):
    (scan,) = load(tmp_path, config, "001,0,ct,a/b.nii,,,mask.nii\n")
    assert (scan.subject, scan.session) == ("001", "0")
    assert scan.paths == (str(tmp_path / "a" / "b.nii"),)
    assert scan.path == "a/b.nii"
    assert scan.truth == str(tmp_path / "mask.nii")
    assert scan.days is None


def test_a_subject_called_na_is_a_name(tmp_path, config):
    (scan,) = load(tmp_path, config, "NA,null,ct,a.nii,,,\n")
    assert (scan.subject, scan.session, scan.truth) == ("NA", "null", None)


def test_optional_columns_may_be_left_out(tmp_path, config):
    (scan,) = load(tmp_path, config, "a,b,ct,c\n", "subject,session,protocol,path\n")
    assert scan.paths == (str(tmp_path / "c"),)


def test_channels_go_by_name_else_by_the_order_of_rows(tmp_path, config):
    named = load(tmp_path, config, "a,0,petct,p.nii,PET,,\na,0,petct,c.nii,CT,,\n")
    plain = load(tmp_path, config, "a,0,petct,c.nii,,,\na,0,petct,p.nii,,,\n")
    wanted = (str(tmp_path / "c.nii"), str(tmp_path / "p.nii"))
    assert named[0].paths == plain[0].paths == wanted
    assert named[0].path == "c.nii"


def test_a_missing_channel_is_left_to_quarantine(tmp_path, config):
    (scan,) = load(tmp_path, config, "a,0,petct,p.nii,PET,,\n")
    assert scan.paths == (None, str(tmp_path / "p.nii"))


def test_sessions_go_by_days_only_if_all_of_a_subject_have_some(tmp_path, config):
    body = "a,late,ct,1,,90,\na,early,ct,2,,0,\nb,x,ct,3,,5,\nb,y,ct,4,,,\n"
    scans = load(tmp_path, config, body)
    assert {(s.subject, s.session): s.order for s in scans} == {
        ("a", "late"): 1, ("a", "early"): 0, ("b", "x"): 0, ("b", "y"): 1,
    }  # fmt: skip
    assert [s.session for s in scans] == ["late", "early", "x", "y"]
    assert scans[0].days == 90.0


def test_all_faulty_rows_are_named_at_once(tmp_path, config):
    body = (
        "ok,0,ct,a,,,\n"  # row 2
        "-bad,0,ct,a,,,\n"
        "a b,0,ct,a,,,\n"
        "s,ä,ct,a,,,\n"
        "s,1,nope,a,,,\n"
        "s,2,ct,a,PET,,\n"
        "ok,0,ct,b,,,\n"
        "ok,0,petct,b,,,\n"
        "s,3,ct,,,,\n"
        "s,4,ct,a,,soon,\n"
    )
    text = message_of(tmp_path, config, body)
    for row in range(3, 12):
        assert f"row {row} " in text
    assert "row 2 " not in text


@pytest.mark.parametrize("name", ["..", ".x", "_x", "a/b", "", " ", "a\\b"])
def test_names_that_would_leave_the_folder_are_refused(tmp_path, config, name):
    assert "row 2" in message_of(tmp_path, config, f"{name},0,ct,a,,,\n")


def test_missing_columns_rows_and_files_are_told(tmp_path, config):
    assert "path" in message_of(tmp_path, config, "a,b,ct\n", "subject,session,protocol\n")
    assert "no rows" in message_of(tmp_path, config, "")
    with pytest.raises(ConfigError, match="does not exist"):
        load_manifest(tmp_path / "none.csv", config)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_manifest(tmp_path / "empty.csv", config)


def test_parquet_and_csv_give_the_same_scans(tmp_path, config):
    body = "01,0,ct,a.nii,,3.5,\n01,1,ct,b.nii,,10,m.nii\n"
    from_csv = load(tmp_path, config, body)
    frame = pd.DataFrame({
        "subject": ["01", "01"], "session": ["0", "1"], "protocol": ["ct", "ct"],
        "path": ["a.nii", "b.nii"], "days": [3.5, 10.0], "truth": [None, "m.nii"],
    })  # fmt: skip
    frame.to_parquet(tmp_path / "scans.parquet")
    assert load_manifest(tmp_path / "scans.parquet", config) == from_csv


def test_a_byte_order_mark_of_excel_is_no_part_of_a_name(tmp_path, config):
    (tmp_path / "scans.csv").write_text(HEAD + "a,0,ct,x,,,\n", encoding="utf-8-sig")
    assert load_manifest(tmp_path / "scans.csv", config)[0].subject == "a"


def test_anatomy_is_relative_to_the_manifest_and_never_needed(tmp_path, config):
    head = "subject,session,protocol,path,anatomy\n"
    body = "a,0,petct,c.nii,organs.nii.gz\na,0,petct,p.nii,\nb,0,ct,c.nii,\n"
    with_organs, without = load(tmp_path, config, body, head)
    assert with_organs.anatomy == str(tmp_path / "organs.nii.gz")
    assert (without.anatomy, without.truth) == (None, None)


def test_urls_are_left_as_they_are(tmp_path, config):
    body = "a,0,ct,s3://bucket/a b.nii#channel=CT,,,https://host/mask.nii?x=1\n"
    (scan,) = load(tmp_path, config, body)
    assert scan.paths == ("s3://bucket/a b.nii#channel=CT",)
    assert scan.truth == "https://host/mask.nii?x=1"


def test_a_reference_that_no_row_is_asks_for_the_nearest(tmp_path):
    (tmp_path / "scans.csv").write_text("subject,session,protocol,path\ns1,t0,p,a\ns1,t0b,q,b\n")
    reference = {"subject": "s1", "session": "t0b", "slices": [3]}
    protocols = {"p": {"teacher": {"reference": reference}}, "q": {}}
    config = parse_config({"scans": "s", "output": "r", "protocols": protocols})
    with pytest.raises(
        ConfigError, match=r"names s1 t0b, and no row of protocol p .* mean s1 t0\?"
    ):
        load_manifest(tmp_path / "scans.csv", config)
