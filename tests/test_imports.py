"""Importing jaxmat changes nothing and loads nothing that is not needed at once."""

import importlib.metadata
import subprocess
import sys

import jaxmat

PROBE = """
import sys
import warnings
warnings.simplefilter("error")
import jax
before = dict(jax.config.values)
filters = list(warnings.filters)
import logging
handlers = list(logging.root.handlers)
import jaxmat
assert dict(jax.config.values) == before, "jax.config has changed"
assert not jax.config.jax_enable_x64
assert warnings.filters[-len(filters):] == filters, "a warnings filter has changed"
assert logging.root.handlers == handlers, "a log handler was added"
heavy = {"jax_md", "optax", "flax", "matplotlib", "tqdm", "orix", "orbax"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


def test_importing_has_no_side_effect():
    run = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == run.stderr == ""


def test_version_is_that_of_the_distribution():
    assert jaxmat.__version__ == importlib.metadata.version("jaxmat-multiscale")
