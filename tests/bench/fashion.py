"""Fashion-MNIST as NumPy arrays, for the measuring scripts."""
import gzip
import os
import pathlib

import numpy as np

CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


def idx(path):
    """Array of an IDX file of bytes."""
    with gzip.open(path, "rb") as file:
        data = file.read()
    n_dims = data[3]
    shape = [int.from_bytes(data[4 + 4 * i:8 + 4 * i], "big") for i in range(n_dims)]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * n_dims).reshape(shape).copy()


def load(part):
    """part: train or t10k. Pictures [N, 28, 28] u8 and labels [N] u8, from KILN_FASHION or Debian's package."""
    folder = pathlib.Path(os.environ.get("KILN_FASHION", "/usr/share/datasets/fashion-mnist"))
    return idx(folder / f"{part}-images-idx3-ubyte.gz"), idx(folder / f"{part}-labels-idx1-ubyte.gz")
