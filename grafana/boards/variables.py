"""What can be chosen on a dashboard, and the two hidden variables that legends and links are made with."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model

from grafana.rules.fleet import WHOSE
from telemetry.catalogue import celery, http, telemetry
from telemetry.runbooks import RUNBOOKS, VARIABLE

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
ENVIRONMENTS = ("dev", "stage", "prod")
WHOSE_LEGEND = " · {{environment}} {{service_namespace}}"
_CHOSEN = ", ".join(f'{label}=~"${label}"' for label in WHOSE)
_OF_EVERY_SENDER = (http.IN_PROGRESS, celery.ACTIVE_WORKERS, telemetry.UNANSWERED_EXPORTS)
_DATA_SOURCE = "DS_PROMETHEUS"

INPUTS: tuple[dict[str, Any], ...] = (
    {
        "name": _DATA_SOURCE,
        "label": "Prometheus",
        "type": "datasource",
        "pluginId": "prometheus",
        "pluginName": "Prometheus",
    },
    {
        "name": VARIABLE,
        "label": "Runbooks",
        "type": "constant",
        "value": RUNBOOKS,
        "description": "Address of the directory with a page for each alert; links of panels begin with it.",
    },
)
"""What an import asks for. ``${NAME}`` is replaced by the answer, in whatever text it stands."""


def common() -> tuple[build.QueryVariable | build.DatasourceVariable | build.ConstantVariable, ...]:
    """Those of every dashboard."""
    return _data_source(), _environment(), _namespace(), _whose(), _runbooks()


def choice(name: str, label: str, metric: str) -> build.QueryVariable:
    """A variable with the values that a label of the same name takes on a metric; several or All can be chosen."""
    return _values(name, label, f"label_values({metric}{{{_CHOSEN}}}, {name})")


def runbook(alert: str) -> str:
    """Address of an alert's page: an import puts its answer there; without one, the variable has the default."""
    return f"${{{VARIABLE}}}/{alert}.md"


def _data_source() -> build.DatasourceVariable:
    """Its value is the data source chosen at import; in a provisioned file, where nobody chose, the default one."""
    chosen = model.VariableOption(selected=True, text=f"${{{_DATA_SOURCE}}}", value=f"${{{_DATA_SOURCE}}}")
    return build.DatasourceVariable("datasource").label("Data source").type("prometheus").current(chosen)


def _environment() -> build.QueryVariable:
    shown = {"All": "$__all"} | {name: name for name in ENVIRONMENTS}
    options = [model.VariableOption(selected=name == "All", text=name, value=value) for name, value in shown.items()]
    return _values("environment", "Environment", "label_values(environment)").options(options)


def _namespace() -> build.QueryVariable:
    """All is the only choice where no sender has a namespace."""
    return _values("service_namespace", "Service namespace", "label_values(service_namespace)")


def _whose() -> build.QueryVariable:
    """What legends end with: whose a series is, where what is chosen is of more than one; else next to nothing."""
    names = "|".join(spec.name for spec in _OF_EVERY_SENDER)
    several = f'count(group by ({", ".join(WHOSE)}) ({{__name__=~"{names}", {_CHOSEN}}})) > 1'
    legend = f'label_replace({several}, "legend", "{WHOSE_LEGEND}", "", "")'
    nothing = 'label_replace(vector(1), "legend", " ", "", "")'
    variable = build.QueryVariable("whose").query(f"query_result({legend} or on () {nothing})").datasource(SOURCE)
    variable.regex('/legend="([^"]*)"/').refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    variable.current(model.VariableOption(selected=True, text=WHOSE_LEGEND, value=WHOSE_LEGEND))
    return variable.hide(model.VariableHide.HIDE_VARIABLE)


def _runbooks() -> build.ConstantVariable:
    """Named as the input is: what an import did not replace, this does."""
    return build.ConstantVariable(VARIABLE).value(RUNBOOKS)


def _values(name: str, label: str, query: str) -> build.QueryVariable:
    variable = build.QueryVariable(name).label(label).query(query).datasource(SOURCE).multi(True).include_all(True)
    variable.current(model.VariableOption(selected=True, text="All", value="$__all")).all_value(".*")
    variable.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    return variable.sort(model.VariableSort.ALPHABETICAL_ASC)
