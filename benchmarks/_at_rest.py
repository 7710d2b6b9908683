"""Atoms at rest, for `bench_atoms.py`: against differences, memory, time."""

import functools
import json
import pathlib
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _glass import glass  # sets one thread
from _serve import serve

from jaxmat import atoms, mandel
from jaxmat.atoms import _rest

LAW = atoms.kob_andersen()
REFS = pathlib.Path(__file__).parents[1] / "tests" / "data"
FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
GPA = 160.2176634  # one eV per cubic angstrom


@functools.cache
def _glass(num_atoms: int, seed: int) -> atoms.Atoms:
    found = glass(num_atoms=num_atoms, seed=seed, tolerance=1e-6)
    a = atoms.Atoms(
        *(jnp.asarray(found[key]) for key in ("positions", "box", "species"))
    )
    return atoms.relax(LAW, a, tolerance=1e-10).value


def _worst(found, expected) -> float:
    return float(jnp.abs(found - expected).max() / jnp.abs(expected).max())


def _first_piola(law, now, reference):
    return atoms.box_slope(law, now) @ reference.box.T / atoms.volume(reference)


def _following(law, a, F):
    """First Piola-Kirchhoff stress of atoms that stay at rest while the box deforms."""
    now = atoms.deform(a, F)
    now = atoms.Atoms(atoms.at_rest(law, now), now.box, now.species)
    return _first_piola(law, now, a)


def derivatives(*, num_atoms: int, seed: int) -> dict:
    """Forward and reverse, and both against minimising again to 1e-10 on two sides.

    In the mean deformation, and in one factor on each `sigma` and each `epsilon`.
    """
    a = _glass(num_atoms, seed)

    def law_of(sigma, epsilon):
        scaled = (LAW.sigma * sigma, LAW.epsilon * epsilon)
        return eqx.tree_at(lambda law: (law.sigma, law.epsilon), LAW, scaled)

    def stress(F, sigma, epsilon):
        return _following(law_of(sigma, epsilon), a, F)

    @jax.jit
    def again(F, sigma, epsilon):
        law = law_of(sigma, epsilon)
        end = atoms.settle(law, a, F @ a.box, tolerance=1e-10).atoms
        return _first_piola(law, end, a)

    x = (jnp.eye(3), jnp.ones(()), jnp.ones(()))
    forward = jax.jit(jax.jacfwd(stress, (0, 1, 2)))(*x)
    reverse = jax.jit(jax.jacrev(stress, (0, 1, 2)))(*x)
    h = 1e-5

    def difference(k, direction):
        ends = [
            again(*(v + s * h * direction if i == k else v for i, v in enumerate(x)))
            for s in (1, -1)
        ]
        return (ends[0] - ends[1]) / (2 * h)

    columns = [difference(0, jnp.eye(9)[m].reshape(3, 3)) for m in range(9)]
    expected = (
        jnp.stack(columns, -1).reshape(3, 3, 3, 3),
        difference(1, 1.0),
        difference(2, 1.0),
    )
    moduli = eqx.filter_jit(atoms.elastic_moduli)(LAW, a)
    names = ("strain", "sigma", "epsilon")
    out = {"modulus": _worst(moduli, expected[0])}
    for name, f, r, e in zip(names, forward, reverse, expected, strict=True):
        out |= {f"{name}_forward": _worst(f, e), f"{name}_reverse": _worst(r, e)}

    def energy(F):
        return LAW.energy(atoms.deform(a, F))

    sig = atoms.stress(LAW, a)
    slopes = [
        (energy(x[0] + h * E) - energy(x[0] - h * E)) / (2 * h * atoms.volume(a))
        for E in jnp.eye(9).reshape(9, 3, 3)
    ]
    out["stress"] = _worst(sig, jnp.stack(slopes).reshape(3, 3))
    out["force"] = float(jnp.abs(atoms.forces(LAW, a)).max())
    return out


def memory(*, num_atoms: int) -> dict:
    """Bytes of temporary arrays, as XLA plans them."""
    s = jnp.asarray(np.random.default_rng(0).uniform(size=(num_atoms, 3)))
    box = (num_atoms / 1.2) ** (1 / 3) * jnp.eye(3)
    species = (jnp.arange(num_atoms) % 5 == 0).astype(jnp.int32)
    a = atoms.Atoms(s, box, species)

    def of(function):
        compiled = jax.jit(lambda a: function(a)).lower(a).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    def moduli(a):
        return atoms.elastic_moduli(LAW, a)

    def gradient(a):
        return atoms.forces(LAW, a)

    def column(a):
        shear = jnp.zeros((3, 3)).at[0, 1].set(1.0)
        return jax.jvp(lambda F: _following(LAW, a, F), (jnp.eye(3),), (shear,))[1]

    out = {"gradient": of(gradient), "with_hessian": of(moduli)}
    kept = _rest.DENSE
    _rest.DENSE = 0
    try:
        out |= {"without_hessian": of(moduli), "one_column": of(column)}
    finally:
        _rest.DENSE = kept
    return out


