"""Integration points of a voxel: where a law that is not linear is asked.

One point in the middle for one strain mode; else Gauss's two along every axis, at
`xi = +-1 / (2 sqrt 3)`. There the monomial of mode `s` (see `_elements`) takes the
values `+-12^(-|s|/2)`, and these are orthogonal over the points. So strain goes to the
points by sums and differences, the modal stress comes back by the same as an average,
and for a law that is constant in the voxel that is the exact integral.
"""

import math
from itertools import product

from jaxtyping import Array

from jaxmat.cells._elements import ModeStrain, add

Mode = tuple[int, ...]
Point = dict[int, Array]  # Mandel index -> array, as in one mode


def num_points(modes: int) -> int:
    """Integration points of a voxel with so many strain modes: 1, 3 or 7."""
    return modes + 1 if modes > 1 else 1


def values(mode: Mode, modes: int) -> list[float]:
    """Monomial of a mode at the integration points; floats, which keep any type."""
    if modes == 1:
        return [1.0]
    ndim = {3: 2, 7: 3}[modes]
    scale = 12 ** (-len(mode) / 2)
    return [
        scale * math.prod(signs[d] for d in mode)
        for signs in product((-1, 1), repeat=ndim)
    ]


def to_points(eps: ModeStrain) -> list[Point]:
    """Strain at every integration point; components in no mode stay absent."""
    present = sorted({k for mode in eps.values() for k in mode})
    value = {s: values(s, len(eps)) for s in eps}

    def at(q: int, k: int) -> Array:
        return add(mode[k] * value[s][q] for s, mode in eps.items() if k in mode)

    return [{k: at(q, k) for k in present} for q in range(num_points(len(eps)))]


def to_modes(sig: list[Point], modes: list[Mode]) -> ModeStrain:
    """Modal stress, whose weighted product with modal strain is the mean work."""
    value = {s: values(s, len(modes)) for s in modes}

    def of(s: Mode, k: int) -> Array:
        square = sum(v * v for v in value[s])
        return add(
            point[k] * (v / square) for point, v in zip(sig, value[s], strict=True)
        )

    return {s: {k: of(s, k) for k in sig[0]} for s in modes}
