"""What people are told while a run goes on: what stands where, what is left, when it will end."""

from somray.commands.progress.view import ProgressView

__all__ = ["ProgressView"]
