"""Glasses: a liquid cooled too fast to crystallise, then brought to rest."""

import dataclasses
import hashlib
import math
import os
import zipfile
from collections.abc import Callable
from numbers import Integral
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxmat._check import JaxmatError
from jaxmat.atoms._atoms import Atoms
from jaxmat.atoms._dynamics import Langevin, simulate
from jaxmat.atoms._large import list_neighbours, relax_large
from jaxmat.atoms._motion import Motion, set_in_motion
from jaxmat.atoms._pair import AbstractPair, matrix
from jaxmat.atoms._potential import AbstractPotential
from jaxmat.atoms._relax import relax
from jaxmat.atoms._space import perpendicular_widths
from jaxmat.atoms._swap import swap_species
from jaxmat.atoms._validate import check
from jaxmat.solve import poison

STEPS = 50
"""Steps at one temperature: cooling goes down stairs as low as that."""

MAX_BLOCKS = 10_000_000

LISTED = 5
"""Steps between looks at a list: few atoms of a melt cross half a skin in these."""


class SoftSpheres(AbstractPair):
    """`epsilon (1 - r / sigma)^2` where spheres overlap, else nothing.

    References:
        O'Hern, Silbert, Liu & Nagel (2003), Phys. Rev. E 68, 011306.
    """

    epsilon: Float[Array, "species species"] = eqx.field(converter=matrix)
    sigma: Float[Array, "species species"] = eqx.field(converter=matrix)
    cutoff_ratio: float = eqx.field(static=True, default=1.0)
    smoothing: str = eqx.field(static=True, default="energy")

    def shape(self, x):
        overlap = 1 - jnp.sqrt(x)
        return overlap * overlap


@dataclasses.dataclass(frozen=True)
class Quench:
    """How a glass is made: melted, cooled at a constant rate and density.

    Attributes:
        counts: atoms of each species.
        density: atoms per volume, or per area.
        hot: temperature of the melt, an energy.
        rate: temperature lost per time.
        cold: temperature at which cooling ends.
        melting: time at the temperature of the melt.
        dt: time step.
        friction: of Langevin's thermostat.
        dimension: 2 or 3.
        swaps: attempts to exchange two atoms (`swap_species`) after every block of
            `STEPS` steps; as many as there are atoms are usual.

    Raises:
        JaxmatError: if this is no quench: nothing to cool, a rate or a temperature that
            is not positive, fewer than two atoms, swaps among atoms of one kind, more
            than `MAX_BLOCKS` blocks.
    """

    counts: tuple[int, ...]
    density: float
    hot: float
    rate: float
    cold: float = 0.01
    melting: float = 20.0
    dt: float = 0.005
    friction: float = 1.0
    dimension: int = 3
    swaps: int = 0

    def __post_init__(self):
        for name in ("density", "hot", "rate", "cold", "melting", "dt", "friction"):
            value = getattr(self, name)
            if not (
                isinstance(value, int | float | np.number) and 0 < value < math.inf
            ):
                raise JaxmatError(f"`{name}` is {value}; a quench takes positive ones.")
        if self.cold >= self.hot:
            raise JaxmatError(
                f"the quench goes from {self.hot:.4g} up to {self.cold:.4g}; give a "
                "final temperature below that of the melt."
            )
        whole = isinstance(self.counts, tuple) and all(
            isinstance(n, Integral) for n in (*self.counts, self.dimension, self.swaps)
        )
        if not whole:
            raise JaxmatError(
                f"`counts` is {self.counts}, `dimension` {self.dimension} and `swaps` "
                f"{self.swaps}; give a tuple of whole numbers, and two of them."
            )
        if sum(self.counts) < 2 or min(self.counts) < 0 or self.dimension not in (2, 3):
            raise JaxmatError(
                f"`counts` is {self.counts} in {self.dimension} dimensions; give at "
                "least two atoms, in 2 or 3."
            )
        if sum(self._blocks) > MAX_BLOCKS:
            raise JaxmatError(
                f"the quench takes {sum(self._blocks):.3g} blocks of {STEPS} steps; "
                "cool faster, or melt for less time."
            )
        if self.swaps < 0 or (self.swaps and sum(n > 0 for n in self.counts) < 2):
            raise JaxmatError(
                f"`swaps` is {self.swaps} for `counts` {self.counts}; give 0, or "
                "atoms of two kinds."
            )

    @property
    def temperatures(self) -> Float[np.ndarray, " blocks"]:
        """Temperature of each block of `STEPS` steps, melting included."""
        melting, falls = self._blocks
        stairs = np.linspace(self.hot, self.cold, falls + 1)[1:]
        return np.concatenate([np.full(melting, self.hot), stairs])

    @property
    def _blocks(self) -> tuple[int, int]:
        """Of the melt, and of the cooling."""
        block = STEPS * self.dt
        falls = math.ceil((self.hot - self.cold) / (self.rate * block))
        return math.ceil(self.melting / block), max(falls, 1)


