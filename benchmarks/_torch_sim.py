"""torch-sim's side of `bench_atoms.py`: batches of cells, one thread.

Lengths in angstrom with sigma = 3.4, because its lists guess their size from the
density of ordinary matter; times and energies stay reduced.
"""

import importlib.metadata
import itertools
import time

import numpy as np
import torch
import torch_sim
from _serve import serve
from torch_sim import neighbors
from torch_sim.models.pair_potential import PairPotentialModel

torch.set_num_threads(1)
LENGTH, CUTOFF = 3.4, 2.5
EPSILON = ((1.0, 1.5), (1.5, 0.5))
SIGMA = ((1.0, 0.8), (0.8, 0.88))
LISTS = (
    neighbors.alchemiops_nl_cell_list,
    neighbors.alchemiops_nl_n2,
    neighbors.vesin_nl_ts,
)


def _model(dtype, neighbour_list, half: bool) -> PairPotentialModel:
    epsilon = torch.tensor(EPSILON, dtype=dtype)
    sigma = LENGTH * torch.tensor(SIGMA, dtype=dtype)

    def pair(r, a, b):
        size = sigma[a - 1, b - 1]
        sixth = (size / r) ** 6
        energy = 4 * epsilon[a - 1, b - 1] * (sixth * sixth - sixth)
        return torch.where(r < CUTOFF * size, energy, torch.zeros_like(r))

    return PairPotentialModel(
        pair,
        cutoff=CUTOFF * LENGTH,
        dtype=dtype,
        neighbor_list_fn=neighbour_list,
        reduce_to_half_list=half,
    )


def _run(state, model, steps: int) -> float:
    begin = time.process_time()
    for _ in range(steps):
        state = torch_sim.nve_step(state, model, dt=0.005)
    if not bool(torch.isfinite(state.positions).all()):
        raise SystemExit("torch-sim's atoms flew apart.")
    return time.process_time() - begin


def speed(*, positions, box, species, cells: int, dtype: str, steps: int, runs: int):
    """CPU seconds of steps at constant energy, with the fastest list."""
    dtype = getattr(torch, dtype)
    r = LENGTH * np.tile(np.asarray(positions) % 1.0 @ np.asarray(box).T, (cells, 1))
    count = len(species)

    def start(model):
        state = torch_sim.SimState(
            positions=torch.tensor(r, dtype=dtype),
            masses=torch.full((len(r),), LENGTH**-2, dtype=dtype),
            cell=LENGTH * torch.tensor(box, dtype=dtype).T.repeat(cells, 1, 1),
            pbc=True,
            atomic_numbers=torch.tensor(species).repeat(cells) + 1,
            system_idx=torch.arange(cells).repeat_interleave(count),
        )
        state.rng = 0
        return torch_sim.nve_init(state, model, kT=0.5)

    tried = []
    for neighbour_list, half in itertools.product(LISTS, (True, False)):
        model = _model(dtype, neighbour_list, half)
        state = start(model)
        _run(state, model, 1)
        tried.append((_run(state, model, 2), neighbour_list, half))
    _, neighbour_list, half = min(tried, key=lambda x: x[0])
    model = _model(dtype, neighbour_list, half)
    state = start(model)
    seconds = [_run(state, model, steps) for _ in range(runs)]
    chosen = {"list": neighbour_list.__name__, "half_list": half}
    return {"seconds": min(seconds), **chosen}


def version() -> dict:
    name = "torch-sim-atomistic"
    return {name: importlib.metadata.version(name), "torch": torch.__version__}


if __name__ == "__main__":
    serve({"speed": speed, "version": version})
