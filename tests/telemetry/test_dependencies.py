"""What `telemetry/` imports and what `pyproject.toml` declares, compared by the files that each distribution installs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "telemetry"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
ALSO_OF = {"pipeline/exposition": "prometheus"}  # what the file of that name is made of
HOOKED = {"litellm"}  # imported by hooks on itself alone, and in no extra: whoever has it installed it himself
PROGRAMS = {"fleet-telemetry-collector"}  # looked for when it is run
FILES = sorted(PACKAGE.rglob("*.py"))


def _normal(requirement: str) -> str:
    """The name of a distribution as its index writes it, without versions and extras."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement, maxsplit=1)[0]).lower()


def _owners() -> dict[str, str]:
    """The distribution of every installed module; namespaces, which several share, belong to none."""
    found = {}
    for distribution in distributions():
        for file in distribution.files or ():
            if file.suffix in {".py", ".so", ".pyi"}:
                parts = (*file.parts[:-1], file.name.partition(".")[0])
                found[".".join(parts).removesuffix(".__init__")] = _normal(distribution.metadata["Name"])
    return found


OWNERS = _owners()


def _owner(module: str) -> str | None:
    """Who installs a module, or the package that it stands in."""
    while module and module not in OWNERS:
        module = module.rpartition(".")[0]
    return OWNERS.get(module)


class _Imports(ast.NodeVisitor):
    """The modules that a file imports, apart from those that it can do without.

    Attributes:
        needed: When the file or a function of it runs.
        extra: Where an extra is asked for (``with needed("celery", …):``), by extra.
        typing: For a type checker only.
    """

    def __init__(self, path: Path) -> None:
        self.needed: set[str] = set()
        self.extra: dict[str, set[str]] = {}
        self.typing: set[str] = set()
        self._into = self.needed
        self.visit(ast.parse(path.read_text()))

    def visit_Import(self, node: ast.Import) -> None:
        self._into |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.module, "imports of this package are absolute"
        self._into |= {f"{node.module}.{alias.name}" for alias in node.names}

    def visit_If(self, node: ast.If) -> None:
        before = self._into
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            self._into = self.typing
        self.generic_visit(node)
        self._into = before

    def visit_With(self, node: ast.With) -> None:
        before, asked = self._into, [_asked_for(item.context_expr) for item in node.items]
        if asked[0]:
            self._into = self.extra.setdefault(asked[0], set())
        self.generic_visit(node)
        self._into = before

    def visit_Try(self, node: ast.Try) -> None:
        """What a handler of ImportError stands for is optional: whoever lacks it is served otherwise."""
        names = {name.id for handler in node.handlers for name in ast.walk(handler) if isinstance(name, ast.Name)}
        if "ImportError" not in names:
            self.generic_visit(node)


def _asked_for(expression: ast.expr) -> str | None:
    """The extra of ``needed(extra, …)``."""
    if isinstance(expression, ast.Call) and ast.unparse(expression.func).endswith("needed"):
        return str(ast.literal_eval(expression.args[0]))
    return None


def _foreign(modules: set[str]) -> Iterator[tuple[str, str]]:
    """Each imported module that is neither ours nor Python's, with its distribution."""
    for module in sorted(modules):
        top = module.partition(".")[0]
        if top not in sys.stdlib_module_names and top != "telemetry" and top not in HOOKED:
            yield module, _owner(module) or f"a distribution that is not installed: {module}"


def _declared(*lists: list[str]) -> set[str]:
    return {_normal(requirement) for requirements in lists for requirement in requirements}


def _rooms(path: Path) -> list[list[str]]:
    """The extras of the library that a file or its folder is named after."""
    own = path.relative_to(PACKAGE).with_suffix("")
    return [EXTRAS[part] for part in (*own.parts, ALSO_OF.get(str(own), "")) if part in EXTRAS]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_are_declared(path: Path) -> None:
    """Each imported distribution is a dependency, in a library's own room one of its extra, for types one of any."""
    imports = _Imports(path)
    base, room = PROJECT["dependencies"], _rooms(path)
    undeclared = [f"{d} ({m})" for m, d in _foreign(imports.needed) if d not in _declared(base, *room)]
    undeclared += [f"{d} ({m})" for m, d in _foreign(imports.typing) if d not in _declared(base, *EXTRAS.values())]
    for extra, modules in imports.extra.items():
        undeclared += [f"{d} ({m})" for m, d in _foreign(modules) if d not in _declared(base, *room, EXTRAS[extra])]
    assert not undeclared


def test_dependencies_are_imported() -> None:
    """No dependency is declared that no file imports."""
    found = [_Imports(path) for path in FILES]
    modules = [modules for each in found for modules in (each.needed, each.typing, *each.extra.values())]
    imported = {distribution for each in modules for _, distribution in _foreign(each)}
    assert _declared(PROJECT["dependencies"], *EXTRAS.values()) - PROGRAMS <= imported


def test_imports_without_extras() -> None:
    """`import telemetry` and `configure()` need the dependencies only, none of the extras."""
    optional = _declared(*EXTRAS.values()) - _declared(PROJECT["dependencies"])
    modules = sorted(module for module, owner in OWNERS.items() if owner in optional)
    code = f"import sys\nfor module in {modules}: sys.modules[module] = None\nimport telemetry\ntelemetry.configure('test')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
