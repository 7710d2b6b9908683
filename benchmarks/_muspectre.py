"""muSpectre's side of `bench_homogenise.py`: run by the interpreter that has it.

Its best settings, found by trying: the `SolverNewtonCG` class, which sees that the
problem is linear and stops after one Newton step (the function `newton_cg` refuses its
Krylov solvers in the wheel of 0.27.0), one material per grain, one solver kept for all
load cases. The wheel has one Fourier engine, pocketfft, and no MPI.
"""

import time

import _micro
import muSpectre as ms
import numpy as np
from _serve import serve

MAX_STEPS = 1000
LINEAR = 1e-4  # Newton's tolerances are idle: the problem is linear
held = {}


def prepare(*, size: int, ndim: int, krylov: str, rtol: float) -> dict:
    """Build the cell; `solve` then runs all load cases."""
    grain, stiffness = _micro.grain_map(ndim, size), _micro.grain_stiffness(ndim)
    start = time.perf_counter()
    cell = ms.cell.CellData.make(list(grain.shape), [1.0] * ndim)
    cell.nb_quad_pts = 1
    law = getattr(ms.material, f"MaterialLinearElasticGeneric1_{ndim}d")
    materials = [law.make(cell, f"grain {g}", c) for g, c in enumerate(stiffness)]
    for pixel, g in enumerate(grain.ravel(order="F")):
        materials[g].add_pixel(pixel)
    quiet = ms.Verbosity.Silent
    inner = getattr(ms.solvers, krylov)(rtol, MAX_STEPS, quiet)
    solver = ms.solvers.SolverNewtonCG(cell, inner, quiet, LINEAR, LINEAR, 10)
    solver.formulation = ms.Formulation.small_strain
    solver.initialise_cell()
    held.update(solver=solver, materials=materials, inner=inner, ndim=ndim, applied=0)
    return {"setup_s": time.perf_counter() - start}


def solve() -> dict:
    """Seconds, iterations and effective stiffness (Voigt) of one run."""
    solver, ndim = held["solver"], held["ndim"]
    pairs, seconds, columns, steps = _micro.PAIRS[ndim], 0.0, [], []
    for i, j in pairs:
        strain = np.zeros((ndim, ndim))
        strain[i, j] = strain[j, i] = 1.0 if i == j else 0.5
        start = time.perf_counter()
        result = solver.solve_load_increment(strain)
        seconds += time.perf_counter() - start
        stress = np.asarray(result.stress).reshape(ndim, ndim, -1, order="F").mean(-1)
        columns.append([stress[pair] for pair in pairs])
        steps.append(result.nb_fev - held["applied"])  # it counts on from the last
        held["applied"] = result.nb_fev
    stiffness = np.array(columns).T
    return {"seconds": seconds, "stiffness": stiffness.tolist(), "steps": max(steps)}


def version() -> dict:
    return {
        "muSpectre": ms.version.info().split(":")[1].strip(),
        "numpy": np.__version__,
    }


if __name__ == "__main__":
    serve({"prepare": prepare, "solve": solve, "version": version})
