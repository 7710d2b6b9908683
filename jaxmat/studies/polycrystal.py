"""The main job: from an orientation map to stiffness, fields and sensitivities.

What this module decides: a two-dimensional map is a columnar body, infinite along x3,
with three displacement components, unless a plane is asked for; where there is no map,
one is generated, written and read back, so that both take the same path.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from jaxmat import io
from jaxmat.studies._elasticity import MEAN_STRESS as MEAN_STRESS
from jaxmat.studies._elasticity import Results as Results
from jaxmat.studies._elasticity import analyse as analyse
from jaxmat.studies._folder import SUMMARY as SUMMARY
from jaxmat.studies._folder import output_folder as output_folder
from jaxmat.studies._report import (
    summarise,
    write_data,
    write_figures,
    write_summary,
)
from jaxmat.studies._specimen import MATERIAL as MATERIAL
from jaxmat.studies._specimen import NUM_GRAINS as NUM_GRAINS
from jaxmat.studies._specimen import PIXELS as PIXELS
from jaxmat.studies._specimen import RESOLUTION as RESOLUTION
from jaxmat.studies._specimen import THRESHOLD as THRESHOLD
from jaxmat.studies._specimen import Progress as Progress
from jaxmat.studies._specimen import Specimen as Specimen
from jaxmat.studies._specimen import generate as generate
from jaxmat.studies._specimen import prepare as prepare

GENERATED_MAP = "polycrystal.ang"
NUM_STAGES = 11
"""How often `run` calls `progress`, at most."""


def run(
    path: str | os.PathLike | None,
    output: str | os.PathLike,
    *,
    overwrite: bool = False,
    material: Sequence[str] = (),
    resolution: int | None = None,
    threshold: float = THRESHOLD,
    frame: str = "map",
    plane: str | None = None,
    boundary: str = "periodic",
    rtol: float = 1e-6,
    command: str = "",
    progress: Progress = lambda _: None,
) -> dict[str, Any]:
    """Homogenise a map and write a folder of results, whole or not at all.

    Args:
        path: an EBSD file that `io.read_ebsd` reads; None generates a polycrystal, kept
            in the folder as `polycrystal.ang`.
        output: the folder to write.
        overwrite: replace the folder if it exists, once the new one is complete.
        material: as in `prepare`; one name for a generated polycrystal.
        resolution: pixels along the longer side, at most; None for the default.
        threshold: disorientation, radians, between two grains.
        frame: as in `io.read_ebsd`.
        plane: as in `analyse`.
        boundary: as in `analyse`.
        rtol: as in `analyse`.
        command: how it was called, kept as provenance.
        progress: told what is being done.

    Returns:
        The content of `effective_stiffness.json`: stiffness and bounds in GPa and
        Voigt's notation, how the solver ended, grains, phases, options, and `files`,
        the names of the files in the folder.

    Raises:
        JaxmatError: for a folder that cannot be written, a map that cannot be used, a
            material that is not known, or a solve that does not converge.
    """
    with output_folder(output, overwrite=overwrite) as folder:
        if path is None:
            resolution = PIXELS if resolution is None else resolution
            progress(f"generating a polycrystal of {NUM_GRAINS} grains")
            made = generate(
                jax.random.key(0),
                material=material[0] if material else MATERIAL,
                resolution=resolution,
                plane=plane,
            )
            io.write_ang(folder / GENERATED_MAP, made)
        source = folder / GENERATED_MAP if path is None else Path(path)
        progress(f"reading {source.name}")
        specimen = prepare(
            io.read_ebsd(source, frame=frame),
            material=material,
            threshold=threshold,
            resolution=RESOLUTION if resolution is None else resolution,
            progress=progress,
        )
        results = analyse(
            specimen, plane=plane, boundary=boundary, rtol=rtol, progress=progress
        )
        write_figures(folder, specimen, results, plane=plane, progress=progress)
        progress("writing files")
        write_data(folder, specimen, results, command=command)
        summary = summarise(
            specimen,
            results,
            map=source.name,
            plane=plane,
            boundary=boundary,
            rtol=rtol,
            threshold=threshold,
            frame=frame,
            command=command,
        )
        names = sorted([*(item.name for item in folder.iterdir()), SUMMARY])
        summary["files"] = names
        write_summary(folder, summary)
    return summary
