"""The sum over pairs of a pair potential, and its derivatives written down.

Sums run over ordered pairs, each pair twice. Its two halves are equal, so the gradient
in the position of an atom is a sum over its own row, and nothing has to be scattered
into other rows. The gradient is written down instead of left to the transpose of the
sum; derivatives of higher order differentiate that.

Small cells take all pairs: no gathers, and arrays of components, not of vectors, since
an axis of length three would keep the compiler from one vectorised loop over the pairs.
The inner loop wants components that lie one behind the other in memory: they are taken
out of `positions` before it, not in it.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from jaxmat._types import full_precision
from jaxmat.atoms._atoms import Atoms
from jaxmat.atoms._neighbours import check_listed
from jaxmat.atoms._potential import along_parameters
from jaxmat.atoms._space import minimum_image, separations, square_length
from jaxmat.solve import apart, by_platform, in_turn

SMOOTHINGS = ("energy", "force", "curvature")

BLOCK = 16384
"""Pairs that are looked at together where second derivatives are assembled."""


@eqx.filter_custom_jvp
def pair_energy(law, atoms, neighbours):
    """Half the sum over ordered pairs, of all atoms or of a list of neighbours."""
    return _value(law, atoms, neighbours)


@pair_energy.def_jvp
def _pair_energy_jvp(primals, tangents):
    law, atoms, neighbours = primals
    d_law, d_atoms, _ = tangents
    value = pair_energy(law, atoms, neighbours)
    change = jnp.zeros_like(value)
    if d_atoms.positions is not None:
        change += jnp.sum(_in_positions(law, atoms, neighbours) * d_atoms.positions)
    if d_atoms.box is not None:
        change += jnp.sum(_in_box(law, atoms, neighbours) * d_atoms.box)
    if jax.tree.leaves(d_law):

        def value_of(law, atoms):
            return _value(law, atoms, neighbours)

        change += along_parameters(value_of, law, d_law, atoms)
    return value, change


def by_rows(function: Callable[[Array], PyTree], num_atoms: int) -> PyTree:
    """What a function of row numbers answers for all rows of the matrix of pairs.

    On a CPU block after block, so that what it needs in between stays in cache and the
    memory for it is that of a block.
    """
    rows = jnp.arange(num_atoms, dtype=jnp.int32)

    def in_blocks(rows):
        size = max(1, BLOCK // num_atoms)
        blocks = -(-num_atoms // size)
        size = -(-num_atoms // blocks)
        # The last rows of the last block are the last atom over and over.
        padded = jnp.minimum(jnp.arange(blocks * size, dtype=jnp.int32), num_atoms - 1)
        out = jax.lax.map(function, padded.reshape(blocks, size))
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:num_atoms], out)

    return by_platform(rows, cpu=in_blocks, default=function)


def bonds(law, atoms, rows):
    """Cartesian differences of pairs, those of some atoms with all, and stiffnesses.

    The second derivative in the distance vector `r` is `along r r^T + across 1`, the
    first is `across r`.
    """
    s = [atoms.positions[:, k] for k in range(atoms.dimension)]
    return _stiffnesses(law, atoms.box, _pairs_of(rows, s, atoms.species))


def listed_bonds(law, atoms, neighbours):
    """The same of all pairs in a list of neighbours, or of all there are."""
    return _stiffnesses(law, atoms.box, _pairs(atoms, neighbours))


def _stiffnesses(law, box, pairs):
    x, inside = _ratio(law, box, pairs)
    slope = _reduced_slope(law, pairs)
    square = pairs.entries(1 / law.sigma**2)
    epsilon = pairs.entries(law.epsilon)
    along = jnp.where(inside, 4 * epsilon * square**2 * _slope(slope)(x), 0.0)
    across = jnp.where(inside, 2 * epsilon * square * slope(x), 0.0)
    return separations(pairs.s, box), along, across


def row_energies(law, atoms, rows):
    """Energy of some atoms' bonds with all others, for each of them."""
    s = [atoms.positions[:, k] for k in range(atoms.dimension)]
    pairs = _pairs_of(rows, s, atoms.species)
    return jnp.sum(_energies(law, atoms.box, pairs), axis=1)


def _value(law, atoms, neighbours):
    return jnp.sum(_energies(law, atoms.box, _pairs(atoms, neighbours))) / 2


def _energies(law, box, pairs):
    """Of all ordered pairs."""
    x, inside = _ratio(law, box, pairs)
    parameters = [pairs.entries(p) for p in law.parameters]
    reduced = law.shape(x, *parameters) - _taken_off(law, pairs)(x)
    epsilon = pairs.entries(law.epsilon)
    return jnp.where(inside, epsilon * reduced, 0.0)


def _in_positions(law, atoms, neighbours):
    """Derivative of the energy in fractional positions."""
    if neighbours is None:
        arrays, rest = eqx.partition((atoms, law), eqx.is_array)
        return _alone(arrays, rest)
    pairs = _pairs(atoms, neighbours)
    push = _push(law, atoms.box, pairs)
    return _to_gradient([jnp.sum(push * c, axis=1) for c in pairs.s], atoms.box)


def _alone(arrays, rest):
    """Cell after cell where there is a batch; derivatives of it are not."""

    def plain(arrays):
        atoms, law = eqx.combine(arrays, rest)
        return _in_positions_of_all(law, atoms)

    @jax.custom_jvp
    def one(arrays):
        return in_turn(plain)(arrays)

    one.defjvp(lambda primals, tangents: jax.jvp(plain, primals, tangents))
    return one(arrays)


