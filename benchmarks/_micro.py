"""The benchmark's microstructures, by NumPy, so that every program gets the same.

Two periodic Voronoi polycrystals of silicon, 20 grains in the plane ([001] along x3)
and 30 in space, rasterised from their generators at any resolution: at the sizes
stored in `tests/data/micro` this gives the stored grain maps bit by bit.
"""

import pathlib

import numpy as np
from scipy.spatial import cKDTree

DATA = pathlib.Path(__file__).parents[1] / "tests" / "data" / "micro"
STORED = {2: "voronoi2d_20g_128.npz", 3: "voronoi3d_30g_32.npz"}
PAIRS = {
    2: [(0, 0), (1, 1), (0, 1)],
    3: [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)],
}


def grain_map(ndim: int, size: int) -> np.ndarray:
    """Grain of every voxel, indexed [ix, iy(, iz)], of a unit cell."""
    seeds = np.load(DATA / STORED[ndim])["seeds"]
    centres = (np.arange(size) + 0.5) / size
    points = np.stack(np.meshgrid(*[centres] * ndim, indexing="ij"), -1)
    return cKDTree(seeds, boxsize=1.0).query(points)[1].astype(np.int32)


def rotations(ndim: int) -> np.ndarray:
    """Rotation of every grain, crystal to sample."""
    stored = np.load(DATA / STORED[ndim])
    if ndim == 3:
        return stored["R_crystal_to_sample"]
    out = np.zeros((stored["theta_rad"].size, 3, 3))
    cos, sin = np.cos(stored["theta_rad"]), np.sin(stored["theta_rad"])
    out[:, 0, 0], out[:, 0, 1], out[:, 1, 0], out[:, 1, 1] = cos, -sin, sin, cos
    out[:, 2, 2] = 1.0
    return out


def quaternions(ndim: int) -> np.ndarray:
    """Orientation of every grain, (w, x, y, z), crystal to sample."""
    stored = np.load(DATA / STORED[ndim])
    if ndim == 3:
        return stored["quat_wxyz"]
    half = stored["theta_rad"] / 2
    return np.stack([np.cos(half), 0 * half, 0 * half, np.sin(half)], -1)


def silicon_voigt() -> np.ndarray:
    """Stiffness of silicon in the crystal frame, GPa."""
    C11, C12, C44 = np.load(DATA / STORED[3])["C11_C12_C44_GPa"]
    out = np.diag([C11 - C12] * 3 + [C44] * 3)
    out[:3, :3] += C12
    return out


def grain_stiffness(ndim: int) -> np.ndarray:
    """Voigt stiffness of every grain in the sample frame, plane strain in a plane.

    With the full tensor, not with the library's Mandel algebra: the other programs
    share nothing with the one that is measured.
    """
    voigt = silicon_voigt()
    slot = {pair: k for k, pair in enumerate(PAIRS[3])}
    slot |= {(j, i): k for (i, j), k in slot.items()}
    crystal = np.zeros((3, 3, 3, 3))
    for pair, row in slot.items():
        for other, column in slot.items():
            crystal[pair + other] = voigt[row, column]
    r = rotations(ndim)
    sample = np.einsum("gai,gbj,gck,gdl,ijkl->gabcd", r, r, r, r, crystal)
    return np.array(
        [[[c[p + q] for q in PAIRS[ndim]] for p in PAIRS[ndim]] for c in sample]
    )
