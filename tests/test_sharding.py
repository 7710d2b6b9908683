"""A batch of films spread over two devices gives what one device gives."""

import os
import subprocess
import sys

PROBE = """
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

jax.config.update("jax_enable_x64", True)
from jaxmat import cells, crystals, homogenise, microstructure
from jaxmat.materials import LinearElastic

assert jax.device_count() == 2
grid = microstructure.Grid((8, 8), (1.0, 1.0))
silicon = LinearElastic(crystals.cubic(165.64, 63.94, 79.51))
keys = jax.random.split(jax.random.key(0), 4)
films = [microstructure.voronoi(key, grid, 4) for key in keys]
batch = jax.tree.map(lambda *x: jnp.stack(x), *films)


def stiffness(film):
    solution = homogenise(cells.grid_cell(film, silicon), rtol=1e-10, throw=False)
    return solution.value, solution.info.converged


alone = [stiffness(film)[0] for film in films]
mesh = Mesh(np.array(jax.devices()), ("batch",))
spread = NamedSharding(mesh, PartitionSpec("batch"))
sharded, converged = jax.jit(jax.vmap(stiffness))(jax.device_put(batch, spread))
assert converged.all()
assert len(sharded.sharding.device_set) == 2, sharded.sharding
# The batch iterates until its last member has converged, to 1e-10.
np.testing.assert_allclose(sharded, alone, rtol=0, atol=1e-7)

halves = jax.tree.map(lambda x: x.reshape(2, 2, *x.shape[1:]), batch)
mapped, converged = jax.pmap(jax.vmap(stiffness))(halves)
assert converged.all()
np.testing.assert_allclose(mapped.reshape(4, 6, 6), alone, rtol=0, atol=1e-7)
"""


def test_films_on_two_devices_are_as_stiff_as_on_one():
    flags = os.environ.get("XLA_FLAGS", "")
    env = os.environ | {
        "XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count=2",
        "JAX_PLATFORMS": "cpu",
    }
    # Some releases of jax hang where two Fourier transforms run at once: a timeout
    # turns that into a failure.
    run = subprocess.run(
        [sys.executable, "-c", PROBE],
        capture_output=True,
        text=True,
        timeout=300,
        env=env,
    )
    assert run.returncode == 0, run.stderr
