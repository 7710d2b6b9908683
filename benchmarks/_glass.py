"""The library's side of `bench_atoms.py`: Kob-Andersen atoms, one thread.

Configurations go out as lists, so that another program can take the same numbers.
"""

import os

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + (
    " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _serve import serve

import jaxmat
from jaxmat import atoms

jax.config.update("jax_enable_x64", True)
DENSITY, SMALL = 1.2, 5  # every fifth atom is small
LAW = atoms.kob_andersen("force")
held = {}


def _start(num_atoms: int, seed: int) -> atoms.Atoms:
    """A lattice with vacancies out of order, in a cube."""
    rng = np.random.default_rng(seed)
    per_side = int(np.ceil(num_atoms ** (1 / 3)))
    places = np.indices((per_side,) * 3).reshape(3, -1).T
    s = (rng.permutation(places)[:num_atoms] + 0.5) / per_side
    side = (num_atoms / DENSITY) ** (1 / 3)
    species = (np.arange(num_atoms) % SMALL == 0).astype(np.int32)
    return atoms.Atoms(jnp.asarray(s), side * jnp.eye(3), jnp.asarray(species))


def _liquid(num_atoms: int, seed: int, temperature: float, steps: int) -> atoms.Motion:
    start = atoms.relax(LAW, _start(num_atoms, seed), tolerance=1.0).value
    motion = atoms.set_in_motion(jax.random.key(seed), start, temperature)
    ensemble = atoms.Langevin(0.004, temperature, 2.0)
    return eqx.filter_jit(atoms.simulate)(LAW, ensemble, motion, steps)[0]


def _plain(a: atoms.Atoms) -> dict:
    return {
        "positions": np.asarray(a.positions).tolist(),
        "box": np.asarray(a.box).tolist(),
        "species": np.asarray(a.species).tolist(),
    }


def _point(a: atoms.Atoms) -> dict:
    sig = np.asarray(held.setdefault("stress", eqx.filter_jit(atoms.stress))(LAW, a))
    energy = held.setdefault("energy", eqx.filter_jit(atoms.energy))(LAW, a)
    pairs = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
    return {"energy": float(energy), "stress": [float(sig[p]) for p in pairs]}


def configurations(*, num_atoms: int, count: int, seed: int) -> dict:
    """A liquid at 50 times, each time in another sheared box, and our answers."""
    motion = _liquid(num_atoms, seed, 0.6, 1000)
    rng = np.random.default_rng(seed)
    run = eqx.filter_jit(atoms.simulate)
    out = []
    for _ in range(count):
        motion, _ = run(LAW, atoms.Langevin(0.004, 0.6, 2.0), motion, 50)
        F = np.eye(3) + np.triu(rng.uniform(-0.04, 0.04, (3, 3)))
        a = atoms.deform(motion.atoms, jnp.asarray(F))
        out.append(_plain(a) | _point(a))
    return {"configurations": out}


def glass(*, num_atoms: int, seed: int, tolerance: float) -> dict:
    """Quenched from T = 1 to 0 at a rate of 0.02, brought to rest, sheared a little.

    The shear, in two steps, lets go first what the quench has left next to unstable.
    """
    motion = _liquid(num_atoms, seed, 1.0, 2000)
    run = eqx.filter_jit(atoms.simulate)
    for temperature in np.linspace(1.0, 0.02, 50):
        motion, _ = run(LAW, atoms.Langevin(0.005, temperature, 2.0), motion, 200)
    a = atoms.relax(LAW, motion.atoms, tolerance=tolerance).value
    for _ in range(2):
        tilted = a.box.at[0, 1].add(1e-3 * a.box[1, 1])
        a = atoms.Atoms(a.positions, tilted, a.species)
        a = atoms.relax(LAW, a, tolerance=tolerance).value
    return _plain(a)


def shear(*, positions, box, species, step: float, steps: int, tolerance: float):
    """Energy and stress along quasi-static simple shear."""
    positions, box = jnp.asarray(positions), jnp.asarray(box)
    a = atoms.Atoms(positions, box, jnp.asarray(species, jnp.int32))
    rows = []
    for k in range(steps + 1):
        tilted = a.box.at[0, 1].set(box[0, 1] + k * step * box[1, 1])
        a = atoms.Atoms(a.positions, tilted, a.species)
        a = atoms.relax(LAW, a, tolerance=tolerance).value
        rows.append(_point(a))
    return {"rows": rows}


def speed(*, cells: int, num_atoms: int, dtype: str, steps: int, runs: int) -> dict:
    """CPU seconds of steps at constant energy of a batch of cells, best of some runs.

    The law is the library's default, continuous up to second derivatives.
    """
    dtype = jnp.dtype(dtype)
    law = jax.tree.map(lambda x: x.astype(dtype), atoms.kob_andersen())
    motions = [_liquid(num_atoms, seed, 0.5, 200) for seed in range(cells)]
    batch = jax.tree.map(
        lambda *x: (
            jnp.stack(x).astype(dtype) if eqx.is_inexact_array(x[0]) else jnp.stack(x)
        ),
        *motions,
    )
    ensemble = atoms.ConstantEnergy(0.005)

    def advance(motion):
        return atoms.simulate(law, ensemble, motion, steps)[0]

    start = time.perf_counter()
    compiled = eqx.filter_jit(eqx.filter_vmap(advance)).lower(batch).compile()
    compile_s = time.perf_counter() - start
    seconds, total = [], []
    for _ in range(runs):
        begin = time.process_time()
        after = jax.block_until_ready(compiled(batch))
        seconds.append(time.process_time() - begin)
    whole = jax.vmap(lambda m: atoms.energy(law, m.atoms) + atoms.kinetic_energy(m))
    before, total = np.asarray(whole(batch)), np.asarray(whole(after))
    return {
        "seconds": min(seconds),
        "median_s": float(np.median(seconds)),
        "compile_s": compile_s,
        "energy_error": float(np.abs(total - before).max() / num_atoms),
    }


def start(*, num_atoms: int) -> dict:
    """The liquid that `speed` starts from, for other programs."""
    return _plain(_liquid(num_atoms, 0, 0.5, 200).atoms)


def conservation(*, num_atoms: int, time_span: float) -> dict:
    """Error of the energy with two steps, and of a run there and back."""
    law, motion = atoms.kob_andersen(), _liquid(num_atoms, 0, 0.5, 1000)
    run = eqx.filter_jit(atoms.simulate)

    def total(m):
        return atoms.energy(law, m.atoms) + atoms.kinetic_energy(m)

    errors = []
    for every in (1, 2, 4):
        dt = 0.004 / every
        seen = run(
            law,
            atoms.ConstantEnergy(dt),
            motion,
            round(time_span / dt),
            observe=total,
            every=every,
        )[1]
        errors.append(float(jnp.abs(seen - total(motion)).max() / num_atoms))
    there = run(law, atoms.ConstantEnergy(0.004), motion, 200)[0]
    turned = eqx.tree_at(lambda m: m.velocities, there, -there.velocities)
    back = run(law, atoms.ConstantEnergy(0.004), turned, 200)[0]
    distance = jnp.abs(back.atoms.positions - motion.atoms.positions).max()
    return {"energy_errors": errors, "return_error": float(distance)}


def version() -> dict:
    return {
        "jaxmat": jaxmat.__version__,
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
    }


if __name__ == "__main__":
    tasks = (configurations, glass, shear, speed, start, conservation, version)
    serve({task.__name__: task for task in tasks})
