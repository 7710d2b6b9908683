"""Decides the frames: where the axes of a map point and how a vendor's differ.

The frame of every map that `jaxmat.io` returns (the *map frame*): x runs along the scan
row (array axis 0), y runs down the image from row to row (array axis 1), z points into
the specimen; right-handed. Positions and orientations share it, so that the trace of a
crystal plane can be compared with the boundary drawn beside it.

Vendors write positions in that frame, but orientations in another one:

- Oxford Instruments (Channel 5, AZtec): x right, y up, z out: half a turn about x.
- EDAX (OIM): A1 down the image, A2 right, A3 out: half a turn about x + y. The HDF5
  files number four mountings; `.ang` files do not say, and mounting 1 is taken. The
  commonest two, 1 and 2, differ by half a turn about z, which no in-plane property
  of a map can tell apart.

The crystal frame is IEEE's: x along a, z along c for trigonal and hexagonal crystals,
as EDAX has it. Oxford has x perpendicular to b and c (H5OINA specification, CS2), that
is along a*, 30 degrees further about c. Monoclinic crystals have b along y.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.spatial import KDTree

from jaxmat._check import JaxmatError, check_option
from jaxmat.microstructure import Grid, OrientationMap, Phase

_HALF = np.sqrt(0.5)
OXFORD_TO_MAP = np.array([0.0, 1.0, 0.0, 0.0])
"""Oxford's sample frame -> map frame."""

EDAX_TO_MAP = {
    1: np.array([0.0, _HALF, _HALF, 0.0]),
    2: np.array([0.0, _HALF, -_HALF, 0.0]),
    3: np.array([0.0, 0.0, 1.0, 0.0]),
    4: np.array([0.0, 1.0, 0.0, 0.0]),
}
"""EDAX's sample frame -> map frame, by number of the mounting."""

IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])
_OXFORD_HEXAGONAL = np.array([np.cos(np.pi / 12), 0.0, 0.0, -np.sin(np.pi / 12)])
_HEXAGONAL_AXES = ("-3", "-3m", "6/m", "6/mmm")

OXFORD_LAUE = dict(
    enumerate(
        (
            *("-1", "2/m", "mmm", "4/m", "4/mmm", "-3", "-3m"),
            *("6/m", "6/mmm", "m-3", "m-3m"),
        ),
        start=1,
    )
)
"""Laue group by Channel 5 number."""


class Scan(NamedTuple):
    """What every file format holds, still in the frame and the order of the file.

    Attributes:
        name: file name, for messages.
        cells: points along a row and number of rows.
        steps: distance of points along a row and of rows, micrometres.
        euler_bunge: radians, one row per point, x fastest.
        phase: index into `phases`, -1 where not indexed.
        phases: phases of the file.
        confidence: 0 to 1 or NaN, one per point.
        to_map: quaternion, the vendor's sample frame -> map frame.
        hexagonal_x_is_a: whether x of a hexagonal crystal is a (EDAX) or a* (Oxford).
    """

    name: str
    cells: tuple[int, int]
    steps: tuple[float, float]
    euler_bunge: np.ndarray
    phase: np.ndarray
    phases: tuple[Phase, ...]
    confidence: np.ndarray
    to_map: np.ndarray
    hexagonal_x_is_a: bool


def to_orientation_map(scan: Scan, frame: str) -> OrientationMap:
    """Check a scan and bring it to our axes and frames.

    Raises:
        JaxmatError: for an unknown `frame`, a wrong number of points, a line scan, a
            step that is not positive, or an indexed point whose Euler angles are NaN
            or beyond one turn.
    """
    check_option("frame", frame, ("map", "vendor"))
    check_count(scan.name, scan.cells, len(scan.euler_bunge))
    check_steps(scan.name, scan.steps)
    if min(scan.cells) < 2:
        raise JaxmatError(
            f"`{scan.name}` is a line of {scan.cells[0]} x {scan.cells[1]} points; a "
            "map needs two or more along x and y."
        )
    indexed = scan.phase >= 0
    _check_euler(scan, indexed)
    q = from_euler(np.where(indexed[:, None], scan.euler_bunge, 0.0))
    if not scan.hexagonal_x_is_a:
        q = np.where(_is_hexagonal(scan)[:, None], multiply(q, _OXFORD_HEXAGONAL), q)
    if frame == "map":
        q = multiply(scan.to_map, q)
    q = np.where(q[:, :1] < 0, -q, q)
    q[~indexed] = IDENTITY
    (nx, ny), (dx, dy) = scan.cells, scan.steps
    return OrientationMap(
        grid=Grid((nx, ny), (nx * dx, ny * dy)),
        quaternion=jnp.asarray(q.reshape(ny, nx, 4).swapaxes(0, 1)),
        phase=jnp.asarray(scan.phase.reshape(ny, nx).T.astype(np.int32)),
        phases=scan.phases,
        confidence=jnp.asarray(scan.confidence.reshape(ny, nx).T.astype(float)),
    )


