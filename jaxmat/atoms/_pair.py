"""Pair potentials: a shape, scaled by an energy and a length for each pair of species.

Sums run over ordered pairs, each pair twice. Its two halves are equal, so the gradient
in the position of an atom is a sum over its own row, and nothing has to be scattered
into other rows: the gradient is written down (`_slopes`) instead of left to the
transpose of the sum, and derivatives of higher order differentiate that.
"""

import abc
import functools
import itertools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError, check_option, check_positive
from jaxmat._types import full_precision
from jaxmat.atoms._neighbours import only_if_current, pair_vectors
from jaxmat.atoms._potential import AbstractPotential, along_parameters

SMOOTHINGS = ("energy", "force", "curvature")


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
        total = _energy(self, atoms, neighbours)
        return only_if_current(total, neighbours, atoms, self.cutoff)

    def hessian(self, atoms):
        """Assembled from the pairs."""
        n, d = atoms.positions.shape
        r, along, across = _bonds(self, atoms)
        # What an atom feels from itself is minus what it feels from all others.
        own = jnp.eye(n, dtype=along.dtype)
        blocks = [[own] * d for _ in range(d)]
        for i, k in itertools.combinations_with_replacement(range(d), 2):
            block = along * r[i] * r[k] + (across if i == k else 0.0)
            block = own * jnp.sum(block, axis=1) - block
            blocks[i][k] = blocks[k][i] = block
        rows = [jnp.stack(row, axis=-1) for row in blocks]
        return jnp.stack(rows, axis=1).reshape(n * d, n * d)

    @full_precision
    def mixed(self, atoms):
        """Assembled from the pairs."""
        d = range(atoms.dimension)
        r, along, across = _bonds(self, atoms)
        cubic = _moments(along, r, 3, axis=1)
        linear = _moments(across, r, 1, axis=1)
        eye = jnp.eye(atoms.dimension, dtype=along.dtype)
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
        inverse = jnp.linalg.inv(atoms.box)
        affine = jnp.einsum("im,aijk,lk->amjl", atoms.box, third, inverse)
        return affine + eye[:, None, :] * force[:, None, :, None]

    @full_precision
    def box_hessian(self, atoms):
        """Assembled from the pairs."""
        d = range(atoms.dimension)
        r, along, across = _bonds(self, atoms)
        fourth = _moments(along, r, 4)
        second = _moments(across, r, 2)
        whole = [
            fourth[_key(i, j, k, m)] + (second[_key(k, m)] if i == j else 0.0)
            for i, k, j, m in itertools.product(d, repeat=4)
        ]
        cartesian = jnp.stack(whole).reshape((atoms.dimension,) * 4) / 2
        inverse = jnp.linalg.inv(atoms.box)
        return jnp.einsum("iajb,ka,mb->ikjm", cartesian, inverse, inverse)


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

    Usually at density 1.2 atoms per volume, with equal masses.

    References:
        Kob & Andersen (1995), Phys. Rev. E 51, 4626-4641.
    """
    epsilon, sigma = [[1.0, 1.5], [1.5, 0.5]], [[1.0, 0.8], [0.8, 0.88]]
    return LennardJones(epsilon, sigma, 2.5, smoothing)


def wahnstrom(smoothing: str = "curvature") -> LennardJones:
    """The binary glass former, half of each species, in units of its large atoms.

    Usually at density 1.296 atoms per volume (0.75 in units of the small atoms). Atoms
    of species 1 are smaller, 5/6, and have half the mass.

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


@eqx.filter_custom_jvp
def _energy(law, atoms, neighbours):
    return _value(law, atoms, neighbours)


@_energy.def_jvp
def _energy_jvp(primals, tangents):
    law, atoms, neighbours = primals
    d_law, d_atoms, _ = tangents
    value = _energy(law, atoms, neighbours)
    change = jnp.zeros_like(value)
    if d_atoms.positions is not None or d_atoms.box is not None:
        in_positions, in_box = _slopes(law, atoms, neighbours)
        if d_atoms.positions is not None:
            change += jnp.sum(in_positions * d_atoms.positions)
        if d_atoms.box is not None:
            change += jnp.sum(in_box * d_atoms.box)
    if jax.tree.leaves(d_law):

        def value_of(law, atoms):
            return _value(law, atoms, neighbours)

        change += along_parameters(value_of, law, d_law, atoms)
    return value, change


def _value(law, atoms, neighbours):
    """Half the sum over ordered pairs."""
    _, _, x, scale, inside, reduced = _pairs(law, atoms, neighbours)
    return jnp.sum(jnp.where(inside, scale * reduced(x), 0.0)) / 2


