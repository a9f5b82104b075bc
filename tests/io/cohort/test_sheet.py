import os
import unicodedata

import pandas as pd
import pytest

from somray.config import parse_config
from somray.errors import ConfigError
from somray.io.cohort.manifest import load_manifest

TABLE = [
    ["subject", "session", "protocol", "path", "days"],
    ["001", "01", "ct", "données/ct 1 #1 50%.nii", "0"],
    ["002", "1e3", "ct", "données/ct 2 #1 50%.nii", "3"],
]


@pytest.fixture
def config():
    protocols = {"ct": {"modality": "CT"}, "petct": {"modality": "PETCT"}}
    return parse_config({"scans": "scans.csv", "output": "run", "protocols": protocols})


@pytest.fixture(autouse=True)
def _files(tmp_path):
    (tmp_path / "données").mkdir()
    for row in TABLE[1:]:
        (tmp_path / row[3]).write_bytes(b"x")


def text_of(table, sign=",", end="\r\n"):
    return end.join(sign.join(row) for row in table) + end


def load(tmp_path, config, content, name="scans.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_manifest(path, config)


def message_of(tmp_path, config, content, name="scans.csv"):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, config, content, name)
    return str(caught.value)


WIDER = [[*row, "", ""] for row in TABLE]


def numbered(*numbers):
    return [[number, *row] for number, row in zip(numbers, TABLE, strict=True)]


FILES = {
    "bom": text_of(TABLE).encode("utf-8-sig"),
    "semicolon": text_of(TABLE, ";").encode("utf-8-sig"),
    "tab": text_of(TABLE, "\t").encode(),
    "pipe": text_of(TABLE, "|").encode(),
    "told": b"sep=;\r\n" + text_of(TABLE, ";").encode(),
    "utf16": text_of(TABLE, "\t").encode("utf-16"),
    "utf16 bare": text_of(TABLE, "\t").encode("utf-16-le"),
    "utf16 big": text_of(TABLE, ";").encode("utf-16-be"),
    "cp1252": text_of(TABLE).encode("cp1252"),
    "mac": text_of(TABLE, end="\r").encode(),
    "no last end": text_of(TABLE).strip().encode(),
    "empty rows": (",,,,\r\n" + text_of(TABLE) + ",,,,\r\n\r\n,,\r\n").encode(),
    "short rows": text_of([[*TABLE[0], "truth", "anatomy"], *TABLE[1:]]).encode(),
    "unnamed": text_of(WIDER).encode(),
    "quoted": text_of([[f'"{c} "' for c in row] for row in TABLE]).encode(),
    "spaced": text_of([[f"  {c} " for c in row] for row in TABLE]).encode(),
    "space before quote": text_of([[f' "{c}"' for c in row] for row in TABLE]).encode(),
    "title case": text_of([[c.title() for c in TABLE[0]], *TABLE[1:]]).encode(),
    "no-break space": text_of([[c + "\u00a0" for c in row] for row in TABLE]).encode(),
    "unseen": text_of([[c + "\u200b" for c in row] for row in TABLE]).encode(),
    "backslash": text_of([[c.replace("/", "\\") for c in row] for row in TABLE]).encode(),
    "numbered by pandas": text_of(
        [[n, *row] for n, row in zip(("", "0", "1"), TABLE, strict=True)]
    ).encode(),
    "numbered by R": text_of(
        [[f'"{c}"' for c in (n, *row)] for n, row in zip(("", "1", "2"), TABLE, strict=True)]
    ).encode(),
    "unnamed: 0": text_of(
        [[n, *row] for n, row in zip(("Unnamed: 0", "0", "1"), TABLE, strict=True)]
    ).encode(),
    "rows in quotes": "\r\n".join(f'"{",".join(row)}"' for row in TABLE).encode(),
    "formulas": text_of([[f'"=""{c}"""' for c in row] for row in TABLE]).encode(),
    "end of DOS": text_of(TABLE).encode() + b"\x1a",
    "other order": text_of([row[::-1] for row in TABLE]).encode(),
}


@pytest.mark.parametrize("name", FILES)
def test_what_a_spreadsheet_makes_of_a_table_reads_alike(tmp_path, config, name):
    scans = load(tmp_path, config, FILES[name])
    assert [(s.subject, s.session, s.days) for s in scans] == [
        ("001", "01", 0.0),
        ("002", "1e3", 3.0),
    ]
    assert [s.paths[0] for s in scans] == [str(tmp_path / row[3]) for row in TABLE[1:]]


