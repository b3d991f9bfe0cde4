"""Pickles of other people: what their files hold is read, and nothing else is ever called."""

import bz2
import io
import os
import pickle
import random
import subprocess
import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from hipart.data import pickles
from hipart.data.pickles import PickleError, Stub, read_npz, read_pickle, read_pickle_file

HELD = {
    "S1": {
        "Walking 1": np.arange(12, dtype=np.float32).reshape(2, 2, 3),
        "flags": [True, None, 1, 2.5, "text", b"bytes", 3 + 4j],
        "pair": (np.float64(1.5), np.int32(7)),
    },
    "ordered": OrderedDict(a=1, b=[np.array(["ä", "text"]), np.array([b"ab", b"c"])]),
    "objects": np.array([{"a": np.ones(3)}, None, [1]], object),
    "scalar": np.array({"a": 1}, object),
}


def same(found: Any, held: Any) -> bool:
    if isinstance(held, np.ndarray):
        if held.dtype.kind == "O":
            flat = zip(found.reshape(-1), held.reshape(-1), strict=True)
            return found.shape == held.shape and all(same(*pair) for pair in flat)
        return type(found) is np.ndarray and found.dtype == held.dtype and (found == held).all()
    if isinstance(held, dict):
        return found.keys() == held.keys() and all(same(found[key], held[key]) for key in held)
    if isinstance(held, (list, tuple)):
        return len(found) == len(held) and all(map(same, found, held))
    return type(found) is type(held) and found == held


def load(content: bytes) -> Any:
    return read_pickle(io.BytesIO(content), "a.pkl")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_the_files_hold_is_read(protocol: int) -> None:
    assert same(load(pickle.dumps(HELD, protocol)), HELD)


@pytest.mark.parametrize("order", ["<", ">", "="])
@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize("kind", ["f4", "f8", "i8", "u1", "?", "c16", "f2"])
def test_every_layout_of_numbers_is_read(order: str, layout: str, kind: str) -> None:
    held = np.asarray(np.arange(24).reshape(2, 3, 4) % 5, dtype=order + kind, order=layout)
    for protocol in (2, 5):
        found = load(pickle.dumps(held, protocol))
        assert found.shape == held.shape and (found == held).all()
        assert found.dtype.kind == held.dtype.kind and found.dtype.itemsize == held.dtype.itemsize


def test_shared_things_stay_shared_and_cost_nothing() -> None:
    held: list[Any] = [np.ones(2)]
    for _ in range(25):
        held = [held, held]
    found = load(pickle.dumps(held))
    assert found[0] is found[1]


# What chumpy writes, without chumpy: its class by name, and a state with the array in it.
CHUMPY = (
    b"\x80\x02cchumpy.ch\nCh\n)\x81}(X\x01\x00\x00\x00x"
    + pickle.dumps(np.arange(3.0), 2)[2:-1]
    + b"X\x05\x00\x00\x00dirtyK\x01ub."
)


def test_an_object_of_a_library_that_is_not_here_is_what_it_holds() -> None:
    found = load(CHUMPY)
    assert isinstance(found, Stub)
    assert same(found.held["x"], np.arange(3.0))
    matrix = sparse.csc_matrix(np.eye(3)[[0, 2, 1]])
    found = load(pickle.dumps(matrix, 2))
    assert same(found.held["data"], np.ones(3))
    old = b"ccopy_reg\n_reconstructor\n(cchumpy.ch\nCh\nc__builtin__\nobject\nNtR(dS'x'\nI1\nsb."
    assert load(old).held == {"x": 1}


