"""The README's picture: orientations, stress, and sensitivity of a polycrystal.

python benchmarks/figure_polycrystal.py --out benchmarks/results/polycrystal.png
"""

import argparse
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import jaxmat
from jaxmat import cells, crystals, mandel, materials, microstructure, plot


def youngs_modulus(angle, grains, law):
    """E_x in GPa after every grain has turned about z by `angle`, radians."""
    half, zero = angle / 2, jnp.zeros_like(angle)
    turn = jnp.stack([jnp.cos(half), zero, zero, jnp.sin(half)], -1)
    turned = jax.vmap(jaxmat.rotations.multiply)(turn, grains.orientation)
    grains = eqx.tree_at(lambda m: m.orientation, grains, turned)
    stiffness = jaxmat.homogenise(cells.grid_cell(grains, law)).value
    return 1 / jnp.linalg.inv(stiffness)[0, 0]


def figure(size: int) -> Figure:
    grid = microstructure.Grid((size, size), (100.0, 100.0))
    nickel = crystals.constants("Ni")
    law = materials.LinearElastic(nickel.stiffness)
    grains = microstructure.voronoi(jax.random.key(7), grid, 40)
    cell = cells.grid_cell(grains, law)
    stiffness = jaxmat.homogenise(cell).value
    tension = jnp.zeros(6).at[0].set(0.1)  # GPa
    fields = cells.local_fields(cell, jnp.linalg.solve(stiffness, tension)).value
    stress = jax.vmap(jax.vmap(lambda s: mandel.von_mises(s)[0]))(fields.sig)
    zero = jnp.zeros(grains.num_grains)
    slope = eqx.filter_jit(jax.grad(youngs_modulus))(zero, grains, law) * jnp.pi / 180

    fig = Figure(figsize=(12, 3.6), layout="constrained")
    FigureCanvasAgg(fig)
    axes = fig.subplots(1, 3)
    plot.ipf_map(grains, nickel.laue, ax=axes[0])
    plot.scalar_map(
        grid,
        1e3 * stress,
        label="von Mises stress / MPa",
        grain=grains.grain,
        ax=axes[1],
    )
    plot.scalar_map(
        grid,
        slope[grains.grain],
        label=r"$\partial E_x/\partial\theta_z$ / "
        "(GPa per degree)",
        grain=grains.grain,
        signed=True,
        ax=axes[2],
    )
    return fig


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    default = Path(__file__).parent / "results" / "polycrystal.png"
    parser.add_argument("--out", type=Path, default=default)
    args = parser.parse_args()
    figure(args.size).savefig(args.out, dpi=110)
    print(args.out)
