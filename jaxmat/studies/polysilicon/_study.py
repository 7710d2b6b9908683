"""Decides what is in the folder of a study, and what each stage needs and leaves there.

    study.json                  the preset; a folder belongs to one
    data/films_4.h5 ...         `generate`
    models/NAME/                `train`: checkpoint, metrics.jsonl, model.eqx
    results.json, report.html, model_card.md, *.png      `report`
    search.db, search.json      `search`

Every stage goes on where it was stopped, and does nothing where it is complete.
"""

import dataclasses
import functools
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxmat._check import JaxmatError
from jaxmat.io import atomic_path
from jaxmat.studies.polysilicon._evaluate import evaluate
from jaxmat.studies.polysilicon._files import DataSet, read
from jaxmat.studies.polysilicon._generate import generate
from jaxmat.studies.polysilicon._learn import (
    METRICS,
    MODEL,
    Films,
    cached,
    coarse_answers,
    films_of,
    grey_images,
    train,
)
from jaxmat.studies.polysilicon._model_file import read_model
from jaxmat.studies.polysilicon._presets import (
    TRAINING_RATIO,
    Preset,
    preset,
)
from jaxmat.studies.polysilicon._report import write_report
from jaxmat.studies.polysilicon._store import claim

SCHEMA = 1
STUDY = "study.json"
DEFAULT = "quick"

_MADE = {
    "generate": ("data", "models"),
    "train": ("models",),
    "report": (),
    "search": ("search.db", "search.json"),
}


class Study:
    """A folder that belongs to one preset; see `open_study`."""

    def __init__(self, folder: Path, wanted: Preset):
        self.folder, self.preset = folder, wanted

    def remove(self, stage: str) -> None:
        """Remove what a stage, and those after it, made."""
        self.__dict__.pop("data", None)
        for name in _MADE[stage]:
            made = self.folder / name
            if made.is_dir():
                shutil.rmtree(made)
            else:
                made.unlink(missing_ok=True)

    def generate(self, *, workers: int | None = None, progress: bool = True) -> None:
        """Make the films and their labels, or what is missing of them.

        Raises:
            JaxmatError: as `generate`.
        """
        (self.folder / "data").mkdir(exist_ok=True)
        for ratio, parameters, count in self.preset.files():
            path = self._films(ratio)
            generate(
                path, parameters, num_samples=count, workers=workers, progress=progress
            )

    def train(self, *, progress: bool = True) -> None:
        """Train what is not trained yet.

        Several processes may train one study: each takes the next model that no other
        has taken.

        Raises:
            JaxmatError: if there are no data, or a training fails.
        """
        given = functools.cache(self.given)
        for name, model, seed in self.preset.runs():
            if self._model(name).exists():
                continue
            data, folder = self.data["train"], self._model(name).parent
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "lock").open("w") as lock:
                if not claim(lock) or self._model(name).exists():
                    continue
                if progress:
                    print(name, file=sys.stderr)
                sees = model.in_the_loop, model.encoding
                train(
                    model,
                    seed,
                    data,
                    given("train", *sees),
                    given("validation", *sees),
                    folder=folder,
                    factor=self.preset.factor,
                    progress=progress,
                )

    def given(self, name: str, in_the_loop: bool, encoding: str) -> Films:
        """What a model is given of a data set; what takes time is kept on the disk.

        Args:
            name: of the set, see `data`.
            in_the_loop: with the answers of the coarse solver.
            encoding: of the images.

        Raises:
            JaxmatError: as `data`.
        """
        data, folder, coarse, grey = self.data[name], self.folder / "data", None, None
        if in_the_loop:
            solve = functools.partial(coarse_answers, data, self.preset.factor)
            coarse = cached(folder / f"coarse_{name}.npy", solve)
        if encoding == "grey":
            draw = functools.partial(grey_images, data)
            grey = cached(folder / f"grey_{name}.npy", draw)
        return films_of(data, coarse, grey)

    def report(self, *, command: str = "") -> dict[str, Any]:
        """Compare the models with the baselines and write what came out.

        Args:
            command: how it was called, kept as provenance.

        Returns:
            The content of `results.json`.

        Raises:
            JaxmatError: if data or models are missing.
        """
        missing = [n for n, _, _ in self.preset.runs() if not self._model(n).exists()]
        if missing:
            raise JaxmatError(
                f"`{self.folder}` lacks {len(missing)} trained models, the first is "
                f"`{missing[0]}`; run `jaxmat polysilicon train` first."
            )
        models = {
            model: [read_model(self._model(name))[1] for name in model.names]
            for model in self.preset.models
        }
        evaluation = evaluate(self.data, models, self.given, factor=self.preset.factor)
        histories = {
            name: _read_lines(self._model(name).with_name(METRICS))
            for name, _, _ in self.preset.runs()
        }
        return write_report(
            self.folder, self.preset, evaluation, histories, command=command
        )

    @functools.cached_property
    def data(self) -> dict[str, DataSet]:
        """The training, validation and test sets, by name.

        Raises:
            JaxmatError: if a file is missing, or holds other films.
        """
        found = {}
        for ratio, parameters, count in self.preset.files():
            path = self._films(ratio)
            if not path.exists():
                raise JaxmatError(
                    f"`{self.folder}` has no complete `{path.name}`; run `jaxmat "
                    "polysilicon generate` first."
                )
            data = read(path)
            if data.parameters != parameters or data.num_samples < count:
                raise JaxmatError(
                    f"`{path.name}` holds {data.num_samples} films of "
                    f"{data.parameters}, wanted are {count} of {parameters}; run "
                    "`jaxmat polysilicon generate --overwrite`."
                )
            found[f"test_{ratio}"] = data.select(slice(self.preset.num_test))
            if ratio == TRAINING_RATIO:
                first = self.preset.num_test
                second = first + self.preset.num_validation
                found["validation"] = data.select(slice(first, second))
                found["train"] = data.select(slice(second, count))
        return found

    def _films(self, ratio: int) -> Path:
        return self.folder / "data" / f"films_{ratio}.h5"

    def _model(self, name: str) -> Path:
        return self.folder / "models" / name / MODEL


