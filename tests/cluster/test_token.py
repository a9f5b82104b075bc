"""A real head that asks for a token: `ray job submit` with it runs, without it or with another nothing does."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.ray
RAY = Path(sys.executable).parent / "ray"
TOKEN = "0123456789abcdef" * 4  # of this test's own head


def free_ports(count):
    """Return ports that were free just now."""
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def environment(token):
    """Return an environment with that token, and no other to be found."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    known = {} if token is None else {"RAY_AUTH_TOKEN": token}
    return {**kept, "RAY_AUTH_MODE": "token", "HOME": "/nonexistent", **known}


def start_head(folder):
    """Start a head in a folder and on ports of its own; return it and its dashboard's address."""
    names = ("port", "dashboard-port", "dashboard-agent-listen-port", "node-manager-port",
             "object-manager-port", "metrics-export-port", "ray-client-server-port")  # fmt: skip
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    head = subprocess.Popen(
        [RAY, "start", "--head", "--block", f"--temp-dir={folder}/r", "--num-cpus=1",
         "--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", "--disable-usage-stats",
         "--object-store-memory=100000000", *(f"--{name}={port}" for name, port in ports.items())],
        env={**environment(TOKEN), "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    return head, f"http://127.0.0.1:{ports['dashboard-port']}"


@pytest.fixture(scope="module")
def dashboard():
    """Hold a head; end exactly that one. Ray allows itself 30 s to start, which a busy machine exceeds."""
    for _ in range(3):
        with tempfile.TemporaryDirectory(prefix="sr-", dir="/tmp") as folder:
            head, address = start_head(folder)
            try:
                while head.poll() is None and ask(f"{address}/api/gcs_healthz", None) != 200:
                    time.sleep(0.2)
                if head.poll() is None:
                    yield address
                    return
            finally:
                head.send_signal(signal.SIGTERM)
                said, _ = head.communicate(timeout=60)
    pytest.fail(said)


def ask(url, token, body=None):
    """Return the status of an answer, 0 where there is none."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    data = None if body is None else json.dumps(body).encode()
    try:
        request = urllib.request.Request(url, data, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def submit(dashboard, token):
    return subprocess.run(
        [RAY, "job", "submit", "--address", dashboard, "--",
         "python", "-c", "print('the', 'job ran')"],
        env=environment(token), capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def test_a_job_with_the_token_runs(dashboard):
    done = submit(dashboard, TOKEN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the job ran" in done.stdout + done.stderr


def test_a_job_without_the_token_is_refused(dashboard):
    done = submit(dashboard, None)
    assert done.returncode != 0
    assert "the job ran" not in done.stdout + done.stderr
    assert "token" in (done.stdout + done.stderr).lower()


@pytest.mark.parametrize(("token", "status"), [(None, 401), (TOKEN[::-1], 403)])
def test_the_jobs_api_itself_refuses(dashboard, token, status):
    body = {"entrypoint": "true"}
    assert ask(f"{dashboard}/api/jobs/", token, body) == status
    assert ask(f"{dashboard}/api/jobs/", token) == status
    assert ask(f"{dashboard}/api/jobs/", TOKEN) == 200
