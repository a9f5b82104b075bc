"""A training's state as bytes: plain arrays and JSON in one npz, without a pickle.

What is read is what was written, to the last bit: floats of rows pass through JSON's shortest exact
form, arrays through numpy's own.
"""

import io
import json
import zipfile
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.errors import StoreError
from somray.kernels.student.rounds.spec import RoundState
from somray.kernels.student.training.fit_state import FitState

__all__ = ["state_from_bytes", "state_to_bytes"]

FACTS = "facts"
ROUND_ARRAYS = "student", "control"
FIT_ARRAYS = "weights", "averaged", "first", "second"

Arrays = dict[str, NDArray[np.generic]]


def state_to_bytes(state: RoundState) -> bytes:
    """Write a state."""
    facts, arrays = _split(state, ROUND_ARRAYS, "")
    facts["fits"] = []
    for number, fit in enumerate(state.fits):
        found, more = _split(fit, FIT_ARRAYS, f"fits/{number}/")
        facts["fits"].append(found)
        arrays |= more
    held = io.BytesIO()
    np.savez(held, **{FACTS: np.array(json.dumps(facts))}, **arrays)  # type: ignore[arg-type]
    return held.getvalue()


def state_from_bytes(data: bytes) -> RoundState:
    """Read a state that `state_to_bytes` wrote.

    Raises:
        StoreError: the bytes are no such state.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            arrays: Arrays = {key: found[key] for key in found.files if key != FACTS}
            facts = json.loads(str(found[FACTS]))
        facts["collapsed"] = tuple(facts["collapsed"])
        facts["fits"] = tuple(
            _fit(held, arrays, number) for number, held in enumerate(facts["fits"])
        )
        return RoundState(**{**facts, **_joined(arrays, ROUND_ARRAYS, "")})
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise StoreError(
            f"the state of a training cannot be read ({error}); remove it to train from the start"
        ) from error


def _fit(facts: dict[str, Any], arrays: Arrays, number: int) -> FitState:
    facts["rows"] = tuple(facts["rows"])
    return FitState(**{**facts, **_joined(arrays, FIT_ARRAYS, f"fits/{number}/")})


def _split(
    state: RoundState | FitState, owners: tuple[str, ...], prefix: str
) -> tuple[dict[str, Any], Arrays]:
    """Part a state into what JSON holds and its arrays by owner and parameter."""
    facts = {f.name: getattr(state, f.name) for f in fields(state) if f.name not in owners}
    facts.pop("fits", None)
    arrays = {
        f"{prefix}{owner}/{name}": array
        for owner in owners
        for name, array in getattr(state, owner).items()
    }
    return facts, arrays


def _joined(arrays: Arrays, owners: tuple[str, ...], prefix: str) -> dict[str, Arrays]:
    return {
        owner: {
            key.removeprefix(f"{prefix}{owner}/"): array
            for key, array in arrays.items()
            if key.startswith(f"{prefix}{owner}/")
        }
        for owner in owners
    }
