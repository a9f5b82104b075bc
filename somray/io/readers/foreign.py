"""Formats of scans that somray does not read, and what turns them into one that it does."""

from pathlib import Path

from somray.io.readers.voxels.inflate import first_bytes

__all__ = ["foreign"]

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
    (".czi", ".lif", ".nd2", ".oib", ".oif", ".ims"): (
        "is a microscope's; convert it to OME-Zarr or OME-TIFF (`bioformats2raw` does)"
    ),
}
_PAR = b"DATA DESCRIPTION FILE"  # in the first line; FSL calls motion .par, too
_BY_ENDING = {ending: what for endings, what in _FORMATS.items() for ending in endings}


def foreign(file: Path) -> str:
    """Say of a file that no reader knows what its name calls it, and what to do; "" where that tells nothing."""
    name = file.name.lower()
    if name.endswith(".par") and _PAR not in first_bytes(file, 256):
        return ""
    named = (what for ending, what in _BY_ENDING.items() if name.endswith((ending, f"{ending}.gz")))
    return next(named, "")
