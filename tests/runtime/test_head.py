"""A cluster that cannot be joined is told in one sentence before Ray waits for it."""

import json
import platform
import re

import pytest
import ray

from somray.errors import PlanError
from somray.runtime.on_ray import head
from somray.runtime.on_ray.head import check_head

SAME = {"ray_version": ray.__version__, "python_version": platform.python_version()}


class Node:
    """Stands for an identity of Ray's."""

    def __init__(self, name):
        self.name = name

    def hex(self):
        return self.name


@pytest.fixture
def cluster(monkeypatch):
    """Return a function that sets what the head tells, and which nodes live there and here."""

    def told(metadata=SAME, there=("a", "b"), here=("b",), error=None):
        class Head:
            def __init__(self, address):
                if error is not None:
                    raise error

            def internal_kv_get(self, *_, **__):
                return json.dumps(metadata).encode()

            def get_all_node_info(self, **_):
                return {Node(name): object() for name in there}

        monkeypatch.setattr(head, "GcsClient", Head)
        monkeypatch.setattr(head.services, "find_node_ids", lambda: set(here))
        monkeypatch.setattr(head, "NODE_SECONDS", 0.0)

    return told


def test_a_cluster_of_ours_with_a_node_here_is_joined(cluster):
    cluster()
    check_head("10.0.0.1:6379")


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"metadata": SAME | {"ray_version": "2.9.3"}}, "has Ray 2.9.3 and Python .* must be the same"),
        ({"metadata": SAME | {"python_version": "3.9.1"}}, "Python 3.9.1, here are Ray"),
        ({"there": ()}, "a head, but no living node"),
        ({"here": ("c",)}, "this machine is no node .*somray submit"),
        ({"error": ray.exceptions.RayError("RPC error:\n Method not found!")}, r"\(RPC error: Method not found!\)"),
        ({"error": RuntimeError("status 16: InvalidAuthToken")}, "refuses the token"),
    ],
)  # fmt: skip
def test_what_cannot_be_joined_is_told_in_one_sentence(cluster, what, words):
    cluster(**what)
    with pytest.raises(PlanError, match=words) as found:
        check_head("10.0.0.1:6379")
    assert re.search(r"at 10\.0\.0\.1:6379", str(found.value))
    assert "\n" not in str(found.value)