@full_precision
def _in_positions_of_all(law, atoms):
    """With all pairs. Sums are products with ones.

    XLA's own sums on a CPU wait for each addition to end, and take longer than all the
    rest (23 of 39 microseconds per component, 256 atoms); its products do not (10).
    """
    s = [atoms.positions[:, k] for k in range(atoms.dimension)]
    push = apart(lambda: _push(law, atoms.box, _all_pairs(s, atoms.species)))
    ones = jnp.ones(atoms.num_atoms, push.dtype)
    sums = [(push * c) @ ones for c in _all_pairs(s, atoms.species).s]
    return _to_gradient(sums, atoms.box)


@full_precision
def _to_gradient(sums, box):
    return jnp.stack(sums, axis=1) @ (box.T @ box)


@full_precision
def _in_box(law, atoms, neighbours):
    """Derivative of the energy in the box at fixed fractional positions."""
    pairs = _pairs(atoms, neighbours)
    push = _push(law, atoms.box, pairs)
    virial = [[jnp.sum(push * a * b) / 2 for a in pairs.s] for b in pairs.s]
    return atoms.box @ jnp.stack([jnp.stack(row) for row in virial])


def _push(law, box, pairs):
    """`(dE/dr) / r` of all ordered pairs."""
    x, inside = _ratio(law, box, pairs)
    scale = pairs.entries(2 * law.epsilon / law.sigma**2)
    return jnp.where(inside, scale * _reduced_slope(law, pairs)(x), 0.0)


def _ratio(law, box, pairs):
    """`(r / sigma)^2` of all ordered pairs, and whether they are within the cutoff.

    Put at the cutoff where the pair does not count, so that no derivative divides by
    the distance of an atom to itself.
    """
    x = square_length(pairs.s, box) * pairs.entries(1 / law.sigma**2)
    end = law.cutoff_ratio**2
    x = jnp.where(pairs.counts & (x < end), x, end)
    return x, x < end


class _Pairs(NamedTuple):
    """All ordered pairs of atoms, a row for each atom.

    Attributes:
        s: fractional differences, by component.
        counts: whether this is a pair.
        entries: from a symmetric matrix of species to its entry for every pair.
    """

    s: list[Array]
    counts: Array
    entries: Callable[[Array], Array]


def _pairs(atoms: Atoms, neighbours) -> _Pairs:
    s = [atoms.positions[:, k] for k in range(atoms.dimension)]
    if neighbours is None:
        return _all_pairs(s, atoms.species)
    check_listed(neighbours, atoms)
    others = neighbours.indices % atoms.num_atoms

    def entries(matrix):
        matrix = _symmetric(matrix)
        return matrix[atoms.species[:, None], atoms.species[others]]

    differences = [minimum_image(c[:, None] - c[others]) for c in s]
    return _Pairs(differences, neighbours.indices < atoms.num_atoms, entries)


def _all_pairs(s: list[Array], species: Array) -> _Pairs:
    return _pairs_of(slice(None), s, species)


def _pairs_of(rows, s: list[Array], species: Array) -> _Pairs:
    """Some atoms with all others.

    Entries are sums over species with factors of one and zero for each row. Selecting
    by integers takes longer, and gathering much longer.
    """
    index = jnp.arange(len(species), dtype=jnp.int32)

    def entries(matrix):
        total = jnp.zeros((), matrix.dtype)
        for b, row in enumerate(_symmetric(matrix)):
            one = (species[rows] == b).astype(matrix.dtype)
            total = total + one[:, None] * row[species]
        return total

    differences = [minimum_image(c[rows][:, None] - c) for c in s]
    return _Pairs(differences, index[rows][:, None] != index, entries)


def _symmetric(matrix: Array) -> Array:
    """An optimiser may move one half of it; a pair has no first atom."""
    return (matrix + matrix.T) / 2


def _reduced_slope(law, pairs) -> Callable[[Array], Array]:
    """Slope of the shape without its polynomial at the cutoff."""
    parameters = [pairs.entries(p) for p in law.parameters]
    polynomial = _slope(_taken_off(law, pairs))
    return lambda x: law.slope(x, *parameters) - polynomial(x)


def _taken_off(law, pairs) -> Callable[[Array], Array]:
    """The shape's Taylor polynomial at the cutoff, in r or in r^2."""
    order = SMOOTHINGS.index(law.smoothing)
    linear = law.smoothing == "force"

    def at_end(y, *parameters):
        return law.shape(y * y if linear else y, *parameters)

    end = law.cutoff_ratio if linear else law.cutoff_ratio**2
    terms, factorial = [], 1
    for k in range(order + 1):
        factorial *= max(k, 1)
        place = jnp.full_like(law.parameters[0] if law.parameters else law.sigma, end)
        if not law.parameters:
            place = place[0, 0]
        term = at_end(place, *law.parameters) / factorial
        terms.append(term if term.ndim == 0 else pairs.entries(term))
        at_end = _slope(at_end)

    def polynomial(x):
        excess = (jnp.sqrt(x) if linear else x) - end
        rest = terms[-1]
        for term in reversed(terms[:-1]):
            rest = rest * excess + term
        return jnp.broadcast_to(rest, x.shape)

    return polynomial


def _slope(function: Callable) -> Callable:
    """Derivative of an elementwise function in its first argument."""

    def slope(y, *rest):
        return jax.jvp(lambda y: function(y, *rest), (y,), (jnp.ones_like(y),))[1]

    return slope
