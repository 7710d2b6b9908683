"""Decides what the command line understands, prints, and exits with.

`jaxmat homogenise map.ang --output results` is a thin shell over
`studies.polycrystal.run`, as are `jaxmat polysilicon` and `jaxmat prnn`. Exit
code 0; 1 with one sentence for a mistake in the input; 2 for a mistake in the command;
130 when interrupted, 143 when terminated.
"""

import argparse
import json
import math
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import jax
import numpy as np
from tqdm import tqdm

import jaxmat
from jaxmat._check import JaxmatError
from jaxmat.cells import BOUNDARIES
from jaxmat.studies import polycrystal
from jaxmat.studies.composite import add_prnn
from jaxmat.studies.polysilicon import add_polysilicon

JSON_KEYS = (
    *("effective_stiffness_voigt", "voigt_bound", "reuss_bound"),
    *("converged", "num_steps", "num_grains", "files"),
)

DESCRIPTION = """\
Effective elasticity of a polycrystal, from an EBSD map.

Reads the map, fills points that were not indexed, finds the grains, solves for
equilibrium, and writes a folder: effective stiffness beside its bounds (JSON, HDF5),
Young's modulus against direction, inverse-pole-figure map, von Mises stress and strain
energy under 100 MPa along x, the sensitivity of Young's modulus along x to a turn of
each grain, and the fields for ParaView (.vti). Without a map, a polycrystal is
generated, written as .ang, and read back."""

EPILOG = """\
The map frame has x to the right, y down the image, z into the specimen; stiffness is in
GPa. A map is taken as a section of a columnar body, infinite along z, with three
displacement components, unless --plane-stress or --plane-strain is given. A measured
map is not periodic: --boundary kubc and --boundary subc bracket the default."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: words after the program's name; those of the process if None.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    args = parser().parse_args(words)
    configure_jax()
    try:
        with _termination_raises():
            return args.command(args, shlex.join(["jaxmat", *words]))
    except JaxmatError as error:
        return _fail(str(error))
    except MemoryError:
        return _fail("this does not fit into memory; give a coarser map or film.")
    except OSError as error:
        where = f"`{error.filename}`: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}.")
    except KeyboardInterrupt:
        _fail(f"interrupted; {args.unfinished}.")
        return 130
    except _Terminated:
        _fail(f"terminated; {args.unfinished}.")
        return 143


def run_and_exit() -> NoReturn:
    """The console script: `main`, and out at once if it was cut short.

    Threads of XLA may then still compile or run, and an orderly end of the interpreter
    would take their memory away: a segmentation fault in place of the exit code.
    """
    code = main()
    if code < 128:
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def parser() -> argparse.ArgumentParser:
    """The words that the command line understands."""
    top = argparse.ArgumentParser(
        prog="jaxmat", description="Differentiable physics of materials."
    )
    top.add_argument("--version", action="version", version=jaxmat.__version__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    job = commands.add_parser(
        "homogenise",
        help="effective elasticity of a polycrystal, from an EBSD map",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    job.set_defaults(command=homogenise, unfinished="nothing was written")
    job.add_argument(
        "map",
        nargs="?",
        metavar="MAP",
        help=".ang, .ctf, .cpr/.crc, EDAX .h5 or Oxford .h5oina; generated if left out",
    )
    _add_files(job)
    _add_physics(job)
    add_polysilicon(commands)
    add_prnn(commands)
    return top


def _add_files(job: argparse.ArgumentParser) -> None:
    job.add_argument(
        "--output",
        default="jaxmat-out",
        metavar="DIR",
        help="folder to write (default: %(default)s); an existing one is refused",
    )
    job.add_argument(
        "--overwrite",
        action="store_true",
        help="replace the folder once the new one is complete; if it holds files that "
        "jaxmat did not write, it is kept as DIR.old",
    )
    job.add_argument(
        "--json",
        action="store_true",
        help="print one line of JSON and no progress",
    )
    job.add_argument(
        "--frame",
        choices=("map", "vendor"),
        default="map",
        help="sample frame of the orientations: the map's, into which the vendor's is "
        "turned, or the vendor's as written in the file (default: %(default)s)",
    )


def _add_physics(job: argparse.ArgumentParser) -> None:
    job.add_argument(
        "--material",
        action="append",
        default=[],
        metavar="NAME",
        help="crystal constants to use in place of the map's phase names; once for all "
        "phases, or once for each; for a generated polycrystal "
        f"{polycrystal.MATERIAL} if left out",
    )
    job.add_argument(
        "--resolution",
        type=_pixels,
        metavar="N",
        help="resample to at most N pixels along the longer side (default: "
        f"{polycrystal.RESOLUTION}; for a generated polycrystal {polycrystal.PIXELS})",
    )
    job.add_argument(
        "--threshold",
        type=_degrees,
        default=polycrystal.THRESHOLD,
        metavar="DEG",
        help="disorientation between two grains, degrees (default: 5)",
    )
    job.add_argument(
        "--boundary",
        choices=BOUNDARIES,
        default="periodic",
        help="periodic, linear displacement (kubc) or uniform traction (subc) on the "
        "boundary of the map (default: %(default)s)",
    )
    plane = job.add_mutually_exclusive_group()
    plane.add_argument(
        "--plane-stress",
        dest="plane",
        action="store_const",
        const="stress",
        help="two displacement components, no stress along z: a thin film",
    )
    plane.add_argument(
        "--plane-strain",
        dest="plane",
        action="store_const",
        const="strain",
        help="two displacement components; z must be normal to a mirror plane of every "
        "grain",
    )
    job.add_argument(
        "--rtol",
        type=_tolerance,
        default=1e-6,
        help="relative tolerance of the equilibrium (default: %(default)s)",
    )


def homogenise(args: argparse.Namespace, command: str) -> int:
    """`jaxmat homogenise`."""
    with _progress(shown=sys.stderr.isatty() and not args.json) as progress:
        summary = polycrystal.run(
            args.map,
            args.output,
            overwrite=args.overwrite,
            material=args.material,
            resolution=args.resolution,
            threshold=args.threshold,
            frame=args.frame,
            plane=args.plane,
            boundary=args.boundary,
            rtol=args.rtol,
            command=command,
            progress=progress,
        )
    if args.json:
        print(json.dumps({key: summary[key] for key in JSON_KEYS}))
    else:
        print(_describe(summary, args.output))
    return 0


def configure_jax() -> None:
    """Double precision, and compiled programs kept from one run to the next."""
    jax.config.update("jax_enable_x64", True)
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR") or _cache_folder()
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # a home that cannot be written: compile anew each time
    if os.access(folder, os.W_OK):
        least = 0.2  # seconds of compiling that are worth a file
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", least)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)  # for workers too
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = str(least)


class _Terminated(BaseException):
    """The process was asked to end; like KeyboardInterrupt, nobody's `Exception`."""


