"""Flat layers, perfectly bonded: the one microstructure with a closed form for all."""

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from jaxmat import mandel, rotations
from jaxmat._check import JaxmatError
from jaxmat._types import Stiffness, Vector, full_precision
from jaxmat.cells._base import AbstractCell
from jaxmat.materials import AbstractMaterial, stiffness_of
from jaxmat.solve import Info, Solution

_ACROSS = np.array([2, 3, 4])  # stress continuous through a layer of normal 3
_ALONG = np.array([0, 1, 5])  # strain continuous


class Laminate(AbstractCell):
    """Layers of linear materials, exact for any anisotropy.

    Attributes:
        laws: one linear law of six strain components per layer, sample frame.
        fractions: volume fraction of every layer; scaled here to sum to one.
        normal: layer normal, sample frame, any length but zero.

    Raises:
        JaxmatError: if laws and fractions differ in number, a law does not fit, or, for
            concrete values, no layers have these fractions or this normal.

    References:
        Milton (2002), The Theory of Composites, chapter 9.
    """

    laws: tuple[AbstractMaterial, ...]
    fractions: Float[Array, " layers"]
    normal: Vector

    def __check_init__(self):
        if len(self.laws) != self.fractions.shape[0]:
            raise JaxmatError(
                f"Laminate has {len(self.laws)} laws and {self.fractions.shape[0]} "
                "fractions; give one fraction for each layer."
            )
        if not all(law.is_linear and law.num_strains == 6 for law in self.laws):
            raise JaxmatError(
                "Laminate takes linear laws of six strain components; one of them is "
                "not linear or is held in a plane."
            )
        _check_values(self.fractions, self.normal)

    @property
    def num_strains(self) -> int:
        return 6

    @property
    def is_linear(self) -> bool:
        return True

    def init_state(self, key=None) -> None:
        return None

    @full_precision
    def update(self, eps, state, dt):
        return self._stiffness() @ eps, state

    def effective_stiffness(self, *, rtol, max_steps):
        stiffness = self._stiffness()
        exact = Info(jnp.asarray(True), jnp.asarray(0), jnp.zeros((), stiffness.dtype))
        return Solution(stiffness, exact)

    @full_precision
    def _stiffness(self) -> Stiffness:
        turn = mandel.rotation(_towards_x3(self.normal))
        fractions = self.fractions / jnp.sum(self.fractions)
        across = along = coupling = jnp.zeros((3, 3), fractions.dtype)
        for fraction, law in zip(fractions, self.laws, strict=True):
            c = turn @ stiffness_of(law) @ turn.T
            soft = jnp.linalg.inv(c[_ACROSS[:, None], _ACROSS])
            mixed = soft @ c[_ACROSS[:, None], _ALONG]
            across = across + fraction * soft
            coupling = coupling + fraction * mixed
            condensed = c[_ALONG[:, None], _ACROSS] @ mixed
            along = along + fraction * (c[_ALONG[:, None], _ALONG] - condensed)
        stiff = jnp.linalg.inv(across)
        mixed = stiff @ coupling
        c = jnp.zeros((6, 6), stiff.dtype)
        c = c.at[_ACROSS[:, None], _ACROSS].set(stiff)
        c = c.at[_ACROSS[:, None], _ALONG].set(mixed)
        c = c.at[_ALONG[:, None], _ACROSS].set(mixed.T)
        c = c.at[_ALONG[:, None], _ALONG].set(along + coupling.T @ mixed)
        return turn.T @ c @ turn


def _check_values(fractions: Array, normal: Array) -> None:
    """Raise for values that would end in NaN; tracers pass."""
    if not isinstance(normal, Tracer):
        length = float(np.linalg.norm(np.asarray(normal)))
        if not (np.isfinite(length) and length > 0):
            raise JaxmatError(
                f"`normal` is {np.asarray(normal).tolist()}; give a finite vector that "
                "is not zero."
            )
    if not isinstance(fractions, Tracer):
        values = np.asarray(fractions)
        if not (np.isfinite(values).all() and values.min() >= 0 < values.sum()):
            raise JaxmatError(
                f"`fractions` are {values.tolist()}; give finite numbers from zero on, "
                "not all zero."
            )


def _towards_x3(normal: Vector) -> Float[Array, "3 3"]:
    """The shortest rotation that takes `normal`, or its opposite, to x3."""
    unit = normal / jnp.linalg.norm(normal)
    unit = jnp.where(unit[2] < 0, -unit, unit)
    axis = jnp.stack([unit[1], -unit[0], jnp.zeros_like(unit[0])])
    return rotations.to_matrix(jnp.concatenate([1 + unit[2:], axis]))
