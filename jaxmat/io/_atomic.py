"""Decides how a file reaches the disk: whole, or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from jaxmat._check import JaxmatError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary file to write, which becomes `path` when the block ends.

    The temporary file lies in the folder of `path`, so that the last step is a rename
    within one file system: another process sees the old file or the new one, never a
    half. If the block raises, the temporary file is removed and `path` is as it was.

    Args:
        path: the file wanted; replaced if it exists. Its folder must exist.

    Yields:
        The path to write to, with the same ending as `path`.

    Raises:
        JaxmatError: if `path` is a folder, or its folder is missing or not writable.
        OSError: if the disk fails while the block writes (full, unplugged).

    Example:
        >>> with atomic_path("stiffness.json") as temporary:
        ...     temporary.write_text("{}")
    """
    target = Path(path)
    temporary = _beside(target)
    try:
        yield temporary
        _flush(temporary)
        temporary.chmod(_mode(target))
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike) -> None:
    """Raise before long work what `atomic_path` would raise after it.

    Raises:
        JaxmatError: if `path` is a folder, or its folder is missing or not writable.
    """
    _beside(Path(path)).unlink()


def make_folder(path: str | os.PathLike) -> Path:
    """A folder and those it lies in, made if they are not there.

    Returns:
        The path of the folder.

    Raises:
        JaxmatError: if `path` is a file, or cannot be made.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JaxmatError(
            f"cannot use `{os.fspath(path)}` as a folder: {error.strerror}; choose one "
            "that you may write to."
        ) from error
    return Path(path)


def _beside(target: Path) -> Path:
    """An empty file in the folder of the target."""
    if target.is_dir():
        raise JaxmatError(f"`{target}` is a folder; give the name of a file to write.")
    try:
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.stem}.", suffix=target.suffix
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise JaxmatError(
            f"cannot write `{target}`: {reason}; choose an existing folder that you "
            "may write to."
        ) from error
    os.close(handle)
    return Path(name)


def _flush(path: Path) -> None:
    """Wait until the bytes are on the disk: a rename must not overtake them."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _mode(target: Path) -> int:
    """Permissions of the file replaced, or those any new file would get."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
