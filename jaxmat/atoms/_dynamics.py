"""Molecular dynamics: jax-md's integrators in our own space.

`jax_md.simulate` is given forces and a shift of fractional positions, and nothing else
of jax-md: its space functions break the chain rule in fractional coordinates. Beside
steps written out by hand its integrators cost no time (16 cells of 256 atoms, in double
precision: 0.97 against 0.96 million atoms a second in constant energy, 0.86 against
0.84 with Langevin's thermostat) and twice as long to compile. It is imported here, by
the first simulation, because that takes six seconds.
"""

import abc
import importlib
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from jaxmat._check import JaxmatError, check_positive, check_whole
from jaxmat._types import Scalar, full_precision
from jaxmat.atoms._atoms import Atoms
from jaxmat.atoms._motion import Motion, kinetic_energy
from jaxmat.atoms._neighbours import Neighbours
from jaxmat.atoms._potential import AbstractPotential, check_covers, forces
from jaxmat.atoms._space import inverse

Force = Callable[[Float[Array, "atoms d"]], Float[Array, "atoms d"]]
"""From fractional positions to Cartesian forces."""

Shift = Callable[[Float[Array, "atoms d"], Float[Array, "atoms d"]], Array]
"""From fractional positions and Cartesian displacements to fractional positions."""


class AbstractEnsemble(eqx.Module):
    """How atoms move: what is kept constant, and the length of a step.

    Attributes:
        dt: time step.
    """

    dt: eqx.AbstractVar[Scalar]

    @abc.abstractmethod
    def steps(
        self, force: Force, shift: Shift, motion: Motion
    ) -> tuple[Any, Callable[[Any], Any]]:
        """State of jax-md for this motion, without forces, and its step."""

    def remembered(self, state: Any, motion: Motion) -> Motion:
        """The motion with what the thermostat remembers in a state of jax-md."""
        del state
        return motion


def _jax_md() -> Any:
    return importlib.import_module("jax_md.simulate")


def _number(value: Any) -> Scalar:
    return jnp.asarray(value, float)


class ConstantEnergy(AbstractEnsemble):
    """Newton's equations by the velocity Verlet method.

    Attributes:
        dt: time step. The error of the energy falls with its square; a hundredth of
            the shortest period of the atoms is usual (0.005 in Lennard-Jones units).

    References:
        Swope, Andersen, Berens & Wilson (1982), J. Chem. Phys. 76, 637-649.
    """

    dt: Scalar = eqx.field(converter=_number)

    def __check_init__(self):
        check_positive("dt", self.dt)

    def steps(self, force, shift, motion):
        md = _jax_md()
        _, step = md.nve(force, shift, self.dt)
        return md.NVEState(*_mechanics(motion)), step


class Langevin(AbstractEnsemble):
    """Friction and noise, by the splitting BAOAB; samples the canonical ensemble.

    Attributes:
        dt: time step.
        temperature: as an energy.
        friction: rate at which momentum is forgotten, one over time.

    References:
        Leimkuhler & Matthews (2013), Appl. Math. Res. Express 2013, 34-56.
    """

    dt: Scalar = eqx.field(converter=_number)
    temperature: Scalar = eqx.field(converter=_number)
    friction: Scalar = eqx.field(converter=_number, default=1.0)

    def __check_init__(self):
        check_positive("dt", self.dt)
        check_positive("temperature", self.temperature, zero=True)
        check_positive("friction", self.friction, zero=True)

    def steps(self, force, shift, motion):
        md = _jax_md()
        dt, kT, gamma = (
            x.astype(motion.velocities.dtype)
            for x in (self.dt, self.temperature, self.friction)
        )
        _, step = md.nvt_langevin(force, shift, dt, kT, gamma)
        return md.NVTLangevinState(*_mechanics(motion), motion.key), step

    def remembered(self, state, motion):
        return eqx.tree_at(lambda m: m.key, motion, state.rng)


