"""Small EBSD files for the tests, written after the vendors' descriptions."""

import h5py
import numpy as np

CPR = """[General]
Version=5.0
JobMode=RegularGrid
[Job]
GridDistX=0.5000
GridDistY=0.2500
xCells={nx}
yCells={ny}
[Acquisition Surface]
Euler1=0.0
Euler2=0.0
Euler3=0.0
[Fields]
Count=5
Field1=3
Field2=4
Field3=5
Field4=6
Field5=7
[Phases]
Count=2
[Phase1]
StructureName=Iron bcc
LaueGroup=11
SpaceGroup=229
[Phase2]
StructureName=Titanium
LaueGroup=9
SpaceGroup=194
"""


def write_channel5(path, euler, phase, cells):
    """`.cpr` and `.crc` with band contrast and mean angular deviation."""
    nx, ny = cells
    path.with_suffix(".cpr").write_text(CPR.format(nx=nx, ny=ny))
    names = ["phase", "phi1", "Phi", "phi2", "mad", "bc"]
    kinds = ["u1", "<f4", "<f4", "<f4", "<f4", "u1"]
    points = np.zeros(nx * ny, list(zip(names, kinds, strict=True)))
    points["phase"] = phase
    points["phi1"], points["Phi"], points["phi2"] = np.asarray(euler).T
    points.tofile(path.with_suffix(".crc"))


def write_h5oina(path, euler, phase, cells, *, laue=(11, 9)):
    """The mandatory datasets of the H5OINA specification, version 5."""
    nx, ny = cells
    with h5py.File(path, "w") as file:
        file["Manufacturer"] = "Oxford Instruments"
        file["Format Version"] = "5.0"
        file["Index"] = ["1"]
        header = file.create_group("1/EBSD/Header")
        header["X Cells"], header["Y Cells"] = np.int32([nx]), np.int32([ny])
        header["X Step"], header["Y Step"] = np.float32([0.5]), np.float32([0.25])
        header["Specimen Orientation Euler"] = np.zeros((1, 3), np.float32)
        for number, (name, group) in enumerate(
            zip(("Iron bcc", "Titanium"), laue, strict=True), start=1
        ):
            entry = header.create_group(f"Phases/{number}")
            entry["Phase Name"] = [name]
            entry["Laue Group"] = np.int32([group])
        data = file.create_group("1/EBSD/Data")
        data["Phase"] = np.uint8(phase)[:, None]
        data["Euler"] = np.float32(euler)


def write_edax_h5(path, euler, phase, rows, *, kind="SqrGrid", mounting=1, steps=None):
    """The datasets of OIM's HDF5 that a reader needs; `rows`: columns, rows."""
    columns, count = rows
    step_x, step_y = steps or (0.5, 0.25)
    with h5py.File(path, "w") as file:
        file[" Manufacturer"], file[" Version"] = [b"EDAX"], [b"OIM Analysis 8"]
        header = file.create_group("Scan 1/EBSD/Header")
        header["nColumns"], header["nRows"] = np.int32([columns]), np.int32([count])
        header["Step X"], header["Step Y"] = np.float32([step_x]), np.float32([step_y])
        header["Grid Type"] = [kind.encode()]
        header["Coordinate System/ID"] = np.int32([mounting])
        for number, (name, code) in enumerate(
            ((b"Iron bcc", 43), (b"Titanium", 62)), start=1
        ):
            header[f"Phase/{number}/MaterialName"] = [name]
            header[f"Phase/{number}/Symmetry"] = np.int32([code])
        data = file.create_group("Scan 1/EBSD/Data")
        for column, key in enumerate(("Phi1", "Phi", "Phi2")):
            data[key] = np.float32(euler)[:, column]
        data["CI"] = np.where(np.asarray(phase) > 0, 0.5, -1.0).astype(np.float32)
        data["Phase"] = np.int8(phase)


def ang_text(rows, header=(), *, cells=(2, 2), steps=(1.0, 1.0), symmetry="43"):
    """A `.ang` file of one phase around lines of numbers."""
    lines = ["Phase 1", "MaterialName Nickel", f"Symmetry {symmetry}", "", *header]
    if not any(line.startswith("GRID") for line in header):
        lines += ["GRID: SqrGrid"]
        lines += [f"NCOLS_ODD: {cells[0]}", f"NCOLS_EVEN: {cells[0]}"]
    lines += [f"NROWS: {cells[1]}", f"XSTEP: {steps[0]}", f"YSTEP: {steps[1]}"]
    return "".join(f"# {line}\n" for line in lines) + "\n".join(rows) + "\n"
