"""Decides what is drawn of a study: films, parity, scatter, errors, learning curves.

Every figure comes with a caption that says what is in it. Made without pyplot.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxmat.studies.polysilicon._evaluate import REFERENCE, Evaluation
from jaxmat.studies.polysilicon._film import GRAIN_SIZE
from jaxmat.studies.polysilicon._presets import RATIOS, Preset

BASELINE = "hill, calibrated"
"""The baseline that is drawn beside the models."""

_TRUE = "#8a8f98"
_COLOURS = (
    *("#6a4c93", "#0b3c5d", "#2a9d8f", "#c1440e", "#e0a100", "#7f5539"),
    *("#3a86c8", "#c2185b", "#556b2f"),
)
_BINS = 21

History = Sequence[Mapping[str, float]]


def figures(
    preset: Preset, evaluation: Evaluation, histories: Mapping[str, History]
) -> dict[str, tuple[Figure, str]]:
    """All figures of a study, each with its caption, by the name of its file."""
    drawn = {
        "films": _films(evaluation),
        "parity": _parity(preset, evaluation),
        "scatter": _scatter(preset, evaluation),
        "errors": _errors(preset, evaluation),
        "training": _training(preset, histories),
    }
    if any(len(family) > 1 for family in families(preset).values()):
        drawn["films_needed"] = _films_needed(preset, evaluation)
    if evaluation.uncertainty:
        drawn["calibration"] = _calibration(preset, evaluation)
    return drawn


def families(preset: Preset) -> dict[str, list[tuple[int, str]]]:
    """Number of training films and title of models alike but for that, by family."""
    found = defaultdict(list)
    for model in preset.models:
        family = model.title.removesuffix(f", {model.num_films} films")
        found[family].append((model.num_films, model.title))
    return {name: sorted(members) for name, members in found.items()}


def _colours(preset: Preset) -> dict[str, str]:
    """A colour for the baseline and for every model with all the films."""
    titles = [BASELINE, *families(preset)]
    return {title: _COLOURS[k % len(_COLOURS)] for k, title in enumerate(titles)}


def _shown(preset: Preset) -> dict[str, str]:
    """Colours of what is drawn film by film: the baseline, and the best founded models.

    Those that are exactly augmented and have the most seeds.
    """
    seeds = max(model.num_seeds for model in preset.models)
    chosen = [
        model.title
        for model in preset.models
        if model.regime == "exact" and model.num_seeds == seeds
    ]
    colours = _colours(preset)
    return {title: colours[title] for title in (BASELINE, *chosen)}


def _films(evaluation: Evaluation) -> tuple[Figure, str]:
    figure = Figure(figsize=(8.4, 4.0), layout="constrained")
    widths = {"width_ratios": [*RATIOS, 0.4]}
    *row, bar = figure.subplots(1, len(RATIOS) + 1, gridspec_kw=widths)
    shown: Any = None
    for axes, ratio in zip(row, RATIOS, strict=True):
        side = ratio * GRAIN_SIZE
        shown = axes.imshow(
            np.degrees(evaluation.films[ratio]).T,
            extent=(0, side, side, 0),
            cmap="twilight",  # 0 and 90 degrees are the same crystal
            vmin=0,
            vmax=90,
            interpolation="nearest",
        )
        axes.set(title=f"L/s = {ratio}", xlabel="x / µm")
        axes.title.set_fontsize("medium")
        axes.tick_params(labelsize="small")
        axes.set_xticks([0, side])
        axes.set_yticks([0, side])
    row[0].set_ylabel("y / µm")
    figure.colorbar(shown, cax=bar, label="θ / degrees", ticks=[0, 30, 60, 90])
    caption = (
        "A film of each test set at the same scale. Models are trained at L/s = 4 only."
    )
    return figure, caption


def _parity(preset: Preset, evaluation: Evaluation) -> tuple[Figure, str]:
    figure = Figure(figsize=(8.4, 5.4), layout="constrained")
    grid = figure.subplots(2, len(RATIOS), sharex="col")
    for (top, bottom), ratio in zip(grid.T, RATIOS, strict=True):
        bottom.sharey(grid[1, 0])
        true = evaluation.true[ratio]
        for title, colour in _shown(preset).items():
            predicted = evaluation.predicted[ratio][title][0]
            style: dict[str, Any] = {
                "s": 6,
                "color": colour,
                "linewidths": 0,
                "alpha": 0.7,
                "label": title,
                "rasterized": True,
            }
            top.scatter(true, predicted, **style)
            bottom.scatter(true, predicted - true, **style)
        top.axline((true.mean(), true.mean()), slope=1, color=_TRUE, linewidth=0.8)
        bottom.axhline(0, color=_TRUE, linewidth=0.8)
        top.set_title(f"L/s = {ratio}", fontsize="medium")
        bottom.set_xlabel("true $E_x$ / GPa")
    grid[0, 0].set_ylabel("predicted $E_x$ / GPa")
    grid[1, 0].set_ylabel("predicted minus true / GPa")
    _legend_below(figure, grid[0, 0])
    caption = (
        "Young's modulus of the test films: predicted against true, and the "
        "difference. Of models with several seeds, the first seed."
    )
    return figure, caption


def _scatter(preset: Preset, evaluation: Evaluation) -> tuple[Figure, str]:
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    row = figure.subplots(1, len(RATIOS), sharey=True)
    for axes, ratio in zip(row, RATIOS, strict=True):
        true = evaluation.true[ratio]
        centre, scatter = true.mean(), true.std()
        edges = np.linspace(-3.5, 3.5, _BINS + 1)
        axes.hist(
            (true - centre) / scatter,
            edges,
            density=True,
            color=_TRUE,
            alpha=0.35,
            label="true",
        )
        for title, colour in _shown(preset).items():
            values = (evaluation.predicted[ratio][title][0] - centre) / scatter
            axes.hist(
                values,
                edges,
                density=True,
                histtype="step",
                color=colour,
                linewidth=1.1,
                label=title,
            )
        axes.set_title(
            f"L/s = {ratio}: {centre:.2f} ± {scatter:.2f} GPa", fontsize="medium"
        )
        axes.set_xlabel("($E_x$ $-$ true mean) / true std")
    row[0].set_ylabel("probability density")
    _legend_below(figure, row[0])
    caption = (
        "Scatter of Young's modulus around its mean, true and predicted, in true "
        "standard deviations. Titles give the true mean and standard deviation."
    )
    return figure, caption


def _errors(preset: Preset, evaluation: Evaluation) -> tuple[Figure, str]:
    fewer = {one for some in families(preset).values() for _, one in some[:-1]}
    names = [
        name
        for name in evaluation.tables[str(RATIOS[0])]
        if name != "constant" and name not in fewer
    ]
    count = len(names) + len(REFERENCE)
    figure = Figure(figsize=(8.4, 0.9 + 0.26 * count), layout="constrained")
    row = figure.subplots(1, 2, sharey=True)
    markers = ("o", "s", "^")
    for k, ratio in enumerate(RATIOS):
        table = evaluation.tables[str(ratio)]
        for j, (axes, metric, of) in enumerate(
            ((row[0], "r2", lambda x: 1 - x), (row[1], "scatter_error", lambda x: x))
        ):
            scale = 100 if j else 1
            scores = [table[name]["youngs_modulus"] for name in names]
            centre = scale * np.array([of(one[metric]) for one in scores])
            ends = [[of(x) for x in one[f"{metric}_interval"]] for one in scores]
            low, high = scale * np.sort(np.array(ends), axis=1).T
            y = np.arange(len(names)) + 0.22 * (k - 1)
            colour = _COLOURS[k]
            axes.hlines(y, low, high, color=colour, linewidth=1, alpha=0.6)
            label = f"L/s = {ratio}"
            axes.plot(centre, y, markers[k], color=colour, markersize=4, label=label)
        for j, errors in enumerate(REFERENCE.values()):
            if ratio in errors:
                y = len(names) + j + 0.22 * (k - 1)
                x = 100 * errors[ratio]
                row[1].plot(x, y, markers[k], color=_COLOURS[k], mfc="none", ms=5)
    for axes, label in (
        (row[0], "1 $-$ R2 of $E_x$"),
        (row[1], "error of the standard deviation / %"),
    ):
        axes.set(xscale="log", xlabel=label)
        axes.grid(axis="x", color="#d5d9de", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.axhline(len(names) - 0.5, color=_TRUE, linewidth=0.6)
    row[1].set_xlim(1e-3, 100)
    row[0].set_yticks(range(count), [*names, *REFERENCE])
    row[0].invert_yaxis()
    row[0].tick_params(axis="y", labelsize="small")
    row[0].legend(fontsize="small", loc="lower left")
    caption = (
        "Every predictor on the test sets, smaller is better; lines are 95 % bootstrap "
        "intervals. Hollow: what the reference published, on its own films; it gave no "
        "R2."
    )
    return figure, caption


def _training(preset: Preset, histories: Mapping[str, History]) -> tuple[Figure, str]:
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.add_subplot()
    colours = _colours(preset)
    for name, model, seed in preset.runs():
        if model.title not in colours or seed:
            continue
        history = histories[name]
        colour = colours[model.title]
        loss = np.array([line["loss"] for line in history])
        width = max(1, len(loss) // 60)
        kept = len(loss) // width * width
        means = loss[:kept].reshape(-1, width).mean(1)
        steps = width * (np.arange(len(means)) + 1)
        axes.plot(steps, means, color=colour, linewidth=0.7, alpha=0.5)
        reviewed = [x for x in history if x.get("validation") is not None]
        axes.plot(
            [line["step"] for line in reviewed],
            [line["validation"] for line in reviewed],
            "o-",
            color=colour,
            markersize=3,
            linewidth=1.2,
            label=model.title,
        )
    axes.set(yscale="log", xlabel="step", ylabel="mean square error\nof the targets")
    axes.legend(frameon=False, fontsize="small")
    caption = (
        "Loss during training (thin) and on the validation films (dots), in variances "
        "of each model's own targets: those of the physics in the loop are the small "
        "remainder that the coarse solver leaves."
    )
    return figure, caption


def _films_needed(preset: Preset, evaluation: Evaluation) -> tuple[Figure, str]:
    figure = Figure(figsize=(8.4, 3.0), layout="constrained")
    row = figure.subplots(1, len(RATIOS), sharey=True)
    colours = _colours(preset)
    for axes, ratio in zip(row, RATIOS, strict=True):
        table = evaluation.tables[str(ratio)]
        for family, members in families(preset).items():
            if len(members) < 2:
                continue
            numbers, style = [number for number, _ in members], {"markersize": 4}
            missed = [_missed(table[title]) for _, title in members]
            middle = [np.median(of_seeds) for of_seeds in missed]
            colour = colours[family]
            axes.plot(numbers, middle, "o-", color=colour, label=family, **style)
            axes.plot(numbers[-1:] * len(missed[-1]), missed[-1], ".", color=colour)
        (value,) = _missed(table[BASELINE])
        axes.axhline(value, color=colours[BASELINE], ls="--", lw=1, label=BASELINE)
        axes.set(xscale="log", yscale="log", xlabel="original films")
        axes.set_title(f"L/s = {ratio}", fontsize="medium")
        axes.set_ymargin(0.1)
    row[0].set_ylabel("1 $-$ R2 of $E_x$")
    _legend_below(figure, row[0])
    caption = (
        "Error against the number of films with labels in the training set; of several "
        "seeds the median, and each as a dot."
    )
    return figure, caption


def _missed(row: Mapping[str, Any]) -> list[float]:
    """Share of the variance of Young's modulus that each seed misses."""
    scores = row["youngs_modulus"]
    return [1 - r2 for r2 in scores.get("r2_seeds", [scores["r2"]])]