def random_atoms(law: AbstractPotential, key: Key[Array, ""], recipe: Quench) -> Atoms:
    """Atoms at random in a cube or a square, pushed apart.

    Soft spheres nine tenths as large as the atoms (ten times `law.core`) are brought to
    rest, so that none overlap much.

    Returns:
        Atoms of the species and density of the recipe, in a box of shape (d, d).

    Raises:
        JaxmatError: if the recipe has more species than the potential.
    """
    positions, order = jax.random.split(key)
    n, d = sum(recipe.counts), recipe.dimension
    if len(recipe.counts) > law.num_species:
        raise JaxmatError(
            f"`counts` has {len(recipe.counts)} species and the potential "
            f"{law.num_species}; give as many."
        )
    species = jnp.repeat(
        jnp.arange(len(recipe.counts)), np.array(recipe.counts), total_repeat_length=n
    )
    s = jax.random.uniform(positions, (n, d), float)
    side = (n / recipe.density) ** (1 / d)
    start = Atoms(s, side * jnp.eye(d), jax.random.permutation(order, species))
    soft = SoftSpheres(jnp.ones_like(law.core), 9.0 * law.core)
    return relax(soft, start, tolerance=1e-2, max_steps=300, throw=False).value


def quench(law: AbstractPotential, key: Key[Array, ""], recipe: Quench) -> Atoms:
    """Make a glass: random start, melt, cooling with Langevin's thermostat, rest.

    A pure function with all pairs, for cells of up to some hundred atoms; `jax.vmap`
    makes many of them. `make_glass` is for large ones. Not to be differentiated.

    Args:
        law: potential.
        key: random key.
        recipe: see `Quench`.

    Returns:
        Atoms at rest (`relax`); NaN where the motion blew up or did not come to rest,
        or the box is narrower than twice the cutoff.
    """
    start, velocities = jax.random.split(key)
    atoms = random_atoms(law, start, recipe)
    motion = set_in_motion(velocities, atoms, recipe.hot)

    def block(motion, temperature):
        motion = _block(law, recipe, motion, temperature, None)
        return _swapped(law, recipe, motion, temperature, None), None

    temperatures = jnp.asarray(recipe.temperatures, atoms.positions.dtype)
    motion, _ = jax.lax.scan(block, motion, temperatures)
    rest = relax(law, motion.atoms, throw=False)
    wide = jnp.min(perpendicular_widths(atoms.box)) >= 2 * law.cutoff
    positions = poison(rest.value.positions, rest.info.converged & wide)
    return Atoms(positions, atoms.box, rest.value.species)


