"""Where a segmenter is trained."""

import os

from somray.errors import ConfigError

__all__ = ["device_of"]


def device_of(asked: str) -> str:
    """Return "cpu" or "cuda" for a word of `request.DEVICES`, and let a GPU give the same bits twice.

    Raises:
        ConfigError: a GPU is asked for and there is none.
    """
    if asked == "cpu":
        return asked
    from somray.kernels.student.predict import device_for  # torch: only here

    found = device_for(gpu=True)
    if found == "cuda":  # as Ray Train's workers have it
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    elif asked == "cuda":
        raise ConfigError(
            "--device cuda: torch sees no GPU here; leave it out, or see `somray doctor`"
        )
    return found
