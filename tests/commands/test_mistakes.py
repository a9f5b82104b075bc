"""Mistakes that people make, each once: what is wrong, where, and what to do, in a sentence and with the right code.

`python -m tests.commands.test_mistakes` prints all of them with what somray says, to be read.
"""

import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fsspec.registry import _registry

from somray.cli import main
from tests.pipeline.tiny import body, run_tiny, save, write_manifest

USAGE, ASIDE, FAILED = 2, 3, 4
HEAD = "subject,session,protocol,path\n"
GOOD = "scans: scans.csv\noutput: run\nprotocols:\n  p: {modality: CT}\n"


@dataclass
class Desk:
    """A folder with a scan, a manifest and a configuration that are right, and a run made by direct transfer.

    Args:
        folder: may be changed by one mistake.
        run: of all of them; read only.
    """

    folder: Path
    run: Path
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, content: str | bytes) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def check(self, config: str | bytes = GOOD, rows: str | bytes | None = None) -> list[str]:
        """Check a configuration, with a manifest of these rows where some are given."""
        if rows is not None:
            self.write("scans.csv", rows)
        return ["check", self.write("cohort.yaml", config)]

    def rows(self, *rows: str) -> list[str]:
        return self.check(rows=HEAD + "".join(f"{row}\n" for row in rows))

    def protocol(self, text: str) -> list[str]:
        return self.check(f"scans: scans.csv\noutput: run\nprotocols:\n  p: {text}\n")

    def given(self, **variables: str) -> "Desk":
        self.environment = variables
        return self

    def copy(self, **texts: str) -> str:
        """Copy what describes the run, with other texts for some of its files."""
        target = self.folder / "copy"
        shutil.copytree(self.run, target, ignore=shutil.ignore_patterns("scans", "models"))
        for name, text in texts.items():
            (target / name.replace("__", "/").replace("_json", ".json")).write_text(text)
        return str(target)


def _no(*parts):
    return lambda desk: [part.format(folder=desk.folder, run=desk.run) for part in parts]


def _unwritable(desk):
    """Name a folder below a file as the output: nobody can write there, root neither."""
    desk.write("wall", "")
    return desk.check(GOOD.replace("output: run", f"output: {desk.folder}/wall/run"))[1]


def _cohort(desk, config=GOOD):
    return desk.check(config)[1]


def _others(desk):
    """Name the output of another cohort."""
    desk.write("scans.csv", HEAD + "s7,t0,p,a.nii\n")
    return ["run", _cohort(desk, GOOD.replace("output: run", f"output: {desk.run}"))]


def _archive(desk):
    desk.write("mail/scans.zip", b"PK\x03\x04" + bytes(100))
    return ["init", str(desk.folder / "mail"), "--out", str(desk.folder / "study")]


def _again(desk):
    desk.write("study/scans.csv", HEAD)
    return ["init", str(desk.folder / "a.nii"), "--out", str(desk.folder / "study")]


def _parquet(desk):
    desk.write("scans.parquet", "subject,session")
    return desk.check(GOOD.replace("scans.csv", "scans.parquet"))


