"""A box of atoms as a material: at a temperature, by short runs of dynamics.

A step takes the time `dt` of the potential. Over its first half replicas of the box are
strained from the old stretch to the new one while Langevin's thermostat takes the heat;
over its second half, at the new stretch, their stress is averaged. What has not relaxed
by then relaxes in the steps that follow: stress depends on the rate, and decays when
the strain is held.

As in the athermal cell the path is one of stretches, and a body that turns does nothing
else.

References:
    Ray & Rahman (1984), J. Chem. Phys. 80, 4423-4428 (strain in ensembles).
    Lutsko (1989), J. Appl. Phys. 65, 2991-2997 (moduli from fluctuations).
    Thaler & Zavadlav (2021), Nat. Commun. 12, 6884 (derivatives by reweighting).
"""

import dataclasses
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from jaxmat import atoms
from jaxmat._check import (
    JaxmatError,
    check_option,
    check_positive,
    check_shape,
    check_whole,
)
from jaxmat._types import Count, Scalar, full_precision
from jaxmat.atoms import AbstractPotential, Atoms, Motion
from jaxmat.cells._atomistic import Samples, of_the_same_atoms, stretch_of
from jaxmat.cells._canonical import Canonical, average, average_at_rest, with_slope_of
from jaxmat.materials import AbstractFiniteMaterial
from jaxmat.solve import in_turn, poison

DERIVATIVES = ("fluctuation", "frozen")

SEGMENT = 10
"""Time steps at a fixed box, after which the stretch goes on."""

MAX_SEGMENTS = 1e5
"""Between two samples of the stress."""


class ThermalState(eqx.Module):
    """History of replicas of a box of atoms in motion.

    Attributes:
        positions: fractional.
        velocities: Cartesian, beside the affine motion of the box.
        keys: of the random numbers to come.
        boxes: undeformed.
        stretch: the right stretch `U` of all boxes.
        evaluations: gradients of the energy computed so far, of all replicas.
    """

    positions: Float[Array, "replicas atoms d"]
    velocities: Float[Array, "replicas atoms d"]
    keys: Key[Array, " replicas"]
    boxes: Float[Array, "replicas d d"]
    stretch: Float[Array, "d d"]
    evaluations: Count


class ThermalCell(AbstractFiniteMaterial):
    """Atoms in a periodic box at a temperature. Build with `thermal_cell`.

    The stress is a mean over the second half of `dt` and over the replicas, of the
    virial; the part of the momenta is their exact canonical mean, `-N T F^-T / V0`. It
    is known to a standard error that falls with the square root of the time averaged
    over: as good as a short experiment is, and no smooth function of `F`.

    Derivatives through a path of atoms grow exponentially: in a Kob-Andersen liquid at
    T = 1 they are ten times the modulus after 1.3 units of time and wrong after 4, at
    0.5 after 2.1 and 6; deep in a glass, at 0.1, they last for more than 6
    (`benchmarks/unrolled_derivative.py`). They are replaced, forward and reverse, by

    - "fluctuation": those of a canonical average, with `H` the energy and `A` the
      slope of it that is averaged, `d<A> = <dA> - <A d(H/T)> + <A> <d(H/T)>`; in the
      strain Born's term, fluctuations and momenta. Taken from the samples of each
      replica by itself, so that replicas may sit in different basins. In the strain,
      the potential and the temperature; unbiased to first order where samples are
      independent. Dropped is what is slower than half of `dt`: a liquid answers as
      stiffly as it does in that time, and plastic flow is not seen.
    - "frozen": those of the athermal stress where each replica comes to rest when it
      is quenched, and of the momenta. Without noise, for one minimisation and one
      Hessian a replica. Dropped are softening by vibrations, all of the temperature
      but the momenta's share, and plastic flow.

    In both the derivatives in the state and in `dt` are zero: what a step began with is
    forgotten in an average, and what a glass remembers changes by jumps.

    NaN is the answer where the deformed box is narrower than twice the cutoff or turned
    inside out, where `dt` is not positive or over `MAX_SEGMENTS`, and where atoms blew
    up: the time step was too long.

    Attributes:
        law: potential; the parameters are its leaves.
        species: of the atoms.
        temperature: as an energy.
        masses: of the species, static.
        replicas: how many are averaged over, static.
        time_step: the longest of the dynamics, static.
        friction: of Langevin's thermostat, one over time, static.
        num_samples: of the stress of each replica in a step, static.
        derivative: "fluctuation" or "frozen", static.
        stress_unit: GPa in one unit of stress of the potential, static; 1 leaves it in
            the potential's own unit.
        samples: start configurations, static.
    """

    law: AbstractPotential
    species: Int[Array, " atoms"]
    temperature: Scalar
    masses: tuple[float, ...] = eqx.field(static=True)
    replicas: int = eqx.field(static=True)
    time_step: float = eqx.field(static=True)
    friction: float = eqx.field(static=True)
    num_samples: int = eqx.field(static=True)
    derivative: str = eqx.field(static=True)
    stress_unit: float = eqx.field(static=True)
    samples: Samples = eqx.field(static=True)

    @property
    def shortest(self) -> float:
        """The shortest `dt` with time steps of `time_step`."""
        return 2 * self.num_samples * SEGMENT * self.time_step

    def init_state(self, key: Key[Array, ""] | None = None) -> ThermalState:
        """Start configurations with new velocities; the first ones without a key."""
        dtype = self.temperature.dtype
        order = jnp.arange(len(self.samples.boxes))
        if key is not None:
            order = jax.random.permutation(jax.random.fold_in(key, 1), order)
        chosen = order[: self.replicas]
        boxes = jnp.asarray(self.samples.boxes, dtype)[chosen]
        positions = jnp.asarray(self.samples.positions, dtype)[chosen]
        T = jax.lax.stop_gradient(self.temperature)

        def start(key, positions, box):
            now = Atoms(positions, box, self.species)
            moving = atoms.set_in_motion(key, now, T, jnp.asarray(self.masses, dtype))
            return moving.velocities, moving.key

        source = jax.random.key(0) if key is None else key
        keys = jax.random.split(source, self.replicas)
        velocities, keys = jax.vmap(start)(keys, positions, boxes)
        eye = jnp.eye(boxes.shape[-1], dtype=dtype)
        none = jnp.zeros((), int)
        return ThermalState(positions, velocities, keys, boxes, eye, none)

    @full_precision
    def update(self, F, state, dt):
        d, dt = state.boxes.shape[-1], jnp.asarray(dt, state.boxes.dtype)
        in_plane = F[:d, :d]
        new, seen, sound = _run(*jax.lax.stop_gradient((self, in_plane, state, dt)))
        here = Canonical(self.law, self.species, self.temperature), in_plane
        boxes = state.boxes
        if self.derivative == "fluctuation":
            P = average(*here, boxes, seen)
        else:
            value = average(*jax.lax.stop_gradient(here), boxes, seen)
            P = with_slope_of(value, average_at_rest(*here, boxes, new.positions))
        P = poison(P * self.stress_unit, sound)
        return jnp.zeros_like(F).at[:d, :d].set(P), new


