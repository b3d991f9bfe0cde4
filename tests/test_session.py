"""What the next command has to repeat."""

import shutil
from pathlib import Path

import pytest

from hipart.experiment.file import available, load
from hipart.runtime import Runtime
from hipart.session import again


def test_the_next_command_finds_what_this_one_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HIPART_STORE", raising=False)
    monkeypatch.delenv("HIPART_WORKSPACE", raising=False)
    here, elsewhere = Runtime(Path(".hipart")), Runtime(Path("my work"), shared_store="s3://b/f")
    packaged = load("codebook_ablation", "smoke")
    assert again(packaged, here) == "codebook_ablation --scale smoke"
    assert again(load("codebook_ablation", "laptop", "textbook"), here) == (
        "codebook_ablation --preset textbook"
    )
    assert again(packaged, elsewhere) == (
        "codebook_ablation --scale smoke --workspace 'my work' --store s3://b/f"
    )
    monkeypatch.setenv("HIPART_STORE", "s3://b/f")
    assert again(packaged, elsewhere).endswith("--workspace 'my work'")
    (tmp_path / "far").mkdir()
    for name in ("far/mine.yaml", "far/codebook_ablation.yaml", "beside.yaml", "my [o]wn.yaml"):
        shutil.copy(available()["codebook_ablation"], name)
    assert again(load("far/mine.yaml", "laptop"), here) == "far/mine.yaml"
    assert again(load("far/codebook_ablation.yaml", "laptop"), here) == (
        "far/codebook_ablation.yaml"
    )
    assert again(load("beside.yaml", "laptop"), here) == "beside"
    assert again(load("my [o]wn.yaml", "laptop"), here) == "'my [o]wn'"
    (tmp_path / "experiments").mkdir()
    hiding = shutil.copy(available()["codebook_ablation"], "experiments")
    hid = load("codebook_ablation", "laptop")
    assert again(hid, here) == "codebook_ablation"
    Path(hiding).unlink()
    assert again(hid, here) == str(hid.path)
