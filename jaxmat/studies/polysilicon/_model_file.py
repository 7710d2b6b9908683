"""Decides how a trained model is built, and how it lies on the disk.

One file: a line of JSON that says how to build the model, then its weights as Equinox
writes them. It needs neither the data nor the optimiser that the weights came from.
"""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np
from flax import nnx

from jaxmat._check import JaxmatError, check_option
from jaxmat.io import atomic_path
from jaxmat.studies.polysilicon._coarse import coarse_solver
from jaxmat.surrogates import (
    ENCODINGS,
    CorrectionHead,
    DenseNet,
    Frozen,
    PhysicsInTheLoop,
    PlainCNN,
    ResNet,
    SPDHead,
    Surrogate,
)

SCHEMA = 1
ARCHITECTURES = {"plain": PlainCNN, "resnet": ResNet, "densenet": DenseNet}

Trained = Surrogate | PhysicsInTheLoop


@dataclasses.dataclass(frozen=True)
class Blueprint:
    """All that a model is but its weights.

    Attributes:
        architecture: one of `ARCHITECTURES`.
        width: channels of the first stage.
        depths: blocks of each stage.
        reduction: side of the blocks of pixels that are averaged before the network.
        encoding: of its images, "fourfold" or "grey".
        boundary: of the labels.
        pixels_per_grain: of the films that it was trained on.
        factor: pixels along a block of the coarse solver; None for a network alone.
        reference: mean stiffness of the training films, GPa; None with a solver.
        mean: of the network's six targets before they are standardised.
        std: their standard deviations.
    """

    architecture: str
    width: int
    depths: tuple[int, ...]
    reduction: int
    encoding: str
    boundary: str
    pixels_per_grain: int
    factor: int | None
    reference: tuple[tuple[float, ...], ...] | None
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def build(self, seed: int, *, dropout: float = 0.0) -> Trained:
        """The model with first weights drawn from a seed.

        Dropout is for training only, and no part of a model that answers.

        Raises:
            JaxmatError: if there is no such architecture.
        """
        check_option("architecture", self.architecture, ARCHITECTURES)
        head = CorrectionHead(self.mean, self.std)
        network = Frozen(
            ARCHITECTURES[self.architecture](
                ENCODINGS[self.encoding],
                head.out_features,
                width=self.width,
                depths=self.depths,
                reduction=self.reduction,
                dropout=dropout,
                padding="circular" if self.boundary == "periodic" else "reflect",
                rngs=nnx.Rngs(seed),
            )
        )
        if self.factor is None:
            return Surrogate(network, SPDHead(self.reference or (), head))
        solver = coarse_solver(self.factor, boundary=self.boundary)
        return PhysicsInTheLoop(solver, network, head)


def write_model(path: str | os.PathLike, blueprint: Blueprint, model: Trained) -> None:
    """Write a model that was built from a blueprint: the whole file, or nothing.

    Raises:
        JaxmatError: if the file cannot be written.
    """
    line = json.dumps({"schema": SCHEMA, **dataclasses.asdict(blueprint)})
    try:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            file.write(line.encode() + b"\n")
            eqx.tree_serialise_leaves(file, model)
    except OSError as error:
        raise JaxmatError(
            f"cannot write `{path}`: {error.strerror or error}; make room and run it "
            "again, the training is not lost."
        ) from error


def read_model(path: str | os.PathLike) -> tuple[Blueprint, Trained]:
    """Read a trained model of films.

    Args:
        path: a file `model.eqx` that `jaxmat polysilicon train` wrote.

    Returns:
        How it is built, and the model: channels of a film in, stiffness out, GPa.

    Raises:
        JaxmatError: if the file is missing, no such model, or of another schema.
    """
    name = f"{Path(path).parent.name}/{Path(path).name}"
    try:
        with Path(path).open("rb") as file:
            stored = json.loads(file.readline())
            schema = stored.pop("schema")
            if schema != SCHEMA:
                raise JaxmatError(
                    f"`{name}` has schema {schema}, this jaxmat uses {SCHEMA}; train "
                    "the model again."
                )
            blueprint = Blueprint(**{key: _frozen(x) for key, x in stored.items()})
            model = eqx.tree_deserialise_leaves(file, blueprint.build(0))
            return blueprint, model
    except JaxmatError:
        raise
    except FileNotFoundError as error:
        raise JaxmatError(
            f"there is no model `{path}`; make it with `jaxmat polysilicon train`."
        ) from error
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, EOFError) as error:
        raise JaxmatError(
            f"`{name}` is no model of this study, or damaged; train it again with "
            "`jaxmat polysilicon train --overwrite`."
        ) from error


def static_numbers(values: np.ndarray) -> tuple:
    """Numbers as nested tuples, which are static and hashable."""
    return _frozen(np.asarray(values, float).tolist())


def _frozen(value: Any) -> Any:
    """Lists as tuples, at every depth."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
