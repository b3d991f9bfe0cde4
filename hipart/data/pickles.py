"""Reading other people's pickles, and nothing but numbers out of them.

Human3.6M's and 3DPW's files and SMPL's models are pickles, and a pickle may name any function of
any module to be called. Here the few names that make arrays, containers and numbers are answered by
functions of this module, which look at their arguments; any other is refused before it is
called.
"""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.lib import format as npy

#: A file of more bytes is refused; the greatest known, Human3.6M's joints, has less than 1 GB.
MOST_BYTES = 4 << 30
#: Lists in lists are refused beyond this; the deepest known file has 4.
DEEPEST = 32


class PickleError(ValueError):
    """A pickle is damaged, or wants something other than arrays, containers and numbers."""


class Stub:
    """An object of a library that is not here, chumpy or scipy: what it holds, and no behaviour."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise PickleError(f"an object whose state is {_kind(state)}")
        self.held = state


class _Dtype:
    """A type of numbers, of the plain ones only. Numpy's own would believe whatever it is told."""

    def __init__(self, name: Any, *_: Any) -> None:
        self.name = name.decode("ascii") if isinstance(name, bytes) else name
        self.order = "="
        self.size = 0

    def __setstate__(self, state: Any) -> None:
        _, self.order, _, _, _, self.size = state[:6]

    def made(self) -> np.dtype[Any]:
        """The type, if it is plain."""
        if not isinstance(self.name, str) or self.order not in ("<", ">", "=", "|"):
            raise PickleError(f"numbers of the type {self.name!r}")
        kind = self.name.lstrip("<>=|")[:1]
        if kind in ("S", "U") and isinstance(self.size, int) and 0 < self.size < 1 << 16:
            width = self.size // (4 if kind == "U" else 1)
            return np.dtype(f"{self.order}{kind}{width}")
        try:
            found = np.dtype(self.name)
        except TypeError:
            raise PickleError(f"numbers of the type {self.name!r}") from None
        if found.kind not in "biufcOSU":
            raise PickleError(f"numbers of the type {self.name!r}")
        return found if self.order == "|" else np.dtype(self.order + found.str[1:])


class _Array:
    """What a pickle says of an array, until all of it is known."""

    def __init__(self, *_: Any) -> None:
        self.made: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise PickleError(f"an array whose state is {_kind(state)}")
        _, shape, dtype, fortran, data = state
        self.made = _array(shape, dtype, "F" if fortran else "C", data)


def _array(shape: Any, dtype: Any, order: Any, data: Any) -> np.ndarray:
    kind = dtype.made() if isinstance(dtype, _Dtype) else None
    if kind is None or order not in ("C", "F"):
        raise PickleError("an array without a type")
    if kind.kind == "O":
        flat = np.empty(len(data), object)
        for place, one in enumerate(data):
            flat[place] = one
    else:
        data = data.encode("latin1") if isinstance(data, str) else data
        flat = np.frombuffer(data, kind)
    return flat.reshape(shape, order=order)


def _scalar(dtype: Any, data: Any = b"") -> Any:
    return _array((), dtype, "C", data)[()]


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    found = _Array()
    found.made = _array(shape, dtype, order, data)
    return found


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """How the second protocol writes bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise PickleError(f"{_kind(text)} in the encoding {encoding!r}")
    return text.encode("latin1")


def _stub(*_: Any) -> Stub:
    return Stub()


def _dictionary(*pairs: Any) -> dict[Any, Any]:
    return dict(*pairs)


def _set(values: Any = ()) -> list[Any]:
    """The names of chumpy's that wait to be computed."""
    if not isinstance(values, list | tuple):
        raise PickleError(f"a set of {_kind(values)}")
    return list(values)


_MULTIARRAY = {"_reconstruct": _Array, "scalar": _scalar}
#: Every name that is answered, and by what.
ANSWERS: Mapping[tuple[str, str], Any] = {
    ("numpy", "ndarray"): "numpy.ndarray",
    ("numpy", "dtype"): _Dtype,
    **{
        (f"numpy.{core}.multiarray", name): made
        for core in ("core", "_core")
        for name, made in _MULTIARRAY.items()
    },
    **{(f"numpy.{core}.numeric", "_frombuffer"): _frombuffer for core in ("core", "_core")},
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): _dictionary,
    **{(module, "_reconstructor"): _stub for module in ("copy_reg", "copyreg")},
    **{(module, "object"): "object" for module in ("__builtin__", "builtins")},
    **{(module, "set"): _set for module in ("__builtin__", "builtins")},
    **{(module, "complex"): complex for module in ("__builtin__", "builtins")},
    **{(f"scipy.sparse.{module}", "csc_matrix"): Stub for module in ("csc", "_csc")},
    ("chumpy.ch", "Ch"): Stub,
    ("chumpy.ch", "MatVecMult"): Stub,
    ("chumpy.reordering", "Select"): Stub,
}