def make_glass(
    law: AbstractPotential,
    key: Key[Array, ""],
    recipe: Quench,
    *,
    path: str | os.PathLike | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Atoms:
    """Make one glass of any size, block after block, and go on where it was stopped.

    Large cells use lists of neighbours, made anew when they are out of date: a block
    that ran into that is run again, so no pair is ever missed.

    Args:
        law: potential.
        key: random key.
        recipe: see `Quench`.
        path: file that keeps the state after every block (`.npz`); where it exists, the
            quench goes on from there.
        progress: called with the blocks done and those to do.

    Returns:
        Atoms at rest.

    Raises:
        JaxmatError: if the box is narrower than twice the cutoff, the file belongs to
            another recipe, potential or key or cannot be written, the motion blew up
            (its last good state is in the file), or the end does not come to rest
            (`relax`).
    """
    if path is not None and (Path(path).is_dir() or not Path(path).parent.is_dir()):
        raise JaxmatError(
            f"`{path}` cannot be written; give the name of a file in a folder that "
            "exists."
        )
    start, velocities = jax.random.split(key)
    temperatures, first = recipe.temperatures, 0
    identity = _identity(law, key, recipe)
    motion = set_in_motion(velocities, random_atoms(law, start, recipe), recipe.hot)
    check(law, motion.atoms)
    if path is not None and Path(path).exists():
        motion, first = _load(Path(path), identity, motion)
    neighbours = None
    for k in range(first, len(temperatures)):
        kT = temperatures[k]
        after, neighbours = _with_lists(law, recipe, motion, kT, neighbours)
        if not _is_finite(after):
            raise JaxmatError(
                f"atoms blew up at temperature {kT:.4g} (block {k}); take "
                f"a time step below {recipe.dt:.4g}."
            )
        motion = after
        if recipe.swaps:
            neighbours = list_neighbours(law, motion.atoms)
            motion = _swapped(law, recipe, motion, jnp.asarray(kT), neighbours)
        if path is not None:
            _save(Path(path), identity, motion, k + 1)
        if progress is not None:
            progress(k + 1, len(temperatures))
    return relax_large(law, motion.atoms).value


@eqx.filter_jit
def _block(law, recipe, motion, temperature, neighbours, steps=STEPS) -> Motion:
    ensemble = Langevin(recipe.dt, temperature, recipe.friction)
    return simulate(law, ensemble, motion, steps, neighbours=neighbours)[0]


@eqx.filter_jit
def _swapped(law, recipe, motion, temperature, neighbours) -> Motion:
    if not recipe.swaps:
        return motion
    key, used = jax.random.split(motion.key)
    atoms, _ = swap_species(
        law, used, motion.atoms, temperature, recipe.swaps, neighbours
    )
    return eqx.tree_at(lambda m: (m.atoms, m.key), motion, (atoms, key))


def _with_lists(law, recipe, motion, temperature, neighbours):
    """A block, and its last list; what an outdated list spoils is run again."""
    temperature = jnp.asarray(temperature, motion.velocities.dtype)
    if neighbours is None:
        neighbours = list_neighbours(law, motion.atoms)
    if neighbours is None:
        return _block(law, recipe, motion, temperature, None), None

    def run(motion, neighbours, steps):
        after = motion
        for listed in (neighbours, None):
            if listed is None:
                listed = list_neighbours(law, motion.atoms)
            after = _block(law, recipe, motion, temperature, listed, steps)
            if _is_finite(after):
                return after, listed
        if steps == 1:
            return after, None
        neighbours = None
        for _ in range(steps):
            motion, neighbours = run(motion, neighbours, 1)
            if not _is_finite(motion):
                break
        return motion, neighbours

    for _ in range(STEPS // LISTED):
        motion, neighbours = run(motion, neighbours, LISTED)
        if not _is_finite(motion):
            break
    return motion, neighbours


def _is_finite(motion: Motion) -> bool:
    return bool(np.isfinite(np.asarray(motion.velocities)).all())


def _identity(
    law: AbstractPotential, key: Key[Array, ""], recipe: Quench
) -> dict[str, str]:
    """What decides a glass."""
    numbers = b"".join(np.asarray(x).tobytes() for x in jax.tree.leaves(law))
    return {
        "recipe": repr(recipe),
        "potential": f"{law!r} {hashlib.sha256(numbers).hexdigest()}",
        "key": str(jax.random.key_data(key).tolist()),
    }


def _save(path: Path, identity: dict, motion: Motion, done: int) -> None:
    """Whole or not at all: written beside, then renamed."""
    beside = path.with_name(path.name + ".part.npz")
    np.savez(
        beside,
        **identity,
        done=done,
        positions=motion.atoms.positions,
        species=motion.atoms.species,
        velocities=motion.velocities,
        chance=jax.random.key_data(motion.key),
    )
    beside.replace(path)


def _load(path: Path, identity: dict, motion: Motion) -> tuple[Motion, int]:
    try:
        with path.open("rb") as opened, np.load(opened) as file:
            stored = {name: file[name] for name in file.files}
        other = [name for name in identity if str(stored[name]) != identity[name]]
        atoms = Atoms(
            jnp.asarray(stored["positions"]),
            motion.atoms.box,
            jnp.asarray(stored["species"]),
        )
        key = jax.random.wrap_key_data(jnp.asarray(stored["chance"]))
        velocities, done = jnp.asarray(stored["velocities"]), int(stored["done"])
    except (
        *(OSError, ValueError, KeyError, TypeError, EOFError),
        zipfile.BadZipFile,
    ) as error:
        raise JaxmatError(
            f"`{path.name}` is not a whole file of a quench; delete it to start again."
        ) from error
    if other:
        raise JaxmatError(
            f"`{path.name}` was made with another {' and '.join(other)}; give another "
            "path."
        )
    return Motion(atoms, velocities, motion.masses, key), done
