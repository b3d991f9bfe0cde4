"""Mutated files: whatever is in them, they are read or refused with a message; nothing crashes.

``HIPART_FUZZ=10000`` sets how many of each kind are tried.
"""

import json
import os
import pickle
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hipart.data.motion import motion_files, read_motion
from hipart.experiment.file import available, load_any
from hipart.predictor import CONFIG, WEIGHTS, Predictor
from tests.test_cli import said

TIMES = int(os.environ.get("HIPART_FUZZ", "150"))
#: Things that have broken readers before.
NASTY = (
    *(
        "",
        "null",
        "~",
        "-1",
        "0",
        "1e999",
        ".inf",
        ".nan",
        "[]",
        "{}",
        "!!python/object:os.system x",
    ),
    *(
        "&a [*a]",
        "*a",
        "true",
        "'",
        '"',
        "../../etc/passwd",
        "\u0000",
        "\ud7ff",
        "9" * 400,
        "- -",
        "? :",
    ),
)


def mutated(content: bytes, luck: random.Random) -> bytes:
    """One to four changes: bytes flipped, cut, doubled, or a nasty word in place of another."""
    for _ in range(luck.randint(1, 4)):
        place = luck.randrange(len(content) + 1)
        end = min(len(content), place + luck.randint(1, 40))
        match luck.randrange(5):
            case 0:
                content = content[:place] + bytes([luck.randrange(256)]) + content[place + 1 :]
            case 1:
                content = content[:place] + content[end:]
            case 2:
                content = content[:end] + content[place:end] + content[end:]
            case 3:
                words = content.split(b" ")
                words[luck.randrange(len(words))] = luck.choice(NASTY).encode("utf-8", "ignore")
                content = b" ".join(words)
            case 4:
                lines = content.split(b"\n")
                luck.shuffle(lines) if len(lines) < 3 else lines.insert(
                    luck.randrange(len(lines)), lines.pop(luck.randrange(len(lines)))
                )
                content = b"\n".join(lines)
    return content


def tried(read: Callable[[], object]) -> bool:
    """Whether it was read; refused is ValueError with a message, anything else is a crash."""
    try:
        read()
    except ValueError as error:
        assert str(error)
        return False
    return True


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_experiment_files(tmp_path: Path) -> None:
    luck, read = random.Random(1), 0
    sources = [path.read_bytes() for path in available().values()]
    file = tmp_path / "mutant.yaml"
    for _ in range(TIMES):
        file.write_bytes(mutated(luck.choice(sources), luck))
        read += tried(lambda: load_any(str(file), luck.choice(["smoke", "laptop", "paper"])))
    assert 0 < read < TIMES
    assert everything(tmp_path) == {file}


def motion_folder(tmp_path: Path) -> Path:
    """The packaged motion as a folder of a user's."""
    folder = tmp_path / "motion"
    folder.mkdir()
    for ours, theirs in zip(motion_files(None), motion_files(folder), strict=True):
        shutil.copy(ours, theirs)
    return folder


def test_motion_files(tmp_path: Path) -> None:
    luck = random.Random(2)
    folder = motion_folder(tmp_path)
    before = everything(tmp_path)
    for number in range(TIMES):
        file = motion_files(folder)[number % 2]
        good = motion_files(None)[number % 2].read_bytes()
        file.write_bytes(mutated(good, luck))
        tried(lambda: read_motion(folder))
        file.write_bytes(good)
    assert tried(lambda: read_motion(folder))
    assert everything(tmp_path) == before


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    said(folder, "run lifter_search --scale smoke --executor inline --trials 1")
    said(folder, "export lifter_search --scale smoke --out best")
    return folder / "best"


def test_bundles(bundle: Path, tmp_path: Path) -> None:
    luck, copy = random.Random(3), tmp_path / "copy"
    shutil.copytree(bundle, copy)
    before = everything(tmp_path)
    for number in range(TIMES):
        file = copy / (CONFIG if number % 2 else WEIGHTS)
        good = (bundle / file.name).read_bytes()
        bad = mutated(good, luck)
        file.write_bytes(bad)
        was_read = tried(lambda: Predictor.load(copy))
        assert not was_read or file.name == CONFIG or bad == good, "weights are vouched for"
        file.write_bytes(good)
    assert tried(lambda: Predictor.load(copy))
    assert everything(tmp_path) == before


class _Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch exploded",)


def test_pickles_are_refused_wherever_arrays_or_weights_are_read(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bomb = np.array([_Bomb()], dtype=object)
    folder = motion_folder(tmp_path)
    with np.load(motion_files(None)[0]) as arrays:
        held = dict(arrays)
    first = next(iter(held))
    np.savez(folder / "clips.npz", allow_pickle=True, **{**held, first: bomb})
    assert not tried(lambda: read_motion(folder))
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    (copy / WEIGHTS).write_bytes(pickle.dumps(_Bomb()))
    assert not tried(lambda: Predictor.load(copy))
    (copy / CONFIG).write_text(json.dumps({"kind": "hipart-bundle", "format": 1, "x": "y" * 10**6}))
    assert not tried(lambda: Predictor.load(copy))
    assert not (tmp_path / "exploded").exists()


def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(tmp_path: Path) -> None:
    folder = motion_folder(tmp_path)
    with (
        zipfile.ZipFile(folder / "clips.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w", force_zip64=True) as entry,
    ):
        for _ in range(1100):
            entry.write(bytes(1 << 20))
    assert (folder / "clips.npz").stat().st_size < 2_000_000
    with pytest.raises(ValueError, match="unpacks to"):
        read_motion(folder)


def test_a_list_as_a_key_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text("kind: ablation\narms:\n  - ? [a, b]\n    : 1\n")
    with pytest.raises(ValueError, match=r"keys.yaml:3: at arms.*: has a key that is no text"):
        load_any(str(file), "smoke")
