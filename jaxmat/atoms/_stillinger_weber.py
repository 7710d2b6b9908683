"""Stillinger and Weber's potential: bonds, and the angles between them.

The sum over triples is done as one over pairs. With the unit vectors `n_j` and weights
`h_j` of an atom's bonds, the sum over j and k of `h_j h_k (n_j . n_k - c)^2` is

    |sum h n n^T|^2 - 2 c |sum h n|^2 + c^2 (sum h)^2,

from which the terms j = k are taken off: exact, and no list of triples.
"""

import functools

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError, check_positive
from jaxmat._types import Scalar
from jaxmat.atoms._neighbours import only_if_current, pair_vectors
from jaxmat.atoms._potential import AbstractPotential


def _number(value) -> Scalar:
    found = jnp.asarray(value)
    return found.astype(jnp.result_type(float, found))


_field = functools.partial(eqx.field, converter=_number)


class StillingerWeber(AbstractPotential):
    """One element with bonds that have a preferred angle. Silicon by default.

    Bonds `epsilon A (B x^-p - x^-q) exp(1 / (x - a))` in `x = r / sigma`, and for each
    pair of bonds of an atom `epsilon lambda (cos - c)^2 exp(gamma / (x - a))
    exp(gamma / (x' - a))`; smooth to any order at the cutoff `a sigma`.

    Attributes:
        epsilon: energy; eV for silicon.
        sigma: length; angstrom for silicon.
        depth: `A`.
        repulsion: `B`.
        p: exponent of the repulsion.
        q: exponent of the attraction.
        cutoff_ratio: `a`.
        stiffness: `lambda`.
        gamma: how fast angles lose their weight towards the cutoff.
        cosine: of the preferred angle, `c`; -1/3 in a tetrahedron.

    References:
        Stillinger & Weber (1985), Phys. Rev. B 31, 5262-5271 (the form and the reduced
        constants; epsilon is from the cohesive energy of silicon, 4.3366 eV).

    Raises:
        JaxmatError: if a constant is not a number that it can be.
    """

    epsilon: Scalar = _field(default=2.1683)
    sigma: Scalar = _field(default=2.0951)
    depth: Scalar = _field(default=7.049556277)
    repulsion: Scalar = _field(default=0.6022245584)
    p: Scalar = _field(default=4.0)
    q: Scalar = _field(default=0.0)
    cutoff_ratio: Scalar = _field(default=1.8)
    stiffness: Scalar = _field(default=21.0)
    gamma: Scalar = _field(default=1.2)
    cosine: Scalar = _field(default=-1 / 3)

    def __check_init__(self):
        for name in ("epsilon", "sigma", "cutoff_ratio", "gamma"):
            check_positive(name, getattr(self, name))
        for name in ("depth", "repulsion", "p", "q", "stiffness"):
            check_positive(name, getattr(self, name), zero=True)
        if not isinstance(self.cosine, Tracer) and not np.all(abs(self.cosine) <= 1):
            raise JaxmatError(f"`cosine` is {self.cosine}; give one from -1 to 1.")

    @property
    def num_species(self):
        return 1

    @property
    def cutoff(self):
        return self.cutoff_ratio * self.sigma

    @property
    def core(self):
        return 0.1 * self.sigma.reshape(1, 1)

    def energy(self, atoms, neighbours=None):
        _, r, counts = pair_vectors(atoms, neighbours)
        square = sum(c * c for c in r)
        inside = counts & (square < self.cutoff**2)
        # Where there is no bond, one of length sigma, so that nothing divides by zero.
        distance = jnp.sqrt(jnp.where(inside, square, self.sigma**2))
        x = distance / self.sigma
        tail = 1 / (x - self.cutoff_ratio)
        bond = self.repulsion * x**-self.p - x**-self.q
        bond = jnp.where(inside, self.depth * bond * jnp.exp(tail), 0.0)
        h = jnp.where(inside, jnp.exp(self.gamma * tail), 0.0)
        n = [c / distance for c in r]
        angles = sum_of_angles(h, n, self.cosine)
        total = self.epsilon * (jnp.sum(bond) + self.stiffness * jnp.sum(angles)) / 2
        return only_if_current(total, neighbours, atoms, self.cutoff)


def sum_of_angles(
    h: Float[Array, "atoms others"],
    n: list[Float[Array, "atoms others"]],
    cosine: Scalar | Float[Array, " atoms"],
) -> Float[Array, " atoms"]:
    """`h h' (n . n' - cosine)^2`, summed over ordered pairs of bonds of each atom."""
    d, c = len(n), cosine
    second = sum(
        (1 if i == j else 2) * jnp.sum(h * n[i] * n[j], axis=1) ** 2
        for i in range(d)
        for j in range(i, d)
    )
    first = sum(jnp.sum(h * n[i], axis=1) ** 2 for i in range(d))
    zeroth = jnp.sum(h, axis=1) ** 2
    itself = (1 - c) ** 2 * jnp.sum(h * h, axis=1)
    return second - 2 * c * first + c**2 * zeroth - itself
