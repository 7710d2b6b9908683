"""Decides what one step of training does, and compiles it once.

Only arrays of real floating-point numbers are trained; everything else in `params`
(integers, keys, functions) goes through untouched. The step donates its state, so that
parameters and moments are updated in place.
"""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import PyTree

from jaxmat._check import JaxmatError
from jaxmat.solve import dot
from jaxmat.training._layout import Layout, is_key

Loss = Callable[[Any, Any, Any], Any]
Step = Callable[[Any, Any, Any], tuple[Any, dict[str, Any]]]
RESERVED = ("step", "loss", "gradient_norm", "validation")
"""Names in the history that metrics of a loss cannot have."""


class State(eqx.Module):
    """What a step changes: the trained leaves of `params`, the optimiser's state."""

    trained: PyTree
    optimiser: PyTree


def is_trained(leaf: Any) -> bool:
    """Whether a leaf of `params` is trained: an array of floating-point numbers."""
    return eqx.is_inexact_array(leaf)


def start(trained: PyTree, optimiser: Any, layout: Layout) -> State:
    """The state before the first step, on its devices, in buffers of its own."""
    create = jax.jit(
        lambda trained: _own(State(trained, optimiser.init(trained))),
        out_shardings=layout.everywhere,
    )
    return create(layout.replicate(trained))


def place(state: State, layout: Layout) -> State:
    """A state from the host on its devices, in buffers of its own."""
    copy = jax.jit(_own, out_shardings=layout.everywhere)
    return copy(layout.replicate(state))


def compile_step(
    loss: Loss, optimiser: Any, frozen: PyTree, key: Any, layout: Layout
) -> Step:
    """`(state, batch, index) -> (state, {"loss": ..., "gradient_norm": ..., ...})`.

    The state given is consumed. The loss gets the key `fold_in(key, index)` and
    parameters put together from the trained and the `frozen` leaves.
    """
    import optax

    update = optax.with_extra_args_support(optimiser).update
    arrays, static = eqx.partition(frozen, eqx.is_array)
    constants = layout.replicate((key, arrays))

    def step(state: State, batch: PyTree, index: Any, constants: PyTree):
        key, arrays = constants
        key = jax.random.fold_in(key, index)

        def objective(trained):
            params = eqx.combine(trained, arrays, static)
            return _value_and_metrics(loss(params, batch, key))

        derivative = jax.value_and_grad(objective, has_aux=True)
        (value, metrics), gradient = derivative(state.trained)
        updates, optimiser_state = update(
            gradient,
            state.optimiser,
            state.trained,
            value=value,
            grad=gradient,
            value_fn=lambda trained: objective(trained)[0],
        )
        trained = optax.apply_updates(state.trained, updates)
        norm = jnp.sqrt(dot(gradient, gradient))
        metrics = {"loss": value, "gradient_norm": norm, **metrics}
        return _own(State(trained, optimiser_state)), metrics

    compiled = jax.jit(step, donate_argnums=0, out_shardings=layout.everywhere)
    return lambda state, batch, index: compiled(state, batch, index, constants)


def in_precision(loss: Loss, dtype: DTypeLike) -> Loss:
    """The same loss, computed in another precision, such as `jnp.bfloat16`.

    Floating-point leaves of the parameters and of the batch are rounded to `dtype`; the
    parameters that the optimiser keeps, and their gradients, stay in their own. What
    the loss sums up over many terms it should itself compute in single precision.

    Args:
        loss: as in `fit`.
        dtype: floating-point type to compute in.

    Returns:
        A loss for `fit`, whose value and metrics are at least in single precision.

    Raises:
        JaxmatError: if `dtype` is no floating-point type.
    """
    if not jnp.issubdtype(dtype, jnp.floating):
        raise JaxmatError(
            f"`dtype` is {jnp.dtype(dtype)}; choose a floating-point type such as "
            "jnp.bfloat16."
        )

    def rounded(params: Any, batch: Any, key: Any) -> Any:
        value, metrics = _value_and_metrics(
            loss(_cast(params, dtype), _cast(batch, dtype), key)
        )
        wide = jnp.promote_types(value.dtype, jnp.float32)
        return _cast((value, metrics), wide)

    return rounded


def _cast(tree: PyTree, dtype: DTypeLike) -> PyTree:
    return jax.tree.map(lambda x: x.astype(dtype) if is_trained(x) else x, tree)


def _own(tree: PyTree) -> PyTree:
    """Copies, of types that no step changes: a Python number's type gives way."""
    return jax.tree.map(
        lambda x: (
            jnp.copy(x)
            if is_key(x)
            else jax.lax.convert_element_type(jnp.copy(x), x.dtype)
        ),
        tree,
    )


def _value_and_metrics(out: Any) -> tuple[Any, dict[str, Any]]:
    """A scalar and a dictionary of scalars from what a loss returned.

    Raises:
        JaxmatError: if it returned anything else.
    """
    value, metrics = out if isinstance(out, tuple) and len(out) == 2 else (out, {})
    real = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jnp.floating)
    if not real or not isinstance(metrics, Mapping):
        raise JaxmatError(
            f"the loss returned {_describe(out)}; return a floating-point scalar, or "
            "(scalar, dictionary of metrics)."
        )
    for name, x in {"loss": value, **metrics}.items():
        if jnp.shape(x) != ():
            raise JaxmatError(
                f"the loss returned {name!r} of shape {jnp.shape(x)}; return a scalar, "
                "such as the mean over the batch."
            )
    taken = sorted(set(metrics) & set(RESERVED))
    if taken:
        raise JaxmatError(f"the loss returned a metric {taken[0]!r}; rename it.")
    return value, dict(metrics)


def _describe(out: Any) -> str:
    dtype = getattr(out, "dtype", None)
    return f"type {type(out).__name__}" if dtype is None else f"an array of {dtype}"
