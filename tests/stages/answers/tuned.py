"""A segmenter of one CT channel that says here this, there that; it need not be good."""

from somray.domain.segmenter import SegmenterModel
from somray.kernels.pretrain.networks.shapes import network_of_spec
from somray.kernels.pretrain.segmenter import new_segmenter
from somray.kernels.pretrain.spec import PretrainSpec
from somray.kernels.student.network import unet_weights

WINDOWS = ((-1000.0, 400.0),)


def noisy_segmenter(dimensions=2):
    """One that no training has seen, on slices of another pixel size or on a coarse grid."""
    own = ("CT",), ("CT",), WINDOWS
    spec = PretrainSpec("unet", "small", dimensions, *own, "nodes", (), 0, 1)
    network = network_of_spec(spec)
    size = 1.0 if dimensions == 2 else 2.0
    return SegmenterModel(
        unet_weights(new_segmenter(network, 3)), network, *own, 16, (size, size), "lesion"
    )