MISTAKES = {
    # -- the command line -----------------------------------------------------------------------
    "no verb": (_no(), ("Usage: somray", "init", "status"), USAGE),
    "a verb misspelt": (_no("chek"), ("'chek'", "Did you mean 'check'"), USAGE),
    "an option misspelt": (
        _no("run", "--adress", "x"),
        ("--adress", "--address", "somray run --help"),
        USAGE,
    ),
    "no argument": (_no("run"), ("COHORT.yaml", "somray run --help"), USAGE),
    "an empty word": (
        _no("init", ""),
        ("nothing stands after `somray init`", "not set"),
        USAGE,
    ),
    "an argument too many": (
        _no("status", "{run}", "more"),
        ("more", "somray status --help"),
        USAGE,
    ),
    "no protocol for apply": (
        _no("apply", "{run}", "{folder}/a.nii", "--out", "x"),
        ("--protocol",),
        USAGE,
    ),
    "a word for a number": (
        _no("phantom", "--out", "x", "--seed", "one"),
        ("--seed", "a whole number is expected", "somray phantom --help"),
        USAGE,
    ),
    "no subjects": (
        _no("phantom", "--out", "x", "--subjects", "0"),
        ("--subjects", "at least 1"),
        USAGE,
    ),
    "a shape without commas": (
        _no("phantom", "--out", "x", "--shape", "8x8x8"),
        ("8x8x8", "32,128,128"),
        USAGE,
    ),
    "a shape of nothing": (
        _no("phantom", "--out", "x", "--shape", "0,32,32"),
        ("shape", "at least 8,32,32"),
        USAGE,
    ),
    "a modality that no phantom has": (
        _no("phantom", "--out", "{folder}/x", "--modality", "us"),
        ("us", "ct"),
        USAGE,
    ),
    "DICOM of what has none": (
        _no("phantom", "--out", "{folder}/x", "--modality", "xct", "--format", "dicom"),
        ("xct", "nifti"),
        USAGE,
    ),
    "a phantom into a full folder": (
        _no("phantom", "--out", "{folder}"),
        ("{folder}", "holds a.nii", "empty folder"),
        USAGE,
    ),
    "a size that no demo has": (
        _no("demo", "--size", "huge"),
        ("huge", "small, medium, large"),
        USAGE,
    ),
    "a setting without a value": (
        lambda d: ["check", _cohort(d), "--set", "seed"],
        ("seed", "a.b=value"),
        USAGE,
    ),
    "a setting that is unknown": (
        lambda d: ["check", _cohort(d), "--set", "resources.wokers=2"],
        ("wokers", "'workers'"),
        USAGE,
    ),
    # -- places --------------------------------------------------------------------------------
    "a configuration that is not there": (
        _no("check", "{folder}/none.yaml"),
        ("none.yaml", "does not exist", "did you mean {folder}/cohort.yaml"),
        USAGE,
    ),
    "a folder for a configuration": (
        _no("run", "{folder}"),
        ("{folder}", "is a folder", "cohort.yaml"),
        USAGE,
    ),
    "the manifest for a configuration": (
        _no("check", "{folder}/scans.csv"),
        ("scans.csv", "is a table", "cohort.yaml"),
        USAGE,
    ),
    "a scan for a configuration": (_no("check", "{folder}/a.nii"), ("a.nii", "somray init"), USAGE),
    "a run that is not there": (
        _no("status", "{folder}/none"),
        ("none", "no such folder", "{folder}"),
        FAILED,
    ),
    "a file for a run": (_no("report", "{folder}/cohort.yaml"), ("is a file", "`output`"), FAILED),
    "a part of a run": (
        _no("export", "{run}/tables", "--out", "x"),
        ("a part of one", "{run}"),
        FAILED,
    ),
    "the folder above a run": (
        lambda d: ["status", str(d.run.parent)],
        ("did you mean {run}?",),
        FAILED,
    ),
    "an empty folder for a run": (
        lambda d: ["status", str(Path(d.write("empty/x", "")).parent)],
        ("no run.json", "`output`"),
        FAILED,
    ),
    "a run of another program": (
        lambda d: ["status", str(Path(d.write("other/run.json", "[1]")).parent)],
        ("run.json", "not somray's"),
        FAILED,
    ),
    "a run whose state is cut off": (
        lambda d: ["export", d.copy(run_json="{"), "--format", "nifti", "--out", "x"],
        ("run.json", "damaged", "somray run"),
        FAILED,
    ),
    "init of nothing": (_no("init", "{folder}/none"), ("none", "does not exist"), USAGE),
    "init of an archive": (_archive, ("scans.zip", "unpack"), USAGE),
    "init where one was made": (_again, ("scans.csv", "exists already", "--out"), USAGE),
    "init into a file": (
        lambda d: ["init", str(d.folder / "a.nii"), "--out", str(d.folder / "scans.csv")],
        ("--out", "scans.csv", "is a file"),
        USAGE,
    ),
    # -- the configuration -----------------------------------------------------------------------
    "an empty configuration": (
        lambda d: d.check(""),
        ("is empty", "scans, output and protocols"),
        USAGE,
    ),
    "tabs": (lambda d: d.check(GOOD.replace("  p:", "\tp:")), ("line 4", "spaces"), USAGE),
    "Latin letters of Windows": (
        lambda d: d.check((GOOD + "# für\n").encode("cp1252")),
        ("line 5", "UTF-8"),
        USAGE,
    ),
    "a colon in a value": (lambda d: d.check("scans: C:\\a: b\n"), ("line 1", "quote"), USAGE),
    "a bracket that is open": (
        lambda d: d.check(GOOD + "seed: [1\n"),
        ("line 5", "bracket", "not closed"),
        USAGE,
    ),
    "a list for a mapping": (
        lambda d: d.check("scans: scans.csv\noutput: run\nprotocols:\n  - p\n"),
        ("protocols", "a list", "line 3"),
        USAGE,
    ),
    "a list at the top": (lambda d: d.check("- scans\n"), ("mapping", "scans: scans.csv"), USAGE),
    "an unknown key": (
        lambda d: d.check(GOOD + "sed: 1\n"),
        ("sed", "did you mean 'seed'", "line 5"),
        USAGE,
    ),
    "a key in the wrong place": (
        lambda d: d.check(GOOD + "teacher: {grid: [3, 3]}\n"),
        ("teacher", "belongs in protocols.NAME"),
        USAGE,
    ),
    "a key missing": (
        lambda d: d.check("scans: scans.csv\n"),
        ("output: missing", "protocols: missing"),
        USAGE,
    ),
    "two protocols of one name": (
        lambda d: d.check(GOOD + "  p: {modality: MR}\n"),
        ("'p'", "twice", "lines 4 and 5"),
        USAGE,
    ),
    "a protocol without settings": (
        lambda d: d.check("scans: scans.csv\noutput: run\nprotocols:\n  p:\n"),
        ("protocols.p", "got nothing", "write {{}}"),
        USAGE,
    ),
    "a protocol with a space": (
        lambda d: d.check("scans: scans.csv\noutput: run\nprotocols:\n  chest ct: {}\n"),
        ("'chest ct'", "'-'"),
        USAGE,
    ),
    "an unknown modality": (
        lambda d: d.protocol("{modality: ct}"),
        ("modality", "did you mean 'CT'?", "line 4"),
        USAGE,
    ),
    "text for a number": (
        lambda d: d.protocol("{student: {rounds: three}}"),
        ("student.rounds", "whole number"),
        USAGE,
    ),
    "a fraction for a whole number": (
        lambda d: d.protocol("{student: {rounds: 2.5}}"),
        ("student.rounds", "whole number"),
        USAGE,
    ),
    "a number for a name": (
        lambda d: d.protocol("{teacher: {reference: {subject: 12, session: t0, slices: [3]}}}"),
        ("reference.subject", "quote"),
        USAGE,
    ),
    "out of range": (
        lambda d: d.protocol("{student: {rounds: 99}}"),
        ("student.rounds", "at most 50", "99"),
        USAGE,
    ),
    "one number for two": (
        lambda d: d.protocol("{teacher: {grid: 5}}"),
        ("teacher.grid", "list"),
        USAGE,
    ),
    "three numbers for two": (
        lambda d: d.protocol("{teacher: {grid: [5, 5, 5]}}"),
        ("teacher.grid", "2 values"),
        USAGE,
    ),
    "perhaps for true": (
        lambda d: d.protocol("{student: {confidence: perhaps}}"),
        ("confidence", "true or false"),
        USAGE,
    ),
    "a window upside down": (
        lambda d: d.protocol("{intensity: {CT: {window: [400, -1000]}}}"),
        ("window", "low < high"),
        USAGE,
    ),
    "a window of a channel that is not there": (
        lambda d: d.protocol("{modality: CT, intensity: {PET: {window: [0, 5]}}}"),
        ("'PET'", "CT"),
        USAGE,
    ),
    "a feature misspelt": (
        lambda d: d.protocol("{teacher: {features: [edgy]}}"),
        ("edgy", "'edge'"),
        USAGE,
    ),
    "a password in a place": (
        lambda d: d.check(GOOD.replace("run", "s3://me:secret@host/run")),
        ("password", "AWS_"),
        USAGE,
    ),
    "a variable that is not set": (
        lambda d: d.check(GOOD.replace("run", "$NO_SUCH_PLACE/run")),
        ("NO_SUCH_PLACE", "not set"),
        USAGE,
    ),
    "a previous run that is not there": (
        lambda d: d.protocol("{modality: CT, teacher: {previous: ../2025}}"),
        ("previous", "2025"),
        USAGE,
    ),
    # -- the manifest ----------------------------------------------------------------------------
    "no manifest": (
        lambda d: d.check(GOOD.replace("scans.csv", "s.csv")),
        ("s.csv", "does not exist"),
        USAGE,
    ),
    "a folder for a manifest": (
        lambda d: d.check(GOOD.replace("scans.csv", ".")),
        ("is a folder", "scans.csv"),
        USAGE,
    ),
    "an empty manifest": (lambda d: d.check(rows=""), ("scans.csv", "is empty"), USAGE),
    "titles alone": (lambda d: d.check(rows=HEAD), ("scans.csv", "no rows"), USAGE),
    "columns missing": (
        lambda d: d.check(rows="subject,path\ns1,a.nii\n"),
        ("session", "protocol"),
        USAGE,
    ),
    "no titles": (
        lambda d: d.check(rows="s1,t0,p,a.nii\n"),
        ("first row of titles", "subject,session,protocol,path"),
        USAGE,
    ),
    "a column misspelt": (
        lambda d: d.check(rows="subject,sesion,protocol,path\ns1,t0,p,a.nii\n"),
        ("is 'sesion' meant to be 'session'?",),
        USAGE,
    ),
    "spaces for commas": (
        lambda d: d.check(rows="subject session protocol path\ns1 t0 p a.nii\n"),
        ("separate cells by commas",),
        USAGE,
    ),
    "a workbook": (lambda d: d.check(rows=b"PK\x03\x04rest"), ("Excel", "CSV UTF-8"), USAGE),
    "no Parquet": (_parquet, ("scans.parquet", "not Parquet"), USAGE),
    "another encoding": (
        lambda d: d.check(rows=(HEAD + "s1,t0,p,für.nii\n").encode("cp1252")),
        ("row 2", "UTF-8"),
        USAGE,
    ),
    "a quotation mark alone": (
        lambda d: d.rows('s1,t0,p,"a.nii'),
        ("line", "quotation mark"),
        USAGE,
    ),
    "a comma in a path": (lambda d: d.rows("s1,t0,p,a, b.nii"), ("row 2", "quote"), USAGE),
    "a row twice": (
        lambda d: d.rows("s1,t0,p,a.nii", "s1,t0,p,a.nii"),
        ("row 3", "earlier row", "remove one"),
        USAGE,
    ),
    "a protocol that is unknown": (
        lambda d: d.rows("s1,t0,chest,a.nii"),
        ("row 2", "'chest'", "which has p"),
        USAGE,
    ),
    "a subject with a space": (
        lambda d: d.rows("s 1,t0,p,a.nii"),
        ("row 2", "'s 1'", "'-'"),
        USAGE,
    ),
    "no path": (lambda d: d.rows("s1,t0,p,"), ("row 2", "path is empty"), USAGE),
    "a path of Windows": (
        lambda d: d.rows(r"s1,t0,p,C:\data\a.nii"),
        ("row 2", "Windows", "/"),
        USAGE,
    ),
    "a date for days": (
        lambda d: d.check(rows="subject,session,protocol,path,days\ns1,t0,p,a.nii,2024-01-02\n"),
        ("row 2", "is a date", "0, 14, 90"),
        USAGE,
    ),
    "the scan as its own truth": (
        lambda d: d.check(rows="subject,session,protocol,path,truth\ns1,t0,p,a.nii,a.nii\n"),
        ("row 2", "own mask"),
        USAGE,
    ),
    "a file for an output": (
        lambda d: d.check(GOOD.replace("output: run", "output: scans.csv")),
        ("output", "scans.csv is a file", "name a folder"),
        USAGE,
    ),
    "output over the configuration": (
        lambda d: d.check(GOOD.replace("output: run", "output: .")),
        ("output", "cohort.yaml", "write over", "output: run"),
        USAGE,
    ),
    "output inside the scans": (
        lambda d: d.check(GOOD.replace("output: run", "output: data/run"), HEAD + "s1,t0,p,data\n"),
        ("output", "data", "choose another"),
        USAGE,
    ),
    # -- scans: set aside, the others go on ----------------------------------------------------
    "a scan that is not there": (
        lambda d: d.rows("s1,t0,p,a.nii", "s2,t0,p,b.nii"),
        ("s2 t0", "missing", "b.nii"),
        ASIDE,
    ),
    "a text for a scan": (
        lambda d: [d.write("b.nii", "hello"), d.rows("s1,t0,p,a.nii", "s2,t0,p,b.nii")][1],
        ("s2 t0", "unreadable", "b.nii"),
        ASIDE,
    ),
    "a folder without scans": (
        lambda d: [d.write("b/readme.txt", "hello"), d.rows("s1,t0,p,a.nii", "s2,t0,p,b")][1],
        ("s2 t0", "unreadable"),
        ASIDE,
    ),
    "a file cut short": (
        lambda d: [
            d.write("b.nii", (d.folder / "a.nii").read_bytes()[:3000]),
            d.rows("s1,t0,p,a.nii", "s2,t0,p,b.nii"),
        ][1],
        ("s2 t0", "truncated", "copy the file again"),
        ASIDE,
    ),
    "no space on the disk": (
        lambda d: d.given(full="1").check(),
        ("cannot fit", "--set output=PLACE"),
        FAILED,
    ),
    "more memory than granted": (
        lambda d: ["check", _cohort(d), "--set", "resources.task_memory_mb=256"],
        ("256 MiB", "task_memory_mb"),
        FAILED,
    ),
    # -- to run ----------------------------------------------------------------------------------
    "an output that cannot be written": (
        lambda d: ["run", _unwritable(d)],
        ("output", "/wall/run", "Not a directory", "--set output=PLACE"),
        FAILED,
    ),
    "an output that holds another cohort": (
        _others,
        ("another cohort", "sub-s1_ses-t0", "choose another output"),
        USAGE,
    ),
    "no workers": (
        lambda d: ["run", _cohort(d), "--set", "resources.workers=0"],
        ("resources.workers", "at least 1", "0"),
        USAGE,
    ),
    "no cluster": (
        lambda d: ["run", _cohort(d), "--address", "127.0.0.1:9"],
        ("127.0.0.1:9", "ray start --head", "--address"),
        FAILED,
    ),
    "no address": (
        lambda d: ["run", _cohort(d), "--address", "cluster"],
        ("'cluster'", "host:port"),
        FAILED,
    ),
    "the dashboard for the head": (
        lambda d: ["run", _cohort(d), "--address", "http://127.0.0.1:8265"],
        ("http://", "somray submit"),
        FAILED,
    ),
    "no dashboard": (
        lambda d: ["submit", _absolute(d), "--address", "http://127.0.0.1:9"],
        ("127.0.0.1:9", "8265"),
        FAILED,
    ),
    "a word for a dashboard": (
        lambda d: ["submit", _absolute(d), "--address", "head"],
        ("head", "http://HEAD:8265"),
        USAGE,
    ),
    "paths that nodes do not see": (
        lambda d: ["submit", _cohort(d), "--address", "http://127.0.0.1:9"],
        ("output run", "--shared"),
        USAGE,
    ),
    # -- what a run has ------------------------------------------------------------------------
    "an unknown format": (
        _no("export", "{run}", "--format", "nifty", "--out", "x"),
        ("nifty", "'nifti'"),
        USAGE,
    ),
    "no folder for an export": (_no("export", "{run}"), ("--out", "somray export --help"), USAGE),
    "an unknown subject": (
        _no("export", "{run}", "--format", "nifti", "--subject", "s9", "--out", "{folder}/x"),
        ("s9", "s1"),
        USAGE,
    ),
    "an unknown session": (
        _no("export", "{run}", "--format", "nifti", "--session", "t9", "--out", "{folder}/x"),
        ("t9", "t0"),
        USAGE,
    ),
    "an unknown protocol": (
        _no("export", "{run}", "--format", "nifti", "--protocol", "q", "--out", "{folder}/x"),
        ("'q'", "has p"),
        USAGE,
    ),
    "an unknown label": (
        _no("export", "{run}", "--format", "nifti", "--label", "tumour", "--out", "{folder}/x"),
        ("tumour", "som, student, lesions"),
        USAGE,
    ),
    "an unknown channel": (
        _no("export", "{run}", "--format", "nifti", "--channel", "PET", "--out", "{folder}/x"),
        ("PET", "CT"),
        USAGE,
    ),
    "a package that is not installed": (
        lambda d: (
            d.given(without="highdicom")
            and ["export", str(d.run), "--format", "dicom-seg", "--out", str(d.folder / "x")]
        ),
        ("highdicom", "pip install", "somray[export]"),
        USAGE,
    ),
    "a bucket without its package": (
        lambda d: d.given(without="s3fs") and ["status", "s3://bucket/run"],
        ("s3fs", "somray[s3]"),
        USAGE,
    ),
    "a place of no known kind": (_no("status", "ftpx://host/run"), ("ftpx://", "s3://"), USAGE),
    "DICOM of a NIfTI source": (
        _no("export", "{run}", "--format", "dicom-seg", "--label", "som", "--out", "{folder}/x"),
        ("needs a DICOM source",),
        FAILED,
    ),
    "a student that was not trained": (
        _no("export", "{run}", "--format", "nifti", "--label", "student", "--out", "{folder}/x"),
        ("student", "segment: som"),
        FAILED,
    ),
    "no student to export": (
        _no("export", "{run}", "--format", "onnx", "--out", "{folder}/x"),
        ("no student", "segment: student"),
        USAGE,
    ),
    "an unknown protocol of apply": (
        _no("apply", "{run}", "{folder}/a.nii", "--protocol", "q", "--out", "{folder}/x"),
        ("'q'", "has p"),
        USAGE,
    ),
    "an unknown method": (
        _no(
            "apply",
            "{run}",
            "{folder}/a.nii",
            "--protocol",
            "p",
            "--method",
            "net",
            "--out",
            "{folder}/x",
        ),
        ("net", "som, student"),
        USAGE,
    ),
    "a student that apply lacks": (
        _no(
            "apply",
            "{run}",
            "{folder}/a.nii",
            "--protocol",
            "p",
            "--method",
            "student",
            "--out",
            "{folder}/x",
        ),
        ("'p'", "no student", "--method som"),
        USAGE,
    ),
    "a scan too many": (
        _no(
            "apply",
            "{run}",
            "{folder}/a.nii",
            "--protocol",
            "p",
            "--channel",
            "b.nii",
            "--out",
            "{folder}/x",
        ),
        ("CT", "2 sources"),
        USAGE,
    ),
    "apply to nothing": (
        _no("apply", "{run}", "{folder}/none.nii", "--protocol", "p", "--out", "{folder}/x"),
        ("none.nii", "missing", "correct the path"),
        FAILED,
    ),
    "apply to text": (
        lambda d: [
            "apply",
            str(d.run),
            d.write("b.nii", "x"),
            "--protocol",
            "p",
            "--out",
            str(d.folder / "x"),
        ],
        ("b.nii", "unreadable"),
        FAILED,
    ),
    "apply into a file": (
        _no("apply", "{run}", "{folder}/a.nii", "--protocol", "p", "--out", "{folder}/scans.csv"),
        ("--out", "scans.csv", "is a file", "name a folder"),
        USAGE,
    ),
    "apply into the run": (
        _no("apply", "{run}", "{folder}/a.nii", "--protocol", "p", "--out", "{run}"),
        ("--out", "is a part of the run", "beside it"),
        USAGE,
    ),
    "export among the scans of the run": (
        _no("export", "{run}", "--format", "nifti", "--out", "{run}/scans/x"),
        ("--out", "is a part of the run", "beside it"),
        USAGE,
    ),
    "apply to another modality": (
        lambda d: [
            "apply",
            str(d.run),
            _series(d),
            "--protocol",
            "p",
            "--out",
            str(d.folder / "x"),
        ],
        ("wrong_modality", "MR", "CT"),
        FAILED,
    ),
    "doctor of no cluster": (
        _no("doctor", "--address", "127.0.0.1:9"),
        ("127.0.0.1:9", "ray start --head", "next: ray status"),
        FAILED,
    ),
}


