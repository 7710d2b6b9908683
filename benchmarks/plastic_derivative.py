"""Does the exact derivative of an atomistic cell point where its average goes?

Kob-Andersen, N = 200, athermal simple shear. The last load step before each shear is
one of 1e-2. Its exact in-basin tangent, averaged over replicas, is compared with
replica averages of what the same step answers when its end is moved by 5e-3 to both
sides, in the six strains of the Mandel basis: cosines of the whole 6x6 matrices and of
the gradients of the shear stress alone.

    python benchmarks/plastic_derivative.py --replicas 8 --out FILE.json
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

from jaxmat import atoms, cells, mandel

SHEARS = (0.0, 0.02, 0.05, 0.075, 0.10, 0.125)
SPAN = 1e-2


def glasses(count):
    law = atoms.kob_andersen()
    box = (200 / 1.2) ** (1 / 3) * jnp.eye(3)
    species = jnp.asarray((np.arange(200) % 5 == 0).astype(int))
    for seed in range(count):
        s = jax.random.uniform(jax.random.key(seed), (200, 3))
        yield atoms.relax(law, atoms.Atoms(s, box, species)).value


def cosine(a, b):
    return float(np.sum(a * b) / (np.linalg.norm(a) * np.linalg.norm(b)))


def run(replicas):
    start = list(glasses(replicas))
    cell = cells.atomistic_cell(atoms.kob_andersen(), start)
    one = [
        cells.AtomisticState(a.positions, a.box, jnp.eye(3), *[jnp.zeros((), int)] * 3)
        for a in start
    ]
    states = jax.tree.map(lambda *x: jnp.stack(x), *one)

    def strained(eps, F):
        return (jnp.eye(3) + mandel.to_tensor2(eps)) @ F

    def answer(eps, F, state):
        P, state = cell.update(strained(eps, F), state, jnp.ones(()))
        return mandel.from_tensor2((P + P.T) / 2), state

    step = eqx.filter_jit(jax.vmap(answer, (None, None, 0)))
    tangent = eqx.filter_jit(
        jax.vmap(jax.jacfwd(answer, has_aux=True), (None, None, 0))
    )
    nothing, rows = jnp.zeros(6), []
    for shear in SHEARS:
        began = time.perf_counter()
        before = jnp.eye(3).at[0, 1].set(max(shear - SPAN, 0.0))
        F = jnp.eye(3).at[0, 1].set(shear)
        _, previous = step(nothing, before, states)
        sig, states = step(nothing, F, previous)
        exact = np.asarray(tangent(nothing, F, states)[0])
        change, spread = np.zeros((2, 6, 6))
        for k in range(6):
            eps = nothing.at[k].set(SPAN / 2)
            ends = [np.asarray(step(s * eps, F, previous)[0]) for s in (1, -1)]
            each = (ends[0] - ends[1]) / SPAN
            change[:, k], spread[:, k] = each.mean(0), each.std(0)
        shears = exact[:, 5, 5]
        rows.append(
            {
                "shear": shear,
                "stress_12": float(sig[:, 5].mean() / np.sqrt(2)),
                "events_per_replica": float(states.events.mean()),
                "irregular": int(states.irregular.sum()),
                "cosine_matrix": cosine(exact.mean(0), change),
                "cosine_shear_row": cosine(exact.mean(0)[5], change[5]),
                "modulus_66_exact_mean": float(shears.mean() / 2),
                "modulus_66_exact_median": float(np.median(shears) / 2),
                "modulus_66_difference": float(change[5, 5] / 2),
                "modulus_66_standard_error": float(
                    spread[5, 5] / 2 / np.sqrt(len(exact))
                ),
                "seconds": time.perf_counter() - began,
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


def bar(row, replicas):
    """Below one half training needs another derivative than that of the basin."""
    percent, value = 100 * row["shear"], row["cosine_shear_row"]
    return {
        "id": f"plastic-derivative-{percent:g}",
        "claim": f"cosine of the in-basin derivative of the shear stress with replica-"
        f"averaged differences, KA glass, N = 200, at a shear of {percent:g} %",
        "value": value,
        "bar": 0.5,
        "sense": ">=",
        "holds": value >= 0.5,
        "command": "python benchmarks/plastic_derivative.py "
        f"--replicas {replicas} --out FILE",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, default=8)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    record = here() | {"replicas": options.replicas, "span": SPAN}
    record["rows"] = rows = run(options.replicas)
    if options.out:
        record["bars"] = [bar(row, options.replicas) for row in rows]
        options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
