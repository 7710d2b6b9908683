"""What fills the grid: grains that share a law, or one law per voxel.

The linear solver asks a medium for one thing: the stiffness of every voxel as a tuple
of component arrays, the upper triangle row by row (see `_elements` for why). The
nonlinear one asks for the answer of the law at every integration point; there fields
are channel-last, `(voxels, points, m)`, as laws want them.
"""

import abc
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from jaxmat._types import Scalar, Stiffness, full_precision
from jaxmat.mandel import OUT_OF_PLANE, PLANE
from jaxmat.materials import (
    AbstractMaterial,
    PlaneStrain,
    PlaneStress,
    check_small_strain,
)
from jaxmat.microstructure import Grid

PLANES = (None, "strain", "stress")
Entries = tuple[Float[Array, "*voxels"], ...]  # upper triangle of the stiffness
PointField = Float[Array, "voxels points m"]


def as_laws(
    laws: Sequence[AbstractMaterial] | AbstractMaterial,
) -> tuple[AbstractMaterial, ...]:
    """One or several laws as several, of small strain."""
    laws = (laws,) if isinstance(laws, eqx.Module) else tuple(laws)
    check_small_strain(*laws)
    return laws


def upper_triangle(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the independent entries of a symmetric matrix."""
    return np.triu_indices(size)


class AbstractMedium(eqx.Module):
    """Laws spread over a grid."""

    @property
    @abc.abstractmethod
    def grid(self) -> Grid:
        """The grid that the laws are spread over."""

    @property
    @abc.abstractmethod
    def is_linear(self) -> bool:
        """Whether every law is linear."""

    @property
    @abc.abstractmethod
    def num_strains(self) -> int:
        """Mandel components of the laws."""

    @property
    @abc.abstractmethod
    def has_symmetric_tangent(self) -> bool:
        """Whether the tangent of every law is symmetric."""

    @property
    def dtype(self) -> jnp.dtype:
        """Of strain and stress."""
        floats = [x for x in jax.tree.leaves(self) if eqx.is_inexact_array(x)]
        return jnp.result_type(float, *floats)

    @abc.abstractmethod
    def stiffness(self, plane: str | None, extend: Callable[[Array], Array]) -> Entries:
        """Independent stiffness entries of every virgin voxel, GPa, with the halo's.

        `extend` copies voxels into the halo; what it puts into an empty one is
        arbitrary.
        """

    @abc.abstractmethod
    def init_state(self, num_points: int, key: Key[Array, ""] | None) -> PyTree:
        """Virgin states, so many in every voxel."""

    @abc.abstractmethod
    def update(
        self, plane: str | None, eps: PointField, states: PyTree, dt: Scalar
    ) -> tuple[PointField, PyTree]:
        """Stress and new states at every integration point."""

    @abc.abstractmethod
    def linearise(
        self, plane: str | None, eps: PointField, states: PyTree, dt: Scalar
    ) -> tuple[PointField, PyTree, Float[Array, "voxels points m m"]]:
        """Stress, new states and consistent tangent, GPa."""


@full_precision
def in_plane(stiffness: Stiffness, plane: str | None) -> Stiffness:
    """Stiffness of a law held in a plane: 3x3 for "strain" and "stress"."""
    if plane is None or stiffness.shape[-1] == 3:
        return stiffness
    inner = stiffness[PLANE[:, None], PLANE]
    if plane == "strain":
        return inner
    coupling = stiffness[PLANE[:, None], OUT_OF_PLANE]
    outer = stiffness[OUT_OF_PLANE[:, None], OUT_OF_PLANE]
    condensed = jnp.linalg.solve(outer, coupling.T)
    return inner - coupling @ condensed


def entries_of(stiffness: Float[Array, "m m"]) -> Float[Array, " entries"]:
    """Upper triangle of the symmetric part."""
    rows, columns = upper_triangle(stiffness.shape[-1])
    return (stiffness[rows, columns] + stiffness[columns, rows]) / 2


class Turned(AbstractMaterial):
    """A law in another frame, by a matrix that the points of a grain share."""

    law: AbstractMaterial
    matrix: Stiffness

    @property
    def num_strains(self) -> int:
        return self.law.num_strains

    @property
    def is_linear(self) -> bool:
        return self.law.is_linear

    @property
    def has_symmetric_tangent(self) -> bool:
        return self.law.has_symmetric_tangent

    def init_state(self, key=None):
        return self.law.init_state(key)

    @full_precision
    def update(self, eps, state, dt):
        sig, state = self.law.update(self.matrix.T @ eps, state, dt)
        return self.matrix @ sig, state


def held_in(plane: str | None, law: AbstractMaterial) -> AbstractMaterial:
    """A law of six components in a plane; one of three is in it already."""
    if plane is None or law.num_strains == 3:
        return law
    return PlaneStrain(law) if plane == "strain" else PlaneStress(law)


def linearised(law: AbstractMaterial, eps: Array, state: PyTree, dt: Scalar):
    """Stress, new state and tangent, the law asked only once."""

    def column(direction):
        def update(eps):
            return law.update(eps, state, dt)

        return jax.jvp(update, (eps,), (direction,), has_aux=True)

    columns = jnp.eye(eps.size, dtype=eps.dtype)
    sig, tangent, state = jax.vmap(column, out_axes=(0, -1, 0))(columns)
    return sig[0], jax.tree.map(lambda x: x[0], state), tangent


def virgin(law: AbstractMaterial, num: int, key: Key[Array, ""] | None = None):
    """So many states."""
    if key is not None:
        return jax.vmap(law.init_state)(jax.random.split(key, num))
    one = law.init_state()
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (num, *x.shape)), one)
