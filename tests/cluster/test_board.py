"""The Grafana board asks for metrics that exist."""

import json
import re
from pathlib import Path

from ray.dashboard.modules.metrics.dashboards import default_dashboard_panels

from somray.runtime import on_ray
from tests.cluster.cluster_files import CLUSTER

AGREED = {"somray_units", "somray_unit_seconds", "somray_units_under_way", "somray_worker_deaths"}
OF_RAY = re.compile(r"ray_node_[a-z_]+")
SUFFIX = re.compile(r"_(total|bucket|sum|count)$")


def queries():
    board = json.loads((CLUSTER / "grafana/somray.json").read_text())
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def exported():
    """Return the names in the module that exports them, those agreed on where there is none yet."""
    file = Path(on_ray.__file__).with_name("metrics.py")
    return set(re.findall(r'"(somray_[a-z_]+)"', file.read_text())) if file.exists() else AGREED


def test_every_metric_of_ours_is_drawn_and_exported():
    asked = {
        SUFFIX.sub("", name) for q in queries() for name in re.findall(r"ray_(somray_[a-z_]+)", q)
    }
    assert asked == exported()


def test_the_others_are_those_of_rays_own_board():
    known = set(OF_RAY.findall(Path(default_dashboard_panels.__file__).read_text()))
    asked = {name for q in queries() for name in OF_RAY.findall(q)}
    assert len(asked) > 5
    assert asked <= known


def test_panels_have_numbers_titles_and_places_of_their_own():
    board = json.loads((CLUSTER / "grafana/somray.json").read_text())
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert len({panel["title"] for panel in board["panels"]}) == len(board["panels"])
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]}
    assert len(places) == len(board["panels"])
