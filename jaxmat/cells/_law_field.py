"""A law of its own in every voxel."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from jaxmat._check import JaxmatError
from jaxmat.cells._media import (
    AbstractMedium,
    PointField,
    entries_of,
    held_in,
    in_plane,
    linearised,
    virgin,
)
from jaxmat.materials import AbstractMaterial, stiffness_of
from jaxmat.microstructure import Grid


class LawField(AbstractMedium):
    """One law per voxel: a law whose leaves carry the grid as leading axes.

    Build it with `jax.vmap` over the voxels, for instance of a mixture rule applied to
    a smooth phase field; gradients with respect to the field follow.

    Attributes:
        support: the grid.
        law: a batched law, in the sample frame, of six strain components, or of three
            if it is in a plane already.
    """

    support: Grid
    law: AbstractMaterial

    def __check_init__(self):
        ndim = self.grid.ndim
        for leaf in jax.tree.leaves(eqx.filter(self.law, eqx.is_array)):
            if leaf.shape[:ndim] != self.grid.shape:
                raise JaxmatError(
                    f"`law` has a leaf of shape {leaf.shape}, expected leading axes "
                    f"{self.grid.shape}; build one law per voxel with jax.vmap."
                )

    @property
    def grid(self) -> Grid:
        return self.support

    @property
    def is_linear(self) -> bool:
        return self.law.is_linear

    @property
    def num_strains(self) -> int:
        return self.law.num_strains

    def stiffness(self, plane, extend):
        def one(law):
            return entries_of(in_plane(stiffness_of(law), plane))

        for _ in range(self.grid.ndim):
            one = eqx.filter_vmap(one)
        return tuple(extend(entry) for entry in jnp.moveaxis(one(self.law), -1, 0))

    @property
    def has_symmetric_tangent(self) -> bool:
        return self.law.has_symmetric_tangent

    def init_state(self, num_points, key):
        if key is None:
            return eqx.filter_vmap(lambda law: virgin(law, num_points))(self._flat())
        keys = jax.random.split(key, self.grid.size)
        each = eqx.filter_vmap(lambda law, key: virgin(law, num_points, key))
        return each(self._flat(), keys)

    def update(self, plane, eps, states, dt):
        def answer(law, eps, state):
            return law.update(eps, state, dt)

        return self._each(answer, plane, eps, states)

    def linearise(self, plane, eps, states, dt):
        def answer(law, eps, state):
            return linearised(law, eps, state, dt)

        return self._each(answer, plane, eps, states)

    def _flat(self) -> AbstractMaterial:
        """The law with one axis of voxels."""
        ndim = self.grid.ndim
        return jax.tree.map(
            lambda x: x.reshape(-1, *x.shape[ndim:]) if eqx.is_array(x) else x, self.law
        )

    def _each(self, answer: Callable, plane: str | None, eps: PointField, states):
        def voxel(law, eps, state):
            def point(eps, state):
                return answer(held_in(plane, law), eps, state)

            return jax.vmap(point)(eps, state)

        return eqx.filter_vmap(voxel)(self._flat(), eps, states)