def thermal_cell(
    law: AbstractPotential,
    configurations: Atoms | Sequence[Atoms],
    *,
    temperature: float,
    masses: Sequence[float] | None = None,
    replicas: int = 4,
    time_step: float = 0.005,
    friction: float = 1.0,
    num_samples: int = 20,
    derivative: str = "fluctuation",
    equilibration: float = 10.0,
    stress_unit: float = 1.0,
) -> ThermalCell:
    """A material of replicas of a box of atoms, kept at a temperature.

    On concrete values.

    Args:
        law: potential.
        configurations: one, or several with the same species. Replicas begin with them
            in turn, and differ in velocities and noise.
        temperature: as an energy.
        masses: one for each species; all one by default.
        replicas: that are averaged over. Their number costs time and wins accuracy as
            `dt` does; they are independent, and the only average over basins.
        time_step: the longest of the dynamics, as in `atoms.Langevin`. A step of the
            material takes at least `20 num_samples` of them, shorter ones if `dt` is.
        friction: rate at which momentum is forgotten, one over time.
        num_samples: of the stress of each replica in a step; at least two.
        derivative: "fluctuation" or "frozen", see `ThermalCell`.
        equilibration: time that configurations are kept at the temperature first.
        stress_unit: GPa in one energy over length cubed of the potential: 160.2177 for
            eV and angstrom; 1 answers in the potential's own unit.

    Returns:
        A `ThermalCell`. The `dt` of its steps is in the unit of time of the potential.

    Raises:
        JaxmatError: if configurations do not match or are not sound (`atoms.check`), a
            number is not positive, or atoms blow up in the equilibration, or it is too
            long.
    """
    check_option("derivative", derivative, DERIVATIVES)
    check_whole("replicas", replicas, 1)
    check_whole("num_samples", num_samples, 2)
    for name, value in {
        "temperature": temperature,
        "time_step": time_step,
        "friction": friction,
        "stress_unit": stress_unit,
    }.items():
        check_positive(name, jnp.asarray(value))
    check_positive("equilibration", jnp.asarray(equilibration), zero=True)
    configurations = of_the_same_atoms(law, configurations)
    masses = [1.0] * law.num_species if masses is None else masses
    each = (law.num_species,)
    check_shape("masses", np.asarray(masses), each, hint="one for each species")
    check_positive("masses", jnp.asarray(masses))
    copies = [
        configurations[k % len(configurations)]
        for k in range(max(replicas, len(configurations)))
    ]
    dtype = configurations[0].positions.dtype
    cell = ThermalCell(
        law,
        configurations[0].species,
        jnp.asarray(temperature, dtype),
        tuple(map(float, masses)),
        replicas,
        float(time_step),
        float(friction),
        num_samples,
        derivative,
        float(stress_unit),
        Samples(copies),
    )
    return dataclasses.replace(cell, samples=_equilibrated(cell, equilibration))


