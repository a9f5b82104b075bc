"""One Ray node or three: the same codebook and class maps, bit for bit, with the fit spread over them."""

import os
from contextlib import contextmanager

import pytest
import ray
from ray.cluster_utils import Cluster

import somray
from somray.runtime.ray_executor import RayExecutor
from tests.cohort_fixtures import run_in
from tests.pipeline.same import differences

pytestmark = [
    pytest.mark.ray,
    # Ray's own start-up code leaves files open and warns of its future defaults.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
PROTOCOL = "protocols.phantom-ct"
SETTINGS = (
    f"{PROTOCOL}.segment=som",
    f"{PROTOCOL}.registration.pairs=[]",
    f"{PROTOCOL}.teacher.reference=cohort",
    f"{PROTOCOL}.teacher.epochs=4",
)
MEMORY = 6 * 2**30  # what a node offers to tasks; nothing is reserved


@contextmanager
def nodes(count):
    os.environ["RAY_AUTH_MODE"] = "disabled"
    args = {"num_cpus": 1, "memory": MEMORY, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**args, "include_dashboard": False})
    try:
        for _ in range(count - 1):
            cluster.add_node(**args)
        ray.init(address=cluster.address, log_to_driver=False)
        yield
    finally:
        ray.shutdown()
        cluster.shutdown()


def test_one_node_and_three_give_the_same_bits(cohort_folder, tmp_path):
    seen = {}
    for count in (1, 3):
        with nodes(count):
            place = tmp_path / f"run{count}"
            summary = run_in(cohort_folder, f"output={place}", *SETTINGS, executor=RayExecutor())
            assert summary["broken"] == 0
            seen[count] = len(ray.nodes())
    assert seen == {1: 1, 3: 3}
    serial = tmp_path / "serial"
    run_in(cohort_folder, f"output={serial}", *SETTINGS)
    assert somray.open_run(serial).teacher("phantom-ct").codebook.epochs_run == 4
    for count in (1, 3):
        assert differences(serial, tmp_path / f"run{count}") == []
