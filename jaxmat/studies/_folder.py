"""Decides how a folder of results reaches the disk: whole, or not at all."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from jaxmat._check import JaxmatError

SUMMARY = "effective_stiffness.json"
"""The file in every folder of results that lists the others, under "files"."""


@contextlib.contextmanager
def output_folder(
    path: str | os.PathLike, *, overwrite: bool = False
) -> Iterator[Path]:
    """A temporary folder to fill, which becomes `path` when the block ends.

    The temporary folder lies beside `path`, so that the last step is a rename. If the
    block raises or is interrupted, it is removed and `path` is as it was. A folder that
    is replaced is removed last; if it holds anything that its own summary does not
    list, it is kept under another name instead.

    Args:
        path: the folder wanted; its parent must exist.
        overwrite: replace it if it exists.

    Yields:
        The folder to write into.

    Raises:
        JaxmatError: if `path` exists and `overwrite` is not set, is a file, or holds
            the current or the home folder; or if it cannot be created.
    """
    target = Path(os.path.abspath(path))
    _check_target(Path(path), target, overwrite)
    try:
        name = tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise JaxmatError(
            f"cannot create `{path}`: {reason}; choose a place in an existing folder "
            "that you may write to."
        ) from error
    temporary = Path(name)
    new, old = temporary / "new", temporary / "old"
    try:
        new.mkdir()
        yield new
        _check_target(Path(path), target, overwrite)
        if target.exists():
            os.rename(target, old)
        try:
            os.rename(new, target)
        except BaseException:
            if old.exists():
                os.rename(old, target)
            raise
        if old.exists() and _has_foreign_files(old):
            os.rename(old, _free_name(target))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_target(path: Path, target: Path, overwrite: bool) -> None:
    if not os.path.lexists(target):
        return
    if not target.is_dir() or target.is_symlink():
        raise JaxmatError(f"`{path}` is not a folder; choose another output folder.")
    if not overwrite:
        raise JaxmatError(
            f"`{path}` exists already; choose another output folder, or replace it "
            "with --overwrite."
        )
    if any(place.is_relative_to(target) for place in (Path.cwd(), Path.home())):
        raise JaxmatError(
            f"`{path}` holds the current folder or your home and is not replaced; "
            "choose another output folder."
        )


def _has_foreign_files(folder: Path) -> bool:
    """Whether anything in the folder is not listed by its own summary."""
    try:
        listed = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["files"]
        known = {str(name) for name in listed}
    except (OSError, ValueError, KeyError, TypeError):
        known = set()
    return any(item.name not in known or item.is_dir() for item in folder.iterdir())


def _free_name(target: Path) -> Path:
    """`target.old`, or `target.old2`, ..., whichever does not exist."""
    number = 1
    while True:
        name = target.with_name(f"{target.name}.old{number if number > 1 else ''}")
        if not os.path.lexists(name):
            return name
        number += 1
