"""ITK-SNAP: NIfTI of every channel and mask, and its label descriptions; one window a session.

ITK refuses NIfTI whose axes are not perpendicular (a tilted gantry); such scans are written as NRRD.
Source: ITK-SNAP 4, "Command-line options": -g main, -o further images, -s segmentations, -l label descriptions.
"""

from somray.commands.export.scans import labels_of
from somray.commands.view.programs import ViewerFiles
from somray.commands.view.subject import ShownScan, ShownSubject
from somray.commands.view.volumes import file_name, image_of
from somray.io.storage import Storage
from somray.io.writers.nifti import is_sheared, label_text, write_nifti
from somray.io.writers.nrrd import write_nrrd, write_nrrd_image

__all__ = ["prepare"]

MOST = 32767  # its segmentations are signed shorts


def prepare(subject: ShownSubject, folder: Storage) -> ViewerFiles:
    """Write what ITK-SNAP takes.

    Raises:
        StoreError: it cannot be written.
    """
    made = ViewerFiles()
    for scan in subject.scans:
        images = [_image(scan, index, folder) for index in range(len(scan.channels))]
        arguments = ["-g", folder.uri(images[0])]
        if images[1:]:
            arguments += ["-o", *(folder.uri(name) for name in images[1:])]
        made.files += images
        for label in scan.labels:
            name, side, highest = _mask(scan, label.name, folder)
            made.files += [name, side]
            if highest > MOST:
                made.notes.append(f"{name}: ITK-SNAP knows no label above {MOST}")
            if label.is_first:
                arguments += ["-s", folder.uri(name), "-l", folder.uri(side)]
        if scan.meta.shape[0] > 1:
            made.notes.append(f"{scan.session}: several time points need ITK-SNAP 4")
        made.arguments.append(arguments)
    return made


def _image(scan: ShownScan, index: int, folder: Storage) -> str:
    is_tilted = is_sheared(scan.meta.geometry)
    name = file_name(scan, scan.channels[index].name, ".nrrd" if is_tilted else ".nii.gz")
    if is_tilted:
        write_nrrd_image(folder, name, image_of(scan, index))
    else:
        write_nifti(folder, name, image_of(scan, index), is_label=False)
    return name


def _mask(scan: ShownScan, label: str, folder: Storage) -> tuple[str, str, int]:
    """Return the names of a mask and of its label descriptions, and its highest value."""
    mask = labels_of(scan.stored, label)
    if is_sheared(scan.meta.geometry):
        name = file_name(scan, label, ".nrrd")
        write_nrrd(folder, name, mask)
    else:
        name = file_name(scan, label, ".nii.gz")
        write_nifti(folder, name, mask.voxels)
    side = file_name(scan, label, ".label")
    folder.write_text(side, label_text(mask.segments))
    return name, side, max((one.value for one in mask.segments), default=0)
