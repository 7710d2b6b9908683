"""Configurations shared by the tests of atoms."""

import pytest
from atoms_cases import rattled_lattice


@pytest.fixture(scope="session")
def rattled():
    return rattled_lattice()
