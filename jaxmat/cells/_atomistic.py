"""A box of atoms as a material: athermal and quasi-static.

At every step the box is deformed a little, the atoms move affinely and then down into
the nearest minimum of their energy. Stress is the derivative of the energy there. In
between the answer is elastic and reversible; where a minimum vanishes the atoms go over
to another one, which is what plasticity is in an amorphous solid.

The path is one of stretches. The rotation is taken out of `F = R U` first and put back
last, so that a body that turns does nothing else, and `P(Q F) = Q P(F)` to rounding.

References:
    Malandro & Lacks (1999), J. Chem. Phys. 110, 4593-4601.
    Maloney & Lemaitre (2006), Phys. Rev. E 74, 016118.
"""

from collections.abc import Sequence
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jaxmat import atoms
from jaxmat._check import JaxmatError, check_positive
from jaxmat._types import Count, full_precision
from jaxmat.atoms import AbstractPotential, Atoms
from jaxmat.materials import AbstractFiniteMaterial
from jaxmat.solve import in_turn, poison

MAX_STRAIN = 1e-3
"""Largest change of the stretch in one step down the energy."""


class AtomisticState(eqx.Module):
    """History of a box of atoms.

    Attributes:
        positions: fractional, in a minimum of the energy at `stretch`.
        box: undeformed.
        stretch: the right stretch `U` of the box.
        events: sub-steps in which atoms went over to another minimum.
        irregular: sub-steps that began where the Hessian was not positive definite.
            A derivative taken there is that of a shifted Hessian.
        evaluations: gradients of the energy computed so far.
    """

    positions: Float[Array, "atoms d"]
    box: Float[Array, "d d"]
    stretch: Float[Array, "d d"]
    events: Count
    irregular: Count
    evaluations: Count


class Samples:
    """Start configurations as constants: hashable, and no leaves to be trained."""

    def __init__(self, configurations: Sequence[Atoms]):
        self.positions = np.stack([np.asarray(a.positions) for a in configurations])
        self.boxes = np.stack([np.asarray(a.box) for a in configurations])
        self._bytes = self.positions.tobytes() + self.boxes.tobytes()
        self._hash = hash(self._bytes)

    def __hash__(self):
        return self._hash

    def __eq__(self, other):
        return isinstance(other, Samples) and self._bytes == other._bytes


class AtomisticCell(AbstractFiniteMaterial):
    """Atoms in a periodic box, athermal and quasi-static. Build with `atomistic_cell`.

    The stress is exact in the strain and in the parameters of the potential, forward
    and reverse, by the implicit function theorem at the end of the step:
    `dP/dF = (E_FF - E_Fs E_ss^-1 E_sF) / V0` with the fractional positions `s`, one
    Hessian and its factorisation for all components.

    What is dropped: derivatives in the state. The minimum at the end does not depend on
    where in its basin the step began, so within a basin the derivative in the old
    positions is zero, and zero is what is answered. Which basin it is depends on the
    path, but only by jumps, which have no derivative; an average over replicas has one,
    which this is not.

    A cell in two dimensions answers in its plane, x1 and x2, with energy per area.

    NaN is the answer where the deformed box is narrower than twice the cutoff or turned
    inside out, or where the minimisation stalls.

    Attributes:
        law: potential; the parameters are its leaves.
        species: of the atoms.
        stress_unit: GPa in one unit of stress of the potential, static; 1 leaves it in
            the potential's own unit.
        samples: start configurations at rest, static.
        capacity: columns of the list of neighbours of a large cell, static; None for
            all pairs.
    """

    law: AbstractPotential
    species: Int[Array, " atoms"]
    stress_unit: float = eqx.field(static=True)
    samples: Samples = eqx.field(static=True)
    capacity: int | None = eqx.field(static=True, default=None)

    def init_state(self, key: Key[Array, ""] | None = None) -> AtomisticState:
        """One of the start configurations; the first without a key."""
        dtype = precision_of(self.law)
        if key is None:
            positions, box = self.samples.positions[0], self.samples.boxes[0]
        else:
            k = jax.random.randint(key, (), 0, len(self.samples.boxes))
            positions = jnp.asarray(self.samples.positions)[k]
            box = jnp.asarray(self.samples.boxes)[k]
        none = jnp.zeros((), int)
        return AtomisticState(
            jnp.asarray(positions, dtype),
            jnp.asarray(box, dtype),
            jnp.eye(len(box), dtype=dtype),
            none,
            none,
            none,
        )

    @eqx.filter_jit  # traced once, though a network asks several times
    @full_precision
    def update(self, F, state, dt):
        d = state.box.shape[0]
        # Derivatives come from where the path ends, not from the path.
        held, path, end = jax.lax.stop_gradient((self.law, state, F[:d, :d]))
        everything = (path, end, held, self.species)
        settled, converged = in_turn(partial(_follow, self.capacity))(everything)
        now = Atoms(settled.positions, F[:d, :d] @ state.box, self.species)
        now = Atoms(atoms.at_rest(self.law, now), now.box, now.species)
        V0 = jnp.abs(jnp.linalg.det(state.box))
        P = atoms.box_slope(self.law, now) @ state.box.T * (self.stress_unit / V0)
        P = poison(P, converged)
        return jnp.zeros_like(F).at[:d, :d].set(P), settled


