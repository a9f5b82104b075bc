"""Answers go back into the archive, or to another by C-STORE or STOW-RS; what is wrong with a command is said."""

import pytest

from somray.cli import main
from tests.commands.dicom_node.servers import (
    DICOMWEB,
    PASSWORD,
    copied,
    free_port,
    node_arguments,
    turned_node,
)


@pytest.mark.parametrize("way", ["c-store", "stow"])
def test_answers_go_where_they_are_asked_for(fitted, orthanc, tmp_path, way):
    if way == "stow" and not DICOMWEB.exists():
        pytest.skip("Orthanc's DICOMweb plugin (Debian's orthanc-dicomweb) is not installed")
    where = {"send_to": orthanc.peer} if way == "c-store" else {"stow": f"{orthanc.url}/dicom-web"}
    orthanc.send(copied(fitted / "ct_CT", tmp_path / "scan", way))
    with turned_node(
        fitted / "run", orthanc, tmp_path / "state", protocols=("ct",), report=True, **where
    ) as node:
        node.settled()
        assert node.states == ["sent"]
    (seg,), (report,) = orthanc.objects("SEG"), orthanc.objects("SR")
    assert seg.StudyInstanceUID == report.StudyInstanceUID


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # pynetdicom's socket
def test_an_answer_waits_for_a_place_that_is_away(fitted, orthanc, tmp_path):
    from somray.commands.dicom_node.destination import destination_of
    from somray.io.archive import ArchiveAwayError

    orthanc.send(copied(fitted / "ct_CT", tmp_path / "scan", "nowhere"))
    state = tmp_path / "state"
    nowhere = f"NOBODY@127.0.0.1:{free_port()}"
    with turned_node(fitted / "run", orthanc, state, protocols=("ct",), send_to=nowhere) as node:
        with pytest.raises(ArchiveAwayError, match="does not answer"):
            node.settled()
        assert node.states == ["answered"]
        (kept,) = (state / "outbox").rglob("*.dcm")
        assert kept.stat().st_mode & 0o77 == 0
    with turned_node(fitted / "run", orthanc, state, protocols=("ct",)) as node:
        node.node._destination = destination_of(node.archive, orthanc.peer, None, "", "SOMRAY")
        node.after(100)
        assert node.states == ["sent"]
        assert list(state.rglob("*.dcm")) == []
    assert len(orthanc.objects("SEG")) == 1


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--protocol", "cd"], "did you mean 'ct'"),
        (["--method", "student"], "has no model of that method"),
        (["--method", "somm"], "expected som, student"),
        (["--send-to", "nobody"], "expected AET@host:port"),
        (["--send-to", "A@b:99999"], "expected AET@host:port"),
        (["--send-to", "A@b:104", "--stow", "http://b"], "one place"),
        (["--stow", "ftp://b"], "expected http://"),
        (["--password-file", "/nowhere/at all"], "cannot be read"),
    ],
)
def test_a_wrong_command_ends_with_what_is_wrong(fitted, orthanc, tmp_path, capsys, more, says):
    arguments = node_arguments(fitted / "run", orthanc, tmp_path / "state", *more)
    assert main(arguments) == 2
    assert says in capsys.readouterr().err


def test_a_wrong_password_is_said_and_none_is_shown(fitted, orthanc, tmp_path, capsys, monkeypatch):
    file = tmp_path / "password"
    file.write_text("guessed\n")
    arguments = node_arguments(fitted / "run", orthanc, tmp_path / "state")
    assert main([*arguments, "--password-file", str(file)]) == 2
    assert "user or password are wrong" in capsys.readouterr().err
    at = arguments.index("--archive") + 1
    arguments[at] = f"http://node:open-secret@127.0.0.1:{orthanc.port}"
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert "holds a password" in told
    assert "open-secret" not in told
    arguments[at] = f"{orthanc.url}/dicom-web"
    monkeypatch.setenv("SOMRAY_ARCHIVE_PASSWORD", PASSWORD)
    assert main(arguments) == 2
    assert "is no Orthanc" in capsys.readouterr().err
