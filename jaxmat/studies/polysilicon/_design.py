"""Films made to measure: angles and positions of grains, found by gradient.

What this module decides:

- The modulus may be measured by any differentiable model of a film's channels, the
  solver or a trained network; whichever it was, the solver that makes the labels has
  the last word.
- Angles are free real numbers. Stiffness sees only cos 4 theta and sin 4 theta, so that
  nothing happens where they leave [0, pi/2); they are taken back at the end.
- While positions move, pixels at a boundary are shared: the owner is a softmax of
  squared distances (periodic ones). Between two seeds a mean grain size s apart that is
  a sigmoid across the boundary, 1 / (1 + exp(-x / width)); the width shrinks in every
  step. At the end each pixel has one owner again, and what that changed is told.
- A target is one equation for many angles. Where angles are free, Newton's method along
  the gradient solves it in the end; it takes along what the pixels changed.

No film is stiffer or softer along x than the single crystal pulled along <110> or <100>
(uniform strain and uniform stress bound the grains' energy), so no other target can be
hit.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError, check_option, check_shape
from jaxmat._types import Scalar, full_precision
from jaxmat.solve import Solution
from jaxmat.studies.polysilicon._apparent import apparent_stiffness, youngs_modulus
from jaxmat.studies.polysilicon._averages import ACROSS, ALONG, BIAXIAL
from jaxmat.studies.polysilicon._coarse import Channels
from jaxmat.studies.polysilicon._film import GRAIN_SIZE, Film, owners
from jaxmat.studies.polysilicon._images import channels
from jaxmat.studies.polysilicon._sensitivity import Model, modulus_of, pixel_solver
from jaxmat.training import fit

FREE = ("theta", "seeds")
"""What of a film can be designed."""

SOFTEST, STIFFEST = (2 / (1 / BIAXIAL + 1 / shear) for shear in (ALONG, ACROSS))
"""Young's modulus of the single crystal along <100> and <110>, GPa."""

RATE = 0.05
"""First step of the default optimiser: radians, and micrometres."""

NUM_STEPS = 100

WIDTHS = (2.0, 0.25)
"""Widths of the relaxed boundaries in the first and in the last step, pixels."""

_NEWTON_STEPS = 4  # the digits double in each, from two after the optimiser


class Design(NamedTuple):
    """How a design went. All moduli are Young's modulus along x, GPa.

    Attributes:
        history: as the model measured it in every step, before the update.
        relaxed: by the model, after the last step.
        rounded: by the model, once every pixel has one owner; the same if only angles
            were free.
        predicted: by the model, of the film that is returned.
        modulus: by the solver that makes the labels, of the film that is returned.
    """

    history: Float[np.ndarray, " steps"]
    relaxed: float
    rounded: float
    predicted: float
    modulus: float

    @property
    def relative_error(self) -> float:
        """Of the model's prediction, as the solver sees it."""
        return (self.predicted - self.modulus) / self.modulus


def design(
    film: Film,
    objective: str | float,
    *,
    through: Model | None = None,
    free: Iterable[str] = ("theta",),
    optimiser: Any = None,
    num_steps: int = NUM_STEPS,
    progress: bool = True,
) -> Solution:
    """Change a film until its Young's modulus along x is what is wanted.

    Args:
        film: where to start.
        objective: "stiffest", "softest", or a modulus, GPa.
        through: what measures the modulus: a function of the film's channels, to a
            modulus or to a 3x3 stiffness; `pixel_solver` for the film's boundary if
            None. It is closed over and compiled once.
        free: what may change, "theta", "seeds" or both.
        optimiser: an optax transformation; Adam with a rate that falls to zero as a
            cosine if None.
        num_steps: steps of the optimiser.
        progress: show a bar.

    Returns:
        `Solution` with the film and a `Design`.

    Raises:
        JaxmatError: if no film can have that modulus; if another argument cannot be
            used, or the model's answer is no modulus or not finite.
    """
    free = tuple(free)
    _check_arguments(film, free, num_steps)
    loss_of = _loss(objective)
    modulus = modulus_of(through or pixel_solver(boundary=film.parameters.boundary))
    picture = relaxed_image if "seeds" in free else _image

    def loss(params, width, key):
        del key
        found = modulus(picture(dataclasses.replace(film, **params), width))
        return loss_of(found), {"modulus": found}

    run = fit(
        loss,
        {name: getattr(film, name) for name in free},
        np.geomspace(*WIDTHS, num_steps),
        optimiser=_adam(num_steps) if optimiser is None else optimiser,
        key=jax.random.key(0),
        progress=progress,
    )
    # One program measures and corrects: compiling takes longer than all steps.
    observe = jax.jit(jax.value_and_grad(modulus))
    film = _put_back(dataclasses.replace(film, **run.value))
    relaxed, _ = observe(picture(film, WIDTHS[-1]))
    film = _rounded(film) if "seeds" in free else film
    rounded, _ = observe(_image(film, 0.0))
    if "theta" in free and not isinstance(objective, str):
        film = _corrected(film, objective, observe)
    predicted, _ = observe(_image(film, 0.0))
    info = Design(
        history=run.info.history["modulus"],
        relaxed=float(relaxed),
        rounded=float(rounded),
        predicted=float(predicted),
        modulus=float(_confirm(film)),
    )
    return Solution(film, info)


