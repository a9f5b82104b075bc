"""What is handed to a cluster, what is refused before anything is sent, and how a job's end becomes ours."""

import json
import os
import shlex

import pytest
import yaml

from somray.cli import main
from somray.commands.submission import ray_line, request
from somray.errors import ConfigError
from somray.runtime.on_ray import jobs
from tests.pipeline.tiny import QUICK, body, save, write_manifest


@pytest.fixture
def study(tmp_path):
    """A folder with cohort.yaml, scans.csv and much else, that names its scans and output absolutely."""
    folder = tmp_path / "my study #1"
    folder.mkdir()
    save(folder / "a.nii", body((2, 16, 16)))
    write_manifest(folder, [("a", "t0", "p", str(folder / "a.nii"))])
    config = {"scans": "scans.csv", "output": str(tmp_path / "run"), "protocols": {"p": QUICK}}
    (folder / "cohort.yaml").write_text(yaml.safe_dump(config))
    return folder


def _sent(made):
    """List what Ray would pack of a working directory, as Ray itself decides."""
    from pathlib import Path

    from ray._private.runtime_env.packaging import _dir_travel, _get_excludes

    folder, found = Path(made["environment"]["working_dir"]), []
    excludes = [_get_excludes(folder, made["environment"]["excludes"])]
    _dir_travel(folder, excludes, lambda p: found.append(p), include_gitignore=True)
    return sorted(str(p.relative_to(folder)) for p in found if p.is_file())


def test_configuration_and_manifest_alone_are_sent(study):
    assert _sent(request(study / "cohort.yaml", (), shared=False)) == ["cohort.yaml", "scans.csv"]


def test_a_manifest_in_a_folder_of_its_own_is_sent_too(study):
    (study / "lists [1]").mkdir()
    (study / "scans.csv").rename(study / "lists [1]/scans.csv")
    made = request(study / "cohort.yaml", ("scans=lists [1]/scans.csv",), shared=False)
    assert _sent(made) == ["cohort.yaml", "lists [1]/scans.csv"]


def test_the_line_of_rays_own_holds_the_same(study):
    made = request(study / "cohort.yaml", ("seed=3",), shared=False)
    words = shlex.split(ray_line("http://h:8265", made))
    assert words[:5] == ["ray", "job", "submit", "--address", "http://h:8265"]
    assert words[words.index("--working-dir") + 1] == str(study)
    assert json.loads(words[words.index("--runtime-env-json") + 1])["excludes"]
    end = ["--", "python", "-m", "jobs.run_cohort", "cohort.yaml", "--set", "seed=3"]
    assert words[-7:] == end


def test_a_manifest_that_git_ignores_is_sent(study, client, monkeypatch):
    (study / ".gitignore").write_text("*.csv\n")
    made = request(study / "cohort.yaml", (), shared=False)
    assert shlex.split(ray_line("http://h:8265", made))[1] == f"{jobs.SEND_IGNORED}=1"
    seen = []
    monkeypatch.setenv(jobs.SEND_IGNORED, "0")
    monkeypatch.setattr(
        client, "submit_job", lambda *_, **__: seen.append(os.environ[jobs.SEND_IGNORED])
    )
    jobs.Jobs("http://h:8265").submit("name", ["true"], {})
    assert seen == ["1"]


def test_a_shared_folder_is_named_and_nothing_sent(study):
    made = request(study / "cohort.yaml", (), shared=True)
    assert made["environment"] == {}
    assert made["command"][-1] == str(study / "cohort.yaml")


@pytest.mark.parametrize("what", ["output", "path"])
def test_what_the_nodes_would_look_for_in_the_copy_is_refused(study, what):
    if what == "path":
        write_manifest(study, [("a", "t0", "p", "a.nii")])
    settings = ("output=run",) if what == "output" else (f"output={study.parent}/run",)
    with pytest.raises(ConfigError, match=rf"{what} (run|a\.nii).*--shared"):
        request(study / "cohort.yaml", settings, shared=False)
    request(study / "cohort.yaml", settings, shared=True)


