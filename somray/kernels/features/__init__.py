"""Ten numbers per pixel that describe a slice's local morphology, one fused pass for all of them.

Conventions
    * One channel is (y, x); the result is (f, y, x) float32 in the order of `FEATURES`.
    * A window (low, high) clips the values and scales them to [0, 1]; without one they are used as
      they are.
    * The image continues beyond its border by reflection that repeats the edge pixel (numpy's
      "symmetric", scipy's "reflect"): it is defined for slices of any size, down to one pixel.
    * NaN means no data: every feature of such a pixel is NaN. Its neighbours see the mean of the
      nearest pixels that hold data in its place, so that a hole makes no edge.
    * Lengths are millimetres: gradients are per mm, curvatures per mm².

Arithmetic is float32 on differences of neighbours, without re-association or contraction, so results
depend neither on threads and tiles nor on how many slices are worked on together.
"""

from somray.kernels.features.stack import feature_stack, features
from somray.kernels.features.table import FEATURES

__all__ = ["FEATURES", "feature_stack", "features"]