@full_precision
def relaxed_image(film: Film, width: float | Scalar) -> Channels:
    """Channels of a film whose pixels are shared by the grains around them.

    Differentiable in `film.seeds` and `film.theta`; `film.grain` is not looked at.

    Args:
        film: one film.
        width: of the boundary between two grains a mean grain size apart, pixels.

    Returns:
        Mean of the grains' channels in every pixel, weighted with their shares.
    """
    parameters = film.parameters
    grid, period = parameters.grid, parameters.period

    def squares(axis: int) -> Float[Array, "grains pixels"]:
        apart = jnp.asarray(grid.centres()[axis]) - film.seeds[:, axis, None]
        return (apart - period * jnp.round(apart / period)) ** 2

    distance = squares(0)[:, :, None] + squares(1)[:, None, :]
    exponent = -distance / (2 * GRAIN_SIZE * width * grid.spacing[0])
    exists = jnp.arange(len(film.seeds)) < film.num_grains
    share = jax.nn.softmax(jnp.where(exists[:, None, None], exponent, -jnp.inf), axis=0)
    return jnp.einsum("gxy,gc->xyc", share, channels(film.theta))


def _image(film: Film, width: float | Scalar) -> Channels:
    """Channels of a film each of whose pixels belongs to one grain."""
    del width
    return channels(film.theta)[film.grain]


def _loss(objective: str | float) -> Callable[[Scalar], Scalar]:
    """What to minimise, of a modulus; of order one."""
    scale = STIFFEST - SOFTEST
    if isinstance(objective, str):
        check_option("objective", objective, ("stiffest", "softest"))
        sign = -1 if objective == "stiffest" else 1
        return lambda modulus: sign * modulus / scale
    slack = 1e-6 * STIFFEST  # the limits themselves, in single precision too
    if not SOFTEST - slack <= objective <= STIFFEST + slack:
        raise JaxmatError(
            f"`objective` is {objective} GPa, but every film has a Young's modulus "
            f"between {SOFTEST:.3f} and {STIFFEST:.3f} GPa, those of the single "
            "crystal; give a target in between."
        )
    return lambda modulus: ((modulus - objective) / scale) ** 2


def _adam(num_steps: int) -> Any:
    import optax

    return optax.adam(optax.cosine_decay_schedule(RATE, num_steps))


def _put_back(film: Film) -> Film:
    """The same film with angles in [0, pi/2) and seeds in their period."""
    parameters = film.parameters
    moved = jnp.mod(film.seeds + parameters.margin, parameters.period)
    return dataclasses.replace(
        film, theta=jnp.mod(film.theta, jnp.pi / 2), seeds=moved - parameters.margin
    )


@jax.jit
def _rounded(film: Film) -> Film:
    """The film with every pixel owned by the seed nearest to it."""
    parameters = film.parameters
    grain = owners(film.seeds, film.num_grains, parameters.grid, parameters.period)
    return dataclasses.replace(film, grain=grain)


def _corrected(
    film: Film, target: float, observe: Callable[[Channels], tuple[Scalar, Channels]]
) -> Film:
    """The film turned, as little as possible, until it has the modulus.

    Args:
        film: one film.
        target: the modulus, GPa.
        observe: modulus and its gradient with respect to the channels.

    Returns:
        The film with other angles.
    """

    def image_of(theta):
        return channels(theta)[film.grain]

    theta = film.theta
    for _ in range(_NEWTON_STEPS):
        image, pull_back = jax.vjp(image_of, theta)
        found, gradient = observe(image)
        (slope,) = pull_back(gradient)
        # No slope is left where a limit of the single crystal is the target.
        square = jnp.maximum(jnp.sum(slope**2), jnp.finfo(slope.dtype).eps)
        theta = jnp.mod(theta + (target - found) / square * slope, jnp.pi / 2)
    return dataclasses.replace(film, theta=theta)


@jax.jit
def _confirm(film: Film) -> Scalar:
    """Young's modulus by the solver that makes the labels, GPa."""
    return jnp.asarray(youngs_modulus(apparent_stiffness(film)))


def _check_arguments(film: Film, free: tuple[str, ...], num_steps: int) -> None:
    check_shape(
        "film.grain", film.grain, (None, None), hint="design one film at a time"
    )
    for name in free:
        check_option("free", name, FREE)
    if not free:
        raise JaxmatError('`free` is empty; give "theta", "seeds" or both.')
    if num_steps < 1:
        raise JaxmatError(f"`num_steps` is {num_steps}; choose at least 1.")