def from_orientation_map(
    m: OrientationMap, name: str, to_map: np.ndarray, *, hexagonal_x_is_a: bool
) -> Scan:
    """The scan a vendor would have written: `to_orientation_map` backwards.

    Unindexed points get zero angles and the confidence of the map.

    Raises:
        JaxmatError: if the map is not two-dimensional, its arrays do not fit its grid
            or its phases, or an indexed point has a NaN or zero quaternion.
    """
    q, phase = np.asarray(m.quaternion, float), np.asarray(m.phase)
    confidence = np.asarray(m.confidence, float)
    if m.grid.ndim != 2:
        raise JaxmatError(
            f"the map has {m.grid.ndim} dimensions; `{name}` takes two, write one "
            "slice at a time."
        )
    if not q.shape[:2] == phase.shape == confidence.shape == m.grid.shape:
        raise JaxmatError(
            f"the map has quaternions {q.shape}, phases {phase.shape} and confidence "
            f"{confidence.shape} on a grid {m.grid.shape}; give one of each per voxel."
        )
    if not m.phases or phase.max() >= len(m.phases) or phase.min() < -1:
        raise JaxmatError(
            f"the map has phase numbers {phase.min()} to {phase.max()} and "
            f"{len(m.phases)} phases; number them from 0, -1 where not indexed."
        )
    phase = phase.T.ravel()
    q = q.swapaxes(0, 1).reshape(-1, 4)
    length = np.linalg.norm(q, axis=1)
    bad = (phase >= 0) & ~(np.isfinite(length) & (length > 0))
    if bad.any():
        raise JaxmatError(
            f"the map has quaternion {q[bad][0].tolist()} at an indexed point; give a "
            "unit quaternion or set its phase to -1."
        )
    q = np.where((phase >= 0)[:, None], q, IDENTITY)
    q = multiply(conjugate(to_map), q / np.linalg.norm(q, axis=1, keepdims=True))
    scan = Scan(
        name=name,
        cells=(m.grid.shape[0], m.grid.shape[1]),
        steps=(m.grid.spacing[0], m.grid.spacing[1]),
        euler_bunge=np.zeros((len(q), 3)),
        phase=phase,
        phases=m.phases,
        confidence=confidence.T.ravel(),
        to_map=to_map,
        hexagonal_x_is_a=hexagonal_x_is_a,
    )
    if not hexagonal_x_is_a:
        turned = multiply(q, conjugate(_OXFORD_HEXAGONAL))
        q = np.where(_is_hexagonal(scan)[:, None], turned, q)
    return scan._replace(euler_bunge=to_euler(q) * (phase >= 0)[:, None])


def check_count(name: str, cells: tuple[int, int], found: float) -> None:
    """Raise unless the header's number of points is the number in the file.

    Called before anything is allocated by the header's word.
    """
    nx, ny = cells
    if nx < 1 or ny < 1 or nx * ny != found:
        raise JaxmatError(
            f"`{name}` holds {found:.10g} points, its header says {nx} x {ny}; the "
            "file was cut off or edited, export it again."
        )


def check_steps(name: str, steps: tuple[float, float]) -> None:
    """Raise unless both steps are positive."""
    if min(steps) <= 0:
        raise JaxmatError(
            f"`{name}` has steps {steps[0]:g} and {steps[1]:g}; they must be positive "
            "micrometres."
        )


def _check_euler(scan: Scan, indexed: np.ndarray) -> None:
    """Raise for NaN, and for degrees where radians belong."""
    if not np.isfinite(scan.euler_bunge[indexed]).all():
        raise JaxmatError(
            f"`{scan.name}` has an indexed point whose Euler angles are not finite; "
            "mark such points as not indexed (phase 0 or -1), or export again."
        )
    largest = np.abs(scan.euler_bunge[indexed]).max(initial=0.0)
    if (
        largest > 2 * np.pi + 1e-3
    ):  # files round: 2 pi itself may exceed by the last digit
        raise JaxmatError(
            f"`{scan.name}` has an Euler angle of {largest:.6g} radians, beyond one "
            "turn; degrees were probably written where radians belong (.ang, .h5: "
            "radians; .ctf: degrees), convert them."
        )


