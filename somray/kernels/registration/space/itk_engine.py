"""SimpleITK as the one who refines: rigid or affine, Mattes mutual information.

One thread and a fixed seed of sampling, so the same volumes give the same bits. Mutual information does not
ask that equal tissue be equally bright; it is also the slower and, on one modality, the less exact choice
(tests/benchmarks/bench_sessions.py). The motion's start and the verdict on it are ours.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from somray.kernels.registration.space.prepare import Grid

if TYPE_CHECKING:
    import SimpleITK

__all__ = ["refine_itk"]

Matrix = NDArray[np.float64]

_BINS = 32
_SAMPLED = 40_000  # voxels per step that mutual information is estimated from
_SEED = 20260
_SHRINK, _SMOOTH = (2, 1), (1.0, 0.0)
_LEAST_STEP = 1e-4


def refine_itk(
    fixed: Grid, moving: Grid, sampling: Matrix, steps: int, model: str = "rigid3d"
) -> Matrix | None:
    """Refine a motion with SimpleITK; arguments and result as `refine_space`.

    Args:
        fixed: fixed volume at working spacing.
        moving: moving volume.
        sampling: (4, 4) start, fixed LPS mm to moving LPS mm; rigid where the model is.
        steps: most steps, in units of ten of ITK's smaller ones.
        model: rigid3d or affine3d.

    Returns:
        The refined motion, or None when the volumes lost each other.

    Source: Mattes et al., "PET-CT image registration in the chest using free-form deformations", 2003.
    """
    import SimpleITK  # slow to load, and needed by this engine alone

    method = SimpleITK.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(min(1.0, _SAMPLED / fixed.image.size), _SEED)
    method.SetInterpolator(SimpleITK.sitkLinear)
    for mask, put in (
        (fixed, method.SetMetricFixedMask),
        (moving, method.SetMetricMovingMask),
    ):
        if not bool((mask.weight > 0.9).all()):
            put(_image((mask.weight > 0.9).astype(np.uint8), mask))
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0, minStep=_LEAST_STEP, numberOfIterations=10 * steps
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(_SHRINK)
    method.SetSmoothingSigmasPerLevel(_SMOOTH)
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    motion = _transform(sampling, fixed, model)
    method.SetInitialTransform(motion, inPlace=True)
    try:
        with _one_thread():
            method.Execute(_image(fixed.image, fixed), _image(moving.image, moving))
    except RuntimeError:  # ITK's way to say that no sample fell into both volumes
        return None
    return _matrix(motion)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Hold ITK to one thread: the metric asks the process, not the method that it serves."""
    import SimpleITK

    before = SimpleITK.ProcessObject.GetGlobalDefaultNumberOfThreads()
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def _image(array: NDArray[np.generic], grid: Grid) -> "SimpleITK.Image":
    import SimpleITK

    image = SimpleITK.GetImageFromArray(array)
    columns = grid.geometry.matrix[:3, :3]
    lengths = np.linalg.norm(columns, axis=0)
    image.SetSpacing(lengths.tolist())
    image.SetDirection((columns / lengths).ravel().tolist())
    image.SetOrigin(grid.geometry.matrix[:3, 3].tolist())
    return image


def _transform(sampling: Matrix, fixed: Grid, model: str) -> "SimpleITK.Transform":
    """Return ITK's transform, turning about the middle of fixed."""
    import SimpleITK

    index = (np.array([fixed.image.shape], dtype=np.float64) - 1) / 2
    centre = fixed.geometry.to_world(index)[0]
    rigid = model == "rigid3d"
    motion = SimpleITK.Euler3DTransform() if rigid else SimpleITK.AffineTransform(3)
    motion.SetCenter(centre.tolist())
    if rigid:
        motion.SetMatrix(sampling[:3, :3].ravel().tolist(), 1e-6)
    else:
        motion.SetMatrix(sampling[:3, :3].ravel().tolist())
    shift = sampling[:3, :3] @ centre + sampling[:3, 3] - centre
    motion.SetTranslation(shift.tolist())
    return motion


def _matrix(motion: "SimpleITK.Transform") -> Matrix:
    linear = np.array(motion.GetMatrix()).reshape(3, 3)
    centre, shift = np.array(motion.GetCenter()), np.array(motion.GetTranslation())
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = shift + centre - linear @ centre
    return matrix
