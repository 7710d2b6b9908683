"""Decides how fields become VTK image data, which ParaView opens.

One cell per voxel, x fastest, base64 data inside the XML (no VTK needed to write it).
Mandel vectors become plain tensor components in VTK's order XX YY ZZ XY YZ XZ.
"""

import base64
import os
import sys
from collections.abc import Mapping
from xml.sax.saxutils import quoteattr

import numpy as np
from jaxtyping import Array, Shaped

from jaxmat._check import JaxmatError
from jaxmat.io._atomic import atomic_path
from jaxmat.mandel import WEIGHTS
from jaxmat.microstructure import Grid

_FROM_MANDEL = [0, 1, 2, 5, 3, 4]  # 11 22 33 12 23 13
_COMPONENT_NAMES = ("XX", "YY", "ZZ", "XY", "YZ", "XZ")
_TYPES = {
    **{f"f{size}": f"Float{8 * size}" for size in (4, 8)},
    **{
        f"{kind[0].lower()}{size}": f"{kind}{8 * size}"
        for kind in ("Int", "UInt")
        for size in (1, 2, 4, 8)
    },
}


def write_vti(
    path: str | os.PathLike,
    grid: Grid,
    fields: Mapping[str, Shaped[Array | np.ndarray, "..."]],
) -> None:
    """Write fields on a grid as VTK image data (`.vti`), for ParaView.

    Lengths are micrometres; the origin is a corner of the box. A two-dimensional grid
    becomes one layer of cells, one x step thick.

    Args:
        path: file to write, replaced if it exists.
        grid: the grid of the fields.
        fields: arrays by name, numbers or booleans: scalars `"*grid"`, vectors
            `"*grid 3"`, symmetric tensors `"*grid 6"` (Mandel, written as plain
            components), full tensors `"*grid 3 3"`; any other `"*grid n"` is written
            with its n components. A plane tensor (3 components) would be taken for a
            vector: give all six.

    Raises:
        JaxmatError: if a field does not fit the grid or does not hold numbers, or the
            file cannot be written.
    """
    arrays = [_data_array(name, np.asarray(f), grid) for name, f in fields.items()]
    cells = (*grid.shape, 1)[:3]
    spacing = (*grid.spacing, grid.spacing[0])[:3]
    extent = " ".join(f"0 {n}" for n in cells)
    order = "LittleEndian" if sys.byteorder == "little" else "BigEndian"
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<VTKFile type="ImageData" version="1.0" byte_order="{order}" '
        'header_type="UInt64">',
        f'<ImageData WholeExtent="{extent}" Origin="0 0 0" '
        f'Spacing="{" ".join(repr(float(step)) for step in spacing)}">',
        f'<Piece Extent="{extent}">',
        "<CellData>",
        *arrays,
        "</CellData>",
        "</Piece>",
        "</ImageData>",
        "</VTKFile>",
    ]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _data_array(name: str, field: np.ndarray, grid: Grid) -> str:
    """One `DataArray` element."""
    if field.dtype.kind == "b":
        field = field.astype(np.uint8)
    kind = _TYPES.get(field.dtype.str[1:])
    trailing = field.shape[grid.ndim :]
    if field.shape[: grid.ndim] != grid.shape or len(trailing) > 2 or kind is None:
        raise JaxmatError(
            f"field {name!r} has shape {field.shape} and type {field.dtype}; give "
            f"numbers of shape {grid.shape} with nothing, 3, 6 or (3, 3) behind."
        )
    values = field.reshape(*grid.shape, -1)
    labels = ""
    if trailing == (6,):
        plain = values / WEIGHTS[6].astype(values.dtype)
        values = plain[..., _FROM_MANDEL]
        labels = "".join(
            f' ComponentName{k}="{label}"' for k, label in enumerate(_COMPONENT_NAMES)
        )
    axes = (*reversed(range(grid.ndim)), grid.ndim)
    raw = np.ascontiguousarray(values.transpose(axes)).tobytes()
    payload = base64.b64encode(np.uint64(len(raw)).tobytes() + raw).decode("ascii")
    return (
        f'<DataArray type="{kind}" Name={quoteattr(name)} format="binary" '
        f'NumberOfComponents="{values.shape[-1]}"{labels}>{payload}</DataArray>'
    )
