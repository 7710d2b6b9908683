"""Decides what `jaxmat polysilicon` understands and prints."""

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from jaxmat.studies.polysilicon._presets import PRESETS

DESCRIPTION = """\
Scatter of Young's modulus of polysilicon films, and networks that predict it.

Draws Voronoi films and solves for their stiffness (generate), trains networks on the
small ones (train), compares them on larger ones with baselines that need no network
and with published numbers (report), or all in turn (run). The folder belongs to one
preset. Stopped at any moment and started again, every stage goes on where it was."""

STAGES = {
    "run": ("generate", "train", "report"),
    "generate": ("generate",),
    "train": ("train",),
    "report": ("report",),
    "search": ("search",),
}

_HELP = {
    "run": "all three in turn",
    "generate": "films and their stiffness",
    "train": "networks, on the films",
    "report": "tables, figures and a model card",
    "search": "a search for better options of a network, on the films",
}


def add_polysilicon(commands: Any) -> None:
    """Add the command and its stages to those of the command line."""
    job = commands.add_parser(
        "polysilicon",
        help="scatter of the stiffness of polysilicon films, and networks for it",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    stages = job.add_subparsers(required=True, metavar="STAGE")
    for stage, text in _HELP.items():
        parser = stages.add_parser(stage, help=text, description=f"Make {text}.")
        parser.set_defaults(
            command=polysilicon,
            stages=STAGES[stage],
            unfinished="what is finished is kept, run it again to go on",
        )
        _add_options(parser)
        if stage == "search":
            parser.add_argument(
                "--trials",
                type=int,
                default=30,
                metavar="N",
                help="trials in all (default: %(default)s), earlier ones included",
            )


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        help="size of the study (default: that of the folder, or quick for a new one)",
    )
    parser.add_argument(
        "--output",
        default="polysilicon-out",
        metavar="DIR",
        help="folder of the study (default: %(default)s); a study there is continued",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="remove first what this stage, and those after it, have made there",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes that generate films (default: one for each core)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one line of JSON and no progress"
    )


def polysilicon(args: argparse.Namespace, command: str) -> int:
    """`jaxmat polysilicon`."""
    # Here, so that other commands do not wait for it.
    from jaxmat.studies.polysilicon._study import open_study

    study = open_study(args.output, args.preset)
    progress = sys.stderr.isatty() and not args.json
    if args.overwrite:
        study.remove(args.stages[0])
    results: dict[str, Any] = {}
    if "generate" in args.stages:
        study.generate(workers=args.workers, progress=progress)
    if "train" in args.stages:
        study.train(progress=progress)
    if "report" in args.stages:
        results = study.report(command=command)
    if "search" in args.stages:
        from jaxmat.studies.polysilicon._tune import search

        results = search(study, args.trials, progress=progress)
    if args.json:
        print(json.dumps({"folder": args.output, **results}))
    else:
        print(_describe(results, args.output, args.stages[-1]))
    return 0


def _describe(results: Mapping[str, Any], folder: str, stage: str) -> str:
    """What came out, for people."""
    from jaxmat.studies.polysilicon._tables import CAPTION, text_table, wrapped

    if not results:
        return f"{stage}: complete in {folder}"
    if stage == "search":
        options = "\n".join(f"  {k}: {v}" for k, v in results["options"].items())
        return (
            f"best of {results['trials']} trials, validation "
            f"{results['validation']:.3g}:\n{options}\nwritten to {folder}/search.json"
        )
    tables = results["tables"]
    return "\n\n".join(
        [
            f"Young's modulus along x\n{text_table(tables, 'youngs_modulus')}",
            f"whole stiffness\n{text_table(tables, 'stiffness')}",
            wrapped(CAPTION),
            f"written to {folder}: {', '.join(results['files'])}",
        ]
    )
