"""What the grid solver asks of a discretisation, and the two that answer.

`force(law, u)` is `B^T law(B u)` with `B u = strain(u)`, so that a linear law with a
symmetric stiffness gives a symmetric operator; `preconditioner` inverts it for a
homogeneous one.
Lengths are counted in voxel sides here, so that float32 neither over- nor underflows;
`displacement` gives micrometres.

Everything a discretisation holds is static; the fields it works on are tuples of
component arrays (see `_elements`).
"""

import abc
import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxmat.cells import _axes, _elements, _green
from jaxmat.cells._elements import ModeStrain, Nodal
from jaxmat.microstructure import Grid


@dataclasses.dataclass(frozen=True)
class AbstractDiscretisation(abc.ABC):
    """A displacement space on a grid; hashable, without arrays."""

    grid: Grid
    plane: bool

    @property
    def num_components(self) -> int:
        """Displacement components: two in a plane, else three."""
        return 2 if self.plane else 3

    @property
    def num_strains(self) -> int:
        """Mandel components of strain: three in a plane, else six."""
        return 3 if self.plane else 6

    @property
    def unit_spacing(self) -> tuple[float, ...]:
        """Voxel sides over the first one."""
        return tuple(step / self.grid.spacing[0] for step in self.grid.spacing)

    @property
    @abc.abstractmethod
    def modes(self) -> list[tuple[int, ...]]:
        """Names of the strain modes, the mean first."""

    @property
    @abc.abstractmethod
    def natural(self) -> bool:
        """Whether some boundary is free, so that the mean strain must be projected."""

    @abc.abstractmethod
    def zeros(self, dtype) -> Nodal:
        """A displacement of zero."""

    @abc.abstractmethod
    def extend(self, x: Array) -> Array:
        """Voxel field with the halo voxels that `strain` returns."""

    @abc.abstractmethod
    def crop(self, x: Array) -> Array:
        """Inverse of `extend`."""

    @abc.abstractmethod
    def strain(self, u: Nodal) -> ModeStrain:
        """Strain modes of the displacement fluctuation on the extended voxels."""

    @abc.abstractmethod
    def divergence(self, sig: ModeStrain) -> Nodal:
        """Adjoint of `strain`, with the weights of the modes (minus a divergence)."""

    @abc.abstractmethod
    def force(self, law: Callable[[ModeStrain], ModeStrain], u: Nodal) -> Nodal:
        """`divergence(law(strain(u)))`."""

    @abc.abstractmethod
    def project(self, residual: Nodal) -> Nodal:
        """Remove what rounding put into the null space of a free boundary."""

    @abc.abstractmethod
    def preconditioner(
        self, reference: Float[Array, "m m"]
    ) -> Callable[[Nodal], Nodal]:
        """Inverse of `force` of a homogeneous law on its range; answers in float32."""

    @abc.abstractmethod
    def displacement(
        self, u: Nodal, eps_bar: Float[Array, " m"]
    ) -> Float[Array, "*nodes d"]:
        """Total displacement, micrometres, zero at the origin for zero fluctuation."""