def _equilibrated(cell: ThermalCell, time: float) -> Samples:
    """The start configurations after some time at the temperature."""
    all_of_them = dataclasses.replace(cell, replicas=len(cell.samples.boxes))
    state = all_of_them.init_state()
    eye = jnp.eye(state.boxes.shape[-1], dtype=state.boxes.dtype)
    if time > cell.shortest * MAX_SEGMENTS:
        raise JaxmatError(
            f"`equilibration` is {time:.4g}, {time / cell.time_step:.3g} steps of "
            f"`time_step`; give at most {cell.shortest * MAX_SEGMENTS:.4g}."
        )
    if time > 0:
        duration = jnp.asarray(time, eye.dtype)
        state, _, sound = eqx.filter_jit(_run)(all_of_them, eye, state, duration)
        if not sound:
            raise JaxmatError(
                f"the atoms blew up at `time_step` {cell.time_step:.4g} and "
                f"`temperature` {float(cell.temperature):.4g}; take a shorter step, "
                "or relax the configurations first."
            )
    boxes = zip(state.positions, state.boxes, strict=True)
    return Samples([Atoms(s, box, cell.species) for s, box in boxes])


@full_precision
def _run(
    cell: ThermalCell, F: Float[Array, "d d"], state: ThermalState, dt: Scalar
) -> tuple[ThermalState, Float[Array, "replicas samples atoms d"], Bool[Array, ""]]:
    """The step of all replicas: new state, positions sampled, whether all went well."""
    U = stretch_of(F)
    widths = jax.vmap(atoms.perpendicular_widths)(U @ state.boxes)
    wide = (jnp.min(widths) >= 2 * cell.law.cutoff) & (jnp.linalg.det(F) > 0)
    segments = jnp.ceil(dt.astype(U.dtype) / cell.shortest - 1e-6)
    sound = wide & (dt > 0) & (segments < MAX_SEGMENTS)
    segments = jnp.where(sound, segments, 0.0)
    # A state stays what it was where the step makes no sense.
    U = jnp.where(sound, U, state.stretch)

    def of_replica(positions, velocities, key, box):
        numbers = jax.random.key_data(key)
        everything = (positions, velocities, numbers, box, state.stretch, U, segments)
        return _follow((cell, everything, dt))

    positions, velocities, numbers, seen, smooth = jax.vmap(of_replica)(
        state.positions, state.velocities, state.keys, state.boxes
    )
    smooth = smooth.all()
    taken = segments.astype(int) * 2 * cell.num_samples * (SEGMENT + 1)
    new = ThermalState(
        poison(positions, smooth),
        poison(velocities, smooth),
        jax.random.wrap_key_data(numbers, impl=jax.random.key_impl(state.keys)),
        state.boxes,
        U,
        state.evaluations + cell.replicas * taken,
    )
    return new, seen, sound & smooth


@in_turn
@full_precision
def _follow(everything):
    """One replica: strained over half of the samples, held over the other half.

    And whether at the end of all segments no atom moved by more than a tenth of its
    size in a time step: pairs out of range exert no force, even those at NaN, and a
    time step that is too long need not end in NaN.
    """
    cell, (s, v, numbers, box, start, end, segments), dt = everything
    K = cell.num_samples
    steps = jnp.maximum(segments, 1.0) * 2 * K * SEGMENT
    ensemble = atoms.Langevin(dt / steps, cell.temperature, cell.friction)
    masses = jnp.asarray(cell.masses, s.dtype)[cell.species]
    core = jnp.min(cell.law.core)
    motion = Motion(
        Atoms(s, start @ box, cell.species),
        v,
        masses,
        jax.random.wrap_key_data(numbers),
    )

    def segment(_, carry):
        done, motion, smooth = carry
        done = done + 1
        part = jnp.minimum(done / (K * jnp.maximum(segments, 1.0)), 1.0)
        strained = (start + (end - start) * part) @ box
        now = Atoms(motion.atoms.positions, strained, cell.species)
        motion = eqx.tree_at(lambda m: m.atoms, motion, now)
        motion, _ = atoms.simulate(cell.law, ensemble, motion, SEGMENT)
        farthest = jnp.max(jnp.abs(motion.velocities)) * ensemble.dt
        return done, motion, smooth & (farthest < core)

    def sample(carry, _):
        carry = jax.lax.fori_loop(0, segments.astype(int), segment, carry)
        return carry, carry[1].atoms.positions

    begin = (jnp.zeros_like(segments), motion, jnp.asarray(True))
    (_, motion, smooth), seen = jax.lax.scan(sample, begin, length=2 * K)
    numbers = jax.random.key_data(motion.key)
    return motion.atoms.positions, motion.velocities, numbers, seen[K:], smooth
