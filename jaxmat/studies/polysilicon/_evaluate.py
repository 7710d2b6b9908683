"""Decides what is compared with what: every predictor, on the same films of every size.

The networks stand in one table with the baselines that need no network, and beside what
the reference study published. Of a model with several seeds the worst counts, metric
by metric.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxmat.studies.polysilicon._apparent import youngs_modulus
from jaxmat.studies.polysilicon._baselines import Prediction, fit_baselines
from jaxmat.studies.polysilicon._files import DataSet
from jaxmat.studies.polysilicon._learn import Films, answers
from jaxmat.studies.polysilicon._metrics import METRICS, score
from jaxmat.studies.polysilicon._model_file import Trained
from jaxmat.studies.polysilicon._presets import RATIOS, Model
from jaxmat.studies.polysilicon._uncertainty import Uncertainty, uncertainty

REFERENCE = {
    "reference CNN, augmented": {4: 0.487, 10: 0.258},
    "reference CNN, originals": {4: 0.088, 10: 0.16},
    "reference CNN, more originals": {4: 0.024, 10: 0.057},
}
"""Error of the standard deviation of Young's modulus that the reference published."""

ENSEMBLE = ", mean of its seeds"
"""Ends the name of the ensemble of all seeds of a model."""

QUANTITIES: dict[str, Callable[[Prediction | DataSet], np.ndarray]] = {
    "youngs_modulus": lambda said: np.asarray(said.youngs_modulus),
    "stiffness": lambda said: np.asarray(said.stiffness),
}

Table = dict[str, dict[str, dict[str, Any]]]


class Evaluation(NamedTuple):
    """What was predicted and how well.

    Attributes:
        true: Young's modulus of the test films, GPa, by L/s.
        predicted: of every predictor, by L/s and name, one row per seed, GPa.
        tables: scores by L/s, as text, name and quantity; ready for JSON.
        films: angle of every pixel of a test film, radians, by L/s.
        uncertainty: of models with several seeds, by title.
    """

    true: dict[int, Float[np.ndarray, " films"]]
    predicted: dict[int, dict[str, Float[np.ndarray, "seeds films"]]]
    tables: dict[str, Table]
    films: dict[int, Float[np.ndarray, "x y"]]
    uncertainty: dict[str, Uncertainty]


def evaluate(
    data: Mapping[str, DataSet],
    models: Mapping[Model, Sequence[Trained]],
    given: Callable[[str, bool, str], Films],
    *,
    factor: int,
) -> Evaluation:
    """Score baselines and models on every test set.

    Args:
        data: "train", and "test_4" and so on.
        models: trained, one for each seed.
        given: what a model is given of a data set: from its name, whether the model has
            a coarse solver, and the encoding of its images.
        factor: pixels along a block of the coarse solver.

    Returns:
        The tables and what is drawn of them.
    """
    baselines = fit_baselines(data["train"], factor=factor)
    found = Evaluation({}, {}, {}, {}, {})
    for ratio in RATIOS:
        test = data[f"test_{ratio}"]
        said = {name: [one] for name, one in baselines.predict(test).items()}
        for model, seeds in models.items():
            films = given(f"test_{ratio}", model.in_the_loop, model.encoding)
            found_by = [answers(one, films) for one in seeds]
            said[model.title] = [_prediction(stiffness) for stiffness in found_by]
            if len(seeds) > 1:
                mean = np.mean(found_by, axis=0)
                said[model.title + ENSEMBLE] = [_prediction(mean)]
        found.true[ratio] = test.youngs_modulus
        found.films[ratio] = test.theta[0][test.grain[0]]
        found.predicted[ratio] = {
            name: np.stack([one.youngs_modulus for one in seeds])
            for name, seeds in said.items()
        }
        found.tables[str(ratio)] = {
            name: _row(seeds, test) for name, seeds in said.items()
        }
    for model, seeds in models.items():
        if len(seeds) > 1:
            films = given("validation", model.in_the_loop, model.encoding)
            said = [_prediction(answers(one, films)).youngs_modulus for one in seeds]
            validation = np.stack(said), data["validation"].youngs_modulus
            tests = {
                r: (found.predicted[r][model.title], found.true[r]) for r in RATIOS
            }
            found.uncertainty[model.title] = uncertainty(validation, tests)
    return found


def _prediction(stiffness: np.ndarray) -> Prediction:
    return Prediction(np.asarray(youngs_modulus(stiffness)), stiffness)


def _row(seeds: Sequence[Prediction], test: DataSet) -> dict[str, dict[str, Any]]:
    """Scores of a predictor by quantity."""
    return {
        name: _worst([score(of(said), of(test)) for said in seeds])
        for name, of in QUANTITIES.items()
    }


def _worst(scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The worst of each metric with its interval and, of several, all of them."""
    row: dict[str, Any] = {}
    for metric in METRICS:
        values = [one[metric] for one in scores]
        worst = int(np.argmin(values) if metric == "r2" else np.argmax(values))
        row[metric] = values[worst]
        row[f"{metric}_interval"] = list(scores[worst][f"{metric}_interval"])
        if len(values) > 1:
            row[f"{metric}_seeds"] = values
    return row
