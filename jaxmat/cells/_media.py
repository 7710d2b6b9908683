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
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Key, PyTree

from jaxmat import mandel, materials, rotations
from jaxmat._check import JaxmatError
from jaxmat._types import Scalar, Stiffness, full_precision
from jaxmat.mandel import OUT_OF_PLANE, PLANE
from jaxmat.materials import AbstractMaterial, PlaneStrain, PlaneStress, stiffness_of
from jaxmat.microstructure import Grid, Microstructure

PLANES = (None, "strain", "stress")
Entries = tuple[Float[Array, "*voxels"], ...]  # upper triangle of the stiffness
PointField = Float[Array, "voxels points m"]


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
    def tangent(
        self, plane: str | None, eps: PointField, states: PyTree, dt: Scalar
    ) -> Float[Array, "voxels points m m"]:
        """Consistent tangent at every integration point, GPa."""


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


class Sites(eqx.Module):
    """The voxels of each phase, so that a law is asked in its own only.

    Attributes:
        voxels: of each phase, as flat indices.
        place: of each voxel, in those of all phases one after another.
    """

    voxels: tuple[Int[Array, " some"], ...]
    place: Int[Array, " voxels"]

    @staticmethod
    def of(phase: Int[np.ndarray, "*grid"], num: int) -> "Sites":
        """From a phase map that is known, not traced: the counts become shapes."""
        voxels = [np.flatnonzero(phase == p).astype(np.int32) for p in range(num)]
        place = np.argsort(np.concatenate(voxels)).astype(np.int32)
        return Sites(tuple(jnp.asarray(v) for v in voxels), jnp.asarray(place))


