"""The data set on the disk: whole files, commits, and what a kill leaves behind."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import sve_data
from sve_data import (
    CHUNK,
    NUM_SAMPLES,
    SMALL,
    LocalWorker,
    assert_same,
    fill,
    made_up,
)

import jaxmat
from jaxmat import JaxmatError
from jaxmat.studies.polysilicon import Parameters, generate, merge, read
from jaxmat.studies.polysilicon import _generate as module
from jaxmat.studies.polysilicon._files import UNITS, concatenate, write
from jaxmat.studies.polysilicon._store import opened

WHOLE = made_up(range(NUM_SAMPLES))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "films.h5"


@pytest.fixture
def local(monkeypatch):
    """`generate` with workers of this process; what they were asked."""
    monkeypatch.setattr(module, "Worker", LocalWorker)
    monkeypatch.setattr(LocalWorker, "asked", [])
    return LocalWorker.asked


def make(path, num_samples=40, parameters=SMALL, **options):
    options = {"workers": 2, "progress": False} | options
    return generate(path, parameters, num_samples=num_samples, **options)


def listing(folder):
    return sorted(item.name for item in Path(folder).iterdir())


def parts_of(path):
    return path.with_name(f"{path.name}.parts")


def test_what_is_written_is_read(path):
    write(path, WHOLE)
    assert_same(read(path), WHOLE)
    assert read(path).made_by == "a test"


def test_a_file_says_what_it_holds_and_how_it_was_made(path):
    write(path, WHOLE)
    with h5py.File(path) as file:
        attributes = dict(file.attrs)
        units = {key: file[key].attrs["unit"] for key in UNITS}
    assert attributes["polysilicon_schema"] == 1
    assert {key: attributes[key] for key in ("seed", "boundary", "ratio")} == {
        "seed": 5,
        "boundary": "subc",
        "ratio": 1,
    }
    assert attributes["C11_GPa"] == 165.64
    assert attributes["discretisation"] == "full"
    assert attributes["created"].endswith("+00:00")
    assert units["stiffness"].startswith("GPa")
    assert units["theta"] == "radian"


def test_concatenation_sorts_and_drops_what_is_there_twice():
    sets = [WHOLE.select(slice(20, 60)), WHOLE.select(slice(0, 40))]
    assert_same(concatenate(sets), WHOLE.select(slice(0, 60)))


def test_a_film_of_a_data_set_is_the_film_that_was_drawn():
    film = WHOLE.film(3)
    np.testing.assert_array_equal(film.grain, WHOLE.grain[3])
    np.testing.assert_array_equal(film.image, WHOLE.theta[3][WHOLE.grain[3]])


def test_a_data_set_is_complete_and_leaves_nothing_else(path, local):
    result = make(path)
    assert result.num_samples == 40
    assert result.per_second > 0
    assert sorted(local) == list(range(40))
    assert listing(path.parent) == ["films.h5"]
    assert_same(read(path), WHOLE.select(slice(0, 40)))


def test_a_second_call_has_nothing_to_do(path, local):
    make(path)
    before = path.read_bytes()
    local.clear()
    assert make(path).per_second == 0.0
    assert local == []
    assert path.read_bytes() == before
    assert listing(path.parent) == ["films.h5"]


def test_more_samples_extend_the_file(path, local):
    make(path, 40)
    local.clear()
    make(path, 70)
    assert sorted(local) == list(range(40, 70))
    assert_same(read(path), WHOLE.select(slice(0, 70)))


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_the_size_of_chunks_changes_nothing(path, local, monkeypatch, chunk):
    monkeypatch.setattr(module, "CHUNK", chunk)
    make(path)
    assert_same(read(path), WHOLE.select(slice(0, 40)))


def test_shards_together_are_the_whole(tmp_path, local):
    shards = [tmp_path / f"shard{k}.h5" for k in range(3)]
    for k, shard in enumerate(shards):
        make(shard, shard=(k, 3))
    assert sorted(local) == list(range(40))
    assert list(read(shards[1]).index) == list(range(1, 40, 3))
    merged = merge(shards, tmp_path / "all.h5")
    assert_same(merged, WHOLE.select(slice(0, 40)))
    assert_same(read(tmp_path / "all.h5"), merged)


def test_shards_of_other_parameters_are_not_merged(tmp_path):
    write(tmp_path / "a.h5", WHOLE)
    write(tmp_path / "b.h5", made_up([0], Parameters(1, 4, "subc", seed=6)))
    message = "`b.h5` was made with `seed` 6, wanted is 5"
    with pytest.raises(JaxmatError, match=message):
        merge([tmp_path / "a.h5", tmp_path / "b.h5"], tmp_path / "c.h5")
    with pytest.raises(JaxmatError, match="no file to merge"):
        merge([], tmp_path / "c.h5")
    assert listing(tmp_path) == ["a.h5", "b.h5"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": 6}, "`seed` 5, wanted is 6"),
        ({"boundary": "kubc"}, "`boundary` 'subc', wanted is 'kubc'"),
        ({"pixels_per_grain": 8}, "`pixels_per_grain` 4, wanted is 8"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_other_parameters_do_not_continue_a_data_set(
    path, local, changed, message, finished
):
    if finished:
        make(path)
    else:
        with opened(path, SMALL) as store:
            store.commit(made_up(range(8)))
    before = sorted(path.parent.rglob("*"))
    names = {"ratio": 1, "pixels_per_grain": 4, "boundary": "subc", "seed": 5}
    with pytest.raises(JaxmatError, match=message):
        make(path, parameters=Parameters(**(names | changed)))
    assert sorted(path.parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_samples": 0}, "`num_samples` is 0"),
        ({"workers": 0}, "`workers` is 0"),
        ({"shard": (3, 3)}, r"`shard` is \(3, 3\)"),
        ({"shard": (-1, 3)}, r"`shard` is \(-1, 3\)"),
    ],
)
def test_numbers_out_of_range_are_refused(path, options, message):
    with pytest.raises(JaxmatError, match=message):
        make(path, **options)
    assert listing(path.parent) == []


def test_a_folder_that_does_not_exist_is_not_made(tmp_path):
    with pytest.raises(JaxmatError, match="choose an existing folder"):
        make(tmp_path / "none" / "films.h5")


def test_files_that_are_no_data_sets_are_told_apart(path):
    with pytest.raises(JaxmatError, match="there is no file"):
        read(path)
    with h5py.File(path, "w"):
        pass
    with pytest.raises(JaxmatError, match="no polysilicon data set"):
        read(path)


def test_a_file_of_another_schema_is_refused_and_kept(path, local):
    write(path, WHOLE)
    with h5py.File(path, "a") as file:
        file.attrs["polysilicon_schema"] = 99
    for act in (read, make):
        with pytest.raises(JaxmatError, match="has schema 99, this jaxmat uses 1"):
            act(path)
    assert listing(path.parent) == ["films.h5"]


def test_a_file_cut_off_is_refused_and_kept(path, local):
    write(path, WHOLE)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    for act in (read, make):
        with pytest.raises(JaxmatError, match="not a whole HDF5 file"):
            act(path)
    assert path.read_bytes() == whole[: len(whole) // 2]


@pytest.mark.parametrize("left", [0, 100, 2000])
def test_a_chunk_cut_off_is_computed_again(path, local, left):
    with opened(path, SMALL) as store:
        for start in range(0, 40, 8):
            store.commit(made_up(range(start, start + 8)))
    chunk = parts_of(path) / "000000016.h5"
    chunk.write_bytes(chunk.read_bytes()[:left])
    make(path)
    assert sorted(local) == list(range(16, 24))
    assert_same(read(path), WHOLE.select(slice(0, 40)))


def test_two_processes_do_not_make_one_file(path, local):
    with opened(path, SMALL) as store:
        store.commit(made_up(range(8)))
        with pytest.raises(JaxmatError, match="another process is making"):
            make(path)
    assert list(read(parts_of(path) / "000000000.h5").index) == list(range(8))


def test_a_full_disk_loses_nothing_that_was_committed(path, local):
    """The limit on file sizes fails a write as a full disk does: halfway."""
    with opened(path, SMALL) as store:
        store.commit(made_up(range(8)))
    size = (parts_of(path) / "000000000.h5").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, hard))
    try:
        with pytest.raises(JaxmatError, match=r"cannot write .* is safe, make room"):
            make(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert listing(parts_of(path)) == ["000000000.h5", "lock"]
    local.clear()
    make(path)
    assert 0 not in local
    assert_same(read(path), WHOLE.select(slice(0, 40)))


COMMITS = NUM_SAMPLES // CHUNK


@pytest.mark.parametrize(
    ("step", "number"),
    [
        ("replace", 1),  # the first commit gets its name
        ("replace", COMMITS + 1),  # all samples, still in the folder of parts
        ("replace", COMMITS + 2),  # and now in their place
        ("remove", 1),  # the parts go
        ("remove", COMMITS - 1),
        ("rmtree", 1),  # and their folder
    ],
)
def test_stopped_at_any_step_of_the_disk_it_loses_nothing(
    path, monkeypatch, step, number
):
    class Stopped(BaseException):
        pass

    home = {"replace": os, "remove": os, "rmtree": shutil}[step]
    original, calls = getattr(home, step), []

    def stops(*args, **options):
        calls.append(args)
        if len(calls) == number:
            raise Stopped
        return original(*args, **options)

    monkeypatch.setattr(home, step, stops)
    with pytest.raises(Stopped):
        fill(path)
    monkeypatch.undo()
    held = check_survivors(path)
    assert held == (0 if (step, number) == ("replace", 1) else NUM_SAMPLES)
    fill(path)
    assert_same(read(path), WHOLE)
    assert listing(path.parent) == ["films.h5"]


def killed_after(path, delay):
    """Run the program that fills data sets; kill it while it works."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(
            [str(Path(jaxmat.__file__).parents[1]), str(Path(__file__).parent)]
        )
    }
    program = subprocess.Popen(
        [sys.executable, sve_data.__file__, str(path), "60"],
        stdout=subprocess.PIPE,
        env=environment,
    )
    with program:
        assert program.stdout.readline() == b"ready\n"
        time.sleep(delay)
        program.send_signal(signal.SIGKILL)
        assert program.wait() == -signal.SIGKILL


