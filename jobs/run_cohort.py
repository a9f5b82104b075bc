"""The whole job, for `ray job submit --working-dir . -- python -m jobs.run_cohort cohort.yaml`."""

import sys

from somray import cli

__all__ = ["main"]


def main(argv: list[str]) -> int:
    """Do what `somray run` does, with the same arguments."""
    return cli.main(["run", *argv])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
