"""Real scans on which students are measured: the teacher as the pipeline fits it, slices outward from it.

Teachers are fitted on the slice that is worth most (`STS_002`: slice 23, whose neighbours the seed
shows), with the scan's own level of uptake where a channel is PET, and applied to every other slice;
their labels there judge and are never learned from.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import SimpleITK

from somray.domain.channel import channels_of, kinds_of
from somray.domain.student import StudentModel
from somray.domain.teacher import TeacherModel
from somray.kernels.features.uptake_level import has_level, subject_histogram, subject_level
from somray.kernels.student.predict import predict_student
from somray.kernels.student.rounds.lesson import Lesson
from somray.kernels.student.rounds.run import train_rounds
from somray.kernels.student.rounds.spec import Distributed, StudentSpec, student_of
from somray.kernels.teacher.apply import scaled_windows
from somray.kernels.teacher.fit import TeacherSpec, apply_teacher, fit_teacher
from somray.kernels.teacher.interest import slice_interest
from tests.student_fixtures import lessons_of

THREADS = 2
GOAL = ("ct3", "crlm", "STS_002", "STS_001", "STS_003", "STS_004")
"""The cases that issue 4 sets its goals on."""
FURTHER = ("STS_012", "STS_014", "STS_022", "STS_031", "mr", "qin", "weave", "fiberform")
SUV_PER_BQML = np.float32(2.9448e-4)
REFERENCES = {"STS_002": 23}


@dataclass(frozen=True)
class Scan:
    """One scan.

    Args:
        name: in tables.
        modality: as in the configuration.
        images: (z, c, y, x) float32 physical values.
        spacing_mm: (y, x).
    """

    name: str
    modality: str
    images: np.ndarray
    spacing_mm: tuple[float, float]

    @property
    def channels(self):
        return ("CT", "PET") if self.modality == "PETCT" else (self.modality,)

    @cached_property
    def level(self):
        """Lesion level of uptake over the whole scan; None without PET."""
        if not has_level(channels_of(self.modality, self.channels)):
            return None
        return subject_level(
            subject_histogram(self.images, channels_of(self.modality, self.channels)), self.modality
        )

    @cached_property
    def reference(self):
        """Slice that the pipeline would choose."""
        windows = (None,) * len(self.channels)
        rates = [
            slice_interest(image, self.modality, windows, self.channels, self.level)
            for image in self.images
        ]
        return REFERENCES.get(self.name, int(np.argmax(rates)))

    @cached_property
    def teacher(self) -> TeacherModel:
        spec = TeacherSpec(self.modality, self.channels)
        first = self.images[self.reference : self.reference + 1]
        return fit_teacher(first, spec, self.spacing_mm, self.level, THREADS).model

    def outward(self, count):
        """Return the slices A, B, C …: by distance from the reference, the upper one first."""
        depth, first = len(self.images), self.reference
        return sorted(range(depth), key=lambda z: (abs(z - first), z < first))[:count]


@dataclass(frozen=True)
class Trained:
    """What one training leaves.

    Args:
        model: the student after its rounds.
        control: the student of as many steps on A alone.
        result: all tables.
    """

    model: StudentModel
    control: StudentModel
    result: object = field(repr=False)


def windows_of(teacher: TeacherModel, scan: Scan):
    """Return a protocol's windows at a scan's own level of uptake."""
    return scaled_windows(teacher, scan.level)


def labelled(teacher: TeacherModel, images, scan: Scan):
    """Return the target (n, y, x) that a teacher sees in a scan's images, and which pixels count."""
    labels = apply_teacher(teacher, images, scan.spacing_mm, scan.level, threads=THREADS).labels
    return labels == teacher.value_of("lesion"), labels != 0


def lessons(scan: Scan, slices, teacher: TeacherModel | None = None) -> list[Lesson]:
    """Make lessons of a scan's slices, labelled by its own teacher or by one carried to it."""
    teacher = teacher or scan.teacher
    images = scan.images[list(slices)]
    masks, valid = labelled(teacher, images, scan)
    seen = windows_of(teacher, scan)
    return [replace(one, windows=seen) for one in lessons_of(images, masks, valid)]


