"""What learns the composite: networks of its phases, and networks of nothing.

All are materials, so that one loop trains them and the grid solver takes any.
"""

import dataclasses

from jaxtyping import Array, Key

from jaxmat import cells, surrogates
from jaxmat._check import JaxmatError, check_option, check_positive, check_whole
from jaxmat.materials import AbstractMaterial, PlaneStress
from jaxmat.studies.composite._phases import fibre, matrix

KINDS = ("prnn", "dmn", "law", "gru", "lstm")

STRAIN_SCALE = 0.02
"""Typical strain of the paths, for the networks without physics."""


@dataclasses.dataclass(frozen=True)
class Model:
    """What learns, and how long.

    Attributes:
        kind: "prnn", points of the phases between an encoder and a decoder; "dmn", a
            tree of laminates of them; "law", one point of the matrix with constants
            that are learned, between the same two layers; "gru" or "lstm".
        size: points, three plastic to one elastic; levels of the tree; numbers in the
            memory. A law has none.
        learning_rate: of Adam, at the beginning; it falls to zero as a cosine.
        num_steps: of the optimiser.
        decoder: of a PRNN.
        scatter: of a PRNN's first encoder.
        dropout: of a memory.

    Raises:
        JaxmatError: if there is no such kind, or a number is none that it can have.
    """

    kind: str = "prnn"
    size: int = 16
    learning_rate: float = 1e-2
    num_steps: int = 1200
    decoder: str = "tied"
    scatter: float = 0.3
    dropout: float = 0.0

    def __post_init__(self):
        check_option("kind", self.kind, KINDS)
        check_positive("learning_rate", self.learning_rate)
        check_positive("scatter", self.scatter, zero=True)
        if not 0 <= self.dropout < 1:
            raise JaxmatError(
                f"`dropout` is {self.dropout}; give a share from 0 to below 1."
            )
        check_whole("size", self.size, 2 if self.kind == "prnn" else 1)
        check_whole("num_steps", self.num_steps, 1)


def build(
    model: Model, stress_scale: float, *, key: Key[Array, ""]
) -> AbstractMaterial:
    """An untrained model in plane stress.

    Args:
        model: what to build.
        stress_scale: typical stress, GPa; for the networks without physics.
        key: random key of the first weights.

    Returns:
        A material of three strain components.

    Raises:
        JaxmatError: as the builders of `cells` and `surrogates`.
    """
    phases = PlaneStress(matrix()), PlaneStress(fibre())
    if model.kind == "dmn":
        return cells.deep_material_network(phases, model.size, key=key)
    if model.kind in ("prnn", "law"):
        alone = model.kind == "law"
        elastic = max(1, model.size // 4)
        return cells.prnn(
            phases[:1] if alone else phases,
            1 if alone else (model.size - elastic, elastic),
            key=key,
            decoder="positive" if alone else model.decoder,
            learn_laws=alone,
            scatter=model.scatter,
        )
    return surrogates.recurrent(
        model.kind,
        3,
        model.size,
        strain_scale=STRAIN_SCALE,
        stress_scale=stress_scale,
        key=key,
        dropout=model.dropout,
    )
