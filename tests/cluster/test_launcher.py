"""The files of `ray up`: valid by Ray's own schema, a head that stays, workers that come and go."""

import pytest
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.cluster.cluster_files import read_yaml

CLOUDS = ["aws", "gcp"]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_ray_takes_the_file(cloud):
    validate_config(prepare_config(read_yaml(f"ray_up/{cloud}.yaml")))


@pytest.mark.parametrize("cloud", CLOUDS)
def test_ray_refuses_a_misspelled_key(cloud):
    with pytest.raises(Exception, match="max_worker"):
        validate_config(prepare_config({**read_yaml(f"ray_up/{cloud}.yaml"), "max_worker": 3}))


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_head_exists_and_takes_no_unit(cloud):
    config = read_yaml(f"ray_up/{cloud}.yaml")
    head = config["available_node_types"][config["head_node_type"]]
    assert head["resources"] == {"CPU": 0}
    assert "--num-cpus=0" in config["head_start_ray_commands"][-1]


def is_spot(node):
    market = node.get("InstanceMarketOptions", {}).get("MarketType") == "spot"
    return market or {"preemptible": True} in node.get("scheduling", [])


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_head_is_on_demand_and_workers_are_spot_from_none(cloud):
    config = read_yaml(f"ray_up/{cloud}.yaml")
    types = dict(config["available_node_types"])
    assert not is_spot(types.pop(config["head_node_type"])["node_config"])
    assert sorted(types) == ["cpu", "gpu"]
    for kind in types.values():
        assert is_spot(kind["node_config"])
        assert kind["min_workers"] == 0 < kind["max_workers"]
    assert types["gpu"]["resources"]["GPU"] == 1
    assert config["max_workers"] == sum(kind["max_workers"] for kind in types.values())


@pytest.mark.parametrize("cloud", CLOUDS)
def test_nothing_of_rays_open_defaults_is_left(cloud):
    config = prepare_config(read_yaml(f"ray_up/{cloud}.yaml"))
    assert config["setup_commands"] == config["head_setup_commands"] == []
    assert "--dashboard-host=127.0.0.1" in config["head_start_ray_commands"][-1]
    assert "-e RAY_AUTH_MODE=token" in config["docker"]["run_options"]
    assert any(path.endswith(".ray/auth_token") for path in config["file_mounts"])