def times(*, num_atoms: int, seed: int, steps: int) -> dict:
    """CPU milliseconds of quasi-static steps along a shear, and of the tangent."""
    a = _glass(num_atoms, seed)
    settle = eqx.filter_jit(lambda a, box: atoms.settle(LAW, a, box, tolerance=1e-8))
    tangent = eqx.filter_jit(lambda a: atoms.elastic_moduli(LAW, a))
    hessian = eqx.filter_jit(lambda a: atoms.hessian(LAW, a))
    factor = eqx.filter_jit(lambda a: _rest.factorise(LAW, a))
    shear = jnp.eye(3).at[0, 1].set(1e-3)

    program = tangent.lower(a).compile().compiled.as_text()
    whole = program[program.index("\nENTRY") :]  # in a loop: shifts, where it failed
    factorisations = whole.count("lapack_dpotrf")

    def timed(function, *args):
        begin = time.process_time()
        out = jax.block_until_ready(function(*args))
        return out, 1e3 * (time.process_time() - begin)

    now, rows, evaluations = a, [], []
    for k in range(steps + 1):
        found, step_ms = timed(settle, now, shear @ now.box)
        _, tangent_ms = timed(tangent, found.atoms)
        _, factor_ms = timed(factor, found.atoms)
        _, hessian_ms = timed(hessian, found.atoms)
        if not bool(found.info.converged):
            raise SystemExit("a quasi-static step did not converge.")
        now = found.atoms
        if k:  # the first one compiles
            rows.append((step_ms, tangent_ms, factor_ms, hessian_ms))
            evaluations.append(int(found.info.num_steps))
    step, tangent, factor, hessian = np.array(rows).T
    return {
        "step_ms": float(np.median(step)),
        "step_worst_ms": float(step.max()),
        "evaluations": float(np.median(evaluations)),
        "factorisations": factorisations,
        "tangent_ms": float(np.median(tangent)),
        "hessian_and_factor_ms": float(np.median(factor)),
        "hessian_ms": float(np.median(hessian)),
        "tangent_ratio": float(np.median(tangent / factor)),
    }


def _crystal(basis, a: float, repeats: int) -> atoms.Atoms:
    corners = np.indices((repeats,) * 3).reshape(3, -1).T
    s = (corners[:, None] + basis).reshape(-1, 3) / repeats
    box = repeats * a * jnp.eye(3)
    return atoms.Atoms(jnp.asarray(s), box, jnp.zeros(len(s), jnp.int32))


def _cut_off(cutoff: float) -> tuple[float, float]:
    """What cutting and smoothing take off: integral over space, and value at zero."""

    def u(x):
        return 4 * (x**-6 - x**-3)

    end = cutoff**2
    value, slope, bend = (float(f(end)) for f in (u, jax.grad(u), jax.hessian(u)))
    parabola = np.polynomial.Polynomial([value, slope, bend / 2])
    parabola = parabola(np.polynomial.Polynomial([-end, 1.0]))
    inside = sum(
        c * cutoff ** (2 * k + 3) / (2 * k + 3) for k, c in enumerate(parabola.coef)
    )
    outside = 4 * (cutoff**-9 / 9 - cutoff**-3 / 3)
    return 4 * np.pi * (inside + outside), float(parabola(0.0))


def fcc(*, repeats: int, cutoff: float) -> dict:
    """Lennard-Jones, lattice sum completed by an integral beyond the cutoff."""
    expected = json.loads((REFS / "r5_atomistic.json").read_text())["LJ_fcc_converged"]
    box, law = _crystal(FCC, expected["a"], repeats), atoms.LennardJones(1, 1, cutoff)
    integral, at_zero = _cut_off(cutoff)
    density, n = 4 / expected["a"] ** 3, box.num_atoms

    def rest(F):
        return (density / jnp.linalg.det(F) * integral - at_zero) / 2

    eye = jnp.eye(3)
    energy = float(law.energy(box)) / n + float(rest(eye))
    moduli = eqx.filter_jit(atoms.born_moduli)(law, box)
    C = mandel.to_voigt_stiffness(
        mandel.from_tensor4(moduli + density * jax.hessian(rest)(eye))
    )
    found = {"C11": C[0, 0], "C12": C[0, 1], "C44": C[3, 3]}
    out = {k: float(abs(v / expected[k] - 1)) for k, v in found.items()}
    return {"num_atoms": n, "energy": abs(energy / expected["E"] - 1), **out}


def silicon() -> dict:
    """Stillinger-Weber, box and atoms at rest."""
    expected = json.loads((REFS / "r6_sw_si.json").read_text())
    law, start = (
        atoms.StillingerWeber(),
        _crystal(np.concatenate([FCC, FCC + 0.25]), 5.4, 2),
    )
    noise = 0.002 * np.random.default_rng(0).normal(size=start.positions.shape)
    start = atoms.Atoms(start.positions + noise, start.box, start.species)
    a = atoms.relax_box(law, start, tolerance=1e-8).value

    def voigt(moduli):
        found = eqx.filter_jit(moduli)(law, a)
        return mandel.to_voigt_stiffness(mandel.from_tensor4(found)) * GPA

    C, born = voigt(atoms.elastic_moduli), voigt(atoms.born_moduli)
    found = {
        "a0": atoms.volume(a) ** (1 / 3) / 2,
        "E_per_atom": law.energy(a) / a.num_atoms,
        "C11": C[0, 0],
        "C12": C[0, 1],
        "C44_relaxed": C[3, 3],
        "C44_unrelaxed": born[3, 3],
    }
    return {k: float(abs(v / expected[k] - 1)) for k, v in found.items()}


if __name__ == "__main__":
    tasks = (derivatives, memory, times, fcc, silicon)
    serve({task.__name__: task for task in tasks})