def test_decimal_commas_are_read_and_thousands_refused(tmp_path, config):
    def with_days(days):
        return text_of([TABLE[0], [*TABLE[1][:4], days]], ";")

    for text, value in (("0,5", 0.5), ("12,25", 12.25), (",5", 0.5), ("1e1", 10.0), ("-3", -3.0)):
        assert load(tmp_path, config, with_days(text))[0].days == value
    for text in ("1,000", "12,345"):
        assert "thousand" in message_of(tmp_path, config, with_days(text))
    for text in (
        "01.02.2024",
        "2024-02-01",
        "1/2/24",
        "2024-02-01 10:00",
        "5-Jan",
        "Jan 5",
        "45292",
        "45292,0",
    ):
        assert "is a date" in message_of(tmp_path, config, with_days(text))
    assert "write days alone: 14" in message_of(tmp_path, config, with_days("14 days"))
    for text in ("1_0", "inf", "3 days", "day 3", "1e400"):
        assert "days" in message_of(tmp_path, config, with_days(text))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04rest", ("Excel workbook", "CSV UTF-8")),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ("Excel workbook",)),
        (b"", ("empty",)),
        (b",,,\r\n\r\n", ("empty",)),
        (b"subject,session,protocol,path,Path\na,b,ct,c,d\n", ("path stands twice",)),
        (b"subject,session,protocol,path\na,b,ct,c,d\n", ("row 2", "'d'", "no title")),
        (b"subject,session,protocol,path,\na,b,ct,c,d\n", ("row 2", "'d'", "no title")),
        (b'subject,session,protocol,path\na,b,ct,"c\nd,e,ct,f\n', ("quotation mark",)),
        (b'subject,session,protocol,path\na,b,ct,"c\nd,e,ct,f"\n', ("line break",)),
        (b"subject,session,protocol,path\n1.2E+11,b,ct,c\n", ("Excel shortened",)),
        (b"subject,session,protocol,path\na,b,ct,C:\\data\\c.nii\n", ("row 2", "path of Windows")),
        (b"subject,session,protocol,path\na,b,ct,x\\c.nii\n", ("row 2", "path of Windows")),
        (b"subject,session,protocol,path\na,b,ct,$NOT_SET_HERE/c\n", ("row 2", "NOT_SET_HERE")),
        (b"subject,session,protocol,path,truth\na,b,ct,c,c\n", ("row 2", "its own mask")),
        (b"subject,session,protocol,path\na,b,petct,c\na,b,petct,./c\n", ("row 3", "again")),
        (
            b"subject,session,protocol,path,truth\na,b,petct,c,m\na,b,petct,d,n\n",
            ("row 3", "contradicts"),
        ),
        ("subject,session,protocol,path\na,b,ct,Käthe.nii\n".encode("cp1252"), ("UTF-8", "Käthe")),
        ("subject,session,protocol,path\nŽ,b,ct,c\n".encode("cp1250"), ("row 2",)),
        (
            b"subject;session;path\na;b;c\n",
            ("lacks the columns protocol", "subject, session, path"),
        ),
        (b"\x81\x8d\xff", ("UTF-8",)),
        (b"\x1f\x8b\x08\0\0\0\0\0\x02\x03", ("compressed", "unpack")),
        (b"SQLite \x01\x02", ("not UTF-8",)),
        (b"# study\nsubject,session,protocol,path\n", ("titles stand in row 2", "# study")),
        ("subject,session,protocol,path\ns‐1,b,ct,c\n".encode(), ("row 2", "is a hyphen")),
        (b"Patient;Tag;Pfad\na;b;c\n", ("holds patient, tag, pfad", "row of titles")),
        (b"count,subject,session,protocol,path\n0,a,b,ct,c\n", ("unknown columns count",)),
        (b",subject,session,protocol,path\n7,a,b,ct,c\n", ("row 2", "'7'", "no title")),
        (b"subject,session,protocol,path\n" + b"a" * 65 + b",b,ct,c\n", ("65 characters", "64")),
        (b"subject,session,protocol,path\na,b,ct,C:/data/c.nii\n", ("row 2", "path of Windows")),
    ],
)
def test_what_could_be_misread_is_refused_with_its_row_and_what_to_do(
    tmp_path, config, content, words
):
    told = message_of(tmp_path, config, content)
    for word in words:
        assert word in told


def test_numbers_of_the_rows_are_those_that_the_spreadsheet_shows(tmp_path, config):
    body = "subject,session,protocol,path\n\na,0,ct,x\n,,,\n-b,0,ct,x\n"
    told = message_of(tmp_path, config, body)
    assert "row 5 (-b 0)" in told
    assert "row 6 (-b 0)" in message_of(tmp_path, config, "sep=,\n" + body)


