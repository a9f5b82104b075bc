"""What holds for every file of cluster/: no secret, no registry's address, nobody else's Ray ended, nothing open."""

import re

import pytest

from tests.cluster.cluster_files import CLUSTER, FILES, ROOT

SECRETS = re.compile(
    r"AKIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY|xox[baprs]-|gh[pousr]_\w{20}|AIza[\w-]{30}"
    r"|(?i:password|passwd|secret_?(access_?)?key|auth_token)\s*[:=]\s*[\"']?[A-Za-z0-9+/]{8,}"
)
HOSTS = re.compile(
    r"(docker|quay|ghcr|nvcr|gcr|pkg\.dev|amazonaws|pypi|debian|conda)\.(io|com|org|dev)|index-url"
)
NAMED = [str(f.relative_to(ROOT)) for f in FILES]


@pytest.mark.parametrize("file", FILES, ids=NAMED)
def test_a_file_holds_no_secret_and_no_registrys_address(file):
    text = file.read_text()
    assert SECRETS.search(text) is None
    assert HOSTS.search(text) is None


@pytest.mark.parametrize(
    "planted", ["auth_token: aGVsbG8gd29ybGQ", "AKIAABCDEFGHIJKLMNOP", "password=hunter2hunter2"]
)
def test_a_planted_secret_is_found(planted):
    assert SECRETS.search(f"a: 1\n{planted}\n")


@pytest.mark.parametrize("file", FILES, ids=NAMED)
def test_no_command_ends_the_ray_of_others(file):
    """On a machine of one's own, made by `ray up`, there are no others."""
    if file.parent.name == "ray_up":
        return
    commands = [line.split("#")[0] for line in file.read_text().splitlines()]
    if file.suffix == ".md":
        commands = [line for line in commands if not line.startswith("|")]  # told as what not to do
    assert [
        line for line in commands if re.search(r"^\s*ray stop|&& ray stop|; ray stop", line)
    ] == []
    assert [
        line for line in commands if re.search(r"killall|pkill(?! -TERM -f 'ray start')", line)
    ] == []


@pytest.mark.parametrize("file", FILES, ids=NAMED)
def test_a_dashboard_listens_on_loopback_but_for_kuberays_operator(file):
    hosts = re.findall(r"dashboard-host[=:]\s*\"?([0-9.]+)", file.read_text())
    assert set(hosts) <= ({"0.0.0.0"} if file.parent.name == "kuberay" else {"127.0.0.1"})


def test_every_way_to_a_cluster_asks_for_the_token():
    for name in (
        "slurm/somray.sbatch",
        "ray_up/aws.yaml",
        "ray_up/gcp.yaml",
        "images/Dockerfile",
        "images/somray.def",
    ):
        assert "RAY_AUTH_MODE=token" in (CLUSTER / name).read_text(), name
    for name in ("rayjob", "raycluster"):
        assert "mode: token" in (CLUSTER / f"kuberay/{name}.yaml").read_text()


def test_the_readme_names_files_that_exist():
    named = re.findall(r"\bcluster/[\w./-]+\w", (CLUSTER / "README.md").read_text())
    assert len(set(named)) > 8
    assert [name for name in named if not (ROOT / name).exists()] == []
    links = re.findall(r"\]\(([^)#:]+)\)", (CLUSTER / "README.md").read_text())
    assert [link for link in links if not (CLUSTER / link).exists()] == []


def test_the_readme_leaves_out_no_definition():
    text = (CLUSTER / "README.md").read_text()
    apart = {"README.md", "Dockerfile.dockerignore", "cloud.txt"}
    assert [f.name for f in FILES if f.name not in apart and f.name not in text] == []
