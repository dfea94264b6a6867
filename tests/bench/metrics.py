"""Distances between sets of features [N, F], f64."""
import numpy as np


def _root(matrix):
    """Square root of a symmetric positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T


def frechet(a, b):
    """|mean difference|^2 + tr(A + B - 2 (A B)^1/2) of the normal distributions fitted to both (Heusel et al. 2017).

    In the features of a classifier of one's own it compares with nothing but itself, and it falls with N: only
    distances of equal N compare.
    """
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = _root(cov_a)
    middle = np.sqrt(np.linalg.eigvalsh(root @ cov_b @ root).clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * middle)


def mean_distance(features):
    """Mean Euclidean distance of two different rows."""
    squares = (features**2).sum(1)
    distances = np.sqrt((squares[:, None] + squares - 2 * features @ features.T).clip(0))
    n = len(features)
    return distances.sum() / (n * (n - 1))


def within_class(features, labels):
    """Mean over the classes with two samples or more of the mean distance inside a class."""
    distances = [mean_distance(features[labels == k]) for k in np.unique(labels) if (labels == k).sum() > 1]
    return float(np.mean(distances)) if distances else 0.0
