"""Decides jaxmat's own HDF5 files: what is stored, in which unit, made by what.

Layout, schema 1. Root attributes: `jaxmat_schema`, `jaxmat_version`, `created` (UTC),
`command`. Every item is a group (or, for a quantity, a dataset) under its name with
the attribute `kind`; arrays carry `unit`, grids `shape` and `lengths` (micrometres).
"""

import importlib.metadata
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

from jaxmat._check import JaxmatError
from jaxmat.io import _h5
from jaxmat.io._atomic import atomic_path
from jaxmat.microstructure import Grid, Microstructure, OrientationMap, Phase

SCHEMA = 1


class Quantity(NamedTuple):
    """A named result: an array and its unit ("" where it has none)."""

    value: Shaped[Array | np.ndarray, "..."]
    unit: str


Item = Microstructure | OrientationMap | Quantity


class Stored(NamedTuple):
    """What `read_hdf5` returns.

    Attributes:
        items: everything stored, by name.
        provenance: `jaxmat_schema`, `jaxmat_version`, `created`, `command`.
    """

    items: dict[str, Item]
    provenance: dict[str, str]


def write_hdf5(
    path: str | os.PathLike, items: Mapping[str, Any], *, command: str = ""
) -> None:
    """Write microstructures, orientation maps and results into one HDF5 file.

    The file appears whole or not at all (`atomic_path`).

    Args:
        path: file to write, replaced if it exists.
        items: `Microstructure`, `OrientationMap` or `Quantity(value, unit)` by name.
        command: how the file was made, kept as provenance.

    Raises:
        JaxmatError: if an item is of another type, a name cannot be used, or the
            file cannot be written.
    """
    for name, item in items.items():
        if not name or "/" in name or name == ".":
            raise JaxmatError(f"an item is named {name!r}; use a name without a slash.")
        if not isinstance(item, Microstructure | OrientationMap | Quantity):
            raise JaxmatError(
                f"item {name!r} is of type {type(item).__name__}; give a "
                "Microstructure, an OrientationMap or a Quantity(value, unit)."
            )
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["jaxmat_schema"] = SCHEMA
        file.attrs["jaxmat_version"] = importlib.metadata.version("jaxmat-multiscale")
        file.attrs["created"] = datetime.now(UTC).isoformat(timespec="seconds")
        file.attrs["command"] = command
        for name, item in items.items():
            _WRITERS[type(item)](file, name, item)


def read_hdf5(path: str | os.PathLike) -> Stored:
    """Read a file of `write_hdf5`.

    Returns:
        Items by name, and the provenance.

    Raises:
        JaxmatError: if the file is missing, was cut off in the middle of a write, was
            not written by jaxmat, or has a newer schema than this version knows.
    """
    name = Path(path).name
    with _h5.opened_hdf5(path) as file:
        if "jaxmat_schema" not in file.attrs:
            raise JaxmatError(
                f"`{name}` is not a jaxmat file; read maps with io.read_ebsd."
            )
        schema = int(_h5.attribute(file, "jaxmat_schema"))
        if schema > SCHEMA:
            raise JaxmatError(
                f"`{name}` has schema {schema}, this jaxmat reads up to {SCHEMA}; "
                "upgrade jaxmat-multiscale."
            )
        items = {str(key): _read_item(file, str(key)) for key in file}
        return Stored(items, {key: str(value) for key, value in file.attrs.items()})


def _array(
    group: h5py.Group, key: str, value: Array | np.ndarray, unit: str
) -> h5py.Dataset:
    """One dataset; big ones are compressed."""
    packed = np.asarray(value)
    options = {"compression": "gzip", "shuffle": True} if packed.size > 1000 else {}
    dataset = group.create_dataset(key, data=packed, **options)
    dataset.attrs["unit"] = unit
    return dataset


def _grid_group(file: h5py.File, name: str, kind: str, grid: Grid) -> h5py.Group:
    """A group that describes its grid."""
    group = file.create_group(name)
    group.attrs["kind"] = kind
    group.attrs["shape"] = grid.shape
    group.attrs["lengths"] = grid.lengths
    group.attrs["length_unit"] = "micrometre"
    return group


def _write_microstructure(file: h5py.File, name: str, item: Microstructure) -> None:
    group = _grid_group(file, name, "microstructure", item.grid)
    _array(group, "grain", item.grain, "")
    _array(group, "phase", item.phase, "")
    _array(group, "orientation", item.orientation, "quaternion, crystal -> sample")


def _write_orientation_map(file: h5py.File, name: str, item: OrientationMap) -> None:
    group = _grid_group(file, name, "orientation_map", item.grid)
    group.attrs["phase_names"] = [phase.name for phase in item.phases]
    group.attrs["phase_laue"] = [phase.laue for phase in item.phases]
    _array(group, "quaternion", item.quaternion, "quaternion, crystal -> sample")
    _array(group, "phase", item.phase, "")
    _array(group, "confidence", item.confidence, "")


def _write_quantity(file: h5py.File, name: str, item: Quantity) -> None:
    _array(file, name, item.value, item.unit).attrs["kind"] = "quantity"


_WRITERS = {
    Microstructure: _write_microstructure,
    OrientationMap: _write_orientation_map,
    Quantity: _write_quantity,
}


def _read_item(file: h5py.File, key: str) -> Item:
    """The item that `_WRITERS` wrote."""
    kind = str(_h5.attribute(file[key], "kind"))
    if kind == "quantity":
        stored = _h5.dataset(file, key)
        return Quantity(_h5.array(stored), str(_h5.attribute(stored, "unit")))
    group = _h5.group(file, key)
    grid = Grid(_h5.attribute(group, "shape"), _h5.attribute(group, "lengths"))
    if kind == "microstructure":
        return Microstructure(
            grid=grid,
            grain=_read_array(group, "grain"),
            phase=_read_array(group, "phase"),
            orientation=_read_array(group, "orientation"),
        )
    names, laues = (_h5.attribute(group, k) for k in ("phase_names", "phase_laue"))
    return OrientationMap(
        grid=grid,
        quaternion=_read_array(group, "quaternion"),
        phase=_read_array(group, "phase"),
        phases=tuple(
            Phase(str(name), str(laue)) for name, laue in zip(names, laues, strict=True)
        ),
        confidence=_read_array(group, "confidence"),
    )


def _read_array(group: h5py.Group, key: str) -> Array:
    return jnp.asarray(_h5.array(_h5.dataset(group, key)))
