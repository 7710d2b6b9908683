"""Decides what a model card says: what a model is for, made of, and not good for."""

from jaxmat.studies.polysilicon._apparent import DISCRETISATION, SILICON
from jaxmat.studies.polysilicon._evaluate import Evaluation, Table
from jaxmat.studies.polysilicon._film import GRAIN_SIZE
from jaxmat.studies.polysilicon._presets import RATIOS, Model, Preset
from jaxmat.studies.polysilicon._tables import CAPTION, HEADINGS, rows

_REGIMES = {
    "originals": "the films as they are",
    "exact": "every film turned, reflected and shifted at random, its crystals and its "
    "stiffness with it",
    "pixels only": "pixels turned and reflected with crystals and label left as they "
    "were, which is wrong, and is here to show what that costs",
}


def model_card(preset: Preset, evaluation: Evaluation, *, command: str) -> str:
    """The card of all models of a study, as Markdown."""
    constants = ", ".join(f"{name} {value:g}" for name, value in SILICON.items())
    ahead = _ahead(preset, evaluation)
    verdict = (
        "Above every baseline at every size, with the whole 95 % interval of R2: "
        f"{', '.join(ahead)}. In place of the other models, use the best baseline."
        if ahead
        else "None of the models is above the best baseline at every size with the "
        "whole 95 % interval of its R2: use that baseline."
    )
    return f"""\
# Model card: apparent stiffness of polysilicon films

Models that predict the plane-stress stiffness of a stochastic volume element of an
epitaxial polysilicon film from its map of crystal angles. Made with `{command}`.

## Use

`read_model("models/NAME/model.eqx")` gives a function from the channels
(cos 4θ, sin 4θ) of a film, axis 0 = x, to its 3x3 Mandel stiffness (11, 22, 12), GPa.
{verdict}

## Data

- Silicon, {constants} GPa; a cube axis along x3, in-plane angle uniform in [0°, 90°).
- Voronoi grains of a Poisson process, mean size {GRAIN_SIZE} µm,
  {preset.pixels_per_grain} pixels along it.
- Labels: {preset.boundary} boundary, plane stress, "{DISCRETISATION}" elements on the
  pixels of the image.
- {preset.num_train} films for training, {preset.num_validation} for validation, at
  L/s = 4; {preset.num_test} films in each test set, L/s = {_listed(RATIOS)}.
  No film is in two sets.

## Models

{chr(10).join(_described(model, preset) for model in preset.models)}

All are trained with AdamW on the mean square error of standardised log-coordinates,
the learning rate rising, then falling along a cosine; gradients are clipped at norm 1;
the weights with the best validation are kept. Epochs are at most these.

## Results

{CAPTION}

### Young's modulus along x

{_markdown(evaluation, "youngs_modulus")}

### Whole stiffness

{_markdown(evaluation, "stiffness")}
{_doubts(evaluation)}
## Limits

- Valid for these constants, this texture, this boundary and this pixel size only.
- Labels have an error of discretisation that the metrics do not see: models learn the
  solver on these pixels, not the continuum.
- Sizes other than L/s = {_listed(RATIOS)} were not tested; nor were measured maps.
- A network alone knows no physics; that it answers with a positive definite stiffness
  does not make the answer right for images unlike those it has seen.
"""


def _ahead(preset: Preset, evaluation: Evaluation) -> list[str]:
    """Titles of the models that beat all baselines at all sizes."""
    titles = [model.title for model in preset.models]

    def beats(title: str, table: Table) -> bool:
        best = max(
            row["youngs_modulus"]["r2"]
            for name, row in table.items()
            if not name.startswith(tuple(titles))
        )
        return table[title]["youngs_modulus"]["r2_interval"][0] > best

    tables = evaluation.tables.values()
    return [title for title in titles if all(beats(title, x) for x in tables)]


def _doubts(evaluation: Evaluation) -> str:
    """What the spread of the seeds says of the errors."""
    if not evaluation.uncertainty:
        return ""
    lines = [
        f"- {title}: spread times {one.scale:.2f}, and error over spread "
        + ", ".join(f"{z.z_std:.2f} at L/s = {r}" for r, z in one.scaled.items())
        + "."
        for title, one in evaluation.uncertainty.items()
    ]
    return f"""
### Uncertainty

The spread of the seeds, times a number that fits it to the errors on the validation
films, tells the error of their mean (root mean square of error over spread: 1 is
perfect, more is overconfident):

{chr(10).join(lines)}
"""


def _described(model: Model, preset: Preset) -> str:
    loop = (
        f", correcting the coarse solver on blocks of {preset.factor} x {preset.factor}"
        " pixels"
        if model.in_the_loop
        else ""
    )
    return (
        f"- **{model.title}**: {model.architecture}, width {model.width}, blocks "
        f"{_listed(model.depths)}{loop}; {model.num_films} films, "
        f"{_REGIMES[model.regime]}; {model.epochs} epochs, batches of "
        f"{model.batch_size}, learning rate {model.learning_rate:g}, weight decay "
        f"{model.weight_decay:g}, {model.num_seeds} seed(s)."
    )


def _markdown(evaluation: Evaluation, quantity: str) -> str:
    lines = [
        HEADINGS,
        ["---", *["---:"] * (len(HEADINGS) - 1)],
        *rows(evaluation.tables, quantity),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))