def student_spec(scan: Scan, **asked) -> StudentSpec:
    """Ask for a student of slices as the pipeline does; `asked` replaces fields."""
    spec = StudentSpec(
        channels=scan.channels,
        kinds=kinds_of(channels_of(scan.modality, scan.channels)),
        windows=windows_of(scan.teacher, scan),
        threads=THREADS,
        spacing_mm=scan.spacing_mm,
    )
    return replace(spec, **asked)


def trained(taught: list[Lesson], spec: StudentSpec) -> Trained:
    """Train a round per lesson; the control comes from the state that checkpoints hold."""
    states = deque(maxlen=1)
    spec = replace(spec, rounds=len(taught))
    result = train_rounds(taught, spec, Distributed(save=states.append))
    control = student_of(spec, states[-1].control, {}) if states[-1].control else result.model
    return Trained(result.model, control, result)


def predicted(model: StudentModel, images, scan: Scan, teacher: TeacherModel | None = None):
    """Return the target (n, y, x) that a student sees in a scan's images, at the scan's own level."""
    windows = windows_of(teacher or scan.teacher, scan)
    return predict_student(model, images, windows, THREADS) >= 0.5


def dice(found, reference) -> float:
    """Return Dice of all slices together; 1 where neither shows anything."""
    total = int(found.sum()) + int(reference.sum())
    return 2 * int((found & reference).sum()) / total if total else 1.0


def mean_dice(found, reference) -> float:
    """Return the mean over slices of Dice, of those where either shows the target."""
    pairs = [(f, r) for f, r in zip(found, reference, strict=True) if f.any() or r.any()]
    return float(np.mean([dice(f, r) for f, r in pairs])) if pairs else float("nan")


def scans(data: Path, names) -> Iterator[Scan]:
    """Read scans by name, one after the other."""
    for name in names:
        yield _read(data, name)


def _read(data: Path, name: str) -> Scan:
    if name.startswith("STS_"):
        folder = data / "petct_sarcoma_cohort" / name
        if name == "STS_002":
            folder = data / "petct_sarcoma_STS002"
        return _petct(name, folder)
    if name == "ct3":
        files = [str(data / "ct_3slices" / "dicom" / f"0{n}.dcm") for n in (1, 2, 3)]
        return _one(name, "CT", SimpleITK.ReadImage(files))
    path, modality, scale = {
        "crlm": ("ct_abdomen_CRLM1004/ct.nii.gz", "CT", 1.0),
        "mr": ("mri_brain_tumour/brain1_image.nrrd", "MR", 1.0),
        "qin": ("pet_wholebody_QIN24/pet_bqml.nii.gz", "PET", SUV_PER_BQML),
        "weave": ("xct_materials/weave_150.tif", "XCT", 1.0),
        "fiberform": ("xct_materials/fiberform_100.tif", "XCT", 1.0),
    }[name]
    return _one(name, modality, SimpleITK.ReadImage(str(data / path)), scale)


def _one(name, modality, image, scale=1.0):
    values = SimpleITK.GetArrayFromImage(image).astype(np.float32) * np.float32(scale)
    return Scan(name, modality, values[:, None], image.GetSpacing()[1::-1])


def _petct(name, folder):
    """Read CT, and PET on CT's grid."""
    kind = SimpleITK.sitkFloat32
    ct, pet = (SimpleITK.ReadImage(str(folder / f"{c}_image.nii.gz"), kind) for c in ("CT", "PET"))
    pet = SimpleITK.Resample(
        pet, ct, SimpleITK.Transform(), SimpleITK.sitkLinear, float("nan"), kind
    )
    planes = [SimpleITK.GetArrayFromImage(image) for image in (ct, pet)]
    return Scan(name, "PETCT", np.stack(planes, axis=1), ct.GetSpacing()[1::-1])
