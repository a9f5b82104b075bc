"""The parts of a protocol's configuration beside its teacher, and the cohort's resources."""

from typing import Annotated, Literal

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

    window: Annotated[
        tuple[float, float] | Literal["auto"],
        Field(description="low and high value in HU, SUV or raw; what auto chose is recorded"),
    ] = "auto"

    @field_validator("window")
    @classmethod
    def _ascending(cls, value: tuple[float, float] | str) -> tuple[float, float] | str:
        if not isinstance(value, str) and not value[0] < value[1]:
            raise ValueError(f"window must be [low, high] with low < high, got {list(value)}")
        return value


class StudentConfig(Strict):
    """The U-Net that learns from the teacher."""

    rounds: Annotated[int, Field(ge=1, le=50, description="most rounds of A, A+B, A+B+C …")] = 3
    tolerance: Annotated[
        float,
        Field(ge=0, le=1, description="rounds end where the mean IoU changes by less"),
    ] = 0.002
    workers: Annotated[
        int,
        Field(
            ge=1,
            le=256,
            description="processes that train together; part of what fixes the bits",
        ),
    ] = 1
    steps: Annotated[
        int | None,
        Field(
            ge=1,
            le=100000,
            description="optimizer steps of every round; chosen by what the student sees where left out",
        ),
    ] = None
    threads: Threads = 1
    trainer: TrainedBy = "auto"
    confidence: Annotated[
        bool,
        Field(
            description="also write labels/confidence: how sure the student is of each pixel, in percent "
            "from 50 to 100; 0 where there is no data"
        ),
    ] = False
    cohort: Annotated[
        int,
        Field(
            ge=0,
            le=64,
            description="scans, spread over subjects, that teach the last round, after A, A+B …; "
            "0 leaves it out",
        ),
    ] = 16
    encoder: Annotated[
        str | None,
        Field(
            min_length=1,
            description="what the student starts from: `pretrained`, the encoder of this run's own `pretrain`; or "
            "path or URL of an exported one, relative to this file; random numbers where left out",
        ),
    ] = None


class RegistrationConfig(Strict):
    """How slices and sessions are aligned."""

    detector: Annotated[
        Literal["kaze", "akaze", "sift", "orb"], Field(description="of keypoints")
    ] = "kaze"
    model: Annotated[
        Literal["auto", "similarity", "affine", "homography"],
        Field(
            description="motion between slices; auto: intensities first, keypoints where those do not convince, the "
            "simplest model that explains enough"
        ),
    ] = "auto"
    pairs: Annotated[
        list[Literal["slices", "sessions"]],
        Field(description="what is registered; leave `slices` out where nobody needs slice pairs"),
    ] = Field(default=["slices", "sessions"])
    robust: Annotated[
        Literal["ransac", "magsac"],
        Field(description="how outliers among keypoint matches are told"),
    ] = "ransac"
    sessions: Annotated[
        Literal["auto", "rigid", "affine", "plane"],
        Field(description="motion between sessions; auto: rigid, affine where that explains more"),
    ] = "auto"
    engine: Annotated[
        Literal["somray", "simpleitk"],
        Field(description="who aligns whole sessions"),
    ] = "somray"


class ResponseConfig(Strict):
    """What `burden` calls a response and a progression; the defaults are RECIST 1.1's and PERCIST 1.0's."""

    target_mm: Annotated[
        float, Field(ge=0, description="least diameter in a slice of a target at the first session")
    ] = 10.0
    shrink_fraction: Annotated[
        float, Field(ge=0, le=1, description="of the targets' sum, for a partial response")
    ] = 0.3
    growth_fraction: Annotated[
        float, Field(ge=0, description="of the targets' smallest sum, for progression")
    ] = 0.2
    growth_floor_mm: Annotated[
        float, Field(ge=0, description="and progression must also reach this")
    ] = 5.0
    uptake_fraction: Annotated[
        float, Field(ge=0, description="of SUVpeak of the hottest lesion, either way")
    ] = 0.3
    uptake_floor_suv: Annotated[
        float, Field(ge=0, description="and the change of SUVpeak must also reach this")
    ] = 0.8


class LesionConfig(Strict):
    """What counts as one lesion and as change."""

    min_volume_mm3: Annotated[
        float | None,
        Field(
            ge=0,
            description="smaller parts are no lesions, the same for all sessions of a subject; where left out "
            "5 voxels of its coarsest session",
        ),
    ] = None
    change_fraction: Annotated[
        float, Field(gt=0, description="volume change up to this share is 'stable'")
    ] = 0.3
    change_floor_mm3: Annotated[
        float | None,
        Field(
            ge=0,
            description="and up to this volume; where left out 20 voxels of the coarsest session",
        ),
    ] = None
    reach_mm: Annotated[
        float | None,
        Field(
            ge=0,
            description="distance that links lesions without overlap; where left out 5 pixels of the "
            "coarsest session",
        ),
    ] = None
    local_thickness: Annotated[
        bool,
        Field(
            description="also measure how thick lesions are inside: the largest ball in them that holds a voxel, mean "
            "and largest of a lesion"
        ),
    ] = False
    response: Annotated[
        ResponseConfig, Field(description="what is called a response or a progression")
    ] = ResponseConfig()


class ResourcesConfig(Strict):
    """CPUs, GPUs and memory per kind of work; the defaults fit a laptop."""

    workers: Annotated[
        int | None, Field(ge=1, description="CPUs of the embedded Ray; all cores where left out")
    ] = None
    in_flight: Annotated[
        int | None,
        Field(ge=1, description="units under way at once; twice the CPUs where left out"),
    ] = None
    task_memory_mb: Annotated[
        int, Field(ge=256, description="most memory that one task may plan for")
    ] = 4096
    attempts: Annotated[
        int,
        Field(
            ge=1,
            le=20,
            description="worker deaths that quarantine a unit; nodes that are lost do not count",
        ),
    ] = 3
    unit_minutes: Annotated[
        float | None,
        Field(
            gt=0,
            description="a unit that takes longer (and 50 times longer than planned) counts as hanging: its worker "
            "is ended, it is tried once more, then set aside; null for no limit",
        ),
    ] = 60.0
    wait_minutes: Annotated[
        float,
        Field(
            ge=0,
            description="how long a unit that no node can hold waits for one to join the cluster",
        ),
    ] = 15.0
    segment_gpus: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="share of a GPU for each slab that a student segments; 0 for the CPU. Masks may "
            "differ from the CPU's in single pixels at the border",
        ),
    ] = 0.0