class NoseHoover(AbstractEnsemble):
    """A chain of thermostats; samples the canonical ensemble without noise.

    The motion remembers the chain between simulations (`Motion.bath`).

    Attributes:
        dt: time step.
        temperature: as an energy.
        period: time in which the thermostat answers, of the order of a period of the
            atoms; far shorter ones are not stable.

    References:
        Martyna, Tuckerman, Tobias & Klein (1996), Mol. Phys. 87, 1117-1157.
    """

    dt: Scalar = eqx.field(converter=_number)
    temperature: Scalar = eqx.field(converter=_number)
    period: Scalar = eqx.field(converter=_number, default=0.5)

    def __check_init__(self):
        for name in ("dt", "temperature", "period"):
            check_positive(name, getattr(self, name))

    def steps(self, force, shift, motion):
        md = _jax_md()
        dtype = motion.velocities.dtype
        dt, kT, tau = (
            x.astype(dtype) for x in (self.dt, self.temperature, self.period)
        )
        _, step = md.nvt_nose_hoover(force, shift, dt, kT, tau=tau)
        if (chain := motion.bath) is None:
            n, d = motion.velocities.shape
            # jax-md counts the centre of mass, which is at rest, among the d N.
            chains = md.nose_hoover_chain(dt, 5, 2, 3, tau)
            chain = chains.initialize(d * (n - 1), kinetic_energy(motion), kT)
        return md.NVTNoseHooverState(*_mechanics(motion), chain), step

    def remembered(self, state, motion):
        return Motion(
            motion.atoms, motion.velocities, motion.masses, motion.key, state.chain
        )


@full_precision
def simulate(
    law: AbstractPotential,
    ensemble: AbstractEnsemble,
    motion: Motion,
    num_steps: int,
    *,
    neighbours: Neighbours | None = None,
    observe: Callable[[Motion], PyTree] | None = None,
    every: int = 1,
) -> tuple[Motion, PyTree]:
    """Let atoms move for a number of steps.

    A pure function: `jax.vmap` makes a batch of it. In reverse mode, the states every
    `every` steps are stored and the rest is computed again. Derivatives through a
    simulation are exact and of no use beyond a few times in which neighbouring paths
    diverge (a hundred or so steps in a liquid): they grow exponentially.

    Args:
        law: potential.
        ensemble: `ConstantEnergy`, `Langevin` or `NoseHoover`.
        motion: start, see `set_in_motion`.
        num_steps: static.
        neighbours: list for large cells. Once it is out of date the motion is NaN.
        observe: what to keep, a function of the motion.
        every: steps between observations.

    Returns:
        The motion at the end, and the observations stacked, the first after `every`
        steps; None without `observe`.

    Raises:
        JaxmatError: if `num_steps` is no multiple of `every` or one of them not whole,
            the ensemble has arrays for numbers, the potential lacks a species, or the
            box is narrower than twice the cutoff; in a trace the last two are not seen.
    """
    check_whole("every", every, 1)
    check_whole("num_steps", num_steps, 0)
    if num_steps % every:
        raise JaxmatError(
            f"`num_steps` is {num_steps} and `every` {every}; give a multiple of it."
        )
    if any(map(jnp.ndim, jax.tree.leaves(ensemble))):
        raise JaxmatError(
            f"the numbers of {type(ensemble).__name__} are arrays; give single ones, "
            "or take jax.vmap over several ensembles."
        )
    check_covers(law, motion.atoms)
    box, species = motion.atoms.box, motion.atoms.species
    to_fractional = inverse(box).T

    def force(s):
        return forces(law, Atoms(s, box, species), neighbours)

    def shift(s, displacement, **_):
        return s + displacement @ to_fractional

    def to_motion(state):
        moved = Atoms(state.position, box, species)
        velocities = state.momentum / state.mass
        now = Motion(moved, velocities, motion.masses, motion.key, motion.bath)
        return ensemble.remembered(state, now)

    state, step = ensemble.steps(force, shift, motion)
    state = state.set(force=force(motion.atoms.positions))

    def segment(state, _):
        state = jax.lax.fori_loop(0, every, lambda _, state: step(state), state)
        return state, None if observe is None else observe(to_motion(state))

    if observe is None:
        every = max(num_steps, 1)
    state, seen = jax.lax.scan(
        jax.checkpoint(segment), state, None, length=num_steps // every
    )
    return to_motion(state), seen


def _mechanics(motion: Motion) -> tuple[Array, ...]:
    """Positions, momenta, forces (none yet) and masses, as jax-md has them."""
    masses = motion.masses[:, None]
    positions = motion.atoms.positions
    return positions, masses * motion.velocities, jnp.zeros_like(positions), masses
