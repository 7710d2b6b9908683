"""The promises that `bench_polysilicon.py` measures: what is claimed, and the bar."""

from collections.abc import Callable
from statistics import median

from _record import Bar, pick

RATIOS = (4, 6, 10)
RESNET, ORIGINALS, WRONG, IN_THE_LOOP = (
    "ResNet, exactly augmented",
    "ResNet, originals",
    "ResNet, wrongly augmented",
    "physics in the loop",
)
HILL, COARSE = "hill, calibrated", "coarse solver, 16 x 16, calibrated"
QUANTITIES = {
    "youngs_modulus": "Young's modulus",
    "stiffness": "whole stiffness (errors: root mean square of the nine entries)",
}
TRAINING_FILMS = (512, 2048, 8192)


def scores(rows: dict, name: str, ratio: int, quantity: str) -> dict | None:
    """Scores of a predictor in the full study."""
    found = pick(rows, "study", preset="full")
    return found[0]["tables"][str(ratio)][name][quantity] if found else None


def _of_study(
    identity: str, claim: str, sense: str, bar: float, value: Callable, *names: str
) -> list[Bar]:
    """A bar for each film size; `value` gets the scores of Young's modulus by name."""

    def at(ratio):
        def read(rows):
            found = [scores(rows, name, ratio, "youngs_modulus") for name in names]
            return None if None in found else value(*found)

        return read

    return [
        Bar(f"{identity}-{r}", "study", f"{claim}, L/s = {r}", sense, bar, at(r))
        for r in RATIOS
    ]


def _accuracy(name: str, slug: str, limits: dict[str, tuple]) -> list[Bar]:
    """Bars of a model on every quantity and film size; the worst seed counts."""

    def reader(metric, ratio, quantity):
        # Of a stiffness the table has the Frobenius norm, three times the root mean
        # square of the nine entries.
        entries = 3 if (metric, quantity) == ("mean_error", "stiffness") else 1

        def value(rows):
            found = scores(rows, name, ratio, quantity)
            return found[metric] / entries if found else None

        return value

    return [
        Bar(
            f"{slug}-{quantity.replace('_', '-')}-{metric.replace('_', '-')}-{ratio}",
            "study",
            f"{name}, {what}, L/s = {ratio}: {metric}, worst of five seeds",
            ">=" if metric == "r2" else "<=",
            limit[k],
            reader(metric, ratio, quantity),
        )
        for quantity, what in QUANTITIES.items()
        for metric, limit in limits.items()
        for k, ratio in enumerate(RATIOS)
    ]


def _first(scored: dict) -> float:
    """R2 of the first seed."""
    return scored.get("r2_seeds", [scored["r2"]])[0]


def _named(title: str, films: int) -> str:
    return title if films == max(TRAINING_FILMS) else f"{title}, {films} films"


def _ahead(slug: str, claim: str, better: str, worse: str, films: int) -> list[Bar]:
    """R2 of one way to train less that of another, with as many films and the seed."""
    names = (_named(better, films), _named(worse, films))
    return _of_study(
        f"{slug}-{films}",
        f"{claim}, {films} films: difference of R2",
        ">=",
        0.0,
        lambda a, b: _first(a) - _first(b),
        *names,
    )


def _rate(boundary: str, bar: float) -> Bar:
    def value(rows):
        found = pick(rows, "generation", program="jaxmat", boundary=boundary)
        return found[0]["films_per_s"] if found else None

    claim = f"films of 128^2 with labels per second, {boundary}, two cores"
    return Bar(f"generation-{boundary}", "generation", claim, ">=", bar, value)


def _over_skfem(rows: dict) -> float | None:
    ours = pick(rows, "generation", program="jaxmat", boundary="periodic")
    theirs = pick(rows, "generation", program="scikit-fem")
    if not ours or not theirs:
        return None
    return ours[0]["films_per_s"] / max(row["films_per_s"] for row in theirs)


def _step(network: str, slug: str) -> Bar:
    def value(rows):
        ours = pick(rows, "training", program="jaxmat", network=network)
        theirs = pick(rows, "training", program="PyTorch", network=network)
        if not ours or not theirs:
            return None
        return ours[0]["median_s"] / min(row["median_s"] for row in theirs)

    claim = f"training step over PyTorch's on the same batch, network {network}"
    return Bar(f"training-step-{slug}", "training", claim, "<=", 1.5, value)


def _quick(rows: dict) -> float | None:
    found = rows.get("quick", [])
    return found[0]["seconds"] if found else None


def _test_films(rows: dict) -> int | None:
    found = pick(rows, "study", preset="full")
    sets = found[0]["youngs_modulus"].values() if found else ()
    return min((one["films"] for one in sets), default=None)


