"""Builds the SDK provider of one process: views from the catalogue, a reader for the chosen sink."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.metrics.view import DropAggregation, View

from telemetry.batches import BatchedHistogramAggregation
from telemetry.catalogue import ALL, HistogramSpec, Spec
from telemetry.pipeline.delivery import Delivery, Observer
from telemetry.pipeline.reader import DeltaReader
from telemetry.pipeline.resource import build_resource
from telemetry.pipeline.settings import Settings
from telemetry.pipeline.transport import HttpTransport, SdkTransport, Transport


def build_provider(
    settings: Settings, readers: list[MetricReader], constant_labels: Mapping[str, str]
) -> MeterProvider:
    """A provider that lets out what the catalogue declares and nothing else."""
    views = [view_of(spec, constant_labels) for spec in ALL]
    if not settings.pass_uncatalogued:
        views.append(View(instrument_name="*", aggregation=DropAggregation()))
    return MeterProvider(
        metric_readers=readers,
        resource=build_resource(settings),
        views=views,
        exemplar_filter=AlwaysOffExemplarFilter(),
        shutdown_on_exit=False,
    )


def view_of(spec: Spec[Any], constant_labels: Mapping[str, str]) -> View:
    """The view that fixes name, allowed labels and buckets of one metric."""
    buckets = BatchedHistogramAggregation(spec.buckets) if isinstance(spec, HistogramSpec) else None
    return View(
        instrument_name=spec.name,
        attribute_keys={*spec.label_keys, *constant_labels},
        aggregation=buckets,
    )


def build_readers(settings: Settings, observer: Observer | None = None) -> list[MetricReader]:
    """The reader of the chosen sink, not started; none where metrics go nowhere."""
    if settings.sink == "otlp":
        _import_what_exports_import_lazily()
        delivery = Delivery(build_transport(settings), observer)
        return [DeltaReader(delivery, settings.export_interval, settings.export_timeout)]
    if settings.sink == "prometheus":
        from telemetry.pipeline.prometheus import build_prometheus_reader

        return [build_prometheus_reader(settings)]
    return []


def _import_what_exports_import_lazily() -> None:
    """A fork while the export thread imports a module leaves that module's import lock held in the child for ever."""
    for name in ("encodings.idna", "netrc", "requests", "stringprep"):
        import_module(name)


def build_transport(settings: Settings) -> Transport:
    """The way to the collector by the chosen protocol; endpoint, headers and certificates come from ``OTEL_*``.

    Raises:
        ImportError: Where ``grpc`` is asked for and its exporter is not installed, naming what to install.
    """
    if settings.protocol == "http/protobuf":
        return HttpTransport()
    try:
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    except ImportError as error:
        raise ImportError(
            "OTEL_EXPORTER_OTLP_PROTOCOL='grpc' needs the package opentelemetry-exporter-otlp-proto-grpc: "
            "install it, or set http/protobuf"
        ) from error
    return SdkTransport(OTLPMetricExporter())
