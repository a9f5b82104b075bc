"""The student's judgement of a pixel: the class of the nearest prototypes, voted where the teacher votes.

A teacher's classes are unions of its codebook's Voronoi cells, and this is the same form with weights that
can be learned. It carries over to neighbouring slices better than free linear scores (benchmarks/LOG.md).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

__all__ = ["LEAST_EXPONENT", "Prototypes", "Vote"]

LEAST_EXPONENT = -30.0
"""Less adds nothing to a sum of at least 1 in float32, but makes subnormals, which CPUs are slow at."""
SOFT_SHARPNESS = 20.0
"""Sharpness while a vote is trained through; a sharper one passes no gradient on."""
VOTE_LOGIT = 12.0
"""Logit of a unanimous vote."""


@dataclass(frozen=True)
class Vote:
    """A majority vote over a disc.

    Args:
        radius_mm: of the disc; 0 for no vote.
        spacing_mm: (y, x) distance of pixel centres.
    """

    radius_mm: float = 0.0
    spacing_mm: tuple[float, float] = (1.0, 1.0)

    @property
    def reach(self) -> tuple[int, int]:
        """Pixels (y, x) that the disc reaches."""
        y, x = (math.floor(self.radius_mm / step * (1 + 1e-9)) for step in self.spacing_mm)
        return y, x

    def disc(self) -> torch.Tensor:
        """Return the disc (2 reach_y + 1, 2 reach_x + 1) of zeros and ones."""
        y, x = self.reach
        down = torch.arange(-y, y + 1, dtype=torch.float64)[:, None] * self.spacing_mm[0]
        right = torch.arange(-x, x + 1, dtype=torch.float64) * self.spacing_mm[1]
        inside = down**2 + right**2 <= (self.radius_mm * (1 + 1e-9)) ** 2
        return inside.to(torch.float32)


class Prototypes(nn.Module):
    """Evidence of prototypes, class by class, and the logit of the target against the others.

    A pixel x scores sharpness · (x' · p - |p|² / 2) with prototype p, where x' is x with every input
    times its own factor: the nearer the higher, in a distance whose weights are learned too. Factors
    and sharpness are kept as logarithms. A class scores what its nearest prototype does, or, `soft`, the
    log-sum-exp of all of them.

    Args:
        inputs: planes d.
        counts: prototypes of each class, in the order of `nodes`.
        target: place of the target among the classes.
        vote: of the class map, as the teacher's.
        soft: log-sum-exp in place of the nearest, for prototypes that are learned.

    Source: Hammer and Villmann, "Generalized relevance learning vector quantization", 2002.
    """

    disc: torch.Tensor

    def __init__(
        self, inputs: int, counts: Sequence[int], target: int, vote: Vote, *, soft: bool
    ) -> None:
        super().__init__()
        self.counts, self.target, self.soft = list(counts), target, soft
        self.nodes = nn.Parameter(torch.zeros(sum(counts), inputs))
        self.factors = nn.Parameter(torch.zeros(inputs))
        self.sharpness = nn.Parameter(torch.zeros(()))
        self.reach = vote.reach
        self.has_vote = max(vote.reach) > 0
        disc = vote.disc()
        self.halves = [(int(row.sum()) - 1) // 2 for row in disc]
        self.register_buffer("disc", disc[None, None], persistent=False)

    def classes(self, plane: torch.Tensor, sharpness: torch.Tensor | None = None) -> torch.Tensor:
        """Return scores (k, n) of classes for standardised inputs (n, d)."""
        sharp = self.sharpness.exp() if sharpness is None else sharpness
        weight = sharp * self.factors.exp() * self.nodes
        offset = -0.5 * sharp * (self.nodes * self.nodes).sum(dim=1)
        # One row per prototype: reductions over rows are several times faster than over columns.
        scores = torch.addmm(offset[:, None], weight, plane.T)
        parts = torch.split(scores, self.counts)
        return torch.stack([_log_sum_exp(p) if self.soft else p.amax(dim=0) for p in parts])

    def pointwise(self, plane: torch.Tensor) -> torch.Tensor:
        """Return evidence (k, ...) for standardised inputs (..., d), each pixel by itself."""
        scores = self.classes(plane.reshape(-1, plane.shape[-1]))
        return scores.view(-1, *plane.shape[:-1])

    def forward(
        self, plane: torch.Tensor, known: torch.Tensor, *, learning: bool = False
    ) -> torch.Tensor:
        """Return the evidence (k, b, y, x) for every class on slices.

        Args:
            plane: (b, y, x, d) standardised inputs.
            known: (b, y, x) bool, pixels with data; the others do not vote.
            learning: whether gradients are wanted through the vote.
        """
        if not self.has_vote:
            return self.pointwise(plane)
        b, y, x, d = plane.shape
        sharp = torch.full_like(self.sharpness, SOFT_SHARPNESS) if learning else None
        shares = torch.softmax(self.classes(plane.reshape(-1, d), sharp), dim=0)
        own = shares.view(-1, b, y, x) * known
        votes = self._voted(own.view(-1, 1, y, x)).view(-1, b, y, x)
        voters = self._voted(known[:, None].to(own.dtype))[:, 0]
        return _election(own, votes, voters)

    def elected(self, own: torch.Tensor, wide: torch.Tensor) -> torch.Tensor:
        """Return the evidence (k, y, x) of a vote, counted by rows of the disc: for CPUs, without gradient.

        Args:
            own: (k, y, x) shares of the classes, 0 where there is no data.
            wide: (k + 1, y + 2 reach, x + 2 reach) the same with what is round it, then who votes.
        """
        votes = torch.stack([_disc_sum(plane, self.halves) for plane in wide])
        return _election(own, votes[:-1], votes[-1])

    def margin(self, evidence: torch.Tensor) -> torch.Tensor:
        """Return the logit (...) of the target against the others, from evidence (k, ...)."""
        rest = torch.cat([evidence[: self.target], evidence[self.target + 1 :]])
        together = self.soft and not self.has_vote
        return evidence[self.target] - (_log_sum_exp(rest) if together else rest.amax(dim=0))

    def _voted(self, planes: torch.Tensor) -> torch.Tensor:
        """Sum planes (n, 1, y, x) over the disc."""
        return nn.functional.conv2d(planes, self.disc, padding=self.reach)


def _election(own: torch.Tensor, votes: torch.Tensor, voters: torch.Tensor) -> torch.Tensor:
    """Return evidence (k, ...) of a vote; where two classes lead with as many, a pixel keeps its own."""
    return VOTE_LOGIT * (votes + 0.5 * own) / voters.clamp_min(1.0)


def _disc_sum(wide: torch.Tensor, halves: Sequence[int]) -> torch.Tensor:
    """Sum a plane over a disc, many times faster than a convolution with it.

    Args:
        wide: (y + 2 reach_y, x + 2 reach_x) the plane and what is round it.
        halves: pixels that each row of the disc reaches to either side.

    Returns:
        (y, x).
    """
    most, rows = max(halves), wide.shape[0] - len(halves) + 1
    columns = wide.shape[1] - 2 * most
    line = wide[:, most : most + columns].clone()
    total = wide.new_zeros(rows, columns)
    for half in range(most + 1):
        if half:
            line += wide[:, most - half : most - half + columns]
            line += wide[:, most + half : most + half + columns]
        for row, reach in enumerate(halves):
            if reach == half:
                total += line[row : row + rows]
    return total


def _log_sum_exp(rows: torch.Tensor) -> torch.Tensor:
    """Return log(sum(exp(rows))) down the columns; the largest is taken out first."""
    largest = rows.detach().amax(dim=0)
    return (rows - largest).clamp_min(LEAST_EXPONENT).exp().sum(dim=0).log() + largest
