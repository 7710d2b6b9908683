"""Pair potentials: a shape, scaled by an energy and a length for each pair of species.

The sums over pairs are in `_pair_sum`.
"""

import abc
import functools
import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError, check_option, check_positive
from jaxmat._types import full_precision
from jaxmat.atoms._atoms import exchanged
from jaxmat.atoms._neighbours import only_if_current
from jaxmat.atoms._pair_sum import SMOOTHINGS, bonds, by_rows, pair_energy, row_energies
from jaxmat.atoms._potential import AbstractPotential
from jaxmat.atoms._space import inverse


def matrix(values: Any) -> Float[Array, "species species"]:
    """A number for each pair of species; a single one for a single species."""
    found = jnp.asarray(values)
    found = found.astype(jnp.result_type(float, found))
    return found.reshape(1, 1) if found.ndim == 0 else found


class AbstractPair(AbstractPotential):
    """Energy `epsilon_ab u(r / sigma_ab)`, cut at `r = cutoff_ratio sigma_ab`.

    What would jump at the cutoff is taken off as a polynomial:

    - "energy": the value there; forces still jump;
    - "force": value and slope, a line in r (the shifted-force potential);
    - "curvature": value, slope and second derivative, a parabola in r^2. Elastic moduli
      and Newton's method need this.

    Attributes:
        epsilon: energy for each pair of species, symmetric.
        sigma: length for each pair of species, symmetric.
        cutoff_ratio: cutoff over `sigma`, static; a derivative in `sigma` moves the
            cutoff along.
        smoothing: "energy", "force" or "curvature", static.

    Raises:
        JaxmatError: if matrices do not match or are not symmetric, or a number is no
            length, or there is no such smoothing.
    """

    epsilon: eqx.AbstractVar[Float[Array, "species species"]]
    sigma: eqx.AbstractVar[Float[Array, "species species"]]
    cutoff_ratio: eqx.AbstractVar[float]
    smoothing: eqx.AbstractVar[str]

    def __check_init__(self):
        check_option("smoothing", self.smoothing, SMOOTHINGS)
        check_positive("sigma", self.sigma)
        check_positive("epsilon", self.epsilon, zero=True)
        check_positive("cutoff_ratio", jnp.asarray(self.cutoff_ratio))
        _check_symmetric("epsilon", self.epsilon, self.sigma.shape)
        _check_symmetric("sigma", self.sigma, self.sigma.shape)

    @abc.abstractmethod
    def shape(self, x: Array, *parameters: Array) -> Array:
        """The shape `u` of `x = (r / sigma)^2`, elementwise."""

    def slope(self, x: Array, *parameters: Array) -> Array:
        """Derivative of the shape in `x`, for laws that know a shorter way to it."""
        return jax.jvp(lambda x: self.shape(x, *parameters), (x,), (jnp.ones_like(x),))[
            1
        ]

    @property
    def parameters(self) -> tuple[Float[Array, "species species"], ...]:
        """What the shape depends on, for each pair of species."""
        return ()

    @property
    def num_species(self):
        return self.epsilon.shape[0]

    @property
    def cutoff(self):
        return self.cutoff_ratio * jnp.max(self.sigma)

    @property
    def core(self):
        return 0.1 * self.sigma

    def energy(self, atoms, neighbours=None):
        total = pair_energy(self, atoms, neighbours)
        return only_if_current(total, neighbours, atoms, self.cutoff)

    def exchange(self, atoms, i, j, neighbours=None):
        """From the bonds of the two with all others; no list is needed."""
        del neighbours
        rows, after = jnp.stack([i, j]), exchanged(atoms, i, j)
        change = row_energies(self, after, rows) - row_energies(self, atoms, rows)
        return jnp.sum(change)

    def hessian(self, atoms):
        """Assembled from the pairs."""
        n, d = atoms.positions.shape
        found = by_rows(lambda rows: _stiffnesses(self, atoms, rows), n)
        # What an atom feels from itself is minus what it feels from all others.
        own = jnp.eye(n, dtype=atoms.positions.dtype)
        blocks = {k: own * jnp.sum(x, axis=1) - x for k, x in found.items()}
        rows = [jnp.stack([blocks[_key(i, k)] for k in range(d)], -1) for i in range(d)]
        return jnp.stack(rows, axis=1).reshape(n * d, n * d)

    @full_precision
    def hessian_product(self, atoms, u):
        """Assembled from the pairs, and forgotten."""
        n, d = atoms.positions.shape
        columns = jnp.concatenate([u, jnp.ones((n, 1), u.dtype)], axis=1)

        def of(rows):
            force = [jnp.zeros(len(rows), u.dtype)] * d
            for (i, k), block in _stiffnesses(self, atoms, rows).items():
                felt = block @ columns
                felt = felt[:, -1:] * u[rows] - felt[:, :-1]
                force[i] = force[i] + felt[:, k]
                if i != k:
                    force[k] = force[k] + felt[:, i]
            return jnp.stack(force, axis=1)

        return by_rows(of, n)

    @full_precision
    def mixed(self, atoms):
        """Assembled from the pairs."""
        d = range(atoms.dimension)

        def of(rows):
            r, along, across = bonds(self, atoms, rows)
            return _moments(along, r, 3), _moments(across, r, 1)

        cubic, linear = by_rows(of, atoms.num_atoms)
        eye = jnp.eye(atoms.dimension, dtype=linear[(0,)].dtype)
        # Moments of the bonds' stiffness, first with Cartesian components of the bond.
        third = jnp.stack(
            [
                jnp.stack(
                    [jnp.stack([cubic[_key(i, j, k)] for k in d], -1) for j in d], -2
                )
                for i in d
            ],
            -3,
        )
        force = jnp.stack([linear[(k,)] for k in d], -1)
        third += eye[:, :, None] * force[:, None, None, :]
        to_fractional = inverse(atoms.box)
        affine = jnp.einsum("im,aijk,lk->amjl", atoms.box, third, to_fractional)
        return affine + eye[:, None, :] * force[:, None, :, None]

    @full_precision
    def box_hessian(self, atoms):
        """Assembled from the pairs."""
        d = range(atoms.dimension)

        def of(rows):
            r, along, across = bonds(self, atoms, rows)
            return _moments(along, r, 4), _moments(across, r, 2)

        fourth, second = jax.tree.map(jnp.sum, by_rows(of, atoms.num_atoms))
        whole = [
            fourth[_key(i, j, k, m)] + (second[_key(k, m)] if i == j else 0.0)
            for i, k, j, m in itertools.product(d, repeat=4)
        ]
        cartesian = jnp.stack(whole).reshape((atoms.dimension,) * 4) / 2
        to_fractional = inverse(atoms.box)
        return jnp.einsum("iajb,ka,mb->ikjm", cartesian, to_fractional, to_fractional)