def open_study(path: str | os.PathLike, name: str | None = None) -> Study:
    """The study in a folder, which is created if it does not exist.

    Args:
        path: the folder; its parent must exist.
        name: of a preset; that of the folder if None, or "quick" for a new one.

    Returns:
        The study.

    Raises:
        JaxmatError: if there is no such preset, or the folder cannot be written, holds
            something else, or a study of another preset.
    """
    folder = Path(path)
    stored = _stored(folder)
    wanted = preset(name or (stored or {}).get("name", DEFAULT))
    return open_with(folder, wanted)


def open_with(folder: Path, wanted: Preset) -> Study:
    """As `open_study`, for a preset of one's own."""
    stored = _stored(folder)
    described = json.loads(json.dumps(dataclasses.asdict(wanted)))
    if stored is None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise JaxmatError(
                f"`{folder}` holds something else than a study of films; choose a new "
                "folder."
            )
        _create(folder, described)
    elif stored != described:
        other = stored.get("name")
        difference = (
            f"belongs to the preset {other!r}"
            if other != wanted.name
            else f"was made with another version of the preset {other!r}"
        )
        raise JaxmatError(f"`{folder}` {difference}; choose another folder.")
    return Study(folder, wanted)


def _create(folder: Path, described: Mapping[str, Any]) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise JaxmatError(
            f"cannot create `{folder}`: {error.strerror}; choose a place in an "
            "existing folder that you may write to."
        ) from error
    content = {"schema": SCHEMA, "preset": described}
    with atomic_path(folder / STUDY) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def _stored(folder: Path) -> dict[str, Any] | None:
    """The preset that a folder belongs to, or None.

    Raises:
        JaxmatError: if its description cannot be read.
    """
    file = folder / STUDY
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_text())
        if content["schema"] == SCHEMA:
            return dict(content["preset"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise JaxmatError(
        f"`{file}` is damaged or of another version; choose another folder."
    )


def _read_lines(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
