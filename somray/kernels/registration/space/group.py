"""All sessions of a subject brought to the first: what pairs say together.

Every session is registered to the one before it and to the first, so that the pairs close loops. A pair that
closes a loop within tolerance is confirmed: that two wrong motions and a right one agree by chance does not
happen. A pair that closes none while it could is an outlier, and what it should have told is taken from the
others. Motions (4, 4) take LPS mm to LPS mm; pairs are keyed (fixed, moving), their matrices moving to fixed.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.kernels.registration.space.motions import apart_mm, is_rigid, nearest_rotation

__all__ = ["GroupMember", "GroupPair", "align_group", "bridging_pairs", "first_pairs"]

Matrix = NDArray[np.float64]
Points = NDArray[np.float64]
Key = tuple[int, int]
Steps = dict[Key, Matrix]  # (to, from): both directions of every pair

_STILL_MM = 1e-4  # from one sweep to the next …
_STILL = 1e-6  # … or so much of a session's extent, where that is less
_SWEEPS = 200
_FAR = 3.0  # tolerances: a contradiction beyond that leaves nothing to believe
_BRIDGES = 2  # more pairs for a session in doubt, at most


@dataclass(frozen=True, eq=False)
class GroupPair:
    """What one pair of sessions said.

    Args:
        matrix: (4, 4) moving to fixed in LPS mm; None when refused.
        status: ok, weak or refused.
    """

    matrix: Matrix | None
    status: str


@dataclass(frozen=True, eq=False)
class GroupMember:
    """One session in the group.

    Args:
        to_first: (4, 4) LPS mm of this session to the first; None when refused.
        status: ok, weak, repaired or refused.
        reason: why it is not ok.
        cycle_error_mm: how far its pairs disagree with each other around the loop that holds the first
            session and the one before; None where no such loop closes.
        drift_mm: how far the chain of consecutive pairs ends from `to_first`; None where it is broken.
    """

    to_first: Matrix | None
    status: str
    reason: str | None
    cycle_error_mm: float | None = None
    drift_mm: float | None = None


def first_pairs(sessions: int) -> list[Key]:
    """List the pairs that every group begins with: to the session before, and to the first."""
    chain = list(itertools.pairwise(range(sessions)))
    return chain + [(0, k) for k in range(2, sessions)]


def bridging_pairs(
    sessions: int, pairs: Mapping[Key, GroupPair], points: Sequence[Points], tolerance_mm: float
) -> list[Key]:
    """List further pairs that can decide what the first ones left in doubt.

    Args:
        sessions: how many.
        pairs: (fixed, moving) to what it said.
        points: (n, 3) LPS mm per session that disagreement is measured over: corners of its volume.
        tolerance_mm: up to which pairs agree.

    Returns:
        Keys not in `pairs`; empty where every session is confirmed or nothing more can be asked.
    """
    confirmed = _confirmed(_steps(pairs), points, tolerance_mm)
    sure = _reached(sessions, confirmed)
    wanted: list[Key] = []
    for k in range(1, sessions):
        if k in sure or sessions < 3:
            continue
        others = sorted((j for j in range(sessions) if j != k), key=lambda j: (abs(j - k), j))
        new = [(min(j, k), max(j, k)) for j in others]
        wanted += [key for key in new if key not in pairs and key not in wanted][:_BRIDGES]
    return wanted


def align_group(
    sessions: int, pairs: Mapping[Key, GroupPair], points: Sequence[Points], tolerance_mm: float
) -> list[GroupMember]:
    """Bring all sessions to the first.

    Args:
        sessions: how many, from 1.
        pairs: (fixed, moving) to what it said; at least `first_pairs`.
        points: (n, 3) LPS mm per session that disagreement is measured over: corners of its volume.
        tolerance_mm: up to which pairs agree.

    Returns:
        One member per session; the first lies where it lies.

    Each session hangs on the tree of confirmed pairs, ok before weak; then all pairs that agree with the
    tree settle together, each session where its pairs on average have it.
    """
    steps = _steps(pairs)
    confirmed = _confirmed(steps, points, tolerance_mm)
    tree = _tree(sessions, pairs, steps, confirmed)
    poses = {k: found for k, (found, _) in tree.items()}
    agreeing = {
        key: step
        for key, step in steps.items()
        if key[0] in poses and key[1] in poses
        and apart_mm(poses[key[0]] @ step, poses[key[1]], points[key[1]]) <= tolerance_mm
    }  # fmt: skip
    poses = _settled(poses, agreeing, points)
    members = [GroupMember(np.eye(4), "ok", None, None, 0.0 if sessions > 1 else None)]
    for k in range(1, sessions):
        verdict = _verdict(k, pairs, (tree, agreeing, confirmed), (points, tolerance_mm))
        members.append(
            GroupMember(
                None if verdict[0] == "refused" else poses[k],
                *verdict,
                _cycle(k, sessions, steps, points),
                _drift(k, steps, poses, points),
            )
        )
    return members


def _steps(pairs: Mapping[Key, GroupPair]) -> Steps:
    steps: Steps = {}
    for (fixed, moving), pair in sorted(pairs.items()):
        if pair.matrix is not None:
            steps[(fixed, moving)] = pair.matrix
            steps[(moving, fixed)] = np.asarray(np.linalg.inv(pair.matrix))
    return steps


def _loop(a: int, b: int, c: int, steps: Steps, points: Sequence[Points]) -> float | None:
    """Return how far a ← b ← c disagrees with a ← c, mean over points; None where a pair lacks."""
    if not {(a, b), (b, c), (a, c)} <= steps.keys():
        return None
    return apart_mm(steps[(a, b)] @ steps[(b, c)], steps[(a, c)], points[c])


def _confirmed(steps: Steps, points: Sequence[Points], tolerance_mm: float) -> Steps:
    """Keep the pairs that close at least one loop of three within tolerance."""
    kept: set[Key] = set()
    members = sorted({k for key in steps for k in key})
    for a, b, c in itertools.combinations(members, 3):
        error = _loop(a, b, c, steps, points)
        if error is not None and error <= tolerance_mm:
            kept |= {(a, b), (b, c), (a, c), (b, a), (c, b), (c, a)}
    return {key: step for key, step in steps.items() if key in kept}


def _reached(sessions: int, steps: Steps) -> set[int]:
    reached, front = {0}, [0]
    while front:
        k = front.pop()
        new = [j for j in range(sessions) if (k, j) in steps and j not in reached]
        reached |= set(new)
        front += new
    return reached


def _tree(
    sessions: int, pairs: Mapping[Key, GroupPair], steps: Steps, confirmed: Steps
) -> dict[int, tuple[Matrix, list[Key]]]:
    """Hang every session that can be reached on the first, by the path of the least doubt.

    Returns:
        Session to (its motion to the first, the pairs on its path).
    """

    def doubt(key: Key) -> int:
        pair = pairs[(min(key), max(key))]
        return (0 if key in confirmed else 100) + (10 if pair.status == "weak" else 0) + 1

    cost: dict[int, int] = {0: 0}
    found: dict[int, tuple[Matrix, list[Key]]] = {0: (np.eye(4), [])}
    open_ = {0}
    while open_:
        k = min(open_, key=lambda j: (cost[j], j))
        open_.remove(k)
        for j in range(sessions):
            if (k, j) in steps and cost[k] + doubt((k, j)) < cost.get(j, 1 << 30):
                cost[j] = cost[k] + doubt((k, j))
                found[j] = (found[k][0] @ steps[(k, j)], [*found[k][1], (k, j)])
                open_.add(j)
    return found


def _settled(poses: dict[int, Matrix], steps: Steps, points: Sequence[Points]) -> dict[int, Matrix]:
    """Move every session to the mean of where its pairs have it, until all stand still."""
    poses = dict(poses)
    extent = min(float(np.ptp(own, axis=0).max()) for own in points)
    still = min(_STILL_MM, _STILL * extent)
    for _ in range(_SWEEPS):
        moved = 0.0
        for k in sorted(poses):
            told = [poses[j] @ steps[(j, k)] for j in sorted(poses) if (j, k) in steps]
            if k == 0 or not told:
                continue
            mean = _mean(told)
            moved = max(moved, apart_mm(mean, poses[k], points[k]))
            poses[k] = mean
        if moved < still:
            break
    return poses


def _mean(motions: list[Matrix]) -> Matrix:
    """Average motions that nearly agree; rigid ones give a rigid one."""
    mean = np.asarray(np.mean(np.stack(motions), axis=0), dtype=np.float64)
    if all(is_rigid(m) for m in motions):
        mean[:3, :3] = nearest_rotation(mean[:3, :3])
    return mean


def _verdict(
    k: int,
    pairs: Mapping[Key, GroupPair],
    found: tuple[dict[int, tuple[Matrix, list[Key]]], Steps, Steps],
    measure: tuple[Sequence[Points], float],
) -> tuple[str, str | None]:
    """Return status and reason of one session."""
    tree, agreeing, confirmed = found
    if k not in tree:
        return "refused", "no registered pair leads to the first session"
    path = tree[k][1]
    against = [key for key in pairs if pairs[key].matrix is not None and key not in agreeing]
    doubted = [key for key in against if k in key]
    if doubted and any(key not in confirmed for key in path):
        points, tolerance = measure
        far = max(_apart(key, tree, pairs, points) for key in doubted)
        reason = f"pairs contradict each other by {far:.1f} mm and no third one decides"
        return ("refused" if far > _FAR * tolerance else "weak"), reason
    own = [key for key in dict.fromkeys([(k - 1, k), (0, k)]) if key in pairs]
    said = [f"{_name(key)} contradicts the other pairs" for key in own if key in against]
    if pairs[(k - 1, k)].matrix is None:
        said.append(f"{_name((k - 1, k))} was refused")
    if said:
        return "repaired", "; ".join(said) + ", taken from the other pairs"
    if pairs[own[-1]].matrix is None and any(key not in confirmed for key in path):
        return "weak", f"{_name(own[-1])} was refused, and no loop confirms the others"
    weak = [key for key in path if pairs[(min(key), max(key))].status == "weak"]
    if weak:
        return "weak", f"{_name(weak[0])} is weak"
    return "ok", None


def _apart(
    key: Key, tree: dict[int, tuple[Matrix, list[Key]]], pairs: Mapping[Key, GroupPair],
    points: Sequence[Points],
) -> float:  # fmt: skip
    """Return how far a pair disagrees with the tree, in mm."""
    matrix = pairs[key].matrix
    if matrix is None or key[0] not in tree:
        return np.inf
    return apart_mm(tree[key[0]][0] @ matrix, tree[key[1]][0], points[key[1]])


def _name(key: Key) -> str:
    return f"the pair of sessions {min(key) + 1} and {max(key) + 1}"


def _cycle(k: int, sessions: int, steps: Steps, points: Sequence[Points]) -> float | None:
    """Return the error of the loop first, before, this; for the second session first, this, next."""
    if k >= 2:
        return _loop(0, k - 1, k, steps, points)
    return _loop(0, 1, 2, steps, points) if sessions > 2 else None


def _drift(
    k: int, steps: Steps, poses: dict[int, Matrix], points: Sequence[Points]
) -> float | None:
    chain = np.eye(4)
    for a, b in itertools.pairwise(range(k + 1)):
        if (a, b) not in steps:
            return None
        chain = chain @ steps[(a, b)]
    return apart_mm(chain, poses[k], points[k])
