"""Grains on a grid: one orientation each, one law per phase."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from jaxmat import mandel, rotations
from jaxmat._check import JaxmatError
from jaxmat.cells._media import (
    AbstractMedium,
    PointField,
    Turned,
    entries_of,
    held_in,
    in_plane,
    linearised,
    virgin,
)
from jaxmat.materials import AbstractMaterial, stiffness_of
from jaxmat.microstructure import Grid, Microstructure, check_indices


class Sites(eqx.Module):
    """The voxels of each phase, so that a law is asked in its own only.

    Attributes:
        voxels: of each phase, as flat indices.
        place: of each voxel, in those of all phases one after another.
    """

    voxels: tuple[Int[Array, "..."], ...]
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

    Raises:
        JaxmatError: as `microstructure.check_indices`, or if a phase has no law.
    """

    microstructure: Microstructure
    laws: tuple[AbstractMaterial, ...]
    sites: Sites | None = None

    def __check_init__(self):
        check_indices(self.microstructure)
        phase, num = self.microstructure.phase, len(self.laws)
        phases = 1 if isinstance(phase, Tracer) else int(np.asarray(phase).max()) + 1
        if phases > num:
            raise JaxmatError(
                f"the microstructure has {phases} phases but `laws` {num}; give one "
                "law per phase."
            )

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
        return min(law.num_strains for law in self.laws)

    def table(self, plane: str | None) -> Float[Array, "phases grains m m"]:
        """Stiffness in the sample frame of every virgin law in every grain, GPa."""
        return jnp.stack([self.stiffness_in_grains(law, plane) for law in self.laws])

    def stiffness_in_grains(
        self, law: AbstractMaterial, plane: str | None
    ) -> Float[Array, "grains m m"]:
        """One row of `table`."""

        def one(turn):
            return in_plane(stiffness_of(Turned(law, turn)), plane)

        return jax.vmap(one)(self._turns(law))

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

        def in_phase(law, size, key):
            states = virgin(law, size * num_points, key)
            return jax.tree.map(
                lambda x: x.reshape(size, num_points, *x.shape[1:]), states
            )

        return tuple(map(in_phase, self.laws, sizes, keys))

    def update(self, plane, eps, states, dt):
        def answer(law, eps, state):
            return law.update(eps, state, dt)

        sig, states = self._each(answer, plane, eps, states)
        return self._together(sig), states

    def linearise(self, plane, eps, states, dt):
        def answer(law, eps, state):
            return linearised(law, eps, state, dt)

        sig, states, tangent = self._each(answer, plane, eps, states)
        return self._together(sig), states, self._together(tangent)

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
        return tuple(zip(*answers, strict=True))

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


def grains(
    microstructure: Microstructure, laws: tuple[AbstractMaterial, ...]
) -> Grains:
    """Grains, sorted by phase where that pays and the phases are known."""
    phase, linear = microstructure.phase, all(law.is_linear for law in laws)
    if linear or len(laws) == 1 or isinstance(phase, Tracer):
        return Grains(microstructure, laws)
    return Grains(microstructure, laws, Sites.of(np.asarray(phase), len(laws)))
