"""NumPy archives: ``poses`` (N, 17, 2), ``image_size`` (2,) and perhaps ``sequence`` (N,)."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hipart.predicting.found import Asked, Found
from hipart.predictor import MAX_POSES
from hipart.skeleton import NUM_JOINTS


def read_npz(source: Path) -> Asked:
    """Read an archive without unpickling anything. Raises ValueError naming file and array."""
    arrays = _read_arrays(source)
    size = arrays.get("image_size")
    if size is not None and size.shape != (2,):
        raise ValueError(f"{source}: array 'image_size': shape {size.shape}, allowed (2,)")
    return Asked(
        arrays["poses"],
        None if size is None else tuple(size.tolist()),
        arrays.get("sequence"),
    )


def write_npz(found: Found, out: Path) -> None:
    """Every array under its name."""
    with out.open("wb") as file:
        np.savez(file, allow_pickle=False, **found.answers)


def _read_arrays(source: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(source) as archive:
            held = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        if "poses" not in held:
            raise ValueError(f"no array 'poses', it holds {sorted(held)}")
        names = [name for name in ("poses", "image_size", "sequence") if name in held]
        limit = MAX_POSES * NUM_JOINTS * 2 * 8 + 1024
        if max(held[name].file_size for name in names) > limit:
            raise ValueError(f"an array of more than {limit} bytes: at most {MAX_POSES} poses")
        with np.load(source, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except OSError as error:
        raise ValueError(f"{source}: cannot be read ({error.strerror or error})") from None
    except (zipfile.BadZipFile, EOFError, MemoryError) as error:
        raise ValueError(f"{source}: not an .npz file of numpy arrays ({error})") from None
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
