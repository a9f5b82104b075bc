"""The torch view of noisy slices equals the compiled one."""

import numpy as np
import pytest
import torch

from somray.kernels.features import FEATURES
from somray.kernels.student.graph import StudentInputs
from somray.kernels.student.inputs import Look, noise_reference, student_inputs
from somray.kernels.student.noise_layer import noise_of_batch, smoothings_of
from somray.kernels.student.noise_view import noise_of, smoothed
from somray.kernels.student.unet import NetworkShape, UNet

WINDOWS = ((-160.0, 240.0), (0.0, 10.0))
SPACING = (0.8, 1.2)


def _scan(noise, holes=0.0, shape=(45, 62)):
    """A slice of CT and PET with some noise and holes."""
    rng = np.random.default_rng(int(10 * noise) + shape[0])
    y, x = np.mgrid[: shape[0], : shape[1]]
    ct = 200 * np.sin(y / 9) * np.cos(x / 7) + 30 * noise * rng.normal(size=shape)
    pet = 4 + 3 * np.sin(x / 8) + 0.5 * noise * rng.normal(size=shape)
    pet[rng.random(shape) < holes] = np.nan
    return np.stack([ct, pet]).astype(np.float32)


REFERENCE = noise_reference(_scan(0.5), WINDOWS, ("CT", "PET"))
CASES = [
    (0.5, 0.0, (45, 62)), (2.0, 0.0, (33, 80)), (2.0, 0.02, (45, 62)), (1.0, 1.0, (20, 20)),
    (3.0, 0.0, (7, 5)), (2.0, 0.0, (1, 1)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_noise_is_measured_alike(case):
    image = _scan(*case)
    low, high = (torch.tensor(ends)[:, None, None] for ends in zip(*WINDOWS, strict=True))
    found = noise_of_batch(torch.from_numpy(image)[None], low, high, torch.from_numpy(REFERENCE))
    expected = noise_of(image, WINDOWS, REFERENCE)
    for one, other, close in zip(found, expected, (1e-5, 0.03), strict=True):
        np.testing.assert_allclose(one[0].numpy(), other, atol=close)


@pytest.mark.parametrize("case", CASES)
def test_smoothings_are_alike(case):
    image = _scan(*case)
    sigma = (25.0, 0.7)
    found = smoothings_of(torch.from_numpy(image)[None], torch.tensor([sigma]))
    for channel, plane in enumerate(image):
        for one, other in zip(found, smoothed(plane, sigma[channel]), strict=True):
            np.testing.assert_allclose(one[0, channel].numpy(), other, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("beside", [0, 2])
def test_quiet_and_noisy_slices_get_the_same_logits_from_either(case, beside):
    image = _scan(*case)
    around = np.stack([_scan(1.0, 0.1, case[2]), _scan(0.7, 0.0, case[2])]) if beside else None
    module = UNet(NetworkShape(inputs=20, channels=2, beside=2 * beside)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, 0.15, generator=generator)
        module.noise.copy_(torch.from_numpy(REFERENCE))
    layer = StudentInputs(WINDOWS, FEATURES, SPACING, module.noise, beside)
    whole = image if around is None else np.concatenate([image, *around])
    with torch.inference_mode():
        found = module(layer(torch.from_numpy(whole)[None]))[0].numpy()
        stack = student_inputs(image, Look(WINDOWS, FEATURES, SPACING, None, REFERENCE), around)
        expected = module(torch.from_numpy(stack)[None])[0].numpy()
    known = ~np.isnan(image).any(axis=0)
    np.testing.assert_allclose(found[known], expected[known], atol=1e-4)
