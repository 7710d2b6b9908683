"""What a study of polysilicon films is made of: the data, and the models trained on it.

"quick" shows every step in minutes on two cores; its numbers are those of few and
coarse films. "full" has the reference's pixels, 1000 films in every test set, and five
seeds of the two models that the conclusions rest on; "kubc" and "subc" have labels
under these boundary conditions, of windows cut from larger films.
"""

import dataclasses
from collections.abc import Iterator

from jaxmat._check import check_option
from jaxmat.studies.polysilicon._film import Parameters

TRAINING_RATIO = 4
"""L/s of the films for training and validation."""

RATIOS = (4, 6, 10)
"""L/s of the test sets; the models never see the larger ones before."""

REGIMES = ("originals", "exact", "pixels only")
"""Augmentation: none, exact, or that of the reference, which turns no crystal."""


@dataclasses.dataclass(frozen=True)
class Model:
    """One row of the table: an architecture, what it is given, how it is trained.

    Attributes:
        title: name in tables, of the model without its seed.
        architecture: "plain", "resnet" or "densenet".
        regime: one of `REGIMES`.
        in_the_loop: correct the coarse solver, instead of seeing the image only.
        num_films: films of the training set that are used, the first ones.
        width: channels of the first stage.
        depths: blocks of each stage.
        reduction: side of the blocks of pixels that are averaged before the network.
        epochs: how often the films are seen, at most.
        batch_size: films per step.
        learning_rate: its highest value; it falls to zero along a cosine.
        encoding: of the images, "fourfold" or, as the reference's, "grey".
        optimiser: "adamw", "lion" or "sgd", with momentum.
        weight_decay: of the optimiser.
        l1: weight of the sum of all absolute weights in the loss.
        dropout: fraction of the last features that is left out in training.
        patience: validations in a row without a new best that end the training.
        num_seeds: how often it is trained, from different first weights.
    """

    title: str
    architecture: str
    regime: str
    in_the_loop: bool
    num_films: int
    width: int
    depths: tuple[int, ...]
    epochs: int
    batch_size: int
    learning_rate: float
    reduction: int = 1
    encoding: str = "fourfold"
    optimiser: str = "adamw"
    weight_decay: float = 1e-4
    l1: float = 0.0
    dropout: float = 0.0
    patience: int = 10
    num_seeds: int = 1

    @property
    def names(self) -> list[str]:
        """A name for each seed, fit for a folder."""
        name = "-".join(self.title.replace(",", "").replace("'", "").split())
        return [f"{name}-seed-{seed}" for seed in range(self.num_seeds)]


@dataclasses.dataclass(frozen=True)
class Preset:
    """A whole study.

    Attributes:
        name: of the preset.
        pixels_per_grain: pixels along a mean grain size, in all data sets.
        boundary: of all labels.
        num_train: films for training.
        num_validation: films that decide when to stop.
        num_test: films in each test set.
        factor: pixels along a block of the coarse solver.
        models: what is trained.
        seed: of the films.
    """

    name: str
    pixels_per_grain: int
    boundary: str
    num_train: int
    num_validation: int
    num_test: int
    factor: int
    models: tuple[Model, ...]
    seed: int = 0

    def files(self) -> Iterator[tuple[int, Parameters, int]]:
        """L/s, parameters and number of films of every file of data.

        The file of the training's L/s holds test, validation and training films, in
        this order, so that more training films change nothing else.
        """
        for ratio in RATIOS:
            seed = self.seed + ratio
            parameters = Parameters(ratio, self.pixels_per_grain, self.boundary, seed)
            more = self.num_validation + self.num_train
            count = self.num_test + (more if ratio == TRAINING_RATIO else 0)
            yield ratio, parameters, count

    def runs(self) -> Iterator[tuple[str, Model, int]]:
        """Name, model and seed of everything that is trained."""
        for model in self.models:
            for seed, name in enumerate(model.names):
                yield name, model, seed


def preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        JaxmatError: if there is none.
    """
    check_option("preset", name, PRESETS)
    return PRESETS[name]


_RESNET = Model(
    title="ResNet, exactly augmented",
    architecture="resnet",
    regime="exact",
    in_the_loop=False,
    num_films=512,
    width=12,
    depths=(1, 1, 1),
    epochs=24,
    batch_size=16,
    learning_rate=4e-3,
)

_IN_THE_LOOP = dataclasses.replace(
    _RESNET,
    title="physics in the loop",
    in_the_loop=True,
    width=16,
    depths=(1,),
    epochs=48,
    learning_rate=1e-2,
)


def _regimes(resnet: Model) -> tuple[Model, ...]:
    """A model, and the same without augmentation and with the reference's."""
    others = {
        "originals": "ResNet, originals",
        "pixels only": "ResNet, wrongly augmented",
    }
    return (
        resnet,
        *(
            dataclasses.replace(resnet, title=title, regime=regime, num_seeds=1)
            for regime, title in others.items()
        ),
    )


QUICK = Preset(
    name="quick",
    pixels_per_grain=8,
    boundary="periodic",
    num_train=512,
    num_validation=128,
    num_test=200,
    factor=4,
    models=(*_regimes(_RESNET), _IN_THE_LOOP),
)

_LARGE = dataclasses.replace(
    _RESNET, num_films=8192, width=16, reduction=4, epochs=24, num_seeds=5
)
_LARGE_LOOP = dataclasses.replace(
    _IN_THE_LOOP,
    num_films=1024,
    reduction=4,
    epochs=64,
    learning_rate=4e-3,  # at 1e-2 most seeds collapse to a constant
    num_seeds=5,
)


def _fewer(model: Model, *sizes: int) -> tuple[Model, ...]:
    """The same model with fewer films, as many steps, and one seed."""
    return tuple(
        dataclasses.replace(
            model,
            title=f"{model.title}, {size} films",
            num_films=size,
            epochs=model.epochs * model.num_films // size,
            num_seeds=1,
        )
        for size in sizes
    )


def _grey(model: Model) -> Model:
    """The same model, which sees the reference's image."""
    return dataclasses.replace(
        model, title=f"{model.title}, grey image", encoding="grey", num_seeds=1
    )


def _full(boundary: str, num_train: int, models: tuple[Model, ...]) -> Preset:
    """The reference's pixels; no film is one of those that settings were chosen on."""
    return Preset(
        name="full" if boundary == "periodic" else boundary,
        pixels_per_grain=32,
        boundary=boundary,
        num_train=num_train,
        num_validation=1024,
        num_test=1000,
        factor=16,
        models=models,
        seed=100,
    )


_EXACT, _ORIGINALS, _WRONG = _regimes(_LARGE)

FULL = _full(
    "periodic",
    8192,
    (
        _EXACT,
        _ORIGINALS,
        _WRONG,
        dataclasses.replace(
            _LARGE,
            title="plain CNN, exactly augmented",
            architecture="plain",
            depths=(2, 2, 2),
            learning_rate=2e-3,
            num_seeds=1,
        ),
        dataclasses.replace(
            _LARGE,
            title="DenseNet, exactly augmented",
            architecture="densenet",
            depths=(2, 2, 2),
            num_seeds=1,
        ),
        _grey(_EXACT),
        _grey(_WRONG),
        _LARGE_LOOP,
        *_fewer(_EXACT, 512, 2048),
        *_fewer(_ORIGINALS, 512, 2048),
        *_fewer(_WRONG, 512),
        *_fewer(_LARGE_LOOP, 64, 256),
    ),
)

_FEWER = dataclasses.replace(_EXACT, num_films=4096, num_seeds=1)
_BOUNDED = (_FEWER, dataclasses.replace(_LARGE_LOOP, num_seeds=1))

PRESETS = {
    preset.name: preset
    for preset in (
        QUICK,
        FULL,
        _full("kubc", 4096, _BOUNDED),
        _full("subc", 4096, _BOUNDED),
    )
}
