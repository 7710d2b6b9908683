"""Double precision, cheap compilation, and where the reference data are."""

import os
from pathlib import Path

SLOW = os.environ.get("JAXMAT_SLOW") == "1"
if not SLOW:
    # Most of the time goes into compiling: half of it without LLVM's optimisations.
    # The slow run tests the code as users run it.
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} --xla_backend_optimization_level=0".strip()

# Factors of some hundred unknowns: OpenBLAS's threads only wait for each other, twenty
# times as long as one takes, where cores are shared.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax
import pytest

jax.config.update("jax_enable_x64", True)

SHARED = Path(os.environ.get("JAXMAT_SHARED", Path(__file__).parents[2] / "shared"))


def pytest_collection_modifyitems(config, items):
    """Skip tests marked slow unless JAXMAT_SLOW=1."""
    if SLOW:
        return
    skip = pytest.mark.skip(reason="slow: set JAXMAT_SLOW=1 to run it")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="module", autouse=True)
def _forget_compiled_programs():
    """Every one maps some pieces of memory, and a process has 65530 of them on Linux.

    Beyond, the compiler crashes; the tests of all modules together get there.
    """
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def ebsd_dir():
    """Third-party EBSD maps, absent on a user's machine."""
    path = SHARED / "data" / "ebsd"
    if not path.is_dir():
        pytest.skip("third-party EBSD maps are not here (set JAXMAT_SHARED)")
    return path
