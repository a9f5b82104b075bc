"""A batch SOM as the books write it: one sample, one node at a time."""

import numpy as np


def nearest(samples, weights):
    return np.array([int(np.argmin(((weights - s) ** 2).sum(1))) for s in samples.astype(float)])


def update(samples, weights, grid, radius):
    place = np.array([(row, column) for row in range(grid[0]) for column in range(grid[1])], float)
    won = nearest(samples, weights)
    moved = np.empty_like(weights, dtype=float)
    for node in range(len(weights)):
        share = np.exp(-((place[won] - place[node]) ** 2).sum(1) / (2 * radius**2))
        moved[node] = (share[:, None] * samples).sum(0) / share.sum()
    return moved


def errors(samples, weights, grid):
    distance = np.sqrt(((samples[:, None].astype(float) - weights[None].astype(float)) ** 2).sum(2))
    first, second = np.argsort(distance, axis=1, kind="stable")[:, :2].T
    row = np.abs(first // grid[1] - second // grid[1])
    column = np.abs(first % grid[1] - second % grid[1])
    return distance.min(1).mean(), (np.maximum(row, column) > 1).mean()
