"""Where in the box the stress is: per atom, and as a field on a grid. Pair potentials.

A pair's share of the stress lies on the line between its atoms (Irving and Kirkwood),
smeared out by a kernel (Hardy). With a Gaussian kernel the field is a Fourier series
with known coefficients: its mean is the stress of the box, and its divergence the
density of the forces on the atoms, both exactly.
"""

from numbers import Integral

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError, check_positive
from jaxmat._types import Scalar, full_precision
from jaxmat.atoms._atoms import Atoms, volume
from jaxmat.atoms._pair import AbstractPair
from jaxmat.atoms._pair_sum import bonds, by_rows
from jaxmat.atoms._potential import AbstractPotential, check_covers
from jaxmat.atoms._space import inverse, minimum_image


@full_precision
def atomic_stress(law: AbstractPotential, atoms: Atoms) -> Float[Array, "atoms d d"]:
    """Static stress atom by atom: each bond's share halved between its ends.

    The volume of an atom is that of the box over the number of atoms, so that the mean
    over all atoms is `stress`. Tension positive; the sum over a neighbourhood is what
    means something, a single atom's stress depends on how bonds are divided.

    Args:
        law: pair potential.
        atoms: any configuration.

    Returns:
        Symmetric tensors in the potential's energy per volume.

    Raises:
        JaxmatError: if the potential is none of pairs, or as `energy`.

    References:
        Thompson, Plimpton & Mattson (2009), J. Chem. Phys. 131, 154107.
    """
    law = _of_pairs(law, atoms)

    def of(rows):
        r, _, across = bonds(law, atoms, rows)
        weighted = jnp.stack([across * c for c in r], axis=1)
        return jnp.einsum("aib,abj->aij", weighted, jnp.stack(r, axis=-1)) / 2

    return by_rows(of, atoms.num_atoms) * (atoms.num_atoms / volume(atoms))


@full_precision
def stress_field(
    law: AbstractPotential, atoms: Atoms, shape: tuple[int, ...], width: Scalar | float
) -> Float[Array, "*grid d d"]:
    """Static stress on a grid: on the lines between atoms, smeared out by a Gaussian.

    Its mean over the grid is `stress`. Its divergence is the density of the forces,
    smeared out alike, so atoms at rest have a field in equilibrium.

    Args:
        law: pair potential.
        atoms: any configuration.
        shape: of the grid, whose points have fractional coordinates `i / shape`.
        width: standard deviation of the Gaussian; below the spacing of the grid the
            series is cut off where it is not small yet, and rings.

    Returns:
        Cauchy stress without its kinetic part, tension positive.

    Raises:
        JaxmatError: if `shape` has not a positive whole number for each dimension,
            `width` is not positive, or the potential is none of pairs; or as `energy`.

    References:
        Irving & Kirkwood (1950), J. Chem. Phys. 18, 817-829; Hardy (1982), J. Chem.
        Phys. 76, 622-628.
    """
    n, d = atoms.positions.shape
    law = _of_pairs(law, atoms)
    if len(shape) != d or not all(isinstance(m, Integral) and m > 0 for m in shape):
        raise JaxmatError(
            f"`shape` is {shape} for {d} dimensions; give one whole number for each."
        )
    width = jnp.asarray(width, atoms.positions.dtype)
    check_positive("width", width)
    rows = jnp.arange(n, dtype=jnp.int32)
    r, _, across = bonds(law, atoms, rows)
    share = jnp.stack([across * a * b for a in r for b in r]).reshape(d * d, -1)
    s = atoms.positions
    between = minimum_image(s[:, None] - s).reshape(n * n, d)
    middle = (s[:, None] - between.reshape(n, n, d) / 2).reshape(n * n, d)
    to_fractional = inverse(atoms.box)

    @jax.checkpoint
    def coefficient(wave):
        wave = wave.astype(s.dtype)
        k = 2 * jnp.pi * (wave @ to_fractional)
        kernel = jnp.exp(-jnp.sum(k * k) * width**2 / 2)
        angle = 2 * jnp.pi * (middle @ wave)
        spread = kernel * jnp.sinc(between @ wave)  # the mean along the line
        return share @ (spread * jnp.cos(angle)), -share @ (spread * jnp.sin(angle))

    waves = _waves(shape)
    found = jax.lax.map(coefficient, jnp.asarray(waves.reshape(-1, d)))
    whole = jax.lax.complex(*found).reshape(*waves.shape[:-1], d, d)
    field = jnp.fft.irfftn(whole, shape, axes=tuple(range(d)))
    return field * (np.prod(shape) / (2 * volume(atoms)))


def _of_pairs(law: AbstractPotential, atoms: Atoms) -> AbstractPair:
    if not isinstance(law, AbstractPair):
        raise JaxmatError(
            f"`law` is {type(law).__name__}; the stress of an atom is known for "
            "potentials of pairs only, take `stress` of the box."
        )
    check_covers(law, atoms)
    return law


def _waves(shape: tuple[int, ...]) -> np.ndarray:
    """Integer wave vectors in the order of a real Fourier transform."""
    whole = [np.fft.fftfreq(m, 1 / m) for m in shape[:-1]]
    half = np.arange(shape[-1] // 2 + 1)
    grid = np.meshgrid(*whole, half, indexing="ij")
    return np.round(np.stack(grid, axis=-1)).astype(int)
