"""`somray.register`: one slice onto another, with a verdict that is seen at a glance."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.api.inputs.image import GivenImage, ImageLike
from somray.api.settings import nearest_name
from somray.api.shown.registration import registration_html, registration_text
from somray.api.slices import one_slice
from somray.errors import ShapeError
from somray.kernels.registration import DETECTORS, MODELS, ROBUST, SliceRegistration
from somray.kernels.registration import register as align

__all__ = ["RegisteredSlice", "register"]

Plane = NDArray[Any]  # Any: any numbers


@dataclass(frozen=True, eq=False, repr=False)
class RegisteredSlice(SliceRegistration):
    """A slice brought onto another: verdict, motion, and the evidence for both.

    `status` is ok, weak or refused, `reason` says why it is not ok, `matrix` (3, 3) takes pixels (x, y, 1) of moving
    to fixed, centres on whole numbers; a refused pair has none. The other figures are the columns of the table
    `registration`.
    """

    pair: tuple[Plane, Plane] | None = None
    labelled: Any = None  # Any: an xarray.DataArray, the fixed slice

    @classmethod
    def of(
        cls, found: SliceRegistration, fixed: GivenImage, pair: tuple[Plane, Plane]
    ) -> "RegisteredSlice":
        """Take a registration with the two slices it is of."""
        values = {field.name: getattr(found, field.name) for field in fields(SliceRegistration)}
        return cls(**values, pair=pair, labelled=fixed.labelled)

    def warp(self, moving: ImageLike) -> NDArray[np.float32]:
        """Resample a moving slice onto the fixed slice's grid.

        Args:
            moving: (y, x) on the moving slice's grid; NaN means no data.

        Returns:
            (y, x) float32, linear; NaN where moving shows nothing. An xarray.DataArray with the fixed
            slice's coordinates where both were such.

        Raises:
            ShapeError: the registration was refused (there is no motion to apply), or not one slice.
        """
        if self.matrix is None:
            raise ShapeError(
                f"the registration was refused ({self.reason}): nothing can be warped; look at t.status first"
            )
        image, plane = one_slice(moving, "moving", "t.warp(volume[z])")
        found = super().warp(plane)
        if image.labelled is None or self.labelled is None:
            return found
        dims = self.labelled.dims[-2:]
        coords = {k: v for k, v in self.labelled.coords.items() if set(v.dims) <= set(dims)}
        shown: NDArray[np.float32] = type(self.labelled)(found, coords, dims, "warped")
        return shown

    def __repr__(self) -> str:
        return registration_text(self)

    def _repr_html_(self) -> str:
        """Show both slices and what is left between them, before and after."""
        if self.pair is None:
            return registration_html(self, None, None)
        fixed, moving = self.pair
        plain = replace(self, labelled=None)
        return registration_html(
            self, (fixed, moving), None if self.matrix is None else plain.warp(moving)
        )


def register(
    fixed: ImageLike,
    moving: ImageLike,
    detector: str = "kaze",
    model: str = "auto",
    robust: str = "ransac",
    oriented: bool = False,
) -> RegisteredSlice:
    """Align one slice with another; refuses rather than invents.

    Args:
        fixed: (y, x), any number type and range; NaN means no data. Or an image object of one slice.
        moving: (y, x), may differ in shape from fixed.
        detector: of keypoints: kaze, akaze, sift or orb.
        model: auto decides on intensities and asks keypoints where those do not convince; similarity, affine or
            homography: keypoints and a robust fit of that motion.
        robust: ransac or magsac, how matches that agree are told from the rest.
        oriented: whether it is known which side of either slice is left; then a mirror image speaks against a
            motion only where it fits clearly better.

    Returns:
        The registration; a blank or hopeless pair comes back refused, with the reason, and without a matrix. With
        `auto` the keypoint figures are None where intensities alone decided.

    Raises:
        ShapeError: not one slice each, or detector, model or robust is not known.

    Example:
        >>> import numpy as np, somray
        >>> rng = np.random.default_rng(0)
        >>> image = np.kron(rng.normal(size=(12, 12)), np.ones((8, 8)))
        >>> t = somray.register(image[:, 4:84], image[:, :80])
        >>> t.status, [round(float(v)) for v in t.matrix[:2, 2]]
        ('ok', [-4, 0])
        >>> somray.register(image * 0, image).status
        'refused'

    Source: Alcantarilla et al., "KAZE features", 2012; Fischler & Bolles, "Random sample consensus", 1981;
        Barath et al., "MAGSAC++", 2020; Baker & Matthews, "Lucas–Kanade 20 years on", 2004.
    """
    for option, value, known in (
        ("detector", detector, tuple(DETECTORS)),
        ("model", model, MODELS),
        ("robust", robust, ROBUST),
    ):
        if value not in known:
            raise ShapeError(
                f"{option} must be one of {', '.join(known)}, got {value!r}{nearest_name(value, known)}"
            )
    example = "somray.register(volume[z], volume[z + 1])"
    still, first = one_slice(fixed, "fixed", example)
    _, second = one_slice(moving, "moving", example)
    return RegisteredSlice.of(
        align(first, second, detector, model, robust, oriented), still, (first, second)
    )