class _Reader(pickle.Unpickler):
    """Answers the names of the table above."""

    def find_class(self, module: str, name: str) -> Any:
        """What answers a name."""
        try:
            return ANSWERS[module, name]
        except KeyError:
            raise PickleError(f"{module}.{name}") from None

    def persistent_load(self, pid: Any) -> Any:
        """Nothing lies outside of the file."""
        raise PickleError(f"the persistent object {pid!r}")


def read_pickle(file: BinaryIO, where: str | Path) -> Any:
    """What a pickle holds: dicts, lists, tuples, text, numbers, arrays and stubs.

    Text that Python 2 wrote is read as Latin-1. Raises PickleError, which names what was wanted or
    what is damaged, and has called nothing of the file's.
    """
    try:
        return _Plain()(_Reader(file, encoding="latin1").load())
    except PickleError as error:
        raise PickleError(
            f"{where}: refused, because it wants {error}; only arrays, containers, text and "
            "numbers are read"
        ) from None
    except MemoryError:
        raise PickleError(f"{where}: damaged: it says to be greater than it is") from None
    except Exception as error:  # whatever bytes at random make of an unpickler
        raise PickleError(f"{where}: damaged: {error or type(error).__name__}") from None


def read_pickle_file(path: Path) -> Any:
    """``read_pickle`` of a whole file. PickleError; OSError for one that cannot be read."""
    _check_size(path, path.stat().st_size)
    with path.open("rb") as file:
        return read_pickle(file, path)


def read_npz(path: Path) -> dict[str, Any]:
    """What ``numpy.load(path, allow_pickle=True)`` holds by name, read as ``read_pickle`` reads.

    Raises PickleError for a file that is refused or damaged, OSError for one that is not readable.
    """
    held = {}
    try:
        with ZipFile(path) as archive:
            _check_size(path, sum(one.file_size for one in archive.infolist()))
            for name in archive.namelist():
                with archive.open(name) as file:
                    held[name.removesuffix(".npy")] = _read_npy(file, f"{path}: {name}")  # type: ignore[arg-type]
    except (BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise PickleError(f"{path}: damaged, or no .npz: {error}") from None
    return held


_HEADERS: Mapping[tuple[int, int], Callable[..., Any]] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}


def _read_npy(file: BinaryIO, where: str) -> Any:
    try:
        version = npy.read_magic(file)
        shape, fortran, dtype = _HEADERS[version](file)
        if not dtype.hasobject:
            return np.frombuffer(file.read(), dtype).reshape(shape, order="F" if fortran else "C")
    except (ValueError, KeyError) as error:
        raise PickleError(f"{where}: damaged: {error}") from None
    return read_pickle(file, where)


def _check_size(path: Path, size: int) -> None:
    if size > MOST_BYTES:
        raise PickleError(
            f"{path}: holds {size / 1e9:.1f} GB; at most {MOST_BYTES / 1e9:.1f} GB are read"
        )


class _Plain:
    """Puts arrays in the place of what was said of them, everywhere, and each thing once."""

    def __init__(self) -> None:
        #: What each thing became, beside the thing itself, whose number is its own while it lives.
        self._became: dict[int, tuple[Any, Any]] = {}
        self._depth = 0

    def __call__(self, value: Any) -> Any:
        """The same without anything that only this module knows, but stubs."""
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic)):
            return value
        if id(value) not in self._became:
            if self._depth == DEEPEST:
                raise PickleError(f"containers in containers, more than {DEEPEST} deep")
            self._depth += 1
            self._became[id(value)] = value, self._made(value)
            self._depth -= 1
        return self._became[id(value)][1]

    def _made(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self(key): self(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)([self(one) for one in value])
        if isinstance(value, Stub):
            value.held = self(value.held)
            return value
        if isinstance(value, _Array):
            if value.made is None:
                raise PickleError("an array that is never given its numbers")
            if value.made.dtype.kind == "O":
                for place in np.ndindex(value.made.shape):
                    value.made[place] = self(value.made[place])
            return value.made
        raise PickleError(_kind(value))


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"