class LennardJones(AbstractPair):
    """`4 epsilon ((sigma / r)^12 - (sigma / r)^6)`; see `AbstractPair`.

    References:
        Jones (1924), Proc. R. Soc. A 106, 463-477.
    """

    epsilon: Float[Array, "species species"] = eqx.field(converter=matrix)
    sigma: Float[Array, "species species"] = eqx.field(converter=matrix)
    cutoff_ratio: float = eqx.field(static=True, default=2.5)
    smoothing: str = eqx.field(static=True, default="curvature")

    def shape(self, x):
        inverse = 1 / x
        third = inverse * inverse * inverse
        return 4 * third * (third - 1)

    def slope(self, x):
        inverse = 1 / x
        third = inverse * inverse * inverse
        return 12 * inverse * third * (1 - 2 * third)


class Morse(AbstractPair):
    """`epsilon ((1 - exp(-steepness (r / sigma - 1)))^2 - 1)`; see `AbstractPair`.

    Attributes:
        steepness: for each pair of species; twice its square is the curvature of `u`
            at the minimum, which is at `sigma`.

    References:
        Morse (1929), Phys. Rev. 34, 57-64.
    """

    epsilon: Float[Array, "species species"] = eqx.field(converter=matrix)
    sigma: Float[Array, "species species"] = eqx.field(converter=matrix)
    steepness: Float[Array, "species species"] = eqx.field(converter=matrix)
    cutoff_ratio: float = eqx.field(static=True, default=2.5)
    smoothing: str = eqx.field(static=True, default="curvature")

    def __check_init__(self):
        check_positive("steepness", self.steepness)
        _check_symmetric("steepness", self.steepness, self.sigma.shape)

    @property
    def parameters(self):
        return (self.steepness,)

    def shape(self, x, steepness):
        bond = jnp.exp(-steepness * (jnp.sqrt(x) - 1))
        return bond * (bond - 2)


