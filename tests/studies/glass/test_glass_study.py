"""The glass with stiff inclusions: loads, data, and how its networks are fitted."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxmat import JaxmatError, atoms, cells, io, mandel
from jaxmat.materials import follow
from jaxmat.studies import composite, glass
from jaxmat.studies.glass import _fit

DATA = Path(__file__).parents[2] / "data" / "glass" / "boxes.npz"


def test_cycles_end_where_they_began_and_take_even_steps():
    eps = glass.cyclic_paths()
    np.testing.assert_allclose(eps[:, -1], 0, atol=1e-16)
    np.testing.assert_allclose(eps[:, :, 0] + eps[:, :, 1], 0, atol=1e-16)
    steps = np.diff(np.pad(eps, ((0, 0), (1, 0), (0, 0))), axis=1)
    np.testing.assert_allclose(np.linalg.norm(steps, axis=-1), 2e-3, rtol=1e-12)
    # Up to an engineering shear of 2 * 0.036 / sqrt 2.
    np.testing.assert_allclose(np.abs(eps).max(1)[1, 2], 0.036, rtol=1e-12)


def test_monotonic_paths_go_straight_and_then_stand_still():
    eps = glass.monotonic_paths()
    half = eps.shape[1] // 2
    np.testing.assert_allclose(np.diff(eps[:, :half], 2, axis=1), 0, atol=1e-16)
    np.testing.assert_array_equal(
        eps[:, half:], eps[:, half - 1 : half].repeat(half, 1)
    )
    assert len(np.unique(eps[:, -1].round(12), axis=0)) == 4


def test_random_paths_are_mostly_shear():
    eps = glass.random_paths(0, 400)
    # 400 paths: a standard deviation is known to 1 / sqrt(2 * 400) = 3.5 %.
    area = (eps[:, -1, 0] + eps[:, -1, 1]) / 2**0.5
    np.testing.assert_allclose(area.std(), 0.003, rtol=0.12)
    np.testing.assert_allclose(eps[:, -1, 2].std(), 0.02, rtol=0.12)


def test_the_boxes_are_at_rest_without_stress_also_when_stiffened():
    law, one = glass.bonds(), glass.load_boxes(DATA)[3]
    moduli = eqx.filter_jit(atoms.elastic_moduli)
    soft, hard = (moduli(law, box) for box in (one, glass.stiffened(one)))
    for box in (one, glass.stiffened(one)):
        assert float(jnp.abs(atoms.forces(law, box)).max()) < 5e-10
        assert float(jnp.abs(atoms.stress(law, box)).max()) < 1e-9
    # All bonds are five times as firm, so everything is.
    np.testing.assert_allclose(hard, 5.0 * soft, rtol=1e-6, atol=1e-5)


@pytest.mark.slow  # the quench
def test_inclusions_fill_a_quarter_and_the_solid_is_without_stress():
    solid = glass.make_solid(0, num_atoms=160, discs=1)
    share = float(jnp.mean(solid.species >= 2))
    assert abs(share - 0.25) < 0.05  # one disc of 40 atoms, some 20 on its rim
    assert float(jnp.abs(atoms.stress(glass.bonds(), solid)).max()) < 1e-8


def test_a_solid_answers_as_the_same_box_of_atoms_does_as_a_material():
    from jaxmat import cells
    from jaxmat.materials import PlaneStrain, SmallStrain

    small = glass.load_boxes(DATA)[0]
    law, eps = glass.bonds(), glass.cyclic_paths()[1][:4]
    seen = []
    run = glass.load_solid(law, small, eps, progress=lambda k, n: seen.append((k, n)))
    cell = PlaneStrain(SmallStrain(cells.atomistic_cell(law, small)))
    # Forces of 1e-8 in the one, 1e-10 in the other.
    np.testing.assert_allclose(
        run.sig, eqx.filter_jit(follow)(cell, jnp.asarray(eps)), atol=1e-6
    )
    assert seen == [(k, 4) for k in (1, 2, 3, 4)]
    assert run.evaluations >= 4


def test_a_path_with_nan_is_refused_before_anything_moves():
    small = glass.load_boxes(DATA)[0]
    eps = glass.cyclic_paths()[1][:4].copy()
    eps[2, 0] = np.nan
    with pytest.raises(JaxmatError, match="not finite in step 2"):
        glass.load_solid(glass.bonds(), small, eps)


def points(seed: int, scatter: float = 0.3):
    return glass.plastic_network(
        counts=(2, 1), key=jax.random.key(seed), scatter=scatter
    )


def test_bonds_between_the_phases_are_the_geometric_mean_of_those_within():
    epsilon = np.asarray(glass.bonds().epsilon)
    matrix, disc, between = epsilon[:2, :2], epsilon[2:, 2:], epsilon[:2, 2:]
    np.testing.assert_allclose(disc, 5 * matrix, rtol=1e-12)
    np.testing.assert_allclose(between**2, matrix * disc, rtol=1e-12)


def test_a_network_begins_with_the_same_boxes_unless_a_key_chooses_others():
    boxes = glass.load_boxes(DATA)
    network = glass.box_network(boxes, counts=(3, 1), key=jax.random.key(0))

    def first(*key):
        return np.asarray(network.init_state(*key)[0].positions)

    np.testing.assert_array_equal(first(), first())
    assert len(np.unique(first().round(9), axis=0)) == 3
    assert not np.allclose(first(), first(jax.random.key(1)))
    other = glass.box_network(boxes, counts=(3, 1), key=jax.random.key(1))
    assert not np.allclose(first(), other.init_state()[0].positions)
    with pytest.raises(JaxmatError, match="amplitude"):
        glass.box_network(boxes, amplitude=-1.0, key=jax.random.key(0))


def test_mori_and_tanakas_strains_make_hashins_and_shtrikmans_lower_stiffness():
    boxes, f = glass.load_boxes(DATA)[:4], 0.25
    network = glass.box_network(boxes, counts=(2, 4), key=jax.random.key(0))
    found = glass.localised(network, boxes)
    matrix, disc = glass.mori_tanaka(boxes)
    np.testing.assert_allclose((1 - f) * matrix + f * disc, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(found.encoder, [matrix] * 2 + [disc] * 4, rtol=1e-12)
    shares = np.exp(found.weights)
    np.testing.assert_allclose([shares[:2].sum(), shares[2:].sum()], [1 - f, f])
    moduli = eqx.filter_jit(atoms.elastic_moduli)
    C = np.mean([mandel.from_tensor4(moduli(glass.bonds(), b)) for b in boxes], 0)
    K = (C[0, 0] + C[1, 1] + 2 * C[0, 1]) / 4
    G = (np.trace(C) - 2 * K) / 4
    # The lower bounds in two dimensions, Hashin (1965), J. Mech. Phys. Solids 13, 119.
    K_low = K + f / (1 / (4 * K) + (1 - f) / (K + G))
    G_low = G + f / (1 / (4 * G) + (1 - f) * (K + 2 * G) / (2 * G * (K + G)))
    ones = np.outer([1, 1, 0], [1, 1, 0]) / 2
    isotropic = 2 * K * ones + 2 * G * (np.eye(3) - ones)
    lowest = 2 * K_low * ones + 2 * G_low * (np.eye(3) - ones)
    stiffness = (1 - f) * isotropic @ matrix + f * 5 * isotropic @ disc
    np.testing.assert_allclose(stiffness, lowest, rtol=1e-12, atol=1e-12)


def test_gauss_newton_finds_the_network_that_made_the_paths(tmp_path):
    truth, eps = points(0), glass.random_paths(1, 2)[:, ::6]
    sig = jax.vmap(follow, (None, 0))(truth, jnp.asarray(eps))
    file, start = tmp_path / "walks.npz", points(1, 0.0)
    first = glass.fit_network(
        start, eps, sig, max_walks=4, checkpoint=file, progress=False
    )
    assert len(first.info.losses) == 4
    found = glass.fit_network(
        start, eps, sig, max_walks=12, checkpoint=file, progress=False
    )
    assert found.info.losses[:4] == first.info.losses
    accepted = np.array(found.info.losses)[found.info.accepted]
    assert (np.diff(accepted) < 0).all()
    predicted = jax.vmap(follow, (None, 0))(found.value, jnp.asarray(eps))
    # Half of `NOISE`: what the prior on the weights leaves.
    assert np.std(predicted - sig) < 0.05 * np.std(sig)
    fewer = glass.plastic_network(counts=(1, 1), key=jax.random.key(0))
    for name, wrong in {
        "kinds` and `network": (fewer, eps, sig),
        "eps": (start, eps[::-1], sig),
        "eps` and `sig": (start, eps[:1], sig[:1]),
    }.items():
        with pytest.raises(JaxmatError, match=f"with other `{name}`; give"):
            glass.fit_network(*wrong, checkpoint=file, progress=False)
    np.savez(tmp_path / "other.npz", flat=np.zeros(3))
    with pytest.raises(JaxmatError, match="holds no training"):
        glass.fit_network(
            start, eps, sig, checkpoint=tmp_path / "other.npz", progress=False
        )


def test_an_undamped_step_ends_where_a_linear_loss_with_its_prior_is_least():
    rng = np.random.default_rng(0)
    slope, residual, now = (rng.normal(size=size) for size in ((20, 4), 20, 4))
    state = _fit._State(now, residual, slope, 0.0, 2.0, [], [])
    rows = np.concatenate([slope, np.eye(4) / _fit.PRIOR])
    right = np.concatenate([-residual, -now / _fit.PRIOR])  # the prior is around zero
    least = np.linalg.lstsq(rows, right, rcond=None)[0]
    np.testing.assert_allclose(state.step(now / _fit.PRIOR), least, rtol=1e-10)


def test_a_training_that_cannot_be_is_refused_and_one_that_is_done_ends():
    network, eps = points(0), glass.random_paths(1, 1)[:, ::12]
    sig = np.asarray(jax.vmap(follow, (None, 0))(network, jnp.asarray(eps)))
    done = glass.fit_network(network, eps, sig, progress=False)
    np.testing.assert_allclose(done.value.encoder, network.encoder, atol=1e-9)
    with pytest.raises(JaxmatError, match=r"\(0, 6, 3\); give both as \(paths, steps"):
        glass.fit_network(network, eps[:0], sig[:0], progress=False)
    for name, wrong in {"eps": (eps * np.nan, sig), "sig": (eps, sig * np.nan)}.items():
        with pytest.raises(JaxmatError, match=f"`{name}` is not finite in path 0"):
            glass.fit_network(network, *wrong, progress=False)
    broken = eqx.tree_at(lambda n: n.encoder, network, network.encoder * np.nan)
    with pytest.raises(JaxmatError, match="gives NaN"):
        glass.fit_network(broken, eps, sig, progress=False)
    with pytest.raises(JaxmatError, match="same everywhere"):
        glass.fit_network(network, eps, 0 * sig, progress=False)
    for images in (2 * glass.SQUARE, glass.SQUARE[1:], glass.SQUARE[:0]):
        with pytest.raises(JaxmatError, match="first is the identity"):
            glass.fit_network(network, eps, sig, images=images, progress=False)


def test_points_in_all_positions_of_a_square_answer_alike_in_each():
    eps = glass.random_paths(1, 2)[:, ::6]
    sig = 10 * eps  # of no solid with these symmetries; the network keeps them
    start = glass.plastic_network(counts=(4, 4), key=jax.random.key(0), scatter=0.0)
    found = glass.fit_network(
        start, eps, sig, images=glass.SQUARE, max_walks=2, progress=False
    ).value
    assert not np.allclose(found.encoder, start.encoder, atol=1e-3)
    turns = (np.eye(2), np.diag([1, -1]), np.fliplr(np.eye(2)), [[0, -1], [1, 0]])
    for g, turn in zip(glass.SQUARE, turns, strict=True):
        of_strain = mandel.rotation(jnp.asarray(turn, float))
        np.testing.assert_allclose(g, of_strain, atol=1e-15)
        turned = follow(found, jnp.asarray(eps[0] @ g.T))
        plain = follow(found, jnp.asarray(eps[0])) @ g.T
        np.testing.assert_allclose(turned, plain, rtol=1e-9, atol=1e-9)
    with pytest.raises(JaxmatError, match="multiples of 4"):
        glass.fit_network(points(0), eps, sig, images=glass.SQUARE, progress=False)
    phases = start.laws
    mixing = cells.prnn(phases, (4, 4), decoder="positive", key=jax.random.key(0))
    with pytest.raises(JaxmatError, match="mixes components that images turn"):
        glass.fit_network(mixing, eps, sig, images=glass.SQUARE, progress=False)


def test_networks_of_six_strains_are_fitted_as_well():
    eps = jnp.zeros((1, 5, 6)).at[0, :, 5].set(jnp.linspace(0.002, 0.02, 5))
    steel = composite.matrix()
    start, truth = (cells.prnn(steel, 2, key=jax.random.key(seed)) for seed in range(2))
    sig = jax.vmap(follow, (None, 0))(truth, eps)
    found = glass.fit_network(start, eps, sig, max_walks=6, progress=False)
    assert found.info.losses[-1] < 0.5 * found.info.losses[0]


def test_the_nearest_history_is_the_path_itself_where_it_is_known():
    eps = glass.random_paths(2, 5)
    sig = np.random.default_rng(0).normal(size=eps.shape)
    np.testing.assert_array_equal(glass.nearest_history(eps, sig, eps), sig)
    mixed = np.concatenate([eps[0, :30], eps[1, 30:]])[None]
    np.testing.assert_array_equal(
        glass.nearest_history(eps, sig, mixed)[0, :30], sig[0, :30]
    )


def test_the_nearest_history_is_alike_all_along_not_at_its_end():
    along = np.array([[0.05, 0.05, 0.01], [0.01, 0.01, 0.011]])  # of two known paths
    eps, sig = along[:, :, None] * np.ones(3), np.ones((2, 3, 3))
    sig[1] = 2.0
    found = glass.nearest_history(eps, sig, np.full((1, 3, 3), 0.01))
    np.testing.assert_array_equal(found, sig[1:])


def test_a_training_is_not_gone_on_with_for_other_boxes(tmp_path):
    """Boxes are constants of the laws: the weights alone do not tell them apart."""
    eps = glass.monotonic_paths()[:1, :2]
    boxes = glass.make_cells(0, 2, num_atoms=60)

    def fit(boxes):
        network = glass.box_network(boxes, counts=(1, 1), key=jax.random.key(0))
        sig = 50.0 * eps
        path = tmp_path / "training.npz"
        glass.fit_network(
            network, eps, sig, max_walks=2, checkpoint=path, progress=False
        )

    fit(boxes)
    with pytest.raises(JaxmatError, match="with other `network`; give"):
        fit(boxes[::-1])


def test_a_history_that_cannot_be_compared_is_refused():
    eps, sig = np.zeros((2, 2, 4, 3))
    with pytest.raises(JaxmatError, match="not finite"):
        glass.nearest_history(eps, sig, np.full((1, 4, 3), np.nan))
    with pytest.raises(JaxmatError, match="paths of as many steps"):
        glass.nearest_history(eps[:0], sig[:0], eps)


def test_runs_are_kept_whole_and_found_by_kind(tmp_path):
    kind, number = np.array([1, 0, 1, 0]), np.array([1, 0, 0, 3])
    eps = np.arange(4)[:, None, None] * np.ones((4, 6, 3))
    runs = glass.Runs(eps, 2 * eps, kind, number, number, number, number)
    glass.write_runs(tmp_path / "runs.h5", runs)
    again = glass.read_runs(tmp_path / "runs.h5")
    for a, b in zip(runs, again, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(again.of("cyclic").eps[:, 0, 0], [2, 0])
    np.testing.assert_array_equal(again.of("random", slice(2)).eps[:, 0, 0], [1])
    with pytest.raises(JaxmatError, match="number them from 0"):
        glass.make_runs(tmp_path, part=2, parts=2)
    with pytest.raises(JaxmatError, match="finish `make_runs`"):
        glass.gather_runs(tmp_path)
    boxes = glass.load_boxes(DATA)[:2]
    glass.save_boxes(tmp_path / "two.npz", boxes)
    for a, b in zip(boxes, glass.load_boxes(tmp_path / "two.npz"), strict=True):
        np.testing.assert_array_equal(a.positions, b.positions)
    (tmp_path / "text.npz").write_text("no arrays")
    np.savez(tmp_path / "other.npz", positions=np.zeros(3))
    for name in ("text", "other"):
        with pytest.raises(JaxmatError, match=f"{name}.npz` holds no boxes"):
            glass.load_boxes(tmp_path / f"{name}.npz")
    with pytest.raises(JaxmatError, match="does not exist"):
        glass.load_boxes(tmp_path / "none.npz")


def some_runs(count=2):
    one = np.zeros(count, int)
    return glass.Runs(np.zeros((count, 6, 3)), np.ones((count, 6, 3)), *[one] * 5)


def test_runs_of_no_kind_are_told_which_kinds_there_are():
    with pytest.raises(JaxmatError, match="'cycle'; choose one of 'random', 'cyclic'"):
        some_runs().of("cycle")


UNFIT_RUNS = {
    r"sig \(1, 6, 3\)": {"sig": np.ones((1, 6, 3))},
    r"sig \(2, 5, 3\)": {"sig": np.ones((2, 5, 3))},
    r"eps \(2, 6\)": {"eps": np.zeros((2, 6))},
    r"solid \(3,\)": {"solid": np.zeros(3, int)},
    r"events \(\)": {"events": np.array(0)},
}


@pytest.mark.parametrize(("words", "wrong"), UNFIT_RUNS.items(), ids=UNFIT_RUNS)
def test_runs_whose_arrays_differ_are_neither_written_nor_read(tmp_path, words, wrong):
    runs, path = some_runs()._replace(**wrong), tmp_path / "runs.h5"
    with pytest.raises(JaxmatError, match=f"`runs` has .* {words}.* give eps and sig"):
        glass.write_runs(path, runs)
    assert not path.exists()
    io.write_hdf5(path, {k: io.Quantity(v, "") for k, v in runs._asdict().items()})
    with pytest.raises(JaxmatError, match=f"runs.h5` has .* {words}"):
        glass.read_runs(path)


def test_boxes_that_do_not_belong_in_one_file_are_not_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for a user
    one, path = glass.load_boxes(DATA)[0], tmp_path / "boxes.npz"
    few = atoms.Atoms(one.positions[:5], one.box, one.species[:5])
    pair = jax.tree.map(lambda x: jnp.stack([x, x]), one)
    for words, wrong in {
        "or empty; give a list": [],
        "is one `Atoms`": one,
        r"\(120, 2\) and \(5, 2\); give boxes of as many atoms": [one, few],
        r"no boxes of atoms, but positions \(1, 2, 120, 2\)": [pair],
    }.items():
        with pytest.raises(JaxmatError, match=words):
            glass.save_boxes(path, wrong)
    assert not path.exists()


BOXES = {
    "positions": np.zeros((2, 5, 2)),
    "box": np.zeros((2, 2, 2)),
    "species": np.zeros((2, 5), int),
}

UNFIT_BOXES = {
    r"box \(3, 2, 2\)": {"box": np.zeros((3, 2, 2))},
    r"box \(2, 3, 3\)": {"box": np.zeros((2, 3, 3))},
    r"species \(2, 4\)": {"species": np.zeros((2, 4), int)},
    r"species \(2, 5\) float64": {"species": np.zeros((2, 5))},
    r"positions \(\)": {"positions": np.array(3.0)},
    r"positions \(0, 5, 2\)": {k: v[:0] for k, v in BOXES.items()},
}


@pytest.mark.parametrize(("words", "wrong"), UNFIT_BOXES.items(), ids=UNFIT_BOXES)
def test_arrays_that_are_no_boxes_are_not_loaded(tmp_path, words, wrong):
    path = tmp_path / "boxes.npz"
    np.savez(path, **BOXES)
    assert len(glass.load_boxes(path)) == 2
    np.savez(path, **(BOXES | wrong))
    with pytest.raises(JaxmatError, match=f"holds no boxes of atoms, but .*{words}"):
        glass.load_boxes(path)


def test_a_file_of_boxes_that_is_damaged_or_another_is_one_sentence(tmp_path):
    path = tmp_path / "boxes.npz"
    np.savez(path, **BOXES)
    whole = path.read_bytes()
    for length in range(0, len(whole), 10):
        path.write_bytes(whole[:length])
        with pytest.raises(JaxmatError, match="holds no boxes"):
            glass.load_boxes(path)
    # Flags and versions in the archive's directory: encrypted, of a newer program.
    start = whole.index(b"PK\x01\x02")
    for place in (start + 6, start + 8, start + 10):
        path.write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
        with pytest.raises(JaxmatError, match="holds no boxes"):
            glass.load_boxes(path)
    np.save(tmp_path / "one.npy", BOXES["box"])
    with pytest.raises(JaxmatError, match=r"one\.npy` holds no boxes"):
        glass.load_boxes(tmp_path / "one.npy")