def test_a_manifest_beside_the_folder_that_is_sent_is_refused(study):
    (study / "scans.csv").rename(study.parent / "scans.csv")
    with pytest.raises(ConfigError, match=r"scans \.\./scans\.csv: only cohort.yaml"):
        request(study / "cohort.yaml", ("scans=../scans.csv",), shared=False)
    made = request(study / "cohort.yaml", (f"scans={study.parent}/scans.csv",), shared=False)
    assert _sent(made) == ["cohort.yaml"]


def test_a_configuration_of_any_encoding_that_is_read_is_handed_over(study):
    file = study / "cohort.yaml"
    file.write_bytes(file.read_text().encode("utf-16"))
    assert request(file, (), shared=False)["name"].startswith("somray-")


def test_the_same_job_has_the_same_name_and_another_has_not(study):
    names = [
        request(study / "cohort.yaml", settings, shared=False)["name"]
        for settings in ((), (), ("seed=1",))
    ]
    assert names[0] == names[1] != names[2]


class Client:
    """Ray's client with a memory instead of a cluster."""

    known: dict[str, str] = {}  # noqa: RUF012
    code = 3

    def __init__(self, address):
        if "nobody" in address:
            raise ConnectionError("Failed to connect to Ray at address")
        if "closed" in address:
            raise RuntimeError("Request failed with status code 401: Unauthorized")
        if "other" in address:
            raise RuntimeError("Jobs of version 1 are asked for\n.\n")

    def list_jobs(self):
        rows = [type("Job", (), {"submission_id": k, "status": v}) for k, v in self.known.items()]
        return [type("Driver", (), {"submission_id": None, "status": "RUNNING"}), *rows]

    def submit_job(self, entrypoint, submission_id, runtime_env):
        self.known[submission_id] = jobs.JobStatus.RUNNING

    def get_job_status(self, name):
        return self.known[name]

    async def tail_job_logs(self, name):
        yield "somray 1 min: ingest 1/2\n"
        self.known[name] = jobs.JobStatus.SUCCEEDED if self.code == 0 else jobs.JobStatus.FAILED

    def get_job_info(self, name):
        return type("Info", (), {"status": self.known[name], "driver_exit_code": self.code})


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setattr(jobs, "JobSubmissionClient", Client)
    monkeypatch.setattr(Client, "known", {})
    return Client


@pytest.mark.parametrize(("code", "ours"), [(0, 0), (2, 2), (3, 3), (4, 4), (1, 4), (None, 4)])
def test_the_end_of_the_job_is_the_end_of_the_command(
    study, client, monkeypatch, capsys, code, ours
):
    monkeypatch.setattr(Client, "code", code)
    words = ["submit", str(study / "cohort.yaml"), "--address", "http://h:8265", "--json"]
    assert main(words) == ours
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["state"] == ("FAILED" if code != 0 else "SUCCEEDED")
    assert found["command"] in err
    assert "ingest 1/2" in err


def test_a_job_that_is_under_way_is_not_started_twice(study, client, capsys):
    words = ["submit", str(study / "cohort.yaml"), "--address", "http://h:8265", "--no-follow"]
    assert main(words) == main(words) == 0
    assert len(client.known) == 1
    assert "under way already" in capsys.readouterr().err
    client.known.update(dict.fromkeys(client.known, jobs.JobStatus.STOPPED))
    assert main(words) == 0
    assert len(client.known) == 2


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("nobody", "dashboard"),
        ("closed", "RAY_AUTH_TOKEN"),
        ("other", "8265: Jobs of version 1 are"),
    ],
)
def test_a_cluster_that_does_not_take_it_is_exit_4_with_advice(study, client, capsys, host, words):
    where = f"http://{host}:8265"
    assert main(["submit", str(study / "cohort.yaml"), "--address", where]) == 4
    told = capsys.readouterr().err
    assert words in told
    assert "Traceback" not in told


def test_a_proxy_that_stands_between_is_told(study, client, monkeypatch, capsys):
    words = ["submit", str(study / "cohort.yaml"), "--address", "http://nobody:8265"]
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", "http://name:secret@proxy:3128")
    assert main(words) == 4
    told = capsys.readouterr().err
    assert "export no_proxy=nobody" in told
    assert "secret" not in told
    monkeypatch.setenv("no_proxy", "nobody")
    assert main(words) == 4
    assert "no_proxy" not in capsys.readouterr().err
