"""Bytes that nothing compresses."""

import numpy as np

K = 1024
NOISE = np.random.default_rng(1).bytes(200 * K)