def kob_andersen(smoothing: str = "curvature") -> LennardJones:
    """The binary glass former, 80 % of species 0, in units of its large atoms.

    Usually at density 1.2 atoms per volume, with equal masses. `smoothing` of the
    cutoff as in `LennardJones`.

    References:
        Kob & Andersen (1995), Phys. Rev. E 51, 4626-4641.
    """
    epsilon, sigma = [[1.0, 1.5], [1.5, 0.5]], [[1.0, 0.8], [0.8, 0.88]]
    return LennardJones(epsilon, sigma, 2.5, smoothing)


def wahnstrom(smoothing: str = "curvature") -> LennardJones:
    """The binary glass former, half of each species, in units of its large atoms.

    Usually at density 1.296 atoms per volume (0.75 in units of the small atoms). Atoms
    of species 1 are smaller, 5/6, and have half the mass. `smoothing` of the cutoff
    as in `LennardJones`.

    References:
        Wahnstrom (1991), Phys. Rev. A 44, 3752-3764.
    """
    sigma = [[1.0, 11 / 12], [11 / 12, 5 / 6]]
    return LennardJones(jnp.ones((2, 2)), sigma, 2.5, smoothing)


def wca(epsilon: Any = 1.0, sigma: Any = 1.0) -> LennardJones:
    """The repulsive part of Lennard-Jones: cut in its minimum, and shifted to zero.

    The force is continuous, the curvature jumps at the cutoff.

    References:
        Weeks, Chandler & Andersen (1971), J. Chem. Phys. 54, 5237-5247.
    """
    return LennardJones(epsilon, sigma, 2 ** (1 / 6), "energy")


def _check_symmetric(name: str, values: Array, shape: tuple[int, ...]) -> None:
    if values.ndim != 2 or values.shape != shape or shape[0] != shape[1]:
        raise JaxmatError(
            f"`{name}` has shape {values.shape}; give one square matrix of species "
            "for every parameter."
        )
    if not isinstance(values, Tracer) and not np.allclose(values, values.T):
        raise JaxmatError(f"`{name}` is not symmetric; a pair has no first atom.")


def _key(*indices: int) -> tuple[int, ...]:
    """The same for all orders of symmetric indices."""
    return tuple(sorted(indices))


def _stiffnesses(law, atoms, rows) -> dict[tuple[int, ...], Array]:
    """Second derivative of a pair in its distance vector, by components."""
    r, along, across = bonds(law, atoms, rows)
    keys = itertools.combinations_with_replacement(range(len(r)), 2)
    return {(i, k): along * r[i] * r[k] + (across if i == k else 0.0) for i, k in keys}


def _moments(weight, r, order: int) -> dict[tuple[int, ...], Array]:
    """Sums of the weight times all products of so many components, row by row."""
    return {
        indices: jnp.sum(
            functools.reduce(jnp.multiply, (r[i] for i in indices), weight), axis=1
        )
        for indices in itertools.combinations_with_replacement(range(len(r)), order)
    }
