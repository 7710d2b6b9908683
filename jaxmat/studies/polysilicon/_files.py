"""Decides what a data set is, and what its file looks like.

One HDF5 file, schema 1: root attributes `polysilicon_schema`, the fields of
`Parameters`, what the labels depend on besides, `made_by` (versions) and `created`
(UTC); one dataset per array of `DataSet`, its first axis the sample, with `unit`.

Files are built in memory and written whole or not at all: HDF5 cannot be trusted with a
file on a full disk, and leaves one that nobody can open.
"""

import dataclasses
import importlib.metadata
import io
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import h5py
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxmat._check import JaxmatError
from jaxmat.io import atomic_path, opened_hdf5
from jaxmat.studies.polysilicon._apparent import (
    DISCRETISATION,
    RTOL,
    SILICON,
    youngs_modulus,
)
from jaxmat.studies.polysilicon._film import GRAIN_SIZE, Film, Parameters

SCHEMA = 1

UNITS = {
    "index": "",
    "grain": "",
    "num_grains": "",
    "theta": "radian",
    "seeds": "micrometre",
    "stiffness": "GPa, Mandel 11 22 12, plane stress",
}


class DataSet(NamedTuple):
    """Films and their labels, sample by sample.

    Attributes:
        parameters: what the films share.
        index: number of the film, increasing; see `draw_film`.
        grain: grain of every pixel.
        num_grains: generators of each film.
        theta: angle of every grain, radians.
        seeds: generators, micrometres.
        stiffness: apparent stiffness, Mandel, plane stress, GPa.
        made_by: names and versions of what computed them.
    """

    parameters: Parameters
    index: Int[np.ndarray, " films"]
    grain: Int[np.ndarray, "films x y"]
    num_grains: Int[np.ndarray, " films"]
    theta: Float[np.ndarray, "films grains"]
    seeds: Float[np.ndarray, "films grains 2"]
    stiffness: Float[np.ndarray, "films 3 3"]
    made_by: str = ""

    @property
    def num_samples(self) -> int:
        """How many films there are."""
        return len(self.index)

    @property
    def youngs_modulus(self) -> Float[np.ndarray, " films"]:
        """Young's modulus along x of each film, GPa."""
        return np.asarray(youngs_modulus(self.stiffness))

    def film(self, sample: int) -> Film:
        """One of the films, with the arrays of JAX."""
        return Film(
            self.parameters,
            jnp.asarray(self.grain[sample], jnp.int32),
            jnp.asarray(self.theta[sample]),
            jnp.asarray(self.seeds[sample]),
            jnp.asarray(self.num_grains[sample]),
        )

    def select(self, samples: slice | Sequence[int] | np.ndarray) -> "DataSet":
        """Some of the samples, as NumPy would index them."""
        chosen = (getattr(self, key)[samples] for key in UNITS)
        return DataSet(self.parameters, *chosen, made_by=self.made_by)


def read(path: str | os.PathLike) -> DataSet:
    """Read a data set.

    Args:
        path: a file of `generate` or `merge`.

    Returns:
        All its samples.

    Raises:
        JaxmatError: if the file is missing, damaged, no data set, or of another schema.
    """
    name = Path(path).name
    with opened_hdf5(path) as file:
        if "polysilicon_schema" not in file.attrs:
            raise JaxmatError(
                f"`{name}` is no polysilicon data set; make one with "
                "studies.polysilicon.generate."
            )
        schema = int(np.asarray(file.attrs["polysilicon_schema"]))
        if schema != SCHEMA:
            raise JaxmatError(
                f"`{name}` has schema {schema}, this jaxmat uses {SCHEMA}; generate it "
                "again, or use the version that made it "
                f"({file.attrs.get('made_by', 'unknown')})."
            )
        names = [field.name for field in dataclasses.fields(Parameters)]
        stored = {name: np.asarray(file.attrs[name]).item() for name in names}
        arrays = [np.asarray(file[key]) for key in UNITS]
        made_by = str(file.attrs["made_by"])
        return DataSet(Parameters(**stored), *arrays, made_by=made_by)


def write(path: str | os.PathLike, data: DataSet) -> None:
    """Write a data set: the whole file, or nothing.

    Raises:
        JaxmatError: if the disk is full or cannot be written; an older file of the
            name is untouched then.
    """
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        file.attrs.update(_attributes(data))
        for key, unit in UNITS.items():
            values = getattr(data, key)
            options = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
            chunk = (min(16, max(1, len(values))), *values.shape[1:])
            stored = file.create_dataset(key, data=values, chunks=chunk, **options)
            stored.attrs["unit"] = unit
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(image.getbuffer())
    except OSError as error:
        raise JaxmatError(
            f"cannot write `{path}`: {error.strerror or error}; what was written "
            "before is safe, make room and run it again."
        ) from error


def merge(paths: Sequence[str | os.PathLike], output: str | os.PathLike) -> DataSet:
    """Make one data set of several, such as those of several machines.

    A sample that several hold is taken once: it is the same in all.

    Args:
        paths: files of the same parameters.
        output: file to write, replaced if it exists.

    Returns:
        What was written, in the order of the index.

    Raises:
        JaxmatError: if a file cannot be read, or has other parameters than the first.
    """
    if not paths:
        raise JaxmatError("there is no file to merge; give one or more.")
    sets = [read(path) for path in paths]
    for path, other in zip(paths, sets, strict=True):
        check_same(path, other.parameters, sets[0].parameters)
    merged = concatenate(sets)
    write(output, merged)
    return merged


def concatenate(sets: Sequence[DataSet]) -> DataSet:
    """Samples of one or more sets of the same parameters, sorted, each of them once."""
    joined = [np.concatenate([getattr(one, key) for one in sets]) for key in UNITS]
    _, first = np.unique(joined[0], return_index=True)
    makers = {maker for one in sets for maker in one.made_by.split("; ")}
    return DataSet(
        sets[0].parameters,
        *(values[first] for values in joined),
        made_by="; ".join(sorted(makers)),
    )


def versions() -> str:
    """Names and versions of the programs that samples depend on."""
    numbers = {"python": platform.python_version()}
    for name in ("jaxmat-multiscale", "jax", "numpy"):
        numbers[name] = importlib.metadata.version(name)
    return ", ".join(f"{name} {number}" for name, number in numbers.items())


def check_same(path: str | os.PathLike, held: Parameters, wanted: Parameters) -> None:
    """Raise unless a file holds films of the parameters that are wanted.

    Raises:
        JaxmatError: naming the first parameter that differs, and both values.
    """
    for field in dataclasses.fields(Parameters):
        old, new = getattr(held, field.name), getattr(wanted, field.name)
        if old != new:
            raise JaxmatError(
                f"`{Path(path).name}` was made with `{field.name}` {old!r}, wanted is "
                f"{new!r}; give another file, or the old parameters."
            )


def _attributes(data: DataSet) -> dict[str, object]:
    """Everything that the samples are a function of, and who computed them."""
    return {
        "polysilicon_schema": SCHEMA,
        **dataclasses.asdict(data.parameters),
        **{f"{name}_GPa": value for name, value in SILICON.items()},
        "grain_size_um": GRAIN_SIZE,
        "discretisation": DISCRETISATION,
        "rtol": RTOL,
        "made_by": data.made_by,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
