"""Decides on which devices arrays lie: parameters on all, batches split between them.

The loss is the same program on any number of devices: it sees the whole batch, and the
compiler adds up what each device finds in its rows.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from jaxmat._check import JaxmatError

AXIS = "batch"


def is_key(leaf: Any) -> bool:
    """Whether a leaf is a typed random key."""
    dtype = getattr(leaf, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)


def check_key(key: Any) -> None:
    """Raise unless `key` is one typed random key."""
    if not is_key(key) or key.shape != ():
        raise JaxmatError(f"`key` is {key!r}; give one key, jax.random.key(seed).")


class Layout:
    """One device, or a mesh with the one axis "batch", perhaps of several processes.

    Attributes:
        everywhere: sharding of what every device holds; None on one device.

    Raises:
        JaxmatError: if the mesh has other axes.
    """

    def __init__(self, mesh: Mesh | None):
        self.everywhere = self._rows = None
        if mesh is None:
            return
        if mesh.axis_names != (AXIS,):
            raise JaxmatError(
                f"`mesh` has the axes {mesh.axis_names}; give "
                f'jax.sharding.Mesh(jax.devices(), ("{AXIS}",)).'
            )
        # Without the types of axes that jax.make_mesh sets: the compiler, not the
        # author of a loss, decides how it is split.
        mesh = Mesh(mesh.devices, mesh.axis_names)
        self._num_local = len(mesh.local_devices)
        self.everywhere = NamedSharding(mesh, PartitionSpec())
        self._rows = NamedSharding(mesh, PartitionSpec(AXIS))

    def replicate(self, tree: PyTree) -> PyTree:
        """The arrays on every device; each process gives the same values."""
        return tree if self.everywhere is None else jax.tree.map(self._copy, tree)

    def split(self, batch: PyTree) -> PyTree:
        """A batch with its rows spread over the devices; each process gives its own.

        Raises:
            JaxmatError: if the devices do not divide the rows.
        """
        if self._rows is None:
            return batch
        return jax.tree.map(self._split_rows, batch)

    def agree(self, value: float) -> float:
        """The value that the first process has, so that all go the same way."""
        if self.everywhere is None or jax.process_count() == 1:
            return value
        bits = np.asarray([value], np.float64).view(np.uint32)  # JAX may lack float64
        bits = np.asarray(multihost_utils.broadcast_one_to_all(bits), np.uint32)
        return float(bits.view(np.float64)[0])

    def _copy(self, array: Any) -> jax.Array:
        if is_key(array):
            bits = self._copy(jax.random.key_data(array))
            return jax.random.wrap_key_data(bits, impl=jax.random.key_impl(array))
        try:
            return jax.device_put(np.asarray(array), self.everywhere)
        except AssertionError as error:
            raise JaxmatError(
                f"an array of shape {jnp.shape(array)} is not the same on every "
                "process; make `params` and `key` from the same seeds."
            ) from error

    def _split_rows(self, array: Any) -> jax.Array:
        local = np.asarray(array)
        if local.ndim == 0 or local.shape[0] % self._num_local:
            raise JaxmatError(
                f"a batch holds an array of shape {local.shape}, to be split over "
                f"{self._num_local} devices; make its first size a multiple of that."
            )
        return jax.make_array_from_process_local_data(self._rows, local)