class Runs:
    """Calls something when it is unpickled."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self.how = call, arguments

    def __reduce__(self) -> Any:
        return self.how


MARK = "HIPART_PICKLE_WAS_RUN"
CODE = f"__import__('os').environ[{MARK!r}] = 'yes'"
INSIDE = np.array([Runs(exec, CODE), None], object)
HOSTILE: dict[str, tuple[bytes, str]] = {
    "os.system": (pickle.dumps(Runs(os.system, "true")), r"posix\.system"),
    "eval": (pickle.dumps(Runs(eval, CODE)), r"builtins\.eval"),
    "exec": (pickle.dumps(Runs(exec, CODE)), r"builtins\.exec"),
    "exec of Python 2": (pickle.dumps(Runs(exec, CODE), 2), r"__builtin__\.exec"),
    "getattr": (pickle.dumps(Runs(getattr, "", "format")), r"builtins\.getattr"),
    "a chain of attributes": (
        b"\x80\x04\x8c\x05numpy\x8c\x0ccore.numeric\x93.",
        r"numpy\.core\.numeric",
    ),
    "a name within a module that is allowed": (
        b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.__new__\x93.",
        r"numpy\.ndarray\.__new__",
    ),
    "subprocess": (pickle.dumps(Runs(subprocess.Popen, ["true"])), r"subprocess\.Popen"),
    "an import": (pickle.dumps(Runs(__import__, "os")), r"builtins\.__import__"),
    "in an array of objects": (pickle.dumps(INSIDE), r"builtins\.exec"),
    "nested in dictionaries": (
        pickle.dumps({"S1": {"Walking": [(1, Runs(exec, CODE))]}}),
        r"builtins\.exec",
    ),
    "another pickle inside": (
        pickle.dumps(Runs(pickle.loads, pickle.dumps(Runs(exec, CODE)))),
        r"_pickle\.loads",
    ),
    "compressed": (
        pickle.dumps(Runs(bz2.decompress, bz2.compress(b"x"))),
        r"bz2\.decompress",
    ),
    "a codec": (b"c_codecs\nencode\n(Vx\nVbz2\ntR.", "encoding 'bz2'"),
    "another codec": (b"c_codecs\ndecode\n(Vx\nVrot13\ntR.", r"_codecs\.decode"),
    "numpy.load": (pickle.dumps(Runs(np.load, "a.npy")), r"numpy\.load"),
    "numpy.fromfile": (b"cnumpy\nfromfile\n(S'/etc/passwd'\ntR.", r"numpy\.fromfile"),
    "an extension": (b"\x80\x02\x82\x01.", "damaged"),
    "a persistent object": (b"Pos.system\n.", "persistent"),
    "by its old opcode": (b"(S'true'\nios\nsystem\n.", r"os\.system"),
    "a new object of a class": (b"\x80\x02cnumpy\nndarray\nK\x05\x85\x81.", "damaged"),
    "a state for the answering object": (
        b"\x80\x02cnumpy\nndarray\n}S'a'\nI1\nsb.",
        "damaged|refused",
    ),
    "a structured type": (
        pickle.dumps(np.zeros(2, [("a", "f4"), ("b", "O")])),
        "numbers of the type",
    ),
    "a date": (pickle.dumps(np.array(["2020-01-01"], "M8[D]")), "numbers of the type"),
    "an array greater than its bytes": (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I1000000\n"
        b"I1000000\ntcnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'abcdefgh'"
        b"\ntb.",
        "damaged",
    ),
    "an array that is never filled": (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR.",
        "never given",
    ),
    "endless depth": (b"]" * 40 + b"a" * 39 + b".", "more than 32 deep"),
    "itself": (b"]q\x00h\x00a.", "more than 32 deep"),
    "a set": (pickle.dumps({1, 2}), "a set"),
    "more than there is": (b"\x80\x04\x8e" + (1 << 60).to_bytes(8, "little") + b"x.", "damaged"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_anything_else_is_refused_by_name_and_never_called(name: str, tmp_path: Path) -> None:
    content, told = HOSTILE[name]
    path = tmp_path / "a.pkl"
    path.write_bytes(content)
    with pytest.raises(PickleError, match=told) as found:
        read_pickle_file(path)
    assert str(path) in str(found.value)
    assert MARK not in os.environ


@pytest.mark.parametrize("compressed", [False, True])
def test_archives_are_read_alike(tmp_path: Path, compressed: bool) -> None:
    save = np.savez_compressed if compressed else np.savez
    save(tmp_path / "a.npz", plain=np.asfortranarray(np.ones((2, 3))), table=HELD["scalar"])
    found = read_npz(tmp_path / "a.npz")
    assert same(found, {"plain": np.ones((2, 3)), "table": HELD["scalar"]})
    save(tmp_path / "b.npz", table=INSIDE)
    with pytest.raises(PickleError, match=r"b\.npz: table\.npy: refused.*builtins\.exec"):
        read_npz(tmp_path / "b.npz")
    assert MARK not in os.environ


def test_files_beyond_the_limit_are_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "a.npz", zeros=np.zeros(100_000))
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(bytes(100_000)))
    monkeypatch.setattr(pickles, "MOST_BYTES", 50_000)
    for read, name in ((read_npz, "a.npz"), (read_pickle_file, "a.pkl")):
        with pytest.raises(PickleError, match="at most"):
            read(tmp_path / name)  # type: ignore[operator]


@pytest.mark.parametrize("seed", range(20))
def test_damage_ends_in_the_documented_error(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with zipfile.ZipFile(tmp_path / "whole.npz", "w") as archive:
        buffer = io.BytesIO()
        np.save(buffer, HELD["scalar"], allow_pickle=True)
        archive.writestr("a.npy", buffer.getvalue())
    for content, read in (
        (pickle.dumps(HELD, chance.randrange(6)), read_pickle_file),
        ((tmp_path / "whole.npz").read_bytes(), read_npz),
    ):
        for _ in range(40):
            damaged = bytearray(content)
            for _ in range(chance.randrange(1, 4)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            del damaged[chance.randrange(len(damaged) // 2, len(damaged) + 1) :]
            (tmp_path / "damaged").write_bytes(damaged)
            with suppress(PickleError):
                read(tmp_path / "damaged")
