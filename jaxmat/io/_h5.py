"""Decides how HDF5 is opened and read when it may be damaged."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from jaxmat._check import JaxmatError

# What h5py raises for a damaged file, by where the damage is.
_DAMAGE = (
    *(OSError, RuntimeError, LookupError, ValueError, TypeError),
    *(AttributeError, ArithmeticError, MemoryError),
)
_DEFLATE_LIMIT = 1100  # deflate cannot pack tighter than 1032 to 1
_SMALL = 1 << 20  # bytes that may be allocated whatever the file says


@contextlib.contextmanager
def opened_hdf5(path: str | os.PathLike) -> Iterator[h5py.File]:
    """An HDF5 file to read, in a block.

    Raises:
        JaxmatError: whatever in the block fails on the file's contents.
    """
    try:
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError as error:
        raise JaxmatError(f"there is no file `{path}`; check the path.") from error
    except JaxmatError:
        raise
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:120]
        raise JaxmatError(
            f"`{Path(path).name}` is not a whole HDF5 file ({reason}); it "
            "was cut off while being written or copied, make it again."
        ) from error


def group(parent: h5py.Group, key: str) -> h5py.Group:
    """The subgroup `key`."""
    found = parent[key]
    if not isinstance(found, h5py.Group):
        raise TypeError(f"{parent.name}/{key} is not a group")
    return found


def dataset(parent: h5py.Group, key: str) -> h5py.Dataset:
    """The dataset `key`."""
    found = parent[key]
    if not isinstance(found, h5py.Dataset):
        raise TypeError(f"{parent.name}/{key} is not a dataset")
    return found


def array(stored: h5py.Dataset) -> np.ndarray:
    """All of a dataset.

    Raises:
        ValueError: if its size cannot come from the bytes stored. It is not read then:
            a damaged header may claim more than fits in memory.
    """
    present = stored.id.get_storage_size()
    if stored.nbytes > max(_DEFLATE_LIMIT * present, _SMALL):
        raise ValueError(
            f"{stored.name} claims {stored.nbytes} bytes but {present} are stored"
        )
    return np.asarray(stored[()])


def attribute(stored: h5py.HLObject, key: str) -> np.ndarray:
    """An attribute as an array, texts as `str` objects."""
    return np.asarray(stored.attrs[key])
