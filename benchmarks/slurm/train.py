"""One training run on every device of a Slurm job: see `train.sbatch`.

Every process runs this; each takes its part of every batch, and the first one writes.
"""

import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from jaxmat import training


def mean_square(net, batch, key):
    x, y = batch
    return jnp.mean((jax.vmap(net)(x) - y) ** 2)


def main(folder: Path) -> None:
    jax.distributed.initialize()  # finds the other processes in Slurm's variables
    key = jax.random.key(0)
    x = np.random.default_rng(0).uniform(-1, 1, (4096, 2))
    data = (x, np.sin(3 * x[:, 0]) * x[:, 1])
    part = (jax.process_index(), jax.process_count())
    solution = training.fit(
        mean_square,
        eqx.nn.MLP(2, "scalar", 64, 2, key=key),
        training.Batches(data, 512, 25, key, part=part),
        optimiser=optax.adam(1e-3),
        key=key,
        mesh=Mesh(np.array(jax.devices()), ("batch",)),
        checkpoint=folder / "run",
        metrics=folder / "metrics.jsonl",
        progress=sys.stderr.isatty(),
    )
    if jax.process_index() == 0:
        print(f"loss {solution.info.history['loss'][-1]:.6g}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
