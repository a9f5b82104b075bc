"""Pictures of the noise study: what each method makes of a degraded slice, in colours of its errors.

Orange is called target though the clean slice's teacher does not, blue is missed, green is shared.
"""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

SHARED, TOO_MUCH, MISSED = (0.3, 0.75, 0.4), (1.0, 0.55, 0.1), (0.2, 0.5, 1.0)
COVER = 0.55
SHOWN_CT = (-160.0, 240.0)
MARGIN = 24


def draw(path, scan, images, worse, clean, masks, channel=0):
    """Write a picture of the first slice, cut around the target.

    Args:
        path: of the PNG.
        scan: for the channel's name.
        images: (n, c, y, x) clean slices.
        worse: (n, c, y, x) the same, degraded.
        clean: (n, y, x) bool, the teacher's target on the clean slices.
        masks: name to (n, y, x) bool.
        channel: shown in grey.
    """
    box = _box(clean[0] | np.any([m[0] for m in masks.values()], axis=0))
    grey = [_grey(stack[0, channel], images[0, channel], scan.channels[channel])[box]
            for stack in (images, worse)]  # fmt: skip
    panels = {"slice": grey[0], "degraded": grey[1], "teacher, clean": grey[0]}
    panels = {name: np.repeat(plane[..., None], 3, axis=2) for name, plane in panels.items()}
    panels["teacher, clean"] = _coloured(panels["teacher, clean"], clean[0][box], clean[0][box])
    base = panels["degraded"]
    panels |= {name: _coloured(base, m[0][box], clean[0][box]) for name, m in masks.items()}
    figure, axes = plt.subplots(
        2, -(-len(panels) // 2), figsize=(3.2 * -(-len(panels) // 2), 6.8), squeeze=False
    )
    for axis in axes.flat:
        axis.axis("off")
    for axis, (name, panel) in zip(axes.flat, panels.items(), strict=False):
        axis.imshow(panel, interpolation="nearest")
        axis.set_title(name, fontsize=10)
    figure.suptitle(path.stem.replace("_", " "))
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _box(mask):
    """Return the rows and columns around a mask; everything where it is empty."""
    if not mask.any():
        return slice(None), slice(None)
    spans = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    return tuple(slice(max(s[0] - MARGIN, 0), s[-1] + MARGIN + 1) for s in spans)


def _grey(plane, clean, name):
    """Bring values to [0, 1] in the clean slice's range, or in CT's usual window."""
    low, high = SHOWN_CT if name == "CT" else np.nanpercentile(clean, (1.0, 99.8))
    return np.clip(np.nan_to_num((plane - low) / max(high - low, 1e-9)), 0.0, 1.0)


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
