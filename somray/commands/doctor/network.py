"""Does the cluster answer, does it ask for a token, do its clocks agree, are its ports free?"""

from collections.abc import Iterator

from somray.commands.doctor.finding import Finding, Preflight, named
from somray.runtime.facts import PORTS

__all__ = ["answers", "clocks", "ports", "token"]

MOST_SKEW_SECONDS = 5.0
_LOOPBACK = ("127.", "::1", "localhost")


def answers(facts: Preflight) -> Iterator[Finding]:
    """Find a cluster that cannot be joined, and nodes that tell nothing."""
    if facts.fault:
        yield Finding("answers", "error", facts.fault, f"ray status --address {facts.address}")
    elif facts.address and not facts.nodes and not facts.silent:
        message = "the cluster has no living node"
        yield Finding("answers", "error", message, f"ray status --address {facts.address}")
    version = facts.here["versions"]["somray"]
    for machine in facts.silent:
        if "ModuleNotFoundError" in machine["error"] or "No module named" in machine["error"]:
            remedy = f"python -m pip install somray=={version}   # there, in the environment of Ray"
        else:
            remedy = f"ssh {machine['address']} tail /tmp/ray/session_latest/logs/raylet.out"
        message = f"the node does not answer: {machine['error']}"
        yield Finding("answers", "error", message, remedy, named(machine))


def token(facts: Preflight) -> Iterator[Finding]:
    """Find a Ray that lets everybody in who reaches it."""
    if not facts.address:
        if (facts.here["auth_mode"] or "").lower() == "disabled":
            message = (
                "RAY_AUTH_MODE=disabled: an embedded Ray would let every user of this machine in"
            )
            yield Finding("token", "warning", message, "unset RAY_AUTH_MODE")
        return
    is_open = [n for n in facts.nodes if (n["auth_mode"] or "disabled").lower() == "disabled"]
    reached = [n for n in is_open if not n["address"].startswith(_LOOPBACK)]
    if reached:
        message = (
            f"token authentication is off, and {reached[0]['address']} can be reached by others: who reaches it "
            "runs programs as you"
        )
        remedy = (
            "export RAY_AUTH_MODE=token; ray get-auth-token --generate   # then start Ray anew on every node, with "
            "this token"
        )
        yield Finding("token", "warning", message, remedy)


def clocks(facts: Preflight) -> Iterator[Finding]:
    """Find clocks that are off: a run's signs of life are judged by them."""
    for machine in facts.nodes:
        if machine["skew_seconds"] > MOST_SKEW_SECONDS:
            message = (
                f"the clock is {machine['skew_seconds']:.0f} s off that of {facts.here['host']}"
            )
            remedy = "sudo chronyc makestep   # or: sudo timedatectl set-ntp true"
            yield Finding("clocks", "warning", message, remedy, named(machine))


def ports(facts: Preflight) -> Iterator[Finding]:
    """Find ports that the head of a cluster would want here and cannot have."""
    if facts.address or not facts.ports:
        return
    taken = ", ".join(map(str, facts.ports))
    options = " ".join(
        f"{option} {facts.ports[port]}" for option, port in PORTS.items() if port in facts.ports
    )
    message = f"taken: {taken}; an embedded Ray takes others, the head of a cluster would not"
    yield Finding("ports", "warning", message, f"ray start --head {options}")
