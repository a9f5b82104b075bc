"""Pictures of the noise study: what each method makes of a degraded slice, in colours of its errors.

Orange is called target though the clean slice's teacher does not, blue is missed, green is shared.
"""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from tests.benchmarks.student_cases import dice

SHARED, TOO_MUCH, MISSED = (0.3, 0.75, 0.4), (1.0, 0.55, 0.1), (0.2, 0.5, 1.0)
COVER = 0.45
SHOWN_CT = (-160.0, 240.0)
MARGIN = 24


def draw(path, channel, planes, target, masks):
    """Write a picture of one slice, cut around the target.

    Args:
        path: of the PNG.
        channel: its name; CT has a window of its own.
        planes: the clean slice and the degraded one, (y, x) each.
        target: (y, x) bool, the teacher's on the clean slice.
        masks: name to (y, x) bool.
    """
    box = _box(np.any([target, *masks.values()], axis=0))
    low, high = SHOWN_CT if channel == "CT" else np.nanpercentile(planes[0], (1.0, 99.8))
    kept, struck = (_grey((plane[box] - low) / max(high - low, 1e-9)) for plane in planes)
    scores = {kind: dice(mask, target) for kind, mask in masks.items()}
    target = target[box]
    above = {"slice": kept, "degraded": struck, "teacher, clean": _coloured(kept, target, target)}
    below = {
        f"{kind} {scores[kind]:.3f}": _coloured(struck, mask[box], target)
        for kind, mask in masks.items()
    }
    columns = max(len(above), len(below))
    tall = 2.6 * target.shape[0] / target.shape[1] + 0.4
    size = (2.6 * columns, 2.0 * tall + 0.4)
    figure, axes = plt.subplots(2, columns, figsize=size, squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.axis("off")
    for row, panels in zip(axes, (above, below), strict=True):
        for axis, (title, panel) in zip(row, panels.items(), strict=False):
            axis.imshow(panel, interpolation="nearest")
            axis.set_title(title, fontsize=10)
    figure.suptitle(path.stem.replace("_", " "))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _box(mask):
    """Return the rows and columns around a mask; everything where it is empty."""
    if not mask.any():
        return slice(None), slice(None)
    spans = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    return tuple(slice(max(s[0] - MARGIN, 0), s[-1] + MARGIN + 1) for s in spans)


def _grey(plane):
    """Return (y, x, 3) of a plane in [0, 1]; holes are black."""
    return np.repeat(np.clip(np.nan_to_num(plane), 0.0, 1.0)[..., None], 3, axis=2)


def _coloured(base, found, reference):
    """Lay the colours of agreement and of both errors over a picture."""
    shown = base.copy()
    parts = (
        (found & reference, SHARED),
        (found & ~reference, TOO_MUCH),
        (reference & ~found, MISSED),
    )
    for mask, colour in parts:
        shown[mask] = (1.0 - COVER) * shown[mask] + COVER * np.array(colour)
    return shown
