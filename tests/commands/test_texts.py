"""What people are told at the end of a run."""

from somray.commands.texts import MOST_FAILURES, failure_lines


def _failure(number, stage="truth"):
    row = {"stage": stage, "subject": f"s{number}", "session": "t0", "protocol": "p"}
    return {**row, "code": "missing", "message": "does not exist"}


def test_a_reason_of_several_units_is_told_once():
    told = list(failure_lines([_failure(1), _failure(1), _failure(1, "ingest")]))
    assert told[:2] == [
        f"  {stage} s1 t0: missing: does not exist" for stage in ("truth", "ingest")
    ]
    assert told[2] == "what to do:"
    many = list(failure_lines([_failure(n) for n in range(MOST_FAILURES + 2)] * 2))
    assert many[MOST_FAILURES] == "  and 2 more in table `failures`"