def check_survivors(path):
    """Whatever is on the disk is whole, and none is lost or there twice."""
    with opened(path, SMALL) as store:
        held = store.done
    assert len(np.unique(held)) == len(held)
    sets = [read(file) for file in parts_of(path).glob("[0-9]*.h5")]
    if path.exists():
        sets.append(read(path))
    if sets:
        found = concatenate(sets)
        np.testing.assert_array_equal(found.index, held)
        assert_same(found, WHOLE.select(held))
    return len(held)


def kill_and_resume(path, delays):
    """Kill at these moments, one run after the other, and finish in this process."""
    counts = [0]
    for delay in delays:
        killed_after(path, delay)
        counts.append(check_survivors(path))
        assert counts[-1] >= counts[-2], "a commit was lost"
        if counts[-1] == NUM_SAMPLES:
            path.unlink(missing_ok=True)  # start another one
            counts.append(0)
    fill(path)
    assert_same(read(path), WHOLE)
    assert listing(path.parent) == ["films.h5"]


def test_killed_at_any_moment_it_goes_on_where_it_was(path):
    rng = np.random.default_rng()
    kill_and_resume(path, rng.uniform(0, 0.3, 3))


@pytest.mark.slow
def test_killed_very_often_it_goes_on_where_it_was(path):
    rng = np.random.default_rng()
    kill_and_resume(path, rng.uniform(0, 0.4, 40))
