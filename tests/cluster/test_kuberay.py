"""The KubeRay manifests: valid by the custom resources' own schema, and closed to all who have no token."""

import jsonschema
import pytest
import yaml

from tests.cluster.cluster_files import read_yaml

KINDS = {"rayjob": "rayjobs", "raycluster": "rayclusters"}


def closed(schema):
    """Refuse keys that a schema does not know, as Kubernetes' API server does with strict validation."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(part) for key, part in schema.items()}
    is_open = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(schema.get("properties"), dict) and not is_open:
        found["additionalProperties"] = False
    return found


@pytest.fixture(scope="module")
def schemas(real_data):
    folder = real_data.parent / "schemas" / "kuberay"
    if not folder.is_dir():
        pytest.skip("no schemas/kuberay beside SOMRAY_TEST_DATA")
    found = {}
    for name, plural in KINDS.items():
        resource = yaml.load(  # the pure Python loader takes ten seconds
            (folder / f"ray.io_{plural}.yaml").read_text(),
            getattr(yaml, "CSafeLoader", yaml.SafeLoader),
        )
        version = next(v for v in resource["spec"]["versions"] if v["name"] == "v1")
        schema = closed(version["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"type": "object"}  # Kubernetes' own, not the resource's
        found[name] = jsonschema.Draft7Validator(schema)
    return found


@pytest.mark.parametrize("name", KINDS)
def test_a_manifest_is_valid_and_knows_no_foreign_key(schemas, name):
    manifest = read_yaml(f"kuberay/{name}.yaml")
    assert manifest["apiVersion"] == "ray.io/v1"
    assert [e.message for e in schemas[name].iter_errors(manifest)] == []
    manifest["spec"]["backOffLimits"] = 3
    assert not schemas[name].is_valid(manifest)


def cluster(name):
    spec = read_yaml(f"kuberay/{name}.yaml")["spec"]
    return spec.get("rayClusterSpec", spec)


def pods(name):
    spec = read_yaml(f"kuberay/{name}.yaml")["spec"]
    inner = spec.get("rayClusterSpec", spec)
    groups = [inner["headGroupSpec"], *inner["workerGroupSpecs"]]
    submitter = [spec["submitterPodTemplate"]] if "submitterPodTemplate" in spec else []
    return [group["template"]["spec"] for group in groups] + [pod["spec"] for pod in submitter]


def test_the_job_runs_on_the_cluster_that_stands_in_the_other_file():
    assert cluster("rayjob") == cluster("raycluster")


@pytest.mark.parametrize("name", KINDS)
def test_a_pod_has_no_rights_that_it_does_not_need(name):
    for pod in pods(name):
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] > 0
        for container in pod["containers"]:
            context = container["securityContext"]
            assert not context["allowPrivilegeEscalation"]
            assert context["readOnlyRootFilesystem"]
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}
            writable = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert "/tmp" in writable
            assert container["resources"]["limits"] == container["resources"]["requests"]
    assert cluster(name)["autoscalerOptions"]["securityContext"]["readOnlyRootFilesystem"]


@pytest.mark.parametrize("name", KINDS)
def test_ray_pods_are_probed_and_told_before_they_go(name):
    spec = cluster(name)
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        container = group["template"]["spec"]["containers"][0]
        assert container["readinessProbe"]["httpGet"]["path"] == "/api/healthz"
        assert container["livenessProbe"]["httpGet"]["path"] == "/api/healthz"
        assert container["lifecycle"]["preStop"]
        assert (
            container["image"]
            == spec["headGroupSpec"]["template"]["spec"]["containers"][0]["image"]
        )
        drained = next(
            e for e in container["env"] if e["name"] == "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"
        )
        assert int(drained["value"]) < group["template"]["spec"]["terminationGracePeriodSeconds"]


def test_the_head_takes_no_unit_and_workers_come_from_none():
    spec = cluster("raycluster")
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert spec["enableInTreeAutoscaling"]
    assert [group["minReplicas"] for group in spec["workerGroupSpecs"]] == [0, 0]
    gpus = [
        group["template"]["spec"]["containers"][0]["resources"]["limits"].get("nvidia.com/gpu")
        for group in spec["workerGroupSpecs"]
    ]
    assert gpus == [None, "1"]


def test_nobody_gets_in_without_the_token():
    spec = cluster("raycluster")
    assert spec["authOptions"] == {"mode": "token", "secretName": "somray-token"}
    assert spec["headGroupSpec"]["serviceType"] == "ClusterIP"
    assert "enableIngress" not in spec["headGroupSpec"]


def test_a_job_is_tried_again_and_leaves_nothing_running():
    spec = read_yaml("kuberay/rayjob.yaml")["spec"]
    assert spec["backoffLimit"] > 0
    assert spec["shutdownAfterJobFinishes"]
    assert spec["ttlSecondsAfterFinished"] > 0
    stopping = {e["name"]: e.get("value") for e in pods("rayjob")[0]["containers"][0]["env"]}
    assert int(stopping["RAY_JOB_STOP_WAIT_TIME_S"]) >= 30
