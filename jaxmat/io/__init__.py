"""Files: orientation maps, atoms, our own HDF5, VTK; whole files or none."""

from jaxmat.io._ang import write_ang as write_ang
from jaxmat.io._atomic import atomic_path as atomic_path
from jaxmat.io._atomic import check_writable as check_writable
from jaxmat.io._atomic import make_folder as make_folder
from jaxmat.io._ctf import write_ctf as write_ctf
from jaxmat.io._h5 import opened_hdf5 as opened_hdf5
from jaxmat.io._hdf5 import Quantity as Quantity
from jaxmat.io._hdf5 import Stored as Stored
from jaxmat.io._hdf5 import read_hdf5 as read_hdf5
from jaxmat.io._hdf5 import write_hdf5 as write_hdf5
from jaxmat.io._lammps import read_lammps as read_lammps
from jaxmat.io._lammps import write_lammps as write_lammps
from jaxmat.io._read import read_ebsd as read_ebsd
from jaxmat.io._trajectory import read_trajectory as read_trajectory
from jaxmat.io._trajectory import write_trajectory as write_trajectory
from jaxmat.io._vti import write_vti as write_vti
from jaxmat.io._xyz import Frames as Frames
from jaxmat.io._xyz import read_xyz as read_xyz
from jaxmat.io._xyz import write_xyz as write_xyz
