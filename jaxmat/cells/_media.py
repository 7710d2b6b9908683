"""What fills the grid: grains that share a law, or one law per voxel.

A medium is asked for one thing by the linear solver: the stiffness of every voxel as a
tuple of component arrays, the upper triangle row by row (see `_elements` for why).
"""

import abc
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError
from jaxmat._types import Stiffness, full_precision
from jaxmat.mandel import OUT_OF_PLANE, PLANE
from jaxmat.materials import AbstractMaterial, Oriented, stiffness_of
from jaxmat.microstructure import Grid, Microstructure

PLANES = (None, "strain", "stress")
Entries = tuple[Float[Array, "*voxels"], ...]  # upper triangle of the stiffness


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

    @abc.abstractmethod
    def stiffness(self, plane: str | None, extend: Callable[[Array], Array]) -> Entries:
        """Independent stiffness entries of every voxel, GPa, with the halo's.

        `extend` copies voxels into the halo; what it puts into an empty one is
        arbitrary.
        """


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


class Grains(AbstractMedium):
    """Grains with one orientation each and one law per phase.

    Attributes:
        microstructure: which grain and phase each voxel belongs to.
        laws: one law per phase, in the crystal frame, with six strain components.
    """

    microstructure: Microstructure
    laws: tuple[AbstractMaterial, ...]

    @property
    def grid(self) -> Grid:
        return self.microstructure.grid

    @property
    def is_linear(self) -> bool:
        return all(law.is_linear for law in self.laws)

    @property
    def num_strains(self) -> int:
        return 6

    def table(self, plane: str | None) -> Float[Array, "phases grains m m"]:
        """Stiffness in the sample frame of every law in every grain, GPa."""

        def one(law, quaternion):
            return in_plane(stiffness_of(Oriented(law, quaternion)), plane)

        grains = self.microstructure.orientation
        return jnp.stack([jax.vmap(one, (None, 0))(law, grains) for law in self.laws])

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
            one = jax.vmap(one)
        return tuple(extend(entry) for entry in jnp.moveaxis(one(self.law), -1, 0))


def one_per_phase(laws: Sequence[AbstractMaterial] | AbstractMaterial) -> tuple:
    """A tuple of laws; a single law is one phase."""
    return (laws,) if isinstance(laws, AbstractMaterial) else tuple(laws)