def test_parquet_of_numbers_and_categories_reads_as_text(tmp_path, config):
    frame = pd.DataFrame({
        "Subject": [1, 2], "session": pd.Categorical(["a", "b"]), "protocol": ["ct", "ct"],
        "path": ["x", "y"], "days": pd.to_timedelta([36, 0], unit="h"), "truth": [None, float("nan")],
    })  # fmt: skip
    frame.to_parquet(tmp_path / "scans.parquet")
    first, second = load_manifest(tmp_path / "scans.parquet", config)
    assert [(s.subject, s.session, s.days, s.truth) for s in (first, second)] == [
        ("1", "a", 1.5, None), ("2", "b", 0.0, None),
    ]  # fmt: skip
    frame.set_index("Subject").to_parquet(tmp_path / "scans.parquet")
    assert load_manifest(tmp_path / "scans.parquet", config)[1].subject == "2"
    frame.assign(Subject=[1.0, None]).to_parquet(tmp_path / "scans.parquet")
    with pytest.raises(ConfigError, match=r"row 3 .*subject ''"):
        load_manifest(tmp_path / "scans.parquet", config)
    (tmp_path / "scans.parquet").write_text("subject")
    with pytest.raises(ConfigError, match="not Parquet"):
        load_manifest(tmp_path / "scans.parquet", config)


@pytest.mark.parametrize("mark", ["n/a", "NA", "#N/A", "NaN", "None", "null", "<NA>"])
def test_marks_of_nothing_are_nothing_unless_they_are_names(tmp_path, config, mark):
    body = f"subject,session,protocol,path,channel,days,truth,anatomy\n{mark},0,ct,c{','.join(['', *4 * [mark]])}\n"
    if "/" in mark or "<" in mark or "#" in mark:
        body = body.replace(f"\n{mark},", "\na,")
    (scan,) = load(tmp_path, config, body)
    assert (scan.days, scan.truth, scan.anatomy) == (None, None, None)
    (tmp_path / mark).parent.mkdir(exist_ok=True)
    (tmp_path / mark).write_bytes(b"x")
    (scan,) = load(tmp_path, config, body)
    assert scan.truth == scan.anatomy == str(tmp_path / mark)


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_name_with_accents_is_found_in_either_composition(tmp_path, config, forms):
    on_disk, written = (unicodedata.normalize(form, "Übér/ñ.nii") for form in forms)
    file = tmp_path / on_disk
    file.parent.mkdir()
    file.write_bytes(b"x")
    (scan,) = load(tmp_path, config, f"subject,session,protocol,path\na,b,ct,{written}\n")
    assert scan.paths == (str(file),)
    (scan,) = load(tmp_path, config, "subject,session,protocol,path\na,b,ct,Ünder/none.nii\n")
    assert scan.paths == (str(tmp_path / "Ünder/none.nii"),)


@pytest.mark.parametrize(
    "written",
    [
        "file:{0}/a%20b%231.nii", "file://{0}/a%20b%231.nii", "file://localhost{0}/a%20b%231.nii", "file:a%20b%231.nii",
        "'{0}/a b#1.nii'", '"""a b#1.nii"""', "file://{0}/a b#1.nii",
    ],
)  # fmt: skip
def test_a_path_as_file_managers_and_programs_copy_it_is_the_file(tmp_path, config, written):
    (tmp_path / "a b#1.nii").write_bytes(b"x")
    body = f"subject,session,protocol,path\na,0,ct,{written.format(tmp_path)}\n"
    assert load(tmp_path, config, body)[0].paths == (f"{tmp_path}/a b#1.nii",)


def test_home_variables_and_urls_of_a_manifest(tmp_path, config, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATA", "/data")
    body = "subject,session,protocol,path,truth\na,0,ct,~/c.nii,$DATA/m.nii\nb,0,ct,s3://x/c.nii,\n"
    home, url = load(tmp_path, config, body)
    assert (home.paths, home.truth) == ((f"{tmp_path}/c.nii",), "/data/m.nii")
    assert home.path == "~/c.nii"
    assert url.paths == ("s3://x/c.nii",)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path, config):
    os.mkfifo(tmp_path / "scans.csv")
    with pytest.raises(ConfigError, match=r"a pipe or a device, .* save it as a file"):
        load_manifest(tmp_path / "scans.csv", config)