def _calibration(preset: Preset, evaluation: Evaluation) -> tuple[Figure, str]:
    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    row = figure.subplots(1, len(RATIOS), sharey=True)
    colours = _colours(preset)
    for axes, ratio in zip(row, RATIOS, strict=True):
        axes.axline((0, 0), slope=1, color=_TRUE, linewidth=0.8)
        for title, one in evaluation.uncertainty.items():
            for found, style, of in (
                (one.raw[ratio], ":", "spread of its seeds"),
                (one.scaled[ratio], "-", f"{one.scale:.1f} times that"),
            ):
                label = f"{title}: {of}"
                level, coverage = np.asarray(found.level), np.asarray(found.coverage)
                axes.plot(level, coverage, style, color=colours[title], label=label)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="expected coverage", aspect="equal")
        axes.set_title(f"L/s = {ratio}", fontsize="medium")
    row[0].set_ylabel("observed coverage")
    _legend_below(figure, row[0])
    caption = (
        "Share of the test films whose Young's modulus lies in a central interval "
        "around the mean of the seeds, against the share that it should hold; below "
        "the diagonal the seeds are too sure. The scale is that of the validation "
        "films at L/s = 4."
    )
    return figure, caption


def _legend_below(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    legend = figure.legend(
        handles, labels, loc="outside lower center", ncols=3, frameon=False
    )
    for text in legend.get_texts():
        text.set_fontsize("small")
    for handle in legend.legend_handles:
        if handle is not None and hasattr(handle, "set_sizes"):
            handle.set_sizes([24])  # pyright: ignore
