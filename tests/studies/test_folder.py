"""Whole folders or none: what happens to the old one, and when."""

import json
import os

import pytest

from jaxmat import JaxmatError
from jaxmat.studies.polycrystal import SUMMARY, output_folder


def write(folder, *names):
    """Fill a folder as the main job does."""
    for name in names:
        (folder / name).write_text(name)
    (folder / SUMMARY).write_text(json.dumps({"files": [SUMMARY, *names]}))


def listing(folder):
    return sorted(item.name for item in folder.iterdir())


def test_the_folder_appears_when_the_block_ends(tmp_path):
    with output_folder(tmp_path / "out") as folder:
        write(folder, "a")
        assert not (tmp_path / "out").exists()
    assert listing(tmp_path / "out") == ["a", SUMMARY]
    assert listing(tmp_path) == ["out"]


def test_others_may_read_it_as_any_new_folder(tmp_path):
    (tmp_path / "usual").mkdir()
    with output_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_of_a_block_that_raises(tmp_path, error):
    def job():
        with output_folder(tmp_path / "out") as folder:
            write(folder, "a")
            raise error

    with pytest.raises(error):
        job()
    assert listing(tmp_path) == []


def test_our_own_folder_is_replaced_whole(tmp_path):
    for name in ("old", "new"):
        with output_folder(tmp_path / "out", overwrite=True) as folder:
            write(folder, name)
    assert listing(tmp_path / "out") == [SUMMARY, "new"]
    assert listing(tmp_path) == ["out"]


def test_a_folder_with_a_users_file_is_kept_under_another_name(tmp_path):
    for note in ("first", "second"):
        with output_folder(tmp_path / "out", overwrite=True) as folder:
            write(folder, "a")
        (tmp_path / "out" / "notes.txt").write_text(note)
    with output_folder(tmp_path / "out", overwrite=True) as folder:
        write(folder, "a")
    assert listing(tmp_path) == ["out", "out.old", "out.old2"]
    assert (tmp_path / "out.old" / "notes.txt").read_text() == "first"
    assert (tmp_path / "out.old2" / "notes.txt").read_text() == "second"


def test_a_rename_that_fails_puts_the_old_folder_back(tmp_path, monkeypatch):
    with output_folder(tmp_path / "out") as folder:
        write(folder, "old")
    rename = os.rename

    def fails_for_the_new_one(source, target):
        if os.path.basename(source) == "new":
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fails_for_the_new_one)
    again = output_folder(tmp_path / "out", overwrite=True)
    with pytest.raises(OSError, match="Input/output"), again as folder:
        write(folder, "new")
    assert listing(tmp_path / "out") == [SUMMARY, "old"]
    assert listing(tmp_path) == ["out"]


def test_a_folder_made_meanwhile_by_another_is_not_touched(tmp_path):
    def job():
        with output_folder(tmp_path / "out"):
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "theirs").write_text("")

    with pytest.raises(JaxmatError, match="exists already"):
        job()
    assert listing(tmp_path / "out") == ["theirs"]


@pytest.mark.parametrize("place", [".", "..", "~"])
def test_home_and_the_current_folder_are_never_replaced(tmp_path, monkeypatch, place):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    path = os.path.expanduser(place)
    folder = output_folder(path, overwrite=True)
    with pytest.raises(JaxmatError, match="current folder or your home"), folder:
        pass


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    folder = output_folder(tmp_path / "link", overwrite=True)
    with pytest.raises(JaxmatError, match="not a folder"), folder:
        pass
