"""The viewers as programs: what is written for them, where they are found, how they are installed and started."""

import glob
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["INSTALL", "NAMES", "ViewerFiles", "command_of", "found_program", "has_display", "start"]

NAMES: Mapping[str, str] = {
    "napari": "napari",
    "neuroglancer": "neuroglancer",
    "itksnap": "ITK-SNAP",
    "slicer": "3D Slicer",
    "fiji": "Fiji",
}
"""A viewer to what people call it."""

INSTALL: Mapping[str, str] = {
    "napari": 'pip install "napari[all]" napari-ome-zarr   (in this environment or one of its own)',
    "neuroglancer": "pip install neuroglancer   (in this environment; without it the page, and nothing but the page, "
    "comes from neuroglancer-demo.appspot.com)",
    "itksnap": "download it from itksnap.org, or `sudo apt-get install itksnap` where the system has it",
    "slicer": "download it from download.slicer.org, unpack it and put its folder on PATH",
    "fiji": "download it from fiji.sc and put its folder on PATH, or `sudo apt-get install imagej`",
}
"""A viewer to how it is installed."""

DEBIAN_IMAGEJ = "imagej"  # a script of Debian's, with options of its own
START_SECONDS = 1.5  # within which a program that cannot start has ended

_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "napari": ("napari",),
    "itksnap": ("itksnap", "ITK-SNAP"),
    "slicer": ("Slicer", "slicer"),
    "fiji": ("fiji", "fiji-linux-x64", "fiji-linux64", "ImageJ-linux64", "ImageJ", "imagej"),
}
# What people type of those that are packages of Python.
_SHOWN: Mapping[str, str] = {"napari": "python", "neuroglancer": sys.executable}
# Where they lie when they were unpacked and nobody told the PATH.
_USUAL: Mapping[str, tuple[str, ...]] = {
    "itksnap": (
        "/Applications/ITK-SNAP.app/Contents/MacOS/ITK-SNAP", "~/itksnap*/bin/itksnap",
        "/opt/itksnap*/bin/itksnap",
    ),
    "slicer": (
        "/Applications/Slicer.app/Contents/MacOS/Slicer", "~/Slicer*/Slicer", "/opt/Slicer*/Slicer",
    ),
    "fiji": (
        "/Applications/Fiji*/Contents/MacOS/*", "~/Fiji*/fiji", "~/Fiji*/ImageJ-linux64",
        "/opt/Fiji*/fiji", "/opt/Fiji*/ImageJ-linux64",
    ),
}  # fmt: skip


@dataclass
class ViewerFiles:
    """Names of what was written for a viewer, arguments of its program once for each window, and what is to be said."""

    files: list[str] = field(default_factory=list)
    arguments: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def found_program(viewer: str, given: str | None = None) -> list[str] | None:
    """Return what starts a viewer, given by name or path or looked for; None where it is not found."""
    if given is not None:
        place = shutil.which(str(Path(given).expanduser())) or shutil.which(given)
        if place is None:
            return None
        return [_python_beside(place) if Path(place).stem == "napari" else place]
    if viewer in ("napari", "neuroglancer") and importlib.util.find_spec(viewer) is not None:
        return [sys.executable]
    for name in _COMMANDS.get(viewer, ()):
        if place := shutil.which(name):
            return [_python_beside(place) if viewer == "napari" else place]
    for pattern in _USUAL.get(viewer, ()):
        if places := sorted(glob.glob(os.path.expanduser(pattern))):  # "~" and "*"
            return [places[-1]]
    return None


def command_of(viewer: str, program: list[str] | None, arguments: list[str]) -> list[str]:
    """Return the command line of one window, with the program's usual name where it is not there."""
    if program is None:
        return [_SHOWN.get(viewer) or _COMMANDS[viewer][0], *arguments]
    if Path(program[0]).name == DEBIAN_IMAGEJ:
        arguments = ["-m" if one == "-macro" else one for one in arguments]
    return [*program, *arguments]


def _python_beside(place: str) -> str:
    """Return the Python of a program's environment: `napari SCRIPT` does not run ours in all versions (0.9.2)."""
    folder = Path(place).resolve().parent
    names = ("python", "python3", "python.exe")
    return next((str(folder / one) for one in names if (folder / one).exists()), place)


def has_display() -> bool:
    """Whether windows can be opened here."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def start(commands: list[list[str]], wait: Callable[[float], None] = time.sleep) -> str | None:
    """Start programs, one for each window, and leave them alone; return None, or why one could not be started."""
    nowhere = subprocess.DEVNULL
    try:
        running = [
            subprocess.Popen(one, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True)
            for one in commands
        ]  # fmt: skip
    except OSError as error:
        return str(error)
    wait(START_SECONDS)
    for one, process in zip(commands, running, strict=True):
        code = process.poll()
        if code:
            return f"{one[0]} ended at once with code {code}"
        process.returncode = 0  # it outlives us; nobody waits for it
    return None