def _slopes(law, atoms, neighbours):
    """Derivatives of the energy in fractional positions and in the box."""
    s, r, x, epsilon, inside, reduced = _pairs(law, atoms, neighbours)
    sigma = _of_pairs(law.sigma, atoms, neighbours)
    slope = jax.jvp(reduced, (x,), (jnp.ones_like(x),))[1]
    push = jnp.where(inside, 2 * epsilon / sigma**2 * slope, 0.0)
    force = jnp.stack([jnp.sum(push * c, axis=1) for c in r], axis=1)
    in_box = [[jnp.sum(push * r_i * s_k) / 2 for s_k in s] for r_i in r]
    components = range(len(r))
    in_positions = [
        sum(force[:, i] * atoms.box[i, k] for i in components) for k in components
    ]
    return jnp.stack(in_positions, axis=1), jnp.stack([jnp.stack(x) for x in in_box])


def _pairs(law, atoms, neighbours):
    """Differences of all ordered pairs, fractional and Cartesian, and what they need.

    `x` is `(r / sigma)^2`, put at the cutoff where the pair does not count, so that no
    derivative divides by the distance of an atom to itself.
    """
    s, r, counts = pair_vectors(atoms, neighbours)
    x = sum(c * c for c in r) / _of_pairs(law.sigma, atoms, neighbours) ** 2
    end = law.cutoff_ratio**2
    inside = counts & (x < end)
    x = jnp.where(inside, x, end)
    epsilon = _of_pairs(law.epsilon, atoms, neighbours)
    return s, r, x, epsilon, inside, _smoothed(law, atoms, neighbours)


def _bonds(law, atoms):
    """Differences of all ordered pairs and what makes the second derivative.

    That in the distance vector is `along r r^T + across 1`; the first is `across r`.
    """
    _, r, x, epsilon, inside, reduced = _pairs(law, atoms, None)
    square = 1 / _of_pairs(law.sigma, atoms, None) ** 2
    slope, curvature = _slope(reduced)(x), _slope(_slope(reduced))(x)
    along = jnp.where(inside, 4 * epsilon * square**2 * curvature, 0.0)
    across = jnp.where(inside, 2 * epsilon * square * slope, 0.0)
    return r, along, across


def _key(*indices: int) -> tuple[int, ...]:
    """The same for all orders of symmetric indices."""
    return tuple(sorted(indices))


def _moments(weight, r, order: int, axis=None) -> dict[tuple[int, ...], Array]:
    """Sums of the weight times all products of so many components."""
    return {
        indices: jnp.sum(
            functools.reduce(jnp.multiply, (r[i] for i in indices), weight), axis
        )
        for indices in itertools.combinations_with_replacement(range(len(r)), order)
    }


def _of_pairs(matrix, atoms, neighbours):
    """An entry of a matrix of species for every pair, selected and not gathered."""
    if matrix.ndim == 0:
        return matrix
    # An optimiser may move one half of a symmetric matrix; a pair has no first atom.
    matrix = (matrix + matrix.T) / 2
    n = atoms.num_atoms
    index = jnp.arange(n)[None, :] if neighbours is None else neighbours.indices % n
    rows, others = matrix[atoms.species], atoms.species[index]
    found = rows[:, :1]
    for b in range(1, matrix.shape[0]):
        found = jnp.where(others == b, rows[:, b : b + 1], found)
    return found


def _smoothed(law, atoms, neighbours) -> Callable[[Array], Array]:
    """The shape without its Taylor polynomial at the cutoff, in r or in r^2."""
    order = SMOOTHINGS.index(law.smoothing)
    linear = law.smoothing == "force"

    def at_end(y, *parameters):
        return law.shape(y * y if linear else y, *parameters)

    end = law.cutoff_ratio if linear else law.cutoff_ratio**2
    terms, factorial = [], 1
    for k in range(order + 1):
        factorial *= max(k, 1)
        place = jnp.full_like(law.parameters[0] if law.parameters else law.sigma, end)
        if not law.parameters:
            place = place[0, 0]
        term = at_end(place, *law.parameters) / factorial
        terms.append(_of_pairs(term, atoms, neighbours))
        at_end = _slope(at_end)
    parameters = [_of_pairs(p, atoms, neighbours) for p in law.parameters]

    def shape(x):
        excess = (jnp.sqrt(x) if linear else x) - end
        rest = terms[-1]
        for term in reversed(terms[:-1]):
            rest = rest * excess + term
        return law.shape(x, *parameters) - rest

    return shape


def _slope(function: Callable) -> Callable:
    """Derivative of an elementwise function in its first argument."""

    def slope(y, *rest):
        return jax.jvp(lambda y: function(y, *rest), (y,), (jnp.ones_like(y),))[1]

    return slope
