"""Decides what `jaxmat prnn` understands and prints."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from jaxmat._check import JaxmatError
from jaxmat.io import check_writable
from jaxmat.studies.composite._data import write_paths
from jaxmat.studies.composite._loads import (
    canonical_paths,
    gaussian_process_paths,
    proportional_paths,
)
from jaxmat.studies.composite._reference import composite_cell, solve_paths

KINDS = ("prnn", "dmn", "law", "gru", "lstm")

DESCRIPTION = """\
Networks that stand for a fibre composite, from few load paths.

generate solves a cell of glass fibres in epoxy in full, along random paths, and writes
strains and stresses; train fits a physically recurrent network, or one it is compared
with, to the first paths of such a file; evaluate tells its error on the last ones and
draws some of them. A row of the file is exx eyy gxy sxx syy txy (engineering shear,
MPa), a blank line ends a path."""


def add_prnn(commands: Any) -> None:
    """Add the command and its stages to those of the command line."""
    job = commands.add_parser(
        "prnn",
        help="networks of material points that learn a composite from few load paths",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    stages = job.add_subparsers(required=True, metavar="STAGE")
    _add_generate(stages.add_parser("generate", help="load paths, solved in full"))
    _add_train(stages.add_parser("train", help="a network, on the first paths"))
    _add_evaluate(stages.add_parser("evaluate", help="its error on the last paths"))


def _add_generate(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=generate, unfinished="nothing was written")
    parser.add_argument("data", metavar="FILE", help="load paths to write")
    parser.add_argument(
        "--kind",
        choices=("random", "proportional", "canonical"),
        default="random",
        help="random: Gaussian processes; proportional: straight, with unloading; "
        "canonical: eighteen straight ones (default: %(default)s)",
    )
    _add_number(parser, "--paths", 16, "paths")
    _add_number(parser, "--steps", 60, "steps of a path")
    _add_number(parser, "--pixels", 40, "pixels along the cell")
    _add_number(parser, "--seed", 0, "seed of the fibres and of the paths", least=0)
    _add_json(parser)


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(
        command=train, unfinished="what is finished is kept, run it again to go on"
    )
    parser.add_argument("data", metavar="FILE", help="load paths")
    _add_folder(parser)
    parser.add_argument(
        "--kind",
        choices=KINDS,
        default="prnn",
        help="points of the phases (prnn), a tree of laminates of them (dmn), one "
        "fitted law, or a memory without physics (default: %(default)s)",
    )
    parser.add_argument(
        "--decoder",
        choices=("tied", "positive", "normalised"),
        default="tied",
        help="of a prnn: tied learns from least, positive comes closest with many "
        "paths (default: %(default)s)",
    )
    _add_number(parser, "--paths", 8, "paths for training, the first of the file")
    _add_number(parser, "--validation", 4, "paths for validation, the next")
    parser.add_argument(
        "--size",
        type=_at_least(1),
        metavar="N",
        help="points; levels of the tree; numbers in the memory (default: 24, 3, 64)",
    )
    _add_number(parser, "--num-steps", 1200, "steps of the optimiser")
    _add_number(parser, "--seed", 0, "seed of the weights", least=0)
    _add_json(parser)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=evaluate, unfinished="nothing was written")
    parser.add_argument("data", metavar="FILE", help="load paths")
    _add_folder(parser)
    parser.add_argument(
        "--all",
        action="store_true",
        help="take all paths, where the file is not that of the training",
    )
    _add_json(parser)


def generate(args: argparse.Namespace, command: str) -> int:
    """`jaxmat prnn generate`."""
    if Path(args.data).exists():
        raise JaxmatError(f"`{args.data}` exists already; give another name.")
    check_writable(args.data)
    eps = {
        "canonical": lambda: canonical_paths(args.steps),
        "proportional": lambda: proportional_paths(args.seed, args.paths, args.steps),
        "random": lambda: gaussian_process_paths(args.seed, args.paths, args.steps),
    }[args.kind]()
    cell = composite_cell(args.seed, pixels=args.pixels)
    paths = solve_paths(cell, eps, progress=_shown(args))
    write_paths(args.data, paths)
    _say(args, {"file": args.data, "paths": len(eps), "steps": eps.shape[1]})
    return 0


def train(args: argparse.Namespace, command: str) -> int:
    """`jaxmat prnn train`."""
    from jaxmat.studies.composite import learning

    rates = {"prnn": 4e-2, "law": 1e-2, "dmn": 2e-2, "gru": 1e-2, "lstm": 1e-2}
    sizes = {"prnn": 24, "dmn": 3}
    model = learning.Model(
        args.kind,
        args.size or sizes.get(args.kind, 64),
        rates[args.kind],
        args.num_steps,
        args.decoder,
    )
    split = learning.Split(args.paths, args.validation)
    result = learning.train(
        args.data, args.output, model, split, seed=args.seed, progress=_shown(args)
    )
    _say(args, {"folder": args.output, **result})
    return 0


def evaluate(args: argparse.Namespace, command: str) -> int:
    """`jaxmat prnn evaluate`."""
    from jaxmat.studies.composite import learning

    _say(args, learning.evaluate(args.data, args.output, all_paths=args.all))
    return 0


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        default="prnn-out",
        metavar="DIR",
        help="folder of the model (default: %(default)s)",
    )


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print one line of JSON and no progress"
    )


def _add_number(
    parser: argparse.ArgumentParser, name: str, default: int, what: str, least: int = 1
) -> None:
    parser.add_argument(
        name,
        type=_at_least(least),
        default=default,
        metavar="N",
        help=f"{what} (default: %(default)s)",
    )


def _at_least(least: int):
    def number(text: str) -> int:
        value = int(text) if text.isdecimal() else -1
        if value < least:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a whole number from {least} on"
            )
        return value

    return number


def _shown(args: argparse.Namespace) -> bool:
    return sys.stderr.isatty() and not args.json


def _say(args: argparse.Namespace, result: dict[str, Any]) -> None:
    if args.json:
        print(json.dumps(result))
        return
    for key, value in result.items():
        shown = f"{value:.4g}" if isinstance(value, float) else value
        print(f"{key.replace('_', ' ').replace('mpa', '/ MPa')}: {shown}")
