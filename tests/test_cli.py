"""The command line, in process: what it prints, writes, refuses and leaves behind."""

import io as text
import json
import os
import signal
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from contextlib import redirect_stdout

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import JaxmatError, __version__, cli, crystals, io, mandel
from jaxmat.microstructure import OrientationMap
from jaxmat.studies import polycrystal

KEYS = {
    *("effective_stiffness_voigt", "voigt_bound", "reuss_bound"),
    *("converged", "num_steps", "num_grains", "files"),
}
CONFIGURE = cli.configure_jax  # before the fixture replaces it
FIGURES = ("ipf_map", "von_mises", "strain_energy", "sensitivity", "youngs_modulus")


@pytest.fixture(scope="module", autouse=True)
def _no_settings():
    """Double precision is on in tests; no compilation cache outside of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "configure_jax", lambda: None)
        yield


def run(*words) -> tuple[int, str]:
    """Exit code and standard output of `jaxmat homogenise`."""
    with redirect_stdout(text.StringIO()) as out:
        code = cli.main(["homogenise", *map(str, words)])
    return code, out.getvalue()


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """One whole job at the smallest useful resolution."""
    folder = tmp_path_factory.mktemp("job") / "out"
    code, out = run("--output", folder, "--resolution", 16, "--json")
    return code, out, folder


@pytest.fixture(scope="module")
def generated():
    return polycrystal.generate(jax.random.key(1), num_grains=6, resolution=12)


def test_json_is_one_line_of_the_promised_keys(job):
    code, out, _ = job
    assert code == 0
    assert out.endswith("\n")
    assert out.count("\n") == 1
    summary = json.loads(out)
    assert set(summary) == KEYS
    assert summary["converged"] is True
    assert summary["num_steps"] > 1
    assert summary["num_grains"] > 10


def test_the_effective_stiffness_printed_lies_between_its_bounds(job):
    summary = json.loads(job[1])
    voigt, effective, reuss = (
        mandel.from_voigt_stiffness(jnp.array(summary[key]))
        for key in ("voigt_bound", "effective_stiffness_voigt", "reuss_bound")
    )
    # The bulk modulus of a cubic crystal is that of any of its polycrystals, so one
    # difference is zero (up to rounding); the five others are gigapascals.
    for gap in (voigt - effective, effective - reuss):
        values = np.linalg.eigvalsh(gap)
        assert abs(values[0]) < 1e-9
        assert values[1] > 1.0


def test_every_file_listed_is_there_and_nothing_else(job):
    _, out, folder = job
    listed = json.loads(out)["files"]
    assert sorted(listed) == sorted(item.name for item in folder.iterdir())
    assert {f"{name}.png" for name in FIGURES} < set(listed)
    assert [item.name for item in folder.parent.iterdir()] == ["out"]


def test_json_hdf5_and_the_printed_line_agree(job):
    _, out, folder = job
    printed = json.loads(out)
    kept = json.loads((folder / polycrystal.SUMMARY).read_text())
    assert {key: kept[key] for key in KEYS} == printed
    stored = io.read_hdf5(folder / "results.h5")
    np.testing.assert_allclose(
        mandel.to_voigt_stiffness(
            jnp.asarray(stored.items["effective_stiffness"].value)
        ),
        printed["effective_stiffness_voigt"],
        rtol=1e-12,  # rounding of the conversion
    )
    assert stored.items["microstructure"].num_grains == printed["num_grains"]
    assert "--resolution 16" in stored.provenance["command"]


def test_the_summary_names_the_source_of_every_constant(job):
    kept = json.loads((job[2] / polycrystal.SUMMARY).read_text())
    (phase,) = kept["phases"]
    assert phase["source"] == crystals.constants("Ni").source
    assert kept["hashin_shtrikman_no_texture"]["lower"]["bulk"] == pytest.approx(
        (251 + 2 * 150) / 3  # the bulk modulus of a cubic crystal is its polycrystal's
    )


def test_paraview_gets_one_number_per_pixel(job):
    image = ET.parse(job[2] / "fields.vti").getroot().find("ImageData")
    assert image is not None
    assert image.get("WholeExtent") == "0 16 0 16 0 1"
    names = {array.get("Name") for array in image.iter("DataArray")}
    assert {"stress_GPa", "strain", "von_mises_GPa", "grain"} <= names


def test_the_generated_map_can_be_homogenised_again(job):
    again = io.read_ebsd(job[2] / polycrystal.GENERATED_MAP)
    assert again.grid.shape == (16, 16)
    assert again.phases[0].name == "Ni"


def test_a_columnar_map_keeps_the_plane_bulk_modulus_of_the_crystal(tmp_path):
    # Equal in-plane strain of cubic columns is a state of uniform stress: exact at any
    # resolution, up to the six decimals of the .ang file and the tolerance.
    made = polycrystal.generate(
        jax.random.key(2), num_grains=5, resolution=12, plane="strain"
    )
    io.write_ang(tmp_path / "map.ang", made)
    code, out = run(
        tmp_path / "map.ang",
        *("--output", tmp_path / "out", "--resolution", 8, "--plane-strain"),
        *("--material", "copper"),
    )
    assert code == 0
    assert "12 x 12 pixels, resampled to 8 x 8" in out
    assert "Ni (copper, 100 %)" in out
    kept = json.loads((tmp_path / "out" / polycrystal.SUMMARY).read_text())
    c = np.array(kept["effective_stiffness_voigt"])
    assert c.shape == (3, 3)
    assert kept["components"] == "11 22 12"
    np.testing.assert_allclose(c[0, 0] + c[0, 1], 168.9 + 121.8, rtol=1e-6)
    np.testing.assert_allclose(c[1, 1] + c[0, 1], 168.9 + 121.8, rtol=1e-6)


def refused(capsys, *words) -> str:
    """The sentence of a command that must exit with 1."""
    assert cli.main(["homogenise", *map(str, words)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("jaxmat: ")
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    return captured.err


def test_an_existing_folder_is_refused_before_any_work(capsys, tmp_path):
    (tmp_path / "notes.txt").write_text("keep")
    assert "--overwrite" in refused(capsys, "no.ang", "--output", tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("place", ["missing/out", "file/out", "file"])
def test_a_place_that_cannot_be_written_is_one_sentence(capsys, tmp_path, place):
    (tmp_path / "file").write_text("")
    sentence = refused(capsys, "--output", tmp_path / place, "--overwrite")
    assert place in sentence


def test_an_unknown_material_lists_those_known(capsys, tmp_path):
    sentence = refused(capsys, "--output", tmp_path / "o", "--material", "Kryptonite")
    assert "Kryptonite" in sentence
    assert all(name in sentence for name in crystals.names())
    assert list(tmp_path.iterdir()) == []


def test_a_phase_that_is_not_in_the_library_needs_a_material(
    capsys, generated, tmp_path
):
    phases = (generated.phases[0]._replace(name="Mystery"),)
    unnamed = OrientationMap(
        generated.grid,
        generated.quaternion,
        generated.phase,
        phases,
        generated.confidence,
    )
    io.write_ang(tmp_path / "map.ang", unnamed)
    sentence = refused(capsys, tmp_path / "map.ang", "--output", tmp_path / "out")
    assert "phase 'Mystery'" in sentence
    assert "--material" in sentence


def test_a_hexagonal_material_does_not_fit_a_cubic_map(capsys, generated, tmp_path):
    io.write_ang(tmp_path / "map.ang", generated)
    words = ("--output", tmp_path / "out", "--material", "Mg")
    assert "give a cubic material" in refused(capsys, tmp_path / "map.ang", *words)


def test_a_map_without_an_indexed_point_is_one_sentence(capsys, generated, tmp_path):
    nothing = OrientationMap(
        generated.grid,
        generated.quaternion,
        jnp.full_like(generated.phase, -1),
        generated.phases,
        generated.confidence,
    )
    io.write_ang(tmp_path / "map.ang", nothing)
    sentence = refused(capsys, tmp_path / "map.ang", "--output", tmp_path / "out")
    assert "no point of the map is indexed" in sentence


def test_the_measured_map_without_an_indexed_point_too(capsys, ebsd_dir, tmp_path):
    words = (ebsd_dir / "Test_1.ang", "--output", tmp_path / "out")
    assert "no point of the map is indexed" in refused(capsys, *words)


def test_tilted_crystals_are_refused_in_plane_strain(capsys, generated, tmp_path):
    io.write_ang(tmp_path / "map.ang", generated)
    words = ("--output", tmp_path / "out", "--plane-strain")
    sentence = refused(capsys, tmp_path / "map.ang", *words)
    assert "mirror plane" in sentence
    assert "leave plane strain out" in sentence
    assert "`" not in sentence  # no name that only Python knows


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (MemoryError(), 1)]
)
def test_a_job_cut_off_in_the_middle_keeps_the_old_folder(
    monkeypatch, capsys, tmp_path, error, code
):
    def cut_off(*args, **kwargs):
        raise error

    monkeypatch.setattr(polycrystal, "analyse", cut_off)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.txt").write_text("old")
    words = ("--output", tmp_path / "out", "--overwrite", "--resolution", 16)
    assert cli.main(["homogenise", *map(str, words)]) == code
    assert capsys.readouterr().err.startswith("jaxmat: ")
    assert [item.name for item in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "old.txt").read_text() == "old"


WAITS = """
import sys
import time
import jax
from jaxmat import cli
from jaxmat.studies import polycrystal

