"""Where Ray is joined from; Ray itself is not started."""

import os
from pathlib import Path

import pytest
import ray

import somray
from somray.runtime.on_ray import session


def test_ray_is_joined_from_elsewhere_than_the_folder_of_a_persons_scripts(tmp_path, monkeypatch):
    joined = []
    monkeypatch.setattr(
        ray, "init", lambda *_, **__: joined.append((os.getcwd(), "PYTHONWARNINGS" in os.environ))
    )
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "-")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "token")
    monkeypatch.chdir(tmp_path)
    with session.ray_session():
        assert Path.cwd() == tmp_path
    ((place, is_swayed),) = joined
    assert not is_swayed
    assert os.environ["PYTHONWARNINGS"] == "error"
    assert place in ("/", str(Path(somray.__file__).parents[1]))
    assert os.environ["RAY_AUTH_TOKEN_PATH"] == str(tmp_path / "token")


def test_a_start_that_fails_leaves_the_working_directory(tmp_path, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "-")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(session.PlanError), session.ray_session():
        pass
    assert Path.cwd() == tmp_path