def _is_hexagonal(scan: Scan) -> np.ndarray:
    """Where the crystal axes are trigonal or hexagonal."""
    by_phase = [phase.laue in _HEXAGONAL_AXES for phase in scan.phases]
    return np.array([*by_phase, False])[scan.phase]


def resample_hexagonal(
    rows: tuple[int, int, int], steps: tuple[float, float], name: str
) -> tuple[np.ndarray, tuple[int, int]]:
    """Nearest scan point of every pixel of a square grid over a hexagonal one.

    Rows alternate between the two lengths; the shorter is shifted by half a step, or
    every second row if they are equal. The pixel is one step wide and high, the grid
    is centred on the scan.

    Args:
        rows: points in the odd rows (the first is odd), in the even rows, rows.
        steps: along a row, between rows; micrometres.
        name: file name, for messages.

    Returns:
        Index of the nearest point for every pixel, x fastest, and the pixels along x
        and y. A pixel as near to two points takes either.

    Raises:
        JaxmatError: if the steps are not those of a hexagonal grid.
    """
    odd, even, count = rows
    if not 0.8 < steps[1] / steps[0] < 0.93:  # sqrt(3) / 2, rounded to a digit or more
        raise JaxmatError(
            f"`{name}` has steps {steps[0]:g} and {steps[1]:g} on a hexagonal grid; "
            "rows must be 0.866 steps apart."
        )
    row_lengths = np.where(np.arange(count) % 2 == 0, odd, even)
    shifted = (np.arange(count) % 2 == 1) == (even <= odd)
    y = np.repeat(np.arange(count), row_lengths)
    x = np.arange(len(y)) - np.repeat(np.cumsum(row_lengths) - row_lengths, row_lengths)
    points = np.stack([x + 0.5 * shifted[y], y * (steps[1] / steps[0])], axis=1)
    nx = max(odd, even)
    ny = max(round(count * steps[1] / steps[0]), 1)
    pixel_x = np.arange(nx)
    pixel_y = np.arange(ny) - (ny - 1) / 2 + points[-1, 1] / 2
    pixels = np.stack(np.meshgrid(pixel_x, pixel_y), axis=-1).reshape(-1, 2)
    return np.asarray(KDTree(points).query(pixels)[1]), (nx, ny)


def multiply(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Hamilton products of NumPy quaternions, broadcast over leading axes."""
    (a, b, c, d), (e, f, g, h) = np.moveaxis(p, -1, 0), np.moveaxis(q, -1, 0)
    return np.stack(
        [
            a * e - b * f - c * g - d * h,
            a * f + b * e + c * h - d * g,
            a * g - b * h + c * e + d * f,
            a * h + b * g - c * f + d * e,
        ],
        axis=-1,
    )


def conjugate(q: np.ndarray) -> np.ndarray:
    """Inverse rotations."""
    return q * np.array([1.0, -1.0, -1.0, -1.0])


def from_euler(euler_bunge: np.ndarray) -> np.ndarray:
    """Quaternions, crystal -> sample, of Bunge angles (points, 3), radians."""
    half_sum = (euler_bunge[:, 0] + euler_bunge[:, 2]) / 2
    half_difference = (euler_bunge[:, 0] - euler_bunge[:, 2]) / 2
    c, s = np.cos(euler_bunge[:, 1] / 2), np.sin(euler_bunge[:, 1] / 2)
    return np.stack(
        [
            c * np.cos(half_sum),
            s * np.cos(half_difference),
            s * np.sin(half_difference),
            c * np.sin(half_sum),
        ],
        axis=1,
    )


def to_euler(q: np.ndarray) -> np.ndarray:
    """Bunge angles in [0, 2 pi) x [0, pi] x [0, 2 pi) of unit quaternions."""
    w, x, y, z = q.T
    half_sum, half_difference = np.arctan2(z, w), np.arctan2(y, x)
    capital_phi = 2 * np.arctan2(np.hypot(x, y), np.hypot(w, z))
    phi1, phi2 = half_sum + half_difference, half_sum - half_difference
    turns = np.stack([phi1, phi2]) % (2 * np.pi)
    turns[turns >= 2 * np.pi] = 0.0  # -1e-17 % (2 pi) rounds up to 2 pi
    return np.stack([turns[0], capital_phi, turns[1]], axis=1)
