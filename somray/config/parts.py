"""The parts of a protocol's configuration beside its teacher, and the cohort's resources."""

from typing import Literal

from pydantic import Field, field_validator

from somray.config.base import Strict, Threads, TrainedBy

__all__ = [
    "IntensityConfig",
    "LesionConfig",
    "RegistrationConfig",
    "ResourcesConfig",
    "ResponseConfig",
    "StudentConfig",
]


class IntensityConfig(Strict):
    """How one channel's values are windowed before features are computed."""

    window: tuple[float, float] | Literal["auto"] = Field(
        default="auto",
        description="low and high value in HU, SUV or raw; what auto chose is recorded",
    )

    @field_validator("window")
    @classmethod
    def _ascending(cls, value: tuple[float, float] | str) -> tuple[float, float] | str:
        if not isinstance(value, str) and not value[0] < value[1]:
            raise ValueError(f"window must be [low, high] with low < high, got {list(value)}")
        return value


class StudentConfig(Strict):
    """The U-Net that learns from the teacher."""

    rounds: int = Field(default=3, ge=1, le=50, description="most rounds of A, A+B, A+B+C …")
    tolerance: float = Field(
        default=0.002, ge=0, le=1, description="rounds end where the mean IoU changes by less"
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=256,
        description="processes that train together; part of what fixes the bits",
    )
    steps: int | None = Field(
        default=None,
        ge=1,
        le=100000,
        description="optimizer steps of every round; chosen by what the student sees where left out",
    )
    threads: Threads = 1
    trainer: TrainedBy = "auto"
    confidence: bool = Field(
        default=False,
        description="also write labels/confidence: how sure the student is of each pixel, in percent "
        "from 50 to 100; 0 where there is no data",
    )
    cohort: int = Field(
        default=16,
        ge=0,
        le=64,
        description="scans, spread over subjects, that teach the last round, after A, A+B …; "
        "0 leaves it out",
    )
    encoder: str | None = Field(
        default=None,
        min_length=1,
        description="what the student starts from: `pretrained`, the encoder of this run's own `pretrain`; or "
        "path or URL of an exported one, relative to this file; random numbers where left out",
    )


class RegistrationConfig(Strict):
    """How slices and sessions are aligned."""

    detector: Literal["kaze", "akaze", "sift", "orb"] = Field(
        default="kaze", description="of keypoints"
    )
    model: Literal["auto", "similarity", "affine", "homography"] = Field(
        default="auto",
        description="motion between slices; auto: intensities first, keypoints where those do not convince, the "
        "simplest model that explains enough",
    )
    pairs: list[Literal["slices", "sessions"]] = Field(
        default=["slices", "sessions"],
        description="what is registered; leave `slices` out where nobody needs slice pairs",
    )
    robust: Literal["ransac", "magsac"] = Field(
        default="ransac", description="how outliers among keypoint matches are told"
    )
    sessions: Literal["auto", "rigid", "affine", "plane"] = Field(
        default="auto",
        description="motion between sessions; auto: rigid, affine where that explains more",
    )
    engine: Literal["somray", "simpleitk"] = Field(
        default="somray", description="who aligns whole sessions"
    )


class ResponseConfig(Strict):
    """What `burden` calls a response and a progression; the defaults are RECIST 1.1's and PERCIST 1.0's."""

    target_mm: float = Field(
        default=10.0, ge=0, description="least diameter in a slice of a target at the first session"
    )
    shrink_fraction: float = Field(
        default=0.3, ge=0, le=1, description="of the targets' sum, for a partial response"
    )
    growth_fraction: float = Field(
        default=0.2, ge=0, description="of the targets' smallest sum, for progression"
    )
    growth_floor_mm: float = Field(
        default=5.0, ge=0, description="and progression must also reach this"
    )
    uptake_fraction: float = Field(
        default=0.3, ge=0, description="of SUVpeak of the hottest lesion, either way"
    )
    uptake_floor_suv: float = Field(
        default=0.8, ge=0, description="and the change of SUVpeak must also reach this"
    )


class LesionConfig(Strict):
    """What counts as one lesion and as change."""

    min_volume_mm3: float | None = Field(
        default=None,
        ge=0,
        description="smaller parts are no lesions, the same for all sessions of a subject; where left out "
        "5 voxels of its coarsest session",
    )
    change_fraction: float = Field(
        default=0.3, gt=0, description="volume change up to this share is 'stable'"
    )
    change_floor_mm3: float | None = Field(
        default=None,
        ge=0,
        description="and up to this volume; where left out 20 voxels of the coarsest session",
    )
    reach_mm: float | None = Field(
        default=None,
        ge=0,
        description="distance that links lesions without overlap; where left out 5 pixels of the "
        "coarsest session",
    )
    local_thickness: bool = Field(
        default=False,
        description="also measure how thick lesions are inside: the largest ball in them that holds a voxel, mean "
        "and largest of a lesion",
    )
    response: ResponseConfig = Field(
        default=ResponseConfig(), description="what is called a response or a progression"
    )


class ResourcesConfig(Strict):
    """CPUs, GPUs and memory per kind of work; the defaults fit a laptop."""

    workers: int | None = Field(
        default=None, ge=1, description="CPUs of the embedded Ray; all cores where left out"
    )
    in_flight: int | None = Field(
        default=None, ge=1, description="units under way at once; twice the CPUs where left out"
    )
    task_memory_mb: int = Field(
        default=4096, ge=256, description="most memory that one task may plan for"
    )
    attempts: int = Field(
        default=3,
        ge=1,
        le=20,
        description="worker deaths that quarantine a unit; nodes that are lost do not count",
    )
    unit_minutes: float | None = Field(
        default=60.0,
        gt=0,
        description="a unit that takes longer (and 50 times longer than planned) counts as hanging: its worker "
        "is ended, it is tried once more, then set aside; null for no limit",
    )
    wait_minutes: float = Field(
        default=15.0,
        ge=0,
        description="how long a unit that no node can hold waits for one to join the cluster",
    )
    segment_gpus: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of a GPU for each slab that a student segments; 0 for the CPU. Masks may "
        "differ from the CPU's in single pixels at the border",
    )
