"""Promises that the files of the repository make to each other."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
MAX_BYTES = 3_000_000

#: Import name -> distribution, where they differ.
DISTRIBUTIONS = {"ruamel": "ruamel-yaml", "yaml": "pyyaml"}

#: Each spelt so that it does not match itself.
FOREIGN = {
    "a home folder": r"(?<![\w.])/(?:[h]ome|[U]sers)/\w",
    "the administrator's folder": r"(?<![\w.])/[r]oot/\w",
    "a Windows home folder": r"[A-Za-z]:\\+[U]sers\\",
    "a package registry": r"https?://[^\s/]*(?:[p]ypi|[r]egistry\.npm|[c]onda\.anaconda)",
    "an index option": r"-[-](?:extra-)?[i]ndex-url|[f]ind-links",
}


@cache
def repository_files() -> tuple[Path, ...]:
    """Files that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def content(path: Path) -> str | None:
    data = path.read_bytes()
    return None if b"\0" in data else data.decode(errors="replace")


def markdown_files() -> list[Path]:
    return [path for path in repository_files() if path.suffix == ".md"]


@cache
def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def requirements(extra: str | None = None) -> list[Requirement]:
    project = pyproject()["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    return [Requirement(line) for line in lines]


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    versions = {}
    for pin in pins:
        (specifier,) = pin.specifier
        assert specifier.operator == "==" and "+" not in specifier.version, str(pin)
        versions[canonicalize_name(pin.name)] = specifier.version
    return versions


# --- nothing of one machine ---------------------------------------------------------------------


@pytest.mark.parametrize("what", FOREIGN)
def test_no_file_names_a_machine_or_a_registry(what: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in repository_files()
        if (text := content(path)) and (match := re.search(FOREIGN[what], text))
    ]
    assert not found, f"{what}: {found}"


def test_no_file_names_the_folder_of_this_checkout() -> None:
    if len(ROOT.parts) < 3:
        pytest.skip("the checkout's path is too short to be told from ordinary text")
    here = re.compile(rf"(?<![\w.-]){re.escape(str(ROOT))}(?![\w-])")
    found = [
        str(path.relative_to(ROOT))
        for path in repository_files()
        if (text := content(path)) and here.search(text)
    ]
    assert not found


def test_files_are_small() -> None:
    large = [str(path) for path in repository_files() if path.stat().st_size > MAX_BYTES]
    assert not large


# --- documents ----------------------------------------------------------------------------------


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)


def test_relative_links_lead_somewhere() -> None:
    broken = []
    for path in markdown_files():
        for link in re.findall(r"\]\(<?([^)\s>]+)", without_code(path.read_text())):
            if re.match(r"[a-z]+:", link):
                continue
            name, _, heading = link.partition("#")
            target = (path.parent / name).resolve() if name else path
            there = target.exists() and target.is_relative_to(ROOT)
            if not there or (heading and heading not in anchors(target)):
                broken.append(f"{path.relative_to(ROOT)}: {link}")
    assert not broken


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to headings."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def make_commands(text: str) -> set[str]:
    """Targets that a document calls: ``make X`` in inline code or at the start of a code line."""
    code = re.findall(r"^```.*?^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [
        line.split(" #")[0].strip().removeprefix("$ ")
        for block in code
        for line in block.splitlines()
    ]
    lines += re.findall(r"`([^`\n]+)`", text)
    parts = [part.strip() for line in lines for part in re.split(r"&&|;", line)]
    words = [part.split() for part in parts if part.startswith("make ")]
    return {word for call in words for word in call[1:] if re.fullmatch(r"[a-z][a-z-]*", word)}


def test_documents_call_targets_that_exist() -> None:
    assert (ROOT / "README.md").is_file()
    for path in markdown_files():
        unknown = make_commands(path.read_text()) - make_targets()
        assert not unknown, f"{path.relative_to(ROOT)} calls make {sorted(unknown)}"


def test_make_alone_explains_every_target() -> None:
    make = ["make", "--no-print-directory"]
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True)
    assert {line.split()[1] for line in done.stdout.splitlines()} == make_targets()


# --- dependencies -------------------------------------------------------------------------------


def optional(node: ast.AST) -> bool:
    """Whether what stands inside ``node`` may fail to import, or is there for mypy alone."""
    if isinstance(node, ast.Try):
        return any("ImportError" in ast.dump(handler) for handler in node.handlers)
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def imports(node: ast.AST) -> Iterator[str]:
    """Names of the modules that ``node`` cannot do without."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield child.module
        elif not optional(child):
            yield from imports(child)
        elif isinstance(child, ast.If):
            yield from imports(ast.Module(child.orelse, []))


def imported_packages() -> dict[str, str]:
    """Third-party import name -> a module of hipart that needs it."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "hipart").rglob("*.py")):
        for name in imports(ast.parse(path.read_text())):
            found.setdefault(name.split(".")[0], path.relative_to(ROOT).as_posix())
    return {
        name: where
        for name, where in found.items()
        if name not in sys.stdlib_module_names and name != "hipart"
    }


def test_every_import_is_a_declared_dependency() -> None:
    declared = {canonicalize_name(requirement.name) for requirement in requirements()}
    missing = {
        name: where
        for name, where in imported_packages().items()
        if canonicalize_name(DISTRIBUTIONS.get(name, name)) not in declared
    }
    assert not missing


def test_tested_versions_satisfy_what_is_asked_for() -> None:
    versions = pinned()
    for requirement in [*requirements(), *requirements("dev")]:
        version = versions.get(canonicalize_name(requirement.name))
        assert version, f"constraints.txt does not pin {requirement.name}"
        assert requirement.specifier.contains(version), f"{requirement}: {version} is pinned"


def test_every_promise_names_tests_that_exist() -> None:
    rows = [
        line.split("|")[1:-1]
        for line in (ROOT / "docs/guarantees.md").read_text().splitlines()
        if line.startswith("| ") and not line.startswith("| fault")
    ]
    assert len(rows) > 10
    for fault, _, shown_by in rows:
        named = re.findall(r"`(tests/[^`]+)`", shown_by)
        assert named, fault
        assert [name for name in named if not (ROOT / name).is_file()] == []


# --- the example cluster ------------------------------------------------------------------------


@pytest.mark.slow
def test_cluster_file_is_valid_for_ray() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    cluster = YAML(typ="safe").load(ROOT / "ray_cluster.yaml")
    prepared = prepare_config(cluster)
    validate_config(prepared)
    types = prepared["available_node_types"]
    head = types.pop(prepared["head_node_type"])
    assert head["resources"].get("CPU") == 0 and head["resources"].get("GPU") == 0
    for worker in types.values():
        assert worker["resources"]["GPU"] >= 1
        assert 0 <= worker["min_workers"] <= worker["max_workers"] <= prepared["max_workers"]


def test_cluster_runs_the_tested_ray() -> None:
    cluster = YAML(typ="safe").load(ROOT / "ray_cluster.yaml")
    assert f":{pinned()['ray']}-" in cluster["docker"]["image"]


def test_the_lock_has_the_tested_versions_and_digests_of_all() -> None:
    entries = re.findall(
        r"^([^\s=]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$",
        (ROOT / "requirements.lock").read_text(),
        re.MULTILINE,
    )
    assert {canonicalize_name(name): version for name, version, _ in entries} == pinned()
