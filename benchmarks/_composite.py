"""The composite in full and a network of points for it, as a measured program."""

import functools
import statistics
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _prnn_runs import DATA
from _serve import serve

from jaxmat import cells
from jaxmat.materials import PlaneStress, follow
from jaxmat.microstructure import Grid, Microstructure
from jaxmat.studies import composite
from jaxmat.studies.composite import learning

STEPS = 60


def version() -> dict:
    import jaxmat

    device = jax.devices()[0].device_kind
    return {"jax": jax.__version__, "jaxmat": jaxmat.__version__, "device": device}


@functools.cache
def network():
    """Trained on eight paths, in a dozen seconds."""
    gp = composite.read_paths(DATA / "gpCurves.data")
    model = learning.Model("prnn", 24, 4e-2)
    return learning.fit_paths(
        model,
        gp.take(slice(8)),
        gp.take(slice(64, 70)),
        key=jax.random.key(0),
        progress=False,
    ).value


def full(pixels: int, paths: int, steps: int) -> dict:
    """Seconds of a step of the full cell, its stresses along the first steps."""
    eps = composite.gaussian_process_paths(0, 2, STEPS)[:paths, :steps]
    cell = composite.composite_cell(0, pixels=pixels)
    start = time.perf_counter()
    composite.solve_paths(cell, eps[:1], progress=False)
    compiled = time.perf_counter() - start
    seconds, sig = [], []
    for path in eps:
        start = time.perf_counter()
        sig.append(composite.solve_paths(cell, path[None], progress=False).sig[0])
        seconds.append((time.perf_counter() - start) / steps)
    return {
        "pixels": pixels,
        "steps": steps,
        "seconds_per_step": statistics.median(seconds),
        "compile_s": compiled - steps * statistics.median(seconds),
        "stress_mpa": composite.in_mpa(np.stack(sig)).tolist(),
    }


def batched(paths: int, repeats: int) -> dict:
    """Seconds of a step of one point of the network among a batch of paths."""
    eps = jnp.asarray(composite.gaussian_process_paths(1, paths, STEPS))
    run = functools.partial(learning.predict, network())
    start = time.perf_counter()
    jax.block_until_ready(run(eps))
    compiled = time.perf_counter() - start
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(run(eps))
        seconds.append((time.perf_counter() - start) / (STEPS * paths))
    middle = statistics.median(seconds)
    return {
        "batch": paths,
        "seconds_per_step": middle,
        "compile_s": compiled - middle * STEPS * paths,
    }


def specimen(pixels: int, steps: int, repeats: int) -> dict:
    """Seconds of a step of one point where the network fills a specimen on a grid.

    A sheet with a disc of glass, so that every point sees another strain. All that
    Newton's method and the Krylov method do is counted, points of the glass are not.
    """
    grid = Grid((pixels, pixels), (1.0, 1.0))
    x, y = np.meshgrid(*grid.centres(), indexing="ij")
    phase = jnp.asarray(np.hypot(x - 0.5, y - 0.5) < 0.2, jnp.int32)
    upright = jnp.array([[1.0, 0.0, 0.0, 0.0]])
    sheet = Microstructure(grid, jnp.zeros_like(phase), phase, upright)
    laws = network(), PlaneStress(composite.fibre())
    cell = cells.grid_cell(sheet, laws, plane="stress")
    points = 4 * int(np.sum(phase == 0))
    eps = jnp.linspace(0, 1, steps + 1)[1:, None] * jnp.array([0.02, -0.008, 0.004])
    run = eqx.filter_jit(follow)
    start = time.perf_counter()
    sig = jax.block_until_ready(run(cell, eps))
    compiled = time.perf_counter() - start
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(run(cell, eps))
        seconds.append(time.perf_counter() - start)
    middle = statistics.median(seconds)
    return {
        "pixels": pixels,
        "points": points,
        "steps": steps,
        "seconds_per_step": middle / (steps * points),
        "compile_s": compiled - middle,
        "final_stress_mpa": composite.in_mpa(sig)[-1].tolist(),
    }


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    serve({"version": version, "full": full, "batched": batched, "specimen": specimen})
