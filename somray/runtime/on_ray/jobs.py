"""Ray's Jobs API: hand a job to a cluster, follow what it says, and end as it ends."""

import asyncio
import contextlib
import os
import shlex
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from ray.exceptions import RayError
from ray.job_submission import JobStatus, JobSubmissionClient

from somray.errors import PlanError

__all__ = ["Jobs", "Submitted"]

SEND_IGNORED = "RAY_RUNTIME_ENV_IGNORE_GITIGNORE"
_ENDED = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.STOPPED)


@dataclass(frozen=True)
class Submitted:
    """A job on a cluster.

    Args:
        name: its submission id.
        is_new: whether it was handed over now; False where the same job was under way already.
    """

    name: str
    is_new: bool


def _through_proxy(address: str) -> str:
    """Say that the environment sends requests to an address through a proxy, loopback too; "" where it does not."""
    parts = urllib.parse.urlsplit(address)
    host = parts.hostname or ""
    if parts.scheme not in urllib.request.getproxies() or urllib.request.proxy_bypass(host):
        return ""
    return f"; {parts.scheme}_proxy is set and this went through it: if it should not, export no_proxy={host}"


class Jobs:
    """The jobs of one cluster.

    Args:
        address: of its dashboard, "http://host:8265".

    Raises:
        PlanError: nothing answers there, or it refuses the token.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        with self._said():
            self._client: Any = JobSubmissionClient(address)  # Any: Ray's own client

    @contextlib.contextmanager
    def _said(self) -> Iterator[None]:
        """Say what is wrong with a cluster in one sentence."""
        try:
            yield
        except (RuntimeError, ValueError, OSError, RayError, aiohttp.ClientError) as error:
            words = str(error)
            if any(sign in words for sign in ("401", "403", "oken", "uthenticat")):
                raise PlanError(
                    f"{self._address} refuses the token; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or "
                    "RAY_AUTH_TOKEN_PATH) to the cluster's own"
                ) from error
            last = next((line for line in reversed(words.splitlines()) if _says(line)), words)
            why = last.strip(" .") or type(error).__name__
            raise PlanError(
                f"no Ray cluster takes jobs at {self._address}: {why}; give the address of its dashboard "
                "(http://HEAD:8265), perhaps through a tunnel: ssh -L 8265:localhost:8265 HEAD"
                + _through_proxy(self._address)
            ) from error

    def submit(self, name: str, words: Sequence[str], environment: Mapping[str, Any]) -> Submitted:
        """Hand a job over, unless the same one is waiting or running already.

        Args:
            name: what the job is; the same for the same job.
            words: of its command.
            environment: Ray's runtime environment.
        """
        with self._said():
            jobs = self._client.list_jobs()  # drivers of others among them, without such an id
            known = {job.submission_id: job.status for job in jobs if job.submission_id}
            again = [n for n in known if n == name or n.startswith(f"{name}-")]
            for one in again:
                if known[one] not in _ENDED:
                    return Submitted(one, is_new=False)
            full = f"{name}-{len(again) + 1}" if again else name
            os.environ[SEND_IGNORED] = "1"  # a manifest is sent though git is told to ignore *.csv
            command = shlex.join(words)
            self._client.submit_job(
                entrypoint=command, submission_id=full, runtime_env=dict(environment)
            )
        return Submitted(full, is_new=True)

    def state(self, name: str) -> str:
        """Return PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED."""
        with self._said():
            return str(self._client.get_job_status(name).value)

    def follow(self, name: str, tell: Callable[[str], object]) -> int | None:
        """Pass on what a job says until it ends; return its exit code, None where it has none (it was stopped)."""

        async def listen() -> None:
            async for text in self._client.tail_job_logs(name):
                tell(text)

        with self._said():
            asyncio.run(listen())
            info = self._client.get_job_info(name)
            if info.status == JobStatus.SUCCEEDED:
                return 0
            code = info.driver_exit_code
        return None if code is None else int(code)


def _says(line: str) -> bool:
    """Whether there is a word in a line: Ray ends some of its messages by one of a full stop alone."""
    return any(letter.isalpha() for letter in line)
