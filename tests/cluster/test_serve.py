"""The service's cluster files: valid by Ray Serve's own schema and KubeRay's, and closed to all who have no token."""

import importlib.util
import json
import subprocess
import sys

import jsonschema
import pytest
import yaml

from jobs.serve_run import app
from somray.errors import ConfigError
from tests.cluster.cluster_files import ROOT, read_yaml

SCHEMA = """
import json, sys, warnings
warnings.simplefilter("ignore")
from ray.serve.schema import ServeDeploySchema
ServeDeploySchema.model_validate(json.load(sys.stdin))
"""


@pytest.fixture(scope="module")
def config():
    return read_yaml("serve/serve.yaml")


@pytest.fixture(scope="module")
def service():
    return read_yaml("kuberay/rayservice.yaml")


def judged(config):
    """Let Ray Serve judge a configuration, in a process of its own: it is heavy, and warns."""
    return subprocess.run(
        [sys.executable, "-c", SCHEMA],
        input=json.dumps(config),
        capture_output=True,
        text=True,
        check=False,
    ).returncode


def test_the_configuration_is_valid_for_ray_serve(config):
    assert judged(config) == 0
    wrong = {**config["applications"][0], "deployments": [{"name": "answers", "num_replicas": -1}]}
    assert judged({**config, "applications": [wrong]}) != 0


def test_kuberay_runs_the_same_configuration(config, service):
    assert yaml.safe_load(service["spec"]["serveConfigV2"]) == config


def test_the_cluster_of_the_service_is_valid_for_kuberay(service, real_data):
    """The custom resource of RayService is not at hand; that of RayCluster describes the part that it shares."""
    from tests.cluster.test_kuberay import closed

    file = real_data.parent / "schemas/kuberay/ray.io_rayclusters.yaml"
    if not file.is_file():
        pytest.skip("no schemas/kuberay beside SOMRAY_TEST_DATA")
    resource = yaml.load(file.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    version = next(v for v in resource["spec"]["versions"] if v["name"] == "v1")
    schema = closed(version["schema"]["openAPIV3Schema"]["properties"]["spec"])
    judge = jsonschema.Draft7Validator(schema)
    cluster = service["spec"]["rayClusterConfig"]
    assert [e.message for e in judge.iter_errors(cluster)] == []
    assert not judge.is_valid({**cluster, "rayVersions": "2"})
    assert service["apiVersion"] == "ray.io/v1"
    assert set(service["spec"]) == {
        "serveConfigV2", "rayClusterConfig", "excludeHeadPodFromServeSvc",
    }  # fmt: skip


def test_pods_have_no_rights_that_they_do_not_need(service):
    cluster = service["spec"]["rayClusterConfig"]
    assert cluster["authOptions"] == {"mode": "token", "secretName": "somray-token"}
    assert cluster["headGroupSpec"]["serviceType"] == "ClusterIP"
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        container = pod["containers"][0]
        context = container["securityContext"]
        assert not context["allowPrivilegeEscalation"]
        assert context["readOnlyRootFilesystem"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
        assert mounts["data"]["readOnly"]
        assert container["readinessProbe"]["httpGet"]["path"] == "/api/healthz"
        given = {e["name"]: e for e in container["env"]}
        assert "valueFrom" in given["SOMRAY_SERVE_TOKEN"]
        assert given["RAY_SERVE_ENABLE_HA_PROXY"]["value"] == "1"


def test_replicas_fit_the_workers(config, service):
    group = service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
    cpus = int(group["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"])
    asked = [
        one["num_replicas"] * one["ray_actor_options"]["num_cpus"]
        for application in config["applications"]
        for one in application["deployments"]
    ]
    assert sum(asked) <= cpus * group["replicas"]
    for application in config["applications"]:
        args, options = application["args"], application["deployments"][0]["ray_actor_options"]
        assert args.get("threads", 0) == options["num_cpus"]


def test_every_application_is_made_by_what_is_there(config):
    for application in config["applications"]:
        module, _, name = application["import_path"].partition(":")
        assert importlib.util.find_spec(module) is not None
        assert name == "app"
    names = {a["name"]: a["route_prefix"] for a in config["applications"]}
    assert names["somray"] == "/"
    assert names["somray-chest-ct"] == "/v1/protocols/chest-ct"
    assert (ROOT / "jobs/serve_run.py").is_file()


@pytest.mark.parametrize("args", [{}, {"run": "x", "protocl": "p"}])
def test_arguments_that_nobody_knows_are_refused(args):
    with pytest.raises(ConfigError, match="args"):
        app(args)