def forever(x):
    return jax.lax.while_loop(lambda x: (x >= 0).all(), lambda x: (x + 1) % 7, x)

def wait(*args, **kwargs):
    jax.jit(forever)(jax.numpy.arange(10**5))  # runs in a thread of XLA
    print("half written", flush=True)
    while True:  # a signal may come to a thread of XLA and wake no long sleep
        time.sleep(0.1)

polycrystal.generate = wait
sys.argv[1:] = ["homogenise", "--output", sys.argv[1]]
cli.run_and_exit()
"""


@pytest.mark.parametrize(
    ("number", "what", "code"),
    [(signal.SIGTERM, "terminated", 143), (signal.SIGINT, "interrupted", 130)],
)
def test_a_job_that_is_cut_short_leaves_nothing_behind(tmp_path, number, what, code):
    """Though a compiled program still runs, for which an orderly end would wait."""
    out = tmp_path / "results" / "out"
    out.parent.mkdir()
    job = subprocess.Popen(
        [sys.executable, "-c", WAITS, str(out)],
        env={**os.environ, "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert job.stdout.readline() == "half written\n"
        assert len(list(out.parent.iterdir())) == 1  # the hidden sibling
        job.send_signal(number)
        _, sentence = job.communicate(timeout=60)
    finally:
        job.kill()
        job.communicate()
    assert job.returncode == code
    assert sentence == f"jaxmat: {what}; nothing was written.\n"
    assert list(out.parent.iterdir()) == []


def test_the_handler_of_the_caller_is_restored(capsys, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    refused(capsys, "no.ang", "--output", tmp_path)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_command_may_run_in_a_thread(tmp_path):
    """Where no handler can be set: refused as ever, not with a ValueError."""
    codes = []
    words = ["homogenise", "no.ang", "--output", str(tmp_path)]
    thread = threading.Thread(target=lambda: codes.append(cli.main(words)))
    thread.start()
    thread.join()
    assert codes == [1]


def test_a_full_disk_is_one_sentence(monkeypatch, capsys, tmp_path):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device", "results.h5")

    monkeypatch.setattr(polycrystal, "generate", full)
    sentence = refused(capsys, "--output", tmp_path / "out")
    assert sentence == "jaxmat: `results.h5`: No space left on device.\n"


@pytest.mark.parametrize(
    "words",
    [
        ["--boundary", "free"],
        ["--plane-stress", "--plane-strain"],
        ["--resolution", "1"],
        ["--threshold", "90"],
        ["--threshold", "nan"],
        ["--rtol", "tight"],
        ["one.ang", "two.ang"],
    ],
)
def test_a_mistake_in_the_command_exits_with_two(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        cli.main(["homogenise", *words])
    assert exit_.value.code == 2
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out.strip() == __version__


def test_progress_is_shown_on_a_terminal_only(monkeypatch, capsys, tmp_path):
    def stop(orientation_map, *, progress, **options):
        progress("finding grains")
        raise JaxmatError("stop here")

    monkeypatch.setattr(polycrystal, "prepare", stop)
    words = ["homogenise", "--output", str(tmp_path / "out"), "--resolution", "16"]
    assert cli.main(words) == 1
    assert "generating" not in capsys.readouterr().err
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert cli.main(words) == 1
    assert "generating" in capsys.readouterr().err
    assert cli.main([*words, "--json"]) == 1
    assert "generating" not in capsys.readouterr().err


def test_compiled_programs_are_kept_where_the_user_wants_them(monkeypatch, tmp_path):
    updated = {}
    monkeypatch.setattr(jax.config, "update", updated.__setitem__)
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(os, "environ", os.environ.copy())
    CONFIGURE()
    assert updated["jax_enable_x64"] is True
    assert updated["jax_compilation_cache_dir"] == str(tmp_path / "jaxmat" / "compiled")
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(
        tmp_path / "jaxmat" / "compiled"
    )  # for the processes that make films
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "mine"))
    CONFIGURE()
    assert updated["jax_compilation_cache_dir"] == str(tmp_path / "mine")


def test_a_home_that_cannot_be_written_only_costs_time(monkeypatch, tmp_path):
    updated = {}
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(jax.config, "update", updated.__setitem__)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "file" / "cache"))
    CONFIGURE()
    assert updated == {"jax_enable_x64": True}