@dataclasses.dataclass(frozen=True)
class Elements(AbstractDiscretisation):
    """Multilinear elements, one per voxel, with any boundary condition on each axis."""

    scheme: str  # "full" or "reduced"
    boundary: tuple[str, ...]

    @property
    def modes(self) -> list[tuple[int, ...]]:
        return _elements.subsets(self.grid.ndim, self.scheme)

    @property
    def natural(self) -> bool:
        return "subc" in self.boundary

    def zeros(self, dtype) -> Nodal:
        shape = tuple(
            _axes.unknowns(b, n)
            for b, n in zip(self.boundary, self.grid.shape, strict=True)
        )
        return tuple(jnp.zeros(shape, dtype) for _ in range(self.num_components))

    def extend(self, x: Array) -> Array:
        for axis, boundary in enumerate(self.boundary):
            x = _axes.extend_voxels(boundary, x, axis)
        return x

    def crop(self, x: Array) -> Array:
        for axis, (boundary, n) in enumerate(
            zip(self.boundary, self.grid.shape, strict=True)
        ):
            before = _axes.HALO[boundary][0]
            x = jax.lax.slice_in_dim(x, before, before + n, axis=axis)
        return x

    def _extended_nodes(self, u: Nodal) -> Nodal:
        for axis, boundary in enumerate(self.boundary):
            u = tuple(_axes.extend_nodes(boundary, x, axis) for x in u)
        return u

    def strain(self, u: Nodal) -> ModeStrain:
        return self._strain_of(self._extended_nodes(u))

    def _strain_of(self, nodes: Nodal) -> ModeStrain:
        return _elements.strain(nodes, self.unit_spacing, self.scheme, self.plane)

    def divergence(self, sig: ModeStrain) -> Nodal:
        return self._gather(_elements.in_memory(self._voxel_forces, sig))

    def _voxel_forces(self, sig: ModeStrain) -> tuple[_elements.Amplitudes, ...]:
        return _elements.amplitude_forces(
            sig, self.unit_spacing, self.num_components, self.plane
        )

    def _gather(self, forces: tuple[_elements.Amplitudes, ...]) -> Nodal:
        return tuple(_elements.spread(f, self.grid.ndim) for f in forces)

    def force(self, law: Callable[[ModeStrain], ModeStrain], u: Nodal) -> Nodal:
        def voxel_forces(nodes: Nodal):
            return self._voxel_forces(law(self._strain_of(nodes)))

        return self._gather(_elements.in_memory(voxel_forces, self._extended_nodes(u)))

    def project(self, residual: Nodal) -> Nodal:
        if not self.natural or "kubc" in self.boundary:
            return residual
        free = [axis for axis, b in enumerate(self.boundary) if b == "subc"]
        return tuple(_axes.remove_affine(r, free) for r in residual)

    def preconditioner(self, reference):
        waves = [i for i, b in enumerate(self.boundary) if b == "periodic"]
        others = [i for i in range(self.grid.ndim) if i not in waves]
        symbols = [
            _axes.symbols(b, n, step, self.scheme, half=bool(waves) and i == waves[-1])
            for i, (b, n, step) in enumerate(
                zip(self.boundary, self.grid.shape, self.unit_spacing, strict=True)
            )
        ]
        stiffness = _green.nodal_stiffness(reference, symbols, coupled=not others)
        inverse = _green.inverse(stiffness)
        sizes = [self.grid.shape[i] for i in waves]

        def to_waves(x: Array) -> Array:
            for axis in others:
                x = _axes.transform(self.boundary[axis], x, axis)
            return jnp.fft.rfftn(x, axes=waves) if waves else x

        def from_waves(x: Array) -> Array:
            x = jnp.fft.irfftn(x, s=sizes, axes=waves) if waves else x
            for axis in others:
                x = _axes.inverse_transform(self.boundary[axis], x, axis)
            return x

        def precondition(residual: Nodal) -> Nodal:
            waves = [to_waves(r.astype(_green.PRECISION)) for r in residual]
            z = _green.apply(inverse, waves)
            return tuple(from_waves(x) for x in z)

        return precondition

    def _without_null_waves(self, u: Nodal) -> Nodal:
        """The same displacement, but a load on it loses what no strain can bear.

        That part of a load, which only a derivative has, stays in the residual, and
        would drown it in the rounding of a preconditioner in single precision.
        """
        if set(self.boundary) != {"periodic"}:
            return self.project(u)
        last = self.grid.ndim - 1
        symbols = [
            _axes.symbols("periodic", n, step, self.scheme, half=i == last)
            for i, (n, step) in enumerate(
                zip(self.grid.shape, self.unit_spacing, strict=True)
            )
        ]
        strained = _green.strained(symbols, u[0].dtype)
        return tuple(
            jnp.fft.irfftn(jnp.fft.rfftn(x) * strained, s=self.grid.shape) for x in u
        )

    def displacement(self, u, eps_bar):
        nodes = []
        for fluctuation in self._without_null_waves(u):
            x = fluctuation
            for axis, boundary in enumerate(self.boundary):
                x = _axes.corner_nodes(boundary, x, axis)
            nodes.append(x * self.grid.spacing[0])
        points = [
            np.arange(n + 1) * step
            for n, step in zip(self.grid.shape, self.grid.spacing, strict=True)
        ]
        return affine(points, eps_bar, self.plane) + jnp.stack(nodes, -1)


