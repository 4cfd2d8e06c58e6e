"""docs/own-metrics.md and the shop of `examples/own_metrics`, as a user has them: public names only."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.collector import CONFIG, DURABLE, Collector, running
from support.waiting import eventually
from tests.support.processes import environment

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SHOP = EXAMPLES / "own_metrics"
PAGE = (ROOT / "docs" / "own-metrics.md").read_text()
PUBLIC = {"telemetry", "telemetry.catalogue", "telemetry.testing.files"}


def _path() -> dict[str, str]:
    return {"PYTHONPATH": f"{EXAMPLES}:{ROOT}"}


def test_example_uses_public_names() -> None:
    """The example imports what the page names, and nothing that is internal."""
    trees = [ast.parse(path.read_text()) for path in SHOP.glob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {module for module in modules if module and module.startswith("telemetry")} == PUBLIC


def test_example_passes_its_own_tests() -> None:
    """The tests that the page shows pass as they stand."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={SHOP}", "-c", "/dev/null"]
    done = subprocess.run(
        [*command, str(SHOP / "test_shop.py")],
        env=environment("", **_path()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_page_shows_the_example() -> None:
    """The code of the page is the example's, so that what the tests run is what a reader copies."""
    blocks = re.findall(r"```python\n(.*?)\n```", PAGE, re.DOTALL)
    assert blocks == [(SHOP / name).read_text().rstrip() for name in ("metrics.py", "shop.py", "test_shop.py")]


def test_wrong_labels_do_not_type_check(tmp_path: Path) -> None:
    """A strict type checker takes the right labels, and refuses a value, a name or a verb that is not declared."""
    program = tmp_path / "uses.py"
    program.write_text(
        "from own_metrics import metrics\n"
        "metrics.orders.add(1, {'shop': 'a', 'payment': 'card'})\n"
        "metrics.orders.add(1, {'shop': 'a', 'payment': 'cash'})\n"
        "metrics.orders.add(1, {'shop': 'a'})\n"
        "metrics.orders.record(1, {'shop': 'a', 'payment': 'card'})\n"
        "metrics.stock.set_all([({'store': 'a'}, 1)])\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(program)],
        cwd=ROOT,
        env=environment("", MYPYPATH=str(EXAMPLES)),
        capture_output=True,
        text=True,
        check=False,
    )
    wrong = {int(line.split(":")[1]) for line in done.stdout.splitlines() if f"{program.name}:" in line}
    assert wrong == {3, 4, 5, 6}, done.stdout + done.stderr


@pytest.mark.parametrize("config", [CONFIG, DURABLE], ids=lambda config: config.stem)
def test_collector_tells_kinds_apart_by_type(config: Path) -> None:
    """A collector that knows none of these metrics adds totals up and shows levels by process, facts once."""
    with running(config) as collector:
        for _ in range(2):
            command = [sys.executable, "-m", "own_metrics.shop", "3"]
            done = subprocess.run(
                command, env=environment(collector.endpoint, **_path()), capture_output=True, text=True, check=False
            )
            assert (done.returncode, done.stderr) == (0, "")
        orders = {(("environment", "dev"), ("payment", "card"), ("shop", "main street")): 6}
        assert eventually(lambda: collector.series("shop_orders_total") == orders), collector.series(
            "shop_orders_total"
        )
        assert collector.settles_at("shop_checkout_seconds", 6, 15.0, payment="card") == 6
        assert _bounds(collector) == {"0.1", "0.5", "1.0", "2.5", "10.0", "+Inf"}
        stock = {
            (("environment", "dev"), ("shop", "main street")): 7,
            (("environment", "dev"), ("shop", "station")): 9,
        }
        # Each kind has a pipeline with a batch of its own: totals that are there say nothing about the other two.
        assert eventually(lambda: collector.series("shop_items_in_stock") == stock), collector.series(
            "shop_items_in_stock"
        )
        carts = eventually(
            lambda: collector.series("shop_carts_open"), wanted=lambda shown: list(shown.values()) == [0, 0]
        )
        assert list(carts.values()) == [0, 0]
        assert len({dict(labels)["instance"] for labels in carts}) == 2


def _bounds(collector: Collector) -> set[str]:
    samples = collector.samples()
    found = {dict(labels).get("le", "") for name, labels in samples if name == "shop_checkout_seconds_bucket"}
    return {bound if bound == "+Inf" else str(float(bound)) for bound in found}
