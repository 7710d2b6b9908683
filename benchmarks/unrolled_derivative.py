"""For how long is the derivative through a trajectory of atoms of any use?

Kob-Andersen, N = 200, Langevin's thermostat. A box at a temperature is sheared by a
little at once, and the shear stress at a later time is differentiated in that shear
through all steps, recomputed in reverse from states every ten steps. Told are the
root mean square of that derivative over starts, which begins as Born's modulus and,
where neighbouring paths diverge, grows exponentially; the rate; the time by which it
is ten times as large; and that up to which the exact derivative is right, by a central
difference with the same noise.

    python benchmarks/unrolled_derivative.py --starts 8 --out FILE.json
"""

import argparse
import json
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _record import here

from jaxmat import atoms

TEMPERATURES = (0.1, 0.5, 1.0)
TIMES = (0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
DT = 0.005
LAW = atoms.kob_andersen()


def starts(temperature, count):
    """Liquids at T = 1 taken to the temperature in 5 units of time."""
    box = (200 / 1.2) ** (1 / 3) * jnp.eye(3)
    species = jnp.asarray((np.arange(200) % 5 == 0).astype(int))

    @eqx.filter_jit
    def warmed(motion, T, num_steps):
        return atoms.simulate(LAW, atoms.Langevin(DT, T), motion, num_steps)[0]

    for seed in range(count):
        s = jax.random.uniform(jax.random.key(seed), (200, 3))
        calm = atoms.relax(LAW, atoms.Atoms(s, box, species)).value
        motion = atoms.set_in_motion(jax.random.key(seed), calm, 1.0)
        yield warmed(warmed(motion, 1.0, 1000), temperature, 1000)


@eqx.filter_jit
def shear_stress(gamma, motion, temperature, num_steps):
    F = jnp.eye(3).at[0, 1].set(gamma)
    motion = eqx.tree_at(lambda m: m.atoms, motion, atoms.deform(motion.atoms, F))
    ensemble = atoms.Langevin(DT, temperature)
    end, _ = atoms.simulate(
        LAW, ensemble, motion, num_steps, observe=lambda m: None, every=10
    )
    return atoms.stress(LAW, end.atoms)[0, 1]


slope = eqx.filter_jit(eqx.filter_grad(shear_stress))


def run(count):
    rows = []
    for temperature in TEMPERATURES:
        began, found, wrong = time.perf_counter(), [], []
        motions = list(starts(temperature, count))
        for t in TIMES:
            steps = round(t / DT)
            T, h = jnp.asarray(temperature), 1e-7
            zero, each, errors = jnp.zeros(()), [], []
            for motion in motions:
                exact = float(slope(zero, motion, T, steps))
                ends = [
                    float(shear_stress(zero + s * h, motion, T, steps)) for s in (1, -1)
                ]
                each.append(exact)
                errors.append(abs(exact - (ends[0] - ends[1]) / (2 * h)))
            found.append(float(np.sqrt(np.mean(np.square(each)))))
            wrong.append(float(np.median(errors)))
            print(temperature, t, found[-1], wrong[-1], flush=True)
        rows.append(
            {
                "temperature": temperature,
                "times": TIMES,
                "root_mean_square": found,
                "error_by_differences": wrong,
                "seconds": time.perf_counter() - began,
                **summary(found),
            }
        )
    return rows


def summary(found):
    """Rate of growth over the times in which it grows, and the time to tenfold."""
    logs, times = np.log(found), np.asarray(TIMES)
    late = times >= 1.0
    rate = float(np.polyfit(times[late], logs[late], 1)[0])
    tenfold = logs[0] + np.log(10)
    over = logs > tenfold
    return {
        "rate": rate,
        "tenfold_after": float(np.interp(tenfold, np.maximum.accumulate(logs), times))
        if over.any()
        else None,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=8)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    record = here() | {"starts": options.starts, "time_step": DT}
    record["rows"] = run(options.starts)
    record["bars"] = []  # nothing was promised of it
    if options.out:
        options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
