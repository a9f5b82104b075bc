import json
from pathlib import Path

import pytest

from jobs.write_schemas import main, quality_gate, schemas
from somray.config import FEATURE_NAMES, FURTHER_FEATURES
from somray.errors import QUARANTINE_CODES, REMEDIES
from somray.kernels.features.table import FEATURE_TABLE, FEATURES

SCHEMAS = Path(__file__).parents[2] / "schemas"


@pytest.mark.parametrize("name", ["cohort.v1.json", "scans.v1.json", "tables.v1.json"])
def test_the_committed_schema_equals_the_code(name):
    assert json.loads((SCHEMAS / name).read_text()) == json.loads(json.dumps(schemas()[name]))


def test_the_job_writes_every_schema(tmp_path):
    assert main([str(tmp_path)]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(schemas())


def test_the_configuration_knows_exactly_the_features_that_exist():
    """It stands below kernels and cannot import them."""
    assert FEATURE_NAMES == FEATURES
    assert tuple(line.name for line in FEATURE_TABLE) == FEATURE_NAMES + FURTHER_FEATURES


def test_every_column_tells_its_meaning():
    for table in schemas()["tables.v1.json"]["tables"].values():
        assert all(column["meaning"] for column in table["columns"])


def test_every_code_says_what_to_do_and_the_page_equals_the_code():
    assert list(REMEDIES) == list(QUARANTINE_CODES)
    page = SCHEMAS.parent / "docs" / "quality-gate.md"
    assert page.read_text() == quality_gate()