def atomistic_cell(
    law: AbstractPotential,
    configurations: Atoms | Sequence[Atoms],
    *,
    stress_unit: float = 1.0,
) -> AtomisticCell:
    """A material of one or several boxes of the same atoms.

    They are relaxed at the boxes given; see `atoms.relax_box` for boxes without stress.
    On concrete values.

    Args:
        law: potential, smooth to second order at its cutoff.
        configurations: one, or several with the same species, of which `init_state`
            chooses by its key.
        stress_unit: GPa in one energy over length cubed of the potential: 160.2177 for
            eV and angstrom; 1 answers in the potential's own unit.

    Returns:
        An `AtomisticCell`, which `SmallStrain` makes a material at small strain.

    Raises:
        JaxmatError: if there are no configurations, they do not match, are not sound
            (`atoms.check`) or of another precision than the potential, or a
            minimisation stalls.
    """
    check_positive("stress_unit", jnp.asarray(stress_unit))
    alike = of_the_same_atoms(law, configurations)
    large = alike[0].positions.size > atoms.DENSE
    relax = atoms.relax_large if large else atoms.relax
    relaxed = [relax(law, one).value for one in alike]
    capacity = None
    if large:
        lists = [atoms.find_neighbours(one, law.cutoff) for one in relaxed]
        capacity = max(one.indices.shape[1] for one in lists)
    return AtomisticCell(
        law, alike[0].species, float(stress_unit), Samples(relaxed), capacity
    )


def of_the_same_atoms(
    law: AbstractPotential, configurations: Atoms | Sequence[Atoms]
) -> Sequence[Atoms]:
    """One or several configurations as several, checked."""
    if isinstance(configurations, eqx.Module):
        configurations = [configurations]
    if not configurations:
        raise JaxmatError("there are no configurations; give at least one.")
    for one in configurations:
        atoms.check(law, one)
        dtypes = (one.positions.dtype, one.box.dtype, precision_of(law))
        if len(set(dtypes)) > 1:
            raise JaxmatError(
                f"positions, box and potential are {', '.join(map(str, dtypes))}; give "
                "all in one precision."
            )
        if not np.array_equal(one.species, configurations[0].species):
            raise JaxmatError(
                "the configurations differ in their species; order their atoms alike, "
                "or make one cell of each."
            )
    return configurations


def precision_of(law: AbstractPotential) -> jnp.dtype:
    """Of its parameters."""
    numbers = jax.tree.leaves(eqx.filter(law, eqx.is_inexact_array))
    return jnp.result_type(*numbers)


def stretch_of(F: Float[Array, "d d"]) -> Float[Array, "d d"]:
    """`U` of `F = R U`."""
    squares, axes = jnp.linalg.eigh(F.T @ F)
    return (axes * jnp.sqrt(squares)) @ axes.T


@full_precision
def _follow(capacity, everything):
    """Straight from the old stretch to the new in sub-steps, and whether all went well.

    At least one, since the potential may be another than the state was made with.
    """
    state, F, law, species = everything
    stretch = stretch_of(F)
    change = stretch - state.stretch
    substeps = jnp.ceil(jnp.linalg.norm(change) / MAX_STRAIN - 1e-6)
    # A NaN, an absurd strain or a box too narrow for the cutoff end at once.
    widths = atoms.perpendicular_widths(stretch @ state.box)
    reach = law.cutoff * (1.0 if capacity is None else atoms.REACH)
    sound = (substeps < 1e5) & (jnp.min(widths) >= 2 * reach)
    sound &= jnp.linalg.det(F) > 0
    substeps = jnp.where(sound, jnp.maximum(substeps, 1.0), 0.0)

    def unfinished(carry):
        k, _, converged = carry
        return (k < substeps) & converged

    def substep(carry):
        k, now, _ = carry
        U = state.stretch + change * ((k + 1) / substeps)
        before = Atoms(now.positions, now.stretch @ state.box, species)
        settled = atoms.settle(law, before, U @ state.box, capacity=capacity)
        new = AtomisticState(
            settled.atoms.positions,
            state.box,
            U,
            now.events + settled.event,
            now.irregular + settled.irregular,
            now.evaluations + settled.info.num_steps,
        )
        return k + 1, new, settled.info.converged

    start = (jnp.zeros_like(substeps), state, jnp.asarray(sound))
    _, end, converged = jax.lax.while_loop(unfinished, substep, start)
    return end, converged
