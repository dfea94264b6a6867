"""Kiln's random numbers (core/api/rng.h) in NumPy, so that PyTorch sees the same ones."""
import numpy as np


def words(shape, seed, step, stream, first_sample=0):
    """Output words of an rng node of the given shape, as uint32."""
    n = int(shape[0]) if shape else 1
    per_sample = int(np.prod(shape[1:])) if len(shape) > 1 else 1
    blocks = (per_sample + 3) // 4
    c = np.zeros((n, blocks, 4), np.uint64)
    c[..., 0] = np.arange(blocks)[None, :]
    c[..., 1] = (np.arange(n) + first_sample)[:, None]
    c[..., 2] = step
    c[..., 3] = stream
    k0, k1 = np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32)
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        p0, p1 = c[..., 0] * np.uint64(0xD2511F53), c[..., 2] * np.uint64(0xCD9E8D57)
        c = np.stack([(p1 >> np.uint64(32)) ^ c[..., 1] ^ k0, p1 & low,
                      (p0 >> np.uint64(32)) ^ c[..., 3] ^ k1, p0 & low], -1)
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & low, (k1 + np.uint64(0xBB67AE85)) & low
    return c.reshape(n, -1)[:, :per_sample].astype(np.uint32), c.astype(np.uint32)


def uniform(shape, seed, step, stream):
    w, _ = words(shape, seed, step, stream)
    return ((w >> 8).astype(np.float32) * np.float32(2**-24) + np.float32(2**-25)).reshape(shape)


def integers(shape, bound, seed, step, stream):
    w, _ = words(shape, seed, step, stream)
    return ((w.astype(np.uint64) * np.uint64(bound)) >> np.uint64(32)).astype(np.int64).reshape(shape)


def normal(shape, seed, step, stream):
    """Box-Muller on the word pairs of each block; float32."""
    n = int(shape[0])
    per_sample = int(np.prod(shape[1:])) if len(shape) > 1 else 1
    _, blocks = words(shape, seed, step, stream)
    u = (blocks >> 8).astype(np.float64) * 2.0**-24 + 2.0**-25
    r = np.sqrt(-2 * np.log(u[..., 0::2]))
    angle = 2 * np.pi * u[..., 1::2]
    z = np.stack([r * np.cos(angle), r * np.sin(angle)], -1)
    return z.reshape(n, -1)[:, :per_sample].reshape(shape).astype(np.float32)
