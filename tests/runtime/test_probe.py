"""A probe of every node tells plain facts, and whether a folder is seen from there."""

import json

import pytest
import ray

from somray.runtime.meeting import Meeting
from somray.runtime.on_ray.probe import probe_nodes

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_every_node_answers_with_facts_and_meets_where_it_can(cluster, tmp_path):
    meeting = Meeting.call(str(tmp_path / "not/yet/there"))
    found = probe_nodes([meeting.folder, str(tmp_path / "nowhere")])
    nodes = [node["NodeID"] for node in ray.nodes()]
    assert [one["node"] for one in found] == nodes
    (one,) = found
    assert "error" not in one
    assert one["offers"]["CPU"] == 3
    assert one["skew_seconds"] < 1
    assert one["meetings"][meeting.folder]["sees"]
    assert not one["meetings"][str(tmp_path / "nowhere")]["sees"]
    assert meeting.seen(nodes) == set(nodes)
    json.dumps(one)
    meeting.end()
    assert list(tmp_path.iterdir()) == []
