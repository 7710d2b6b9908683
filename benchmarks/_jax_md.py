"""jax-md alone, for `bench_atoms.py`: its space, potential, lists and integrator."""

import os

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + (
    " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import importlib.metadata
import time

import jax
import jax.numpy as jnp
import numpy as np
from _serve import serve
from jax_md import energy, partition, simulate, space

jax.config.update("jax_enable_x64", True)
EPSILON = np.array([[1.0, 1.5], [1.5, 0.5]])
SIGMA = np.array([[1.0, 0.8], [0.8, 0.88]])


def speed(*, positions, box, species, steps: int, runs: int) -> dict:
    """CPU seconds of steps at constant energy of one cell, float64."""
    side = box[0][0]
    displacement, shift = space.periodic(side)
    neighbour_fn, energy_fn = energy.lennard_jones_neighbor_list(
        displacement,
        side,
        species=jnp.asarray(species),
        sigma=jnp.asarray(SIGMA),
        epsilon=jnp.asarray(EPSILON),
        r_onset=2.0,
        r_cutoff=2.5,
        dr_threshold=0.3,
        format=partition.NeighborListFormat.Sparse,
    )
    r = (jnp.asarray(positions) % 1.0) * side
    neighbours = neighbour_fn.allocate(r)
    init, apply = simulate.nve(energy_fn, shift, 0.005)
    state = init(jax.random.key(0), r, kT=0.5, neighbor=neighbours)

    @jax.jit
    def advance(state, neighbours):
        def step(_, both):
            state, neighbours = both
            state = apply(state, neighbor=neighbours)
            return state, neighbours.update(state.position)

        return jax.lax.fori_loop(0, steps, step, (state, neighbours))

    seconds = []
    for _ in range(runs + 1):
        begin = time.process_time()
        after, used = jax.block_until_ready(advance(state, neighbours))
        seconds.append(time.process_time() - begin)
    if bool(used.did_buffer_overflow) or not bool(jnp.isfinite(after.position).all()):
        raise SystemExit("jax-md's list overflowed.")
    return {"seconds": min(seconds[1:])}


def version() -> dict:
    return {"jax-md": importlib.metadata.version("jax-md")}


if __name__ == "__main__":
    serve({"speed": speed, "version": version})