@dataclasses.dataclass(frozen=True)
class Fourier(AbstractDiscretisation):
    """Trigonometric polynomials collocated at voxel centres, periodic.

    The unknowns are the Fourier coefficients of the displacement, real and imaginary
    parts apart, scaled so that their Euclidean product is the average over space:
    strain and stress alone are transformed, the preconditioner is a multiplication. On
    an axis with an even number of voxels the Nyquist wave has no real derivative and is
    left out.

    References:
        Moulinec & Suquet (1998), Comput. Methods Appl. Mech. Eng. 157, 69-94.
        Zeman et al. (2017), Int. J. Numer. Methods Eng. 111, 903-926.
    """

    @property
    def modes(self) -> list[tuple[int, ...]]:
        return [()]

    @property
    def natural(self) -> bool:
        return False

    @property
    def _half(self) -> tuple[int, ...]:
        return (*self.grid.shape[:-1], self.grid.shape[-1] // 2 + 1)

    def _symbols(self) -> _green.Symbols:
        last = self.grid.ndim - 1
        return [
            _axes.symbols("periodic", n, step, "fourier", half=i == last)
            for i, (n, step) in enumerate(
                zip(self.grid.shape, self.unit_spacing, strict=True)
            )
        ]

    def _weight(self) -> np.ndarray:
        """Root of how often each half-spectrum coefficient stands in the full one."""
        n = self.grid.shape[-1]
        count = np.full(n // 2 + 1, 2.0)
        count[0] = 1.0
        if n % 2 == 0:
            count[-1] = 1.0
        return np.sqrt(count)

    def _derivative(self, dtype) -> Callable[[int, int], tuple[int, Array]]:
        """Mandel index and symbol (over i) of `du_i/dx_d` in the strain."""
        waves = [wave for _, _, wave in self._symbols()]

        def symbol(i: int, d: int) -> tuple[int, Array]:
            k, factor = _elements.mandel_slot(i, d, self.plane)
            shape = [1] * self.grid.ndim
            shape[d] = waves[d].size
            return k, jnp.asarray((factor * waves[d]).reshape(shape), dtype)

        return symbol

    def zeros(self, dtype) -> Nodal:
        return tuple(
            jnp.zeros((2, *self._half), dtype) for _ in range(self.num_components)
        )

    def extend(self, x: Array) -> Array:
        return x

    def crop(self, x: Array) -> Array:
        return x

    def strain(self, u: Nodal) -> ModeStrain:
        dtype = u[0].dtype
        symbol = self._derivative(dtype)
        scale = jnp.asarray(self.grid.size / self._weight(), dtype)
        parts: dict[int, list[tuple[Array, Array]]] = {}
        for i, (re, im) in enumerate(u):
            for d in range(self.grid.ndim):
                k, q = symbol(i, d)
                parts.setdefault(k, []).append((q * im, q * re))
        # Vectors multiply fields one at a time: a product of two vectors is a field
        # that XLA keeps, and reads in every step.
        return {
            (): {
                k: jnp.fft.irfftn(
                    jax.lax.complex(
                        -_elements.add(im for im, _ in terms) * scale,
                        _elements.add(re for _, re in terms) * scale,
                    ),
                    s=self.grid.shape,
                )
                for k, terms in parts.items()
            }
        }

    def divergence(self, sig: ModeStrain) -> Nodal:
        spectrum = {k: jnp.fft.rfftn(x) for k, x in sig[()].items()}
        dtype = spectrum[0].real.dtype
        symbol, scale = self._derivative(dtype), jnp.asarray(self._weight(), dtype)

        def force(i: int) -> Array:
            terms = [symbol(i, d) for d in range(self.grid.ndim)]
            re = _elements.add(q * spectrum[k].imag for k, q in terms)
            im = _elements.add(q * spectrum[k].real for k, q in terms)
            return jnp.stack([re * scale, -im * scale])

        return tuple(force(i) for i in range(self.num_components))

    def force(self, law: Callable[[ModeStrain], ModeStrain], u: Nodal) -> Nodal:
        return self.divergence(law(self.strain(u)))

    def project(self, residual: Nodal) -> Nodal:
        return residual

    def preconditioner(self, reference):
        stiffness = _green.nodal_stiffness(reference, self._symbols(), coupled=True)
        inverse = _green.inverse(stiffness)
        weight = np.asarray(1 / self.grid.size, _green.PRECISION)

        def precondition(residual: Nodal) -> Nodal:
            waves = [r.astype(_green.PRECISION) for r in residual]
            z = _green.apply(inverse, waves)
            return tuple(x * weight for x in z)

        return precondition

    def displacement(self, u, eps_bar):
        scale = jnp.asarray(
            self.grid.size * self.grid.spacing[0] / self._weight(), u[0].dtype
        )
        fluctuation = [
            jnp.fft.irfftn(jax.lax.complex(*x) * scale, s=self.grid.shape) for x in u
        ]
        points = list(self.grid.centres())
        return affine(points, eps_bar, self.plane) + jnp.stack(fluctuation, -1)


def affine(
    points: list[np.ndarray], eps_bar: Float[Array, " m"], plane: bool
) -> Float[Array, "*nodes d"]:
    """Displacement `eps_bar x` on a tensor grid of points; symmetric, no rotation."""
    coordinates = np.meshgrid(*points, indexing="ij")
    components = []
    for i in range(2 if plane else 3):
        total = jnp.zeros(coordinates[0].shape, eps_bar.dtype)
        for d, x in enumerate(coordinates):
            k, factor = _elements.mandel_slot(i, d, plane)
            total = total + eps_bar[k] * (factor * jnp.asarray(x, eps_bar.dtype))
        components.append(total)
    return jnp.stack(components, -1)