def _absolute(desk):
    desk.write("scans.csv", f"{HEAD}s1,t0,p,{desk.folder}/a.nii\n")
    return _cohort(desk, GOOD.replace("output: run", f"output: {desk.folder}/run"))


def _series(desk):
    from tests.io.cohort.trees import series

    series(desk.folder / "mr", "A1", Modality="MR")
    return str(desk.folder / "mr")


def make_run(folder: Path) -> Path:
    """Run two scans, one of which is not there, by direct transfer."""
    folder.mkdir(parents=True, exist_ok=True)
    save(folder / "a.nii", body())
    write_manifest(folder, [("s1", "t0", "p", "a.nii"), ("s2", "t0", "p", "none.nii")])
    run_tiny(folder)
    return folder / "run"


def make_desk(folder: Path, run: Path) -> Desk:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(run.parent / "a.nii", folder / "a.nii")
    desk = Desk(folder, run)
    desk.write("scans.csv", HEAD + "s1,t0,p,a.nii\n")
    desk.write("cohort.yaml", GOOD)
    return desk


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_in_words_that_help(name, run, tmp_path, monkeypatch, capsys):
    make, words, code = MISTAKES[name]
    desk = make_desk(tmp_path, run)
    arguments = make(desk)
    monkeypatch.chdir(tmp_path)
    for module in filter(None, [desk.environment.get("without")]):
        monkeypatch.setitem(sys.modules, module, None)
        for protocol in [p for p, kind in _registry.items() if kind.__module__.startswith(module)]:
            monkeypatch.delitem(_registry, protocol)  # fsspec keeps what was imported once
    if "full" in desk.environment:
        monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10, 10, 0))
    assert main(arguments) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert "Traceback" not in told.err
    for word in words:
        assert word.format(folder=tmp_path, run=run) in told.err


def _show():
    """Print what is said of every mistake."""
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        run = make_run(Path(place, "made").resolve())
        for number, (name, (make, words, code)) in enumerate(MISTAKES.items()):
            if sys.argv[1:] and not any(part in name for part in sys.argv[1:]):
                continue
            desk = make_desk(Path(place, str(number)), run)
            arguments = make(desk)
            os.chdir(desk.folder)
            sys.stderr.write(f"\n--- {name} (expected {code}: {words})\n")
            found = main(arguments)
            sys.stderr.write(
                f"[{found}]\n" if found == code else f"[{found}]  <<<<<<<<< not {code}\n"
            )


if __name__ == "__main__":
    _show()
