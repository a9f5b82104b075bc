"""What is measured: masks, where they go, which of their labels count."""

from dataclasses import dataclass, field

from somray.errors import ConfigError

__all__ = ["MeasureRequest", "WantedLabels"]


@dataclass(frozen=True)
class WantedLabels:
    """Which labels of a mask count: numbers, or names; all above 0 where neither is given."""

    numbers: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether any is named."""
        return bool(self.numbers or self.names)

    @classmethod
    def parse(cls, texts: tuple[str, ...]) -> "WantedLabels":
        """Read labels as a person types them: `3`, `3,7`, `tumour`, `"liver lesion"`.

        Raises:
            ConfigError: numbers and names together, or 0.
        """
        asked = [part.strip() for text in texts for part in text.split(",") if part.strip()]
        numbers = tuple(dict.fromkeys(int(part) for part in asked if part.isdecimal()))
        names = tuple(dict.fromkeys(part for part in asked if not part.isdecimal()))
        if numbers and names:
            raise ConfigError(f"label {', '.join(asked)}: give numbers or names, not both")
        if 0 in numbers:
            raise ConfigError("label 0: is what no label covers; give labels from 1 on")
        return cls(numbers, names)


@dataclass(frozen=True)
class MeasureRequest:
    """What `somray measure` is asked for.

    Args:
        run: path or URL of a finished run.
        masks: files, folders of masks, or tables of subject, session and path.
        out: folder of the new run; None for the run's own name with `-measured`.
        labels: which labels of the masks count.
        instances: whether each label of a mask is one lesion; else what is connected is one.
        source: what drew the masks, in words, for the report.
    """

    run: str
    masks: tuple[str, ...]
    out: str | None = None
    labels: WantedLabels = field(default_factory=WantedLabels)
    instances: bool = False
    source: str | None = None
