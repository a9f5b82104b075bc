"""A training's state as bytes: plain arrays and JSON in one npz, without a pickle.

What is read is what was written, to the last bit: floats of rows pass through JSON's shortest exact form, arrays
through numpy's own. Arrays go by owner and name, `owner/name`; owners may hold slashes, names do not.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.errors import StoreError
from somray.kernels.student.training.fit_state import FitState

__all__ = ["fit_packed", "fit_unpacked", "packed", "unpacked"]

FACTS = "facts"
FIT_ARRAYS = "weights", "averaged", "first", "second"
FIT_FACTS = "epoch", "step", "done", "rows"

Arrays = Mapping[str, NDArray[np.generic]]
Facts = dict[str, Any]  # Any: JSON


def packed(facts: Mapping[str, Any], owners: Mapping[str, Arrays]) -> bytes:
    """Write facts (JSON) and arrays by owner and name."""
    arrays = {f"{owner}/{name}": a for owner, held in owners.items() for name, a in held.items()}
    held = io.BytesIO()
    np.savez(held, **{FACTS: np.array(json.dumps(facts))}, **arrays)  # type: ignore[arg-type]
    return held.getvalue()


def unpacked(data: bytes) -> tuple[Facts, dict[str, dict[str, NDArray[np.generic]]]]:
    """Read what `packed` wrote; an owner without arrays is not found again.

    Raises:
        StoreError: the bytes are nothing of the kind.
    """
    owners: dict[str, dict[str, NDArray[np.generic]]] = {}
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            facts: Facts = json.loads(str(found[FACTS]))
            for key in found.files:
                owner, _, name = key.rpartition("/")
                if owner:
                    owners.setdefault(owner, {})[name] = found[key]
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise StoreError(
            f"the state of a training cannot be read ({error}); remove it to train from the start"
        ) from error
    return facts, owners


def fit_packed(fit: FitState, prefix: str = "") -> tuple[Facts, dict[str, Arrays]]:
    """Part a training's state into facts and arrays by owner."""
    facts = {name: getattr(fit, name) for name in FIT_FACTS}
    return facts, {f"{prefix}{owner}": getattr(fit, owner) for owner in FIT_ARRAYS}


def fit_unpacked(
    facts: Mapping[str, Any], owners: Mapping[str, dict[str, NDArray[np.generic]]], prefix: str = ""
) -> FitState:
    """Join what `fit_packed` parted."""
    arrays = {owner: owners.get(f"{prefix}{owner}", {}) for owner in FIT_ARRAYS}
    return FitState(**{**facts, "rows": tuple(facts["rows"]), **arrays})
