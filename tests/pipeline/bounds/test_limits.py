"""How long a unit may take: never less than asked for, and in step with its work."""

from somray.domain.work import Needs, Unit
from somray.pipeline.bounds.limits import PATIENCE, limits
from somray.pipeline.stages import STAGES


def _unit(work, cpus=1.0):
    return Unit("register", "u", "p", "d", None, Needs(cpus=cpus), work=work)


def test_small_units_have_what_was_asked_for_and_large_ones_more():
    limit = limits(60)
    assert limit(_unit(10)) == 3600
    assert limit(_unit(10_000)) == PATIENCE * STAGES["register"].seconds * 10_000


def test_who_waits_for_others_has_no_limit():
    assert limits(60)(_unit(10, cpus=0.0)) is None


def test_no_limits_where_none_are_wanted():
    assert limits(None)(_unit(10)) is None