@contextmanager
def _termination_raises() -> Iterator[None]:
    """Let SIGTERM unwind the stack, so that what is half written is removed.

    As with an interrupt, a compiled program that runs is waited for. A second signal
    does not cut the cleaning short. Only the main thread may set handlers; elsewhere
    nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number, frame):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _cache_folder() -> Path:
    """Where programs of this user keep what they can make again."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "jaxmat" / "compiled"


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[str], None]]:
    """A bar on standard error that counts the stages and says what is being done."""
    with tqdm(
        total=polycrystal.NUM_STAGES,
        disable=not shown,
        bar_format="{bar:20} {elapsed} {desc}",
        file=sys.stderr,
        leave=False,
    ) as bar:

        def report(stage: str) -> None:
            bar.update()
            bar.set_description_str(stage)  # shows it at once

        yield report


def _describe(summary: dict[str, Any], folder: str) -> str:
    """What the summary says, for people."""
    old, new = summary["map_pixels"], summary["pixels"]
    used = "" if old == new else f", resampled to {new[0]} x {new[1]}"
    materials = ", ".join(
        f"{phase['name']} ({phase['material']}, {100 * phase['fraction']:.3g} %)"
        for phase in summary["phases"]
    )
    stiffness = np.asarray(summary["effective_stiffness_voigt"])
    rows = "\n".join("".join(f"{x:10.3f}" for x in row) for row in stiffness)
    diagonals = [
        f"{name:<24}" + "".join(f"{x:9.2f}" for x in np.diag(np.asarray(summary[key])))
        for name, key in (
            ("Voigt bound, diagonal", "voigt_bound"),
            ("effective, diagonal", "effective_stiffness_voigt"),
            ("Reuss bound, diagonal", "reuss_bound"),
        )
    ]
    return "\n".join(
        [
            f"{summary['map']}: {old[0]} x {old[1]} pixels{used}, "
            f"{summary['num_grains']} grains of {materials}",
            f"effective stiffness / GPa, Voigt {summary['components']} "
            f"({summary['num_steps']} iterations):",
            rows,
            *diagonals,
            f"Young's modulus along x: {summary['youngs_modulus_x']:.2f} GPa",
            f"written to {folder}: {', '.join(summary['files'])}",
        ]
    )


def _fail(sentence: str) -> int:
    print(f"jaxmat: {' '.join(sentence.split())}", file=sys.stderr)
    return 1


def _pixels(text: str) -> int:
    return int(_within(text, 2, 10**5, "a whole number from 2 on", whole=True))


def _degrees(text: str) -> float:
    return math.radians(_within(text, 1e-3, 57, "an angle between 0 and 57 degrees"))


def _tolerance(text: str) -> float:
    return _within(text, 1e-16, 0.5, "a number between 0 and 0.5, such as 1e-6")


def _within(text: str, low: float, high: float, what: str, whole=False) -> float:
    """A number from the command line, or the sentence that argparse prints."""
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return value


if __name__ == "__main__":
    run_and_exit()
