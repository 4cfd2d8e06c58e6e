"""Is everything of the application measured that could be?"""

from __future__ import annotations

from collections.abc import Iterator

from telemetry.cli.doctor.application import Application
from telemetry.cli.doctor.case import Case
from telemetry.cli.doctor.check import Check
from telemetry.cli.doctor.finding import Cause, Finding, Severity

_RUN_UNDER = "or start it with `opentelemetry-instrument` (and this doctor, too)"

IMPORT = Cause(
    "app-import-fails",
    "The application cannot be imported.",
    "run the doctor where the service runs: in its directory, with its environment and variables",
    explains=("fleet-absent", "environment-absent", "senders-silent"),
)
ATTRIBUTE = Cause(
    "app-not-found",
    "The module has no such application.",
    "write it as the server gets it, `module:attribute`",
)
HANGS = Cause(
    "app-import-hangs",
    "The import of the application does not end.",
    "let the module wait for nothing when it is imported: connect in a lifespan",
)
SLOW = Cause(
    "app-import-slow",
    "The import of the application takes too long to wait for, so its hooks are not looked at.",
    "run the doctor with --import-seconds 60, or where less else is running",
    severity=Severity.WARNING,
)
UNCONFIGURED = Cause(
    "not-configured",
    "`telemetry.configure()` is not called.",
    f"call telemetry.configure() in the module, {_RUN_UNDER}",
    explains=("fleet-absent", "environment-absent", "senders-silent"),
)
HTTP = Cause(
    "http-not-measured",
    "The application is not instrumented.",
    f"call telemetry.instrument(app), {_RUN_UNDER}",
    explains=("fleet-absent", "senders-silent"),
)
CELERY = Cause(
    "celery-not-measured",
    "A Celery application is not instrumented.",
    f"call telemetry.instrument_celery(app) before its worker is made, {_RUN_UNDER}",
)
DATABASE = Cause(
    "database-not-measured",
    "A SQLAlchemy engine is not instrumented.",
    f"call telemetry.instrument_sqlalchemy(engine), {_RUN_UNDER}",
)
EXCLUDED = Cause(
    "everything-excluded",
    "Every route is excluded from HTTP metrics.",
    "narrow TELEMETRY_EXCLUDED_PATHS or instrument(excluded=…)",
    explains=("fleet-absent", "senders-silent"),
)

BROKEN = Cause(
    "assumption-broken",
    "A library lacks what a hook relies on, so the hook takes its next best source.",
    "install a version within the range of fleet-telemetry's extras; `fleet-telemetry check` names every one",
    severity=Severity.WARNING,
)

_FAILURES = {"import": IMPORT, "attribute": ATTRIBUTE, "hangs": HANGS, "slow": SLOW}
_UNMEASURED = {"http": HTTP, "celery": CELERY, "database": DATABASE}


def _run(case: Case) -> Iterator[Finding]:
    if case.application is None:
        return
    application, target = case.application.get(), case.asked.target
    if application.failure:
        yield _failed(application, target, case.asked.import_seconds)
        return
    if not application.is_configured:
        yield UNCONFIGURED.found(f"nothing in {target} calls telemetry.configure() when it is imported")
    for domain, names in application.unmeasured.items():
        yield _UNMEASURED[domain].found(f"not measured: {', '.join(names)}", *_beside(application))
    yield from _excluded(case, application)
    if application.broken:
        yield BROKEN.found(f"what hooks rely on is missing: {', '.join(application.broken[:3])}")


def _failed(application: Application, target: str, import_seconds: float) -> Finding:
    says = {
        "import": f"{target} cannot be imported: {application.says}",
        "attribute": f"there is no {target}: {application.says}",
        "hangs": f"the import of {target} waits for something and does not go on",
        "slow": f"the import of {target} takes longer than {import_seconds:g} s",
    }
    return _FAILURES[application.failure].found(says[application.failure])


def _beside(application: Application) -> list[str]:
    return [f"measured: {', '.join(names)}" for names in application.measured.values()]


def _excluded(case: Case, application: Application) -> Iterator[Finding]:
    if application.routes and application.excluded == application.routes:
        yield EXCLUDED.found(
            f"all {application.routes} routes of {case.asked.target} are excluded from HTTP metrics",
            f"TELEMETRY_EXCLUDED_PATHS={case.env.get('TELEMETRY_EXCLUDED_PATHS', '')!r}",
        )


CHECK = Check(
    name="hooks",
    asks="Is everything of the application measured that could be?",
    causes=(IMPORT, ATTRIBUTE, HANGS, SLOW, UNCONFIGURED, HTTP, CELERY, DATABASE, EXCLUDED, BROKEN),
    run=_run,
    seconds=None,
)
