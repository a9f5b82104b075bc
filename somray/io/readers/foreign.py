"""Formats of scans that somray does not read, and what turns them into one that it does.

Arrays without a header are refused, not read by a guess: they do not say which axis is which, or how large a voxel is.
"""

from collections.abc import Mapping
from pathlib import Path

from somray.io.readers.voxels.inflate import first_bytes

__all__ = ["foreign", "of_named"]

_SLICES = "export it as TIFF slices or MetaImage"
_FORMATS = {
    (".mgz", ".mgh"): "is FreeSurfer's; convert it to NIfTI (`mri_convert` does)",
    (".mnc",): "is MINC; convert it to NIfTI (`mnc2nii` does)",
    (".par", ".rec"): "is Philips PAR/REC; convert it to NIfTI (`dcm2niix` does)",
    (".brik", ".head"): "is AFNI's; convert it to NIfTI (`3dAFNItoNIFTI` does)",
    (".dcm.gz", ".ima.gz"): "is packed by gzip; unpack it (`gunzip` does)",
    (".isq", ".aim"): f"is Scanco's; {_SLICES}",
    (".txm", ".txrm"): f"is Zeiss's; {_SLICES}",
    (".vgi", ".vgl"): f"is VGStudio's; {_SLICES}",
    (".mrc", ".dm3", ".dm4"): "is an electron microscope's; convert it to TIFF or OME-Zarr",
    (".jp2", ".j2k", ".jpx"): "is a picture in JPEG 2000; export the slices as TIFF",
    (".vti", ".vtk", ".gipl"): "is not read; convert it to MetaImage or NIfTI",
    (".czi", ".lif", ".nd2", ".oib", ".oif", ".oir", ".vsi", ".ims"): (
        "is a microscope's; convert it to OME-Zarr or OME-TIFF (`bioformats2raw` does)"
    ),
}
_BESIDE = {
    (".raw", ".zraw", ".vol", ".bin", ".dat"): (
        "holds voxels alone; name the header that describes them (.mhd, .nhdr), or write one"
    ),
    (".h5", ".hdf5", ".nc", ".mat", ".npy", ".npz", ".pt", ".pkl"): (
        "holds arrays, which do not say what their axes are and how large a voxel is; save the volume as NIfTI, "
        "MetaImage or OME-Zarr"
    ),
    (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".7z", ".rar"): (
        "is an archive; unpack it, and name the scan inside"
    ),
    (".stl", ".obj", ".ply", ".vtp", ".gii"): "is a surface; name the volume itself",
    (".gz", ".bz2", ".xz", ".zst"): "is packed; unpack it",
}
"""Files that lie beside scans, too, and are told of only where a person names them as one."""
_PAR = b"DATA DESCRIPTION FILE"  # in the first line; FSL calls motion .par, too


def foreign(file: Path) -> str:
    """Say of a file that no reader knows what its name calls it, and what to do; "" where that tells nothing."""
    name = file.name.lower()
    if name.endswith(".par") and _PAR not in first_bytes(file, 256):
        return ""
    return _called(name, _FORMATS)


def of_named(place: Path) -> str:
    """Say as much of a file that a person named as a scan, or of the first such file of a folder."""
    if place.is_dir():
        told = ((file.name, foreign(file)) for file in sorted(place.iterdir()) if file.is_file())
        return next((f"holds no scan; {name} {what}" for name, what in told if what), "")
    return foreign(place) or _called(place.name.lower(), _BESIDE)


def _called(name: str, formats: Mapping[tuple[str, ...], str]) -> str:
    for endings, what in formats.items():
        if name.endswith((*endings, *(f"{ending}.gz" for ending in endings))):
            return what
    return ""
