"""Every row once an epoch; batch k is the same whatever was asked for before."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import JaxmatError, training

KEY = jax.random.key(3)
ROWS = {"x": np.arange(10), "y": jnp.arange(10.0) ** 2}


def test_an_epoch_holds_every_row_once_and_in_another_order_than_the_next():
    batches = training.Batches(np.arange(12), 4, 2, KEY)
    assert batches.steps_per_epoch == 3
    first, second = np.concatenate(list(batches)).reshape(2, 12)
    assert sorted(first) == sorted(second) == list(range(12))
    assert list(first) != list(second)


def test_rows_of_all_arrays_stay_together_and_batches_have_one_shape():
    batches = training.Batches(ROWS, 4, 3, KEY)
    assert len(batches) == 6  # two of ten rows are left out of each epoch
    for batch in batches:
        assert batch["x"].shape == (4,)
        np.testing.assert_array_equal(batch["y"], batch["x"] ** 2.0)


def test_a_batch_depends_on_its_number_alone():
    forwards = list(training.Batches(ROWS["x"], 3, 4, KEY))
    again = training.Batches(ROWS["x"], 3, 4, KEY)
    for step in (11, 0, 7, 11, 3):
        np.testing.assert_array_equal(again[step], forwards[step])


def test_parts_make_up_the_batch():
    whole = training.Batches(ROWS["x"], 6, 2, KEY)
    parts = [training.Batches(ROWS["x"], 6, 2, KEY, part=(i, 3)) for i in range(3)]
    for step in range(len(whole)):
        joined = np.concatenate([part[step] for part in parts])
        np.testing.assert_array_equal(joined, whole[step])


def test_arrays_of_the_host_stay_on_the_host():
    batch = training.Batches(ROWS, 4, 1, KEY)[0]
    assert isinstance(batch["x"], np.ndarray)
    assert isinstance(batch["y"], jax.Array)


def test_there_is_no_batch_after_the_last():
    with pytest.raises(IndexError, match="batch 2 of 2"):
        training.Batches(ROWS, 5, 1, KEY)[2]


@pytest.mark.parametrize(
    ("arrays", "batch_size", "num_epochs", "part", "sentence"),
    [
        ((np.ones(3), np.ones(4)), 2, 1, (0, 1), "have \\[3, 4\\] rows"),
        ((), 2, 1, (0, 1), "have \\[\\] rows"),
        (np.ones((0, 2)), 2, 1, (0, 1), "have \\[0\\] rows"),
        (np.ones(3), 4, 1, (0, 1), "`batch_size` is 4 and there are 3 rows"),
        (np.ones(3), 0, 1, (0, 1), "`batch_size` is 0"),
        (np.ones(3), 2, 0, (0, 1), "`num_epochs` is 0"),
        (np.ones(9), 3, 1, (0, 2), "`part` is \\(0, 2\\) of a batch of 3 rows"),
        (np.ones(9), 4, 1, (2, 2), "`part` is \\(2, 2\\)"),
    ],
)
def test_what_cannot_be_cut_into_batches_is_refused(
    arrays, batch_size, num_epochs, part, sentence
):
    with pytest.raises(JaxmatError, match=sentence):
        training.Batches(arrays, batch_size, num_epochs, KEY, part=part)
