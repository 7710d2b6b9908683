"""scikit-fem's side of the benchmarks: run by the interpreter that has it.

Bilinear quadrilaterals with 2 x 2 Gauss points, one constant stiffness per element:
the elements of `discretisation="full"`, so that the results agree to the tolerance.
Opposite sides share their unknowns, one node is held, all load cases share the matrix
and what is prepared for it. The direct solver is SuperLU in its symmetric mode, the
iterative one pyamg's smoothed aggregation with the rigid motions, as a preconditioner
of conjugate gradients.
"""

import time

import _micro
import numpy as np
import pyamg
import skfem
from _serve import serve
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import cg, splu
from skfem.helpers import sym_grad

held = {}


def _engineering(w):
    """Strains 11, 22 and 2*12 of a displacement."""
    eps = sym_grad(w)
    return eps[0, 0], eps[1, 1], 2 * eps[0, 1]


@skfem.BilinearForm
def elasticity(u, v, w):
    e, f = _engineering(u), _engineering(v)
    return sum(w.c[i, j] * e[i] * f[j] for i in range(3) for j in range(3))


@skfem.LinearForm
def load(v, w):
    f = _engineering(v)
    return -sum(w.stress[i] * f[i] for i in range(3))


def prepare(*, size: int) -> dict:
    """Mesh, basis, numbering of the periodic unknowns."""
    start = time.perf_counter()
    line = np.linspace(0, 1, size + 1)
    mesh = skfem.MeshQuad.init_tensor(line, line)
    basis = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementQuad1()), intorder=2)
    node = np.rint(mesh.p * size).astype(int) % size
    master = node[0] * size + node[1]
    dofs = np.empty(basis.N, int)
    for component in range(2):
        dofs[basis.nodal_dofs[component]] = 2 * master + component
    ones = np.ones(basis.N)
    periodic = csr_matrix((ones, (np.arange(basis.N), dofs)), (basis.N, 2 * size**2))
    pixel = np.floor(mesh.p[:, mesh.t].mean(1) * size).astype(int)
    grain = _micro.grain_map(2, size)[tuple(pixel)]
    stiffness = _micro.grain_stiffness(2)[grain]
    held.update(basis=basis, periodic=periodic, size=size, pixel=tuple(pixel))
    held["stiffness"] = stiffness
    return {"setup_s": time.perf_counter() - start}


def take_film(*, path: str, index: int) -> dict:
    """The stiffness of every element of a film from a file."""
    stored = np.load(path)
    grain = stored["grain"][index][held["pixel"]]
    held["stiffness"] = stored["stiffness"][index][grain]
    return {}


def _inverse(matrix, solver: str, rtol: float):
    """What solves for one load after another."""
    if solver == "direct":
        options = {"SymmetricMode": True}
        order = "MMD_AT_PLUS_A"
        factors = splu(
            matrix.tocsc(), permc_spec=order, diag_pivot_thresh=0.0, options=options
        )
        return factors.solve
    size = held["size"]
    x, y = np.divmod(np.arange(1, size**2), size)
    motions = np.zeros((2 * (size**2 - 1), 3))
    motions[0::2, 0] = motions[1::2, 1] = 1.0
    motions[0::2, 2], motions[1::2, 2] = -y / size, x / size
    blocks = matrix.tobsr((2, 2))
    levels = pyamg.smoothed_aggregation_solver(blocks, B=motions, symmetry="symmetric")
    preconditioner = levels.aspreconditioner()
    return lambda b: cg(matrix, b, rtol=rtol, M=preconditioner)[0]


def solve(*, solver: str, rtol: float) -> dict:
    """Seconds (assembly and three solves) and effective stiffness (Voigt)."""
    basis, periodic = held["basis"], held["periodic"]
    start = time.perf_counter()
    c = np.moveaxis(held["stiffness"], 0, -1)[..., None] * np.ones(basis.dx.shape[-1])
    matrix = periodic.T @ elasticity.assemble(basis, c=c) @ periodic
    loads = [periodic.T @ load.assemble(basis, stress=c[:, k]) for k in range(3)]
    assembly = time.perf_counter() - start
    inverse = _inverse(matrix[2:, 2:], solver, rtol)  # the first node is held
    fields = [np.concatenate([[0.0, 0.0], inverse(b[2:])]) for b in loads]
    volume = np.array(
        [[np.sum(c[i, j] * basis.dx) for j in range(3)] for i in range(3)]
    )
    # <(e_i + E_i) : C : (e_j + E_j)> with equilibrium of the fluctuation.
    work = np.array([[b @ u for u in fields] for b in loads])
    seconds = time.perf_counter() - start
    stiffness = volume - (work + work.T) / 2
    return {
        "seconds": seconds,
        "assembly_s": assembly,
        "stiffness": stiffness.tolist(),
    }


def version() -> dict:
    return {"scikit-fem": skfem.__version__, "pyamg": pyamg.__version__}


if __name__ == "__main__":
    tasks = (prepare, take_film, solve, version)
    serve({task.__name__: task for task in tasks})
