"""The one exception a user sees, and the checks that raise it at trace time."""

from collections.abc import Iterable
from numbers import Integral

import numpy as np
from jax.core import Tracer
from jaxtyping import Array
from numpy.typing import ArrayLike


class JaxmatError(ValueError):
    """A mistake in the input, told in one sentence: what, which value, what to do."""


def check_shape(
    name: str, array: Array | np.ndarray, shape: tuple[int | None, ...], *, hint: str
) -> None:
    """Raise unless `array` has `shape`; `None` matches any size.

    Shapes are static under a JAX trace, so this costs nothing at run time.
    """
    actual = tuple(array.shape)
    matches = len(actual) == len(shape) and all(
        wanted is None or size == wanted
        for size, wanted in zip(actual, shape, strict=True)
    )
    if not matches:
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        raise JaxmatError(f"`{name}` has shape {actual}, expected ({sizes}); {hint}.")


def check_option(name: str, value: object, allowed: Iterable[object]) -> None:
    """Raise unless `value` is one of `allowed`."""
    options = list(allowed)
    if value not in options:
        raise JaxmatError(
            f"`{name}` is {value!r}; choose one of "
            f"{', '.join(repr(option) for option in options)}."
        )


def check_whole(name: str, value: object, least: int) -> None:
    """Raise unless it is a whole number of at least that size."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise JaxmatError(
            f"`{name}` is {value!r}; give a whole number of at least {least}."
        )


def check_positive(name: str, values: ArrayLike, *, zero: bool = False) -> None:
    """Raise unless all are positive, or zero where that is allowed, and finite.

    Says nothing of traced values.
    """
    if isinstance(values, Tracer):
        return
    found = np.ravel(np.asarray(values))
    bad = ~(np.isfinite(found) & ((found >= 0) if zero else (found > 0)))
    if bad.any():
        wanted = "no negative ones" if zero else "positive ones"
        raise JaxmatError(
            f"`{name}` holds {found[bad][0]:.4g}; give finite numbers, and {wanted}."
        )
