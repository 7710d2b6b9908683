"""The library's side of `bench_homogenise.py`: one compiled solve at a time.

Cells are built outside of what is timed; the rotation of the crystals' stiffness is
inside. Compilation is timed apart, without a persistent cache.
"""

import resource
import time

import _micro
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _serve import serve

import jaxmat
from jaxmat import cells, mandel
from jaxmat.materials import LinearElastic
from jaxmat.microstructure import Grid, Microstructure

jax.config.update("jax_enable_x64", True)
SOFT_GRAINS = 3
held = {}


def _cell(ndim, size, scheme, boundary, contrast) -> cells.GridCell:
    grain = _micro.grain_map(ndim, size)
    # Three grains as a phase of their own, for one compiled solve to do all contrasts.
    phase = (grain < SOFT_GRAINS) & contrast
    microstructure = Microstructure(
        Grid(grain.shape, (1.0,) * ndim),
        jnp.asarray(grain),
        jnp.asarray(phase, jnp.int32),
        jnp.asarray(_micro.quaternions(ndim)),
    )
    silicon = mandel.from_voigt_stiffness(jnp.asarray(_micro.silicon_voigt()))
    return cells.grid_cell(
        microstructure,
        [LinearElastic(silicon)] * (2 if contrast else 1),
        plane="strain" if ndim == 2 else None,
        boundary=boundary,
        discretisation=scheme,
    )


def _compile(fn, cell) -> tuple[eqx.Module, float]:
    start = time.perf_counter()
    compiled = eqx.filter_jit(fn).lower(cell).compile()
    return compiled, time.perf_counter() - start


def _run(compiled, cell) -> tuple[float, object]:
    start = time.perf_counter()
    out = jax.block_until_ready(compiled(cell))
    return time.perf_counter() - start, out


def prepare(
    *,
    ndim: int,
    size: int,
    scheme: str,
    rtol: float,
    boundary: str = "periodic",
    contrast: bool = False,
    max_steps: int = 1000,
) -> dict:
    """Build and compile; `solve` then runs all load cases.

    With `contrast`, some grains are a phase whose stiffness `solve` may scale.
    """

    def forward(cell):
        return cells.homogenise(cell, rtol=rtol, max_steps=max_steps, throw=False)

    cell = _cell(ndim, size, scheme, boundary, contrast)
    compiled, seconds = _compile(forward, cell)
    held.update(cell=cell, forward=compiled, rtol=rtol)
    return {"compile_s": seconds}


def solve(*, soft: float | None = None) -> dict:
    """Seconds, iterations, effective stiffness (Voigt), and the peak of memory."""
    cell = held["cell"]
    if soft is not None:
        laws = cell.medium.laws
        weak = LinearElastic(soft * laws[0].stiffness)
        cell = eqx.tree_at(lambda c: c.medium.laws, cell, (laws[0], weak))
    seconds, solution = _run(held["forward"], cell)
    return {
        "seconds": seconds,
        "steps": int(solution.info.num_steps),
        "converged": bool(solution.info.converged),
        "stiffness": np.asarray(mandel.to_voigt_stiffness(solution.value)).tolist(),
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def prepare_gradient() -> dict:
    """Compile one modulus and its gradient by all orientations, for `gradient`."""

    def modulus(orientation, cell):
        place = lambda c: c.medium.microstructure.orientation  # noqa: E731
        cell = eqx.tree_at(place, cell, orientation)
        return cells.homogenise(cell, rtol=held["rtol"]).value[0, 0]

    def both(cell):
        orientation = cell.medium.microstructure.orientation
        return jax.value_and_grad(modulus)(orientation, cell)

    held["gradient"], seconds = _compile(both, held["cell"])
    return {"compile_s": seconds}


def gradient() -> dict:
    """Seconds of the modulus with its gradient."""
    seconds, (_, slope) = _run(held["gradient"], held["cell"])
    return {"seconds": seconds, "finite": bool(jnp.all(jnp.isfinite(slope)))}


def copy_bandwidth(*, total: int) -> dict:
    """Bytes read and written per second by copies among `total` bytes of arrays."""
    source, target = np.ones(total // 16), np.zeros(total // 16)
    repeats = max(1, 2**28 // total)
    best = float("inf")
    for _ in range(7):
        start = time.perf_counter()
        for _ in range(repeats):
            np.copyto(target, source)
        best = min(best, time.perf_counter() - start)
    return {"bytes_per_s": total * repeats / best}


def version() -> dict:
    return {
        "jaxmat": jaxmat.__version__,
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
        "platform": jax.default_backend(),
    }


if __name__ == "__main__":
    tasks = (prepare, solve, prepare_gradient, gradient, copy_bandwidth, version)
    serve({task.__name__: task for task in tasks})
