"""What a worker's death says of its unit, from the errors that Ray really raised."""

import pytest
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    NodeDiedError,
    OutOfMemoryError,
    WorkerCrashedError,
)

from somray.runtime.on_ray import deaths
from somray.runtime.on_ray.deaths import Tries, cause_of


class ToldError(ActorDiedError):
    """An actor's death in the words of Ray's head."""

    def __init__(self, words, preempted=False):
        super().__init__()
        self.words, self._preempted = words, preempted

    def __str__(self):
        return self.words


NODE = ToldError("The actor died because its node has died. Node Id: 7bd1\n\tterminated: SIGTERM")
ALONE = ToldError(
    "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR"
)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (NodeDiedError("gone"), "node"),
        (ActorUnavailableError("socket closed", b"\0" * 16), "node"),
        (NODE, "node"),
        (ToldError("no words", preempted=True), "node"),
        (ALONE, "worker"),
        (WorkerCrashedError(), "worker"),
        (OutOfMemoryError("too much"), "memory"),
    ],
)
def test_a_death_is_the_nodes_or_the_workers(error, cause):
    assert cause_of(error, 1.0, 60.0) == cause


def test_who_dies_alone_after_the_limit_was_ended_for_it():
    assert cause_of(WorkerCrashedError(), 61.0, 60.0) == "time"
    assert cause_of(ALONE, 61.0, 60.0) == "time"
    assert cause_of(WorkerCrashedError(), 61.0, None) == "worker"
    assert cause_of(NodeDiedError("gone"), 61.0, 60.0) == "node"


def _after(*causes, most=3):
    tries = Tries(most)
    for cause in causes:
        assert tries.verdict(60.0) is None
        tries.count(cause, WorkerCrashedError())
    return tries


def test_lost_nodes_are_no_attempts_and_are_waited_out():
    tries = _after(*["node"] * 5)
    assert (tries.number, tries.verdict(60.0)) == (1, None)
    pauses = [_after(*["node"] * n).pause for n in range(1, 10)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == deaths.LONGEST_PAUSE


@pytest.mark.parametrize(
    ("causes", "code", "words"),
    [
        (["worker"] * 3, "worker_died", "died 3 times"),
        (["node", "worker", "memory", "node", "worker"], "worker_died", "died 3 times"),
        (["time"] * 2, "timed_out", "longer than 1 minutes"),
        (["node"] * deaths.MOST_NODES, "worker_died", "node was lost"),
    ],
)
def test_a_unit_that_ends_its_workers_is_found(causes, code, words):
    found = _after(*causes).verdict(60.0)
    assert found[0] == code
    assert words in found[1]


def test_a_cluster_that_loses_many_nodes_is_to_blame_itself():
    tries = _after(*["node"] * deaths.MOST_NODES)
    assert tries.verdict(60.0, 2 * deaths.MOST_NODES) is not None  # half of them were its own
    assert tries.verdict(60.0, 2 * deaths.MOST_NODES + 1) is None
    tries.nodes = deaths.UTMOST_NODES
    assert tries.verdict(60.0, 1000) is not None
