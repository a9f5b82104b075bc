"""The pretraining alone, for `ray job submit --working-dir . -- python -m jobs.pretrain_cohort cohort.yaml`."""

import sys

from somray import cli

__all__ = ["main"]


def main(argv: list[str]) -> int:
    """Do what `somray pretrain` does, with the same arguments."""
    return cli.main(["pretrain", *argv])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
