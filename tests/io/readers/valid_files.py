"""One small valid file, or folder, of every format that readers know, for tests that damage them."""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk  # noqa: N813
import tifffile
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from tests.io.dicom_files import make_pet, make_slice, save

SHAPE = (5, 12, 14)
IMAGEJ = {"axes": "ZYX", "spacing": 2.0, "unit": "mm"}


def volume(dtype=np.int16):
    """Return (z, y, x) values that differ everywhere, with some structure for compression."""
    rng = np.random.default_rng(0)
    z, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    return (100 * z + 10 * y + x + rng.integers(0, 5, SHAPE)).astype(dtype) % 251


def _nifti(name, kind=nib.Nifti1Image, times=1, dtype=np.int16):
    def make(folder: Path) -> Path:
        values = volume(dtype).T
        if times > 1:
            values = np.stack([values] * times, axis=-1)
        nib.save(kind(values, np.diag([-0.8, -0.7, 2.0, 1.0])), folder / name)
        return folder / name

    return make


def _itk(name, compress=False):
    def make(folder: Path) -> Path:
        image = sitk.GetImageFromArray(volume())
        image.SetSpacing((0.8, 0.7, 2.0))
        image.SetOrigin((-10.0, 5.0, 3.0))
        sitk.WriteImage(image, str(folder / name), compress)
        return folder / name

    return make


def _tiff(name, **settings):
    def make(folder: Path) -> Path:
        tifffile.imwrite(folder / name, volume(np.uint16), **settings)
        return folder / name

    return make


def _slices(end):
    def make(folder: Path) -> Path:
        for n, plane in enumerate(volume(np.uint8)):
            if end == "png":
                Image.fromarray(plane).save(folder / f"s{n:03d}.png")
            else:
                tifffile.imwrite(folder / f"s{n:03d}.tif", plane)
        return folder

    return make


def _dicom(syntax=ExplicitVRLittleEndian, *, compress=False, pet=False):
    def make(folder: Path) -> Path:
        make_one = make_pet if pet else lambda z: make_slice((0, 0, z))
        slices = [make_one(2.0 * n) for n in range(4)]
        for data in slices:
            if compress:
                data["PixelData"].VR = "OW"
                data.compress(syntax, generate_instance_uid=False)
            data.file_meta.TransferSyntaxUID = syntax
        return save(folder, slices)

    return make


def _frames(folder: Path) -> Path:
    """Write the slices as one enhanced CT file."""
    first = make_slice((0, 0, 0), ImagePositionPatient=None, PixelSpacing=None)
    first.SOPClassUID = first.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    orientation, measures, rescale = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = first.pop("ImageOrientationPatient").value
    measures.PixelSpacing, measures.SliceThickness = [1.5, 0.75], 2.0
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 1, 0, "HU"
    shared, frames, planes = Dataset(), [], []
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    shared.PixelValueTransformationSequence = [rescale]
    for n in range(4):
        position, frame = Dataset(), Dataset()
        position.ImagePositionPatient = [0.0, 0.0, 2.0 * n]
        frame.PlanePositionSequence = [position]
        frames.append(frame)
        planes.append(make_slice((0, 0, 2.0 * n)).PixelData)
    first.SharedFunctionalGroupsSequence = [shared]
    first.PerFrameFunctionalGroupsSequence = frames
    first.NumberOfFrames, first.PixelData = len(frames), b"".join(planes)
    return save(folder, [first])


def _zarr(folder: Path) -> Path:
    import zarr

    group = zarr.open_group(str(folder / "a.ome.zarr"), mode="w", zarr_format=2)
    group.create_array("0", data=volume(), chunks=(2, 12, 14))
    axes = [{"name": n, "type": "space", "unit": "millimeter"} for n in "zyx"]
    scale = [{"type": "scale", "scale": [2.0, 0.7, 0.8]}]
    levels = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": levels}]
    return folder / "a.ome.zarr"


MAKERS = {
    "nii": _nifti("a.nii"),
    "nii.gz": _nifti("a.nii.gz"),
    "nii 4D": _nifti("a.nii", times=3, dtype=np.float32),
    "nifti 2": _nifti("a.nii", nib.Nifti2Image),
    "hdr/img": _nifti("a.hdr", nib.Nifti1Pair),
    "nrrd": _itk("a.nrrd"),
    "nrrd gzip": _itk("a.nrrd", compress=True),
    "nhdr": _itk("a.nhdr"),
    "mha": _itk("a.mha"),
    "mha zlib": _itk("a.mha", compress=True),
    "mhd": _itk("a.mhd"),
    "tiff": _tiff("a.tif"),
    "tiff deflate": _tiff("a.tif", compression="zlib", predictor=True),
    "tiff lzw": _tiff("a.tif", compression="lzw"),
    "tiff tiles": _tiff("a.tif", tile=(16, 16), bigtiff=True),
    "ome-tiff": _tiff("a.ome.tif", metadata={"axes": "ZYX", "PhysicalSizeX": 0.8}),
    "imagej": _tiff("a.tif", imagej=True, resolution=(1.25, 1.25), metadata=IMAGEJ),
    "tiff slices": _slices("tif"),
    "png slices": _slices("png"),
    "dicom": _dicom(),
    "dicom implicit": _dicom(ImplicitVRLittleEndian),
    "dicom deflated": _dicom(DeflatedExplicitVRLittleEndian),
    "dicom rle": _dicom(RLELossless, compress=True),
    "dicom jpeg-ls": _dicom(JPEGLSLossless, compress=True),
    "dicom pet": _dicom(pet=True),
    "dicom frames": _frames,
    "ome-zarr": _zarr,
}  # fmt: skip
"""Maker of each, by name; it takes an empty folder and returns what a manifest would name."""


def files_of(source: Path) -> list[Path]:
    """List the files of a source: its own, and those beside it that belong to it."""
    root = source if source.is_dir() else source.parent
    found = [Path(place) / name for place, _, names in os.walk(root) for name in names]
    return sorted(found)