class Grains(AbstractMedium):
    """Grains with one orientation each and one law per phase.

    Attributes:
        microstructure: which grain and phase each voxel belongs to.
        laws: one law per phase, in the crystal frame, with six strain components, or
            with three if it is in a plane already.
        sites: the voxels of each phase. None with one phase, with linear laws, which
            are tabulated, and with a traced phase map, where every law that is not
            linear is asked in every voxel.
    """

    microstructure: Microstructure
    laws: tuple[AbstractMaterial, ...]
    sites: Sites | None = None

    @property
    def grid(self) -> Grid:
        return self.microstructure.grid

    @property
    def is_linear(self) -> bool:
        return all(law.is_linear for law in self.laws)

    @property
    def has_symmetric_tangent(self) -> bool:
        return all(law.has_symmetric_tangent for law in self.laws)

    @property
    def num_strains(self) -> int:
        return max(law.num_strains for law in self.laws)

    def table(self, plane: str | None) -> Float[Array, "phases grains m m"]:
        """Stiffness in the sample frame of every virgin law in every grain, GPa."""

        def of(law):
            def one(turn):
                return in_plane(stiffness_of(Turned(law, turn)), plane)

            return jax.vmap(one)(self._turns(law))

        return jnp.stack([of(law) for law in self.laws])

    def _turns(self, law: AbstractMaterial) -> Float[Array, "grains m m"]:
        """Matrices that take stress from the frame of every grain to the sample's."""
        dim = 3 if law.num_strains == 6 else 2

        def turn(quaternion):
            return mandel.rotation(rotations.to_matrix(quaternion)[:dim, :dim])

        return jax.vmap(turn)(self.microstructure.orientation)

    def stiffness(self, plane, extend):
        table = self.table(plane)
        rows = table.reshape(-1, *table.shape[2:])
        entries = jax.vmap(entries_of)(rows).T
        site = self.microstructure.grain
        if len(self.laws) > 1:
            site = site + self.microstructure.phase * table.shape[1]
        site = extend(site)  # the map is one field, the stiffness many
        # One gather a field: slices of a common one would copy it once more.
        return tuple(jnp.take(entry, site, mode="clip") for entry in entries)

    def init_state(self, num_points, key):
        keys = [None] * len(self.laws)
        if key is not None:
            keys = list(jax.random.split(key, len(self.laws)))
        sizes = [self.grid.size] * len(self.laws)
        if self.sites is not None:
            sizes = [voxels.size for voxels in self.sites.voxels]

        def virgin(law, size, key):
            states = _virgin(law, size * num_points, key)
            return jax.tree.map(
                lambda x: x.reshape(size, num_points, *x.shape[1:]), states
            )

        return tuple(map(virgin, self.laws, sizes, keys))

    def update(self, plane, eps, states, dt):
        def answer(law, eps, state):
            return law.update(eps, state, dt)

        answers = self._each(answer, plane, eps, states)
        sig, states = zip(*answers, strict=True)
        return self._together(sig), states

    def tangent(self, plane, eps, states, dt):
        def answer(law, eps, state):
            return materials.tangent(law, eps, state, dt)

        return self._together(self._each(answer, plane, eps, states))

    def _each(self, answer: Callable, plane: str | None, eps: PointField, states):
        """`answer(law, eps, state)` at the points of each law."""
        grain = self.microstructure.grain.ravel()
        answers = []
        for p, (law, state) in enumerate(zip(self.laws, states, strict=True)):

            def at(turn, eps, state, law=law):
                return answer(held_in(plane, Turned(law, turn)), eps, state)

            turns, own = self._turns(law), eps
            if self.sites is not None:
                own = eps[self.sites.voxels[p]]
                grain_of = grain[self.sites.voxels[p]]
            else:
                grain_of = grain
                if len(self.laws) > 1:
                    # No strain where another law rules, so that nothing overflows.
                    here = self.microstructure.phase.ravel() == p
                    own = jnp.where(here[:, None, None], eps, 0.0)
            shared = len(turns) == 1
            turn = turns[0] if shared else turns[grain_of]
            points = jax.vmap(at, (None, 0, 0))
            voxels = jax.vmap(points, (None if shared else 0, 0, 0))
            answers.append(voxels(turn, own, state))
        return answers

    def _together(self, parts: Sequence[Array]) -> Array:
        """A field on all voxels from its values where each law is asked."""
        if self.sites is not None:
            return jnp.concatenate(parts)[self.sites.place]
        field = parts[0]
        for p, part in enumerate(parts[1:], 1):
            here = self.microstructure.phase.ravel() == p
            field = jnp.where(here.reshape(-1, *[1] * (part.ndim - 1)), part, field)
        return field

    def volume_fractions(self) -> Float[Array, "phases grains"]:
        """Share of the voxels of every law in every grain."""
        grains = self.microstructure.num_grains
        site = self.microstructure.grain
        if len(self.laws) > 1:
            site = site + self.microstructure.phase * grains
        size = len(self.laws) * grains
        count = jnp.zeros(size, self.microstructure.orientation.dtype)
        count = count.at[site.ravel()].add(1.0)
        return count.reshape(len(self.laws), grains) / self.grid.size


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
            return eqx.filter_vmap(lambda law: _virgin(law, num_points))(self._flat())
        keys = jax.random.split(key, self.grid.size)
        each = eqx.filter_vmap(lambda law, key: _virgin(law, num_points, key))
        return each(self._flat(), keys)

    def update(self, plane, eps, states, dt):
        def answer(law, eps, state):
            return law.update(eps, state, dt)

        return self._each(answer, plane, eps, states)

    def tangent(self, plane, eps, states, dt):
        def answer(law, eps, state):
            return materials.tangent(law, eps, state, dt)

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


def grains(
    microstructure: Microstructure, laws: tuple[AbstractMaterial, ...]
) -> Grains:
    """Grains, sorted by phase where that pays and the phases are known."""
    phase, linear = microstructure.phase, all(law.is_linear for law in laws)
    if linear or len(laws) == 1 or isinstance(phase, Tracer):
        return Grains(microstructure, laws)
    return Grains(microstructure, laws, Sites.of(np.asarray(phase), len(laws)))


def _virgin(law: AbstractMaterial, num: int, key: Key[Array, ""] | None = None):
    """So many states."""
    if key is not None:
        return jax.vmap(law.init_state)(jax.random.split(key, num))
    one = law.init_state()
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (num, *x.shape)), one)


def one_per_phase(laws: Sequence[AbstractMaterial] | AbstractMaterial) -> tuple:
    """A tuple of laws; a single law is one phase."""
    return (laws,) if isinstance(laws, AbstractMaterial) else tuple(laws)
