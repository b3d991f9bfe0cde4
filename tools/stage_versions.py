"""Record which code each stage version stands for: ``python tools/stage_versions.py``.

Writes ``tests/stage_versions.json``: per stage its version and a hash of every module of the
package that it imports, comments and docstrings left out. Run it after raising a version in
``hipart/pipeline.py``, or after a change that you know changes no number.
"""

import argparse
import ast
import hashlib
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "tests" / "stage_versions.json"
#: What a stage imports without computing with it, with all that lies in it; values of the config
#: are in every key.
LEFT_OUT = {"hipart.config", "hipart.stages.context", "hipart.shapes"}


def recorded() -> dict[str, dict[str, object]]:
    """What the record holds."""
    found: dict[str, dict[str, object]] = json.loads(RECORD.read_text())
    return found


def present() -> dict[str, dict[str, object]]:
    """The same, of the code as it stands."""
    from hipart.pipeline import PIPELINE

    return {
        name: {"version": stage.version, "modules": modules_of(f"hipart.stages.{name}")}
        for name, stage in PIPELINE.items()
    }


def modules_of(start: str) -> dict[str, str]:
    """Hash of each module of the package that ``start`` reaches by imports."""
    found: dict[str, str] = {}
    open_modules = [start]
    while open_modules:
        module = open_modules.pop()
        path = _file(module)
        if module in found or _left_out(module) or path is None:
            continue
        tree = ast.parse(path.read_text())
        found[module] = _hash(tree)
        open_modules += _imports(tree)
    return dict(sorted(found.items()))


def _left_out(module: str) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in LEFT_OUT)


def _file(module: str) -> Path | None:
    path = ROOT / Path(*module.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.exists()), None)


def _imports(tree: ast.AST) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.startswith("hipart.")]


def _hash(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                body[0] = ast.Expr(ast.Constant(""))
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:12]


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    RECORD.write_text(json.dumps(present(), indent=1) + "\n")
