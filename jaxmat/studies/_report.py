"""Decides which files hold the results of the main job, and in which units."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmat import crystals, io, mandel, plot
from jaxmat.studies._elasticity import MEAN_STRESS, Results
from jaxmat.studies._folder import SUMMARY
from jaxmat.studies._specimen import Progress, Specimen

LOAD = f"under {1e3 * MEAN_STRESS:g} MPa along x"
DPI = 200


def write_figures(
    folder: Path,
    specimen: Specimen,
    results: Results,
    *,
    plane: str | None = None,
    progress: Progress = lambda _: None,
) -> None:
    """Draw the maps and the directional modulus into a folder, as PNG."""
    grains = specimen.microstructure
    grain = np.asarray(grains.grain)
    laues = [c.laue for c in specimen.constants]
    per_degree = np.radians(np.asarray(results.sensitivity)[grain, 2])
    maps = {
        "von_mises": (1e3 * results.von_mises, f"von Mises stress / MPa\n{LOAD}"),
        "strain_energy": (
            1e6 * results.energy,
            f"strain energy / kJ m$^{{-3}}$\n{LOAD}",
        ),
    }
    # In plane strain every grain has the same kind of axis along z: nothing to see.
    along = (1.0, 0.0, 0.0) if plane == "strain" else (0.0, 0.0, 1.0)
    figures = {"ipf_map": plot.ipf_map(grains, laues, direction=along)}
    for name, (values, label) in maps.items():
        figures[name] = plot.scalar_map(grains.grid, values, label=label, grain=grain)
    figures["sensitivity"] = plot.scalar_map(
        grains.grid,
        per_degree,
        label="$\\partial E_x/\\partial\\theta_z$ / GPa per degree\n"
        r"$\theta_z$: turn of the grain about z",
        grain=grain,
        signed=True,
    )
    bands = {"Voigt-Reuss bounds": (results.reuss, results.voigt)}
    isotropic = untextured(specimen) if plane is None else None
    if isotropic is not None:
        low, high = (solid.stiffness for solid in isotropic)
        bands["Hashin-Shtrikman, no texture"] = (low, high)
    figures["youngs_modulus"] = plot.directional_modulus(
        {"effective": results.stiffness, "Hill": results.hill}, bands=bands
    )
    for name, figure in figures.items():
        progress(f"drawing {name}.png")
        figure.savefig(folder / f"{name}.png", dpi=DPI, bbox_inches="tight")


def write_data(
    folder: Path, specimen: Specimen, results: Results, *, command: str = ""
) -> None:
    """Write grains, stiffnesses and fields as `results.h5` and `fields.vti`."""
    grains = specimen.microstructure
    quantities = {
        "effective_stiffness": (results.stiffness, "GPa, Mandel"),
        "voigt_bound": (results.voigt, "GPa, Mandel"),
        "reuss_bound": (results.reuss, "GPa, Mandel"),
        "youngs_modulus_x": (results.youngs_modulus, "GPa"),
        "sensitivity": (results.sensitivity, "GPa/radian, rotation vector per grain"),
        "strain": (results.eps, f"Mandel, {LOAD}"),
        "stress": (results.sig, f"GPa, Mandel, {LOAD}"),
    }
    items: dict[str, Any] = {"microstructure": grains}
    items |= {name: io.Quantity(*pair) for name, pair in quantities.items()}
    io.write_hdf5(folder / "results.h5", items, command=command)
    laues = [c.laue for c in specimen.constants]
    io.write_vti(
        folder / "fields.vti",
        grains.grid,
        {
            "grain": grains.grain,
            "phase": grains.phase,
            "ipf_z": np.round(255 * plot.ipf_colours(grains, laues)).astype(np.uint8),
            "strain": results.eps,
            "stress_GPa": results.sig,
            "von_mises_GPa": results.von_mises,
            "strain_energy_GPa": results.energy,
            "dEx_dturn_GPa_per_radian": results.sensitivity[grains.grain],
        },
    )


def summarise(specimen: Specimen, results: Results, **options: Any) -> dict[str, Any]:
    """The numbers of the job, ready for JSON; stiffness in GPa and Voigt's notation."""
    info, grains = results.info, specimen.microstructure
    share = np.bincount(np.asarray(grains.phase).ravel()) / grains.grid.size
    phases = zip(specimen.phases, specimen.materials, specimen.constants, strict=True)
    plane = options.get("plane")
    return {
        "effective_stiffness_voigt": _voigt(results.stiffness),
        "voigt_bound": _voigt(results.voigt),
        "reuss_bound": _voigt(results.reuss),
        "hill_estimate": _voigt(results.hill),
        "hashin_shtrikman_no_texture": _isotropic_bounds(specimen),
        "unit": "GPa",
        "components": "11 22 12" if plane else "11 22 33 23 13 12",
        "youngs_modulus_x": float(results.youngs_modulus),
        "converged": bool(info.converged),
        "num_steps": int(info.num_steps),
        "residual_norm": float(info.residual_norm),
        "num_grains": grains.num_grains,
        "phases": [
            {
                "name": phase.name,
                "fraction": float(fraction),
                "material": name,
                "laue": constants.laue,
                "source": constants.source,
            }
            for (phase, name, constants), fraction in zip(phases, share, strict=True)
        ],
        "map_pixels": list(specimen.map_shape),
        "pixels": list(grains.grid.shape),
        "lengths_um": list(grains.grid.lengths),
        **options,
    }


def write_summary(folder: Path, summary: dict[str, Any]) -> None:
    """Write the summary as JSON; it lists the files of the folder, itself included."""
    with io.atomic_path(folder / SUMMARY) as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def untextured(specimen: Specimen) -> crystals.Bounds | None:
    """Hashin-Shtrikman bounds of the crystal without texture; None for a mixture."""
    if len(specimen.materials) != 1:
        return None
    return _hashin_shtrikman(specimen.constants[0].stiffness)


_hashin_shtrikman = jax.jit(crystals.hashin_shtrikman)


def _isotropic_bounds(specimen: Specimen) -> dict[str, Any] | None:
    bounds = untextured(specimen)
    if bounds is None:
        return None
    names = ("bulk", "shear", "youngs_modulus")
    return {
        side: {name: float(getattr(solid, name)) for name in names}
        for side, solid in bounds._asdict().items()
    }


def _voigt(stiffness) -> list[list[float]]:
    return np.asarray(mandel.to_voigt_stiffness(jnp.asarray(stiffness))).tolist()