def _inference(prefix: str) -> Callable[[dict], float | None]:
    """Speed over that of the fastest coarse solver that errs no more."""

    def value(rows):
        found = rows.get("inference", [])
        ours = [row for row in found if str(row["name"]).startswith(prefix)]
        solvers = [row for row in found if isinstance(row["name"], int)]
        if not ours:
            return None
        equal = [
            row["seconds"]
            for row in solvers
            if row["mean_error"] <= ours[0]["mean_error"]
        ]
        return min(equal) / ours[0]["seconds"] if equal else None

    return value


def _cosine(prefix: str, part: str, summary: Callable) -> Callable:
    def value(rows):
        found = [
            row for row in rows.get("gradient", []) if row["name"].startswith(prefix)
        ]
        return summary(found[0][part]) if found else None

    return value


def _gradient(prefix: str) -> list[Bar]:
    slug = prefix.lower().replace(" ", "-")
    claim = f"{prefix}: gradient of Young's modulus by the"
    return [
        Bar(
            f"gradient-{slug}-{part}-{name}",
            "gradient",
            f"{claim} {part} against the solver's, 50 test films: {name} cosine",
            ">=",
            0.9,
            _cosine(prefix, part, summary),
        )
        for part in ("image", "theta")
        for name, summary in (("least", min), ("median", median))
    ]


BARS = [
    _rate("periodic", 40.0),
    _rate("kubc", 12.0),
    _rate("subc", 12.0),
    Bar(
        "generation-skfem",
        "generation",
        "periodic films per second, times scikit-fem's (twice that of one process)",
        ">=",
        40.0,
        _over_skfem,
    ),
    _step("of the study", "study"),
    _step("on every pixel", "pixels"),
    Bar("quick", "quick", "seconds of the quick study, two cores", "<=", 300, _quick),
    Bar("test-films", "study", "films in each test set", ">=", 1000, _test_films),
    *_accuracy(
        RESNET,
        "resnet",
        {"r2": (0.995, 0.99, 0.99), "scatter_error": (0.008, 0.015, 0.015)},
    ),
    *_accuracy(
        IN_THE_LOOP,
        "loop",
        {
            "r2": (0.9998,) * 3,
            "mean_error": (0.03,) * 3,
            "scatter_error": (0.001,) * 3,
        },
    ),
    *(
        bar
        for films in TRAINING_FILMS
        for bar in _ahead(
            "exact-augmentation",
            "exact augmentation ahead of none",
            RESNET,
            ORIGINALS,
            films,
        )
    ),
    *(
        bar
        for films in (min(TRAINING_FILMS), max(TRAINING_FILMS))
        for bar in _ahead(
            "wrong-augmentation",
            "exact augmentation ahead of the reference's",
            RESNET,
            WRONG,
            films,
        )
    ),
    *(
        bar
        for films in (min(TRAINING_FILMS), max(TRAINING_FILMS))
        for bar in _ahead(
            "wrong-augmentation-hurts",
            "no augmentation ahead of the reference's",
            ORIGINALS,
            WRONG,
            films,
        )
    ),
    *_of_study(
        "thirty-times-fewer",
        "physics in the loop with 256 films ahead of the best ResNet with 8192: "
        "difference of R2",
        ">=",
        0.0,
        lambda few, many: few["r2"] - max(many["r2_seeds"]),
        f"{IN_THE_LOOP}, 256 films",
        RESNET,
    ),
    *_of_study(
        "resnet-over-hill",
        "ResNet ahead of the calibrated Hill average: difference of R2, worst seed",
        ">=",
        0.0,
        lambda network, hill: network["r2"] - hill["r2"],
        RESNET,
        HILL,
    ),
    *_of_study(
        "loop-over-coarse",
        "unexplained variance of the calibrated coarse solver over that of physics in "
        "the loop, worst seed",
        ">=",
        1.0,
        lambda loop, solver: (1 - solver["r2"]) / (1 - loop["r2"]),
        IN_THE_LOOP,
        COARSE,
    ),
    *_gradient("ResNet"),
    *_gradient("physics"),
    Bar(
        "inference-resnet",
        "inference",
        "ResNet's films per second, times a coarse solver's that errs no more",
        ">=",
        1.0,
        _inference("ResNet"),
    ),
    Bar(
        "inference-loop",
        "inference",
        "physics in the loop, films per second, times a coarse solver's that errs no "
        "more",
        ">=",
        1.0,
        _inference("physics"),
    ),
    Bar(
        "inference-gpu",
        "inference",
        "films per second through the ResNet on a GPU (not measured)",
        ">=",
        1000.0,
        lambda rows: None,
    ),
]
