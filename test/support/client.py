"""Sends traces, metrics and logs with the OpenTelemetry SDK for Python over OTLP/HTTP with gzip.

Its arguments are the endpoint and a service name. It prints, as JSON, the rows that ClickHouse must
have afterwards: they are written down here, beside what is sent, and not read from anywhere.
"""

import json
import logging
import sys
import time

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace import set_span_in_context

endpoint, service = sys.argv[1:3]
resource = Resource(
    {"service.name": service, "service.version": "1.2.3", "host.cpus": 4, "zones": ["a", "b"]}
)
resource_attributes = {
    "service.name": service,
    "service.version": "1.2.3",
    "host.cpus": "4",
    "zones": '["a","b"]',
}
options = {"compression": Compression.Gzip, "timeout": 60}
start_ns = 1_000_000 * (time.time_ns() // 1_000_000)
attributes = {"text": "é🎉", "whole": -42, "ratio": 0.25, "flag": True, "list": [1, 2, 3]}
texts = {"text": "é🎉", "whole": "-42", "ratio": "0.25", "flag": "true", "list": "[1,2,3]"}


def send_traces():
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", **options)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("client", "4.5", attributes={"scope": "yes"})
    linked = SpanContext(0xABC, 0xDEF, True, TraceFlags(1))
    parent = tracer.start_span(
        "GET /cart",
        kind=SpanKind.SERVER,
        attributes=attributes,
        links=[Link(linked, {"why": "batch"})],
        start_time=start_ns,
    )
    parent.add_event("cache miss", {"key": "cart:7"}, timestamp=start_ns + 1_000)
    parent.set_status(Status(StatusCode.ERROR, "no stock"))
    context = set_span_in_context(parent)
    child = tracer.start_span("SELECT", context=context, kind=SpanKind.CLIENT, start_time=start_ns)
    child.end(end_time=start_ns + 2_500_000)
    parent.end(end_time=start_ns + 7_000_001)
    provider.shutdown()
    ids = parent.get_span_context()
    trace_id, span_id = f"{ids.trace_id:032x}", f"{ids.span_id:016x}"
    scope = {"ScopeName": "client", "ScopeVersion": "4.5", "ResourceAttributes": resource_attributes}
    return [
        {
            "TraceId": trace_id,
            "SpanId": span_id,
            "ParentSpanId": "",
            "SpanName": "GET /cart",
            "SpanKind": "Server",
            "SpanAttributes": texts,
            "Duration": "7000001",
            "StatusCode": "Error",
            "StatusMessage": "no stock",
            "Events.Name": ["cache miss"],
            "Events.Attributes": [{"key": "cart:7"}],
            "Links.TraceId": ["00000000000000000000000000000abc"],
            "Links.SpanId": ["0000000000000def"],
            "Links.Attributes": [{"why": "batch"}],
            **scope,
        },
        {
            "TraceId": trace_id,
            "ParentSpanId": span_id,
            "SpanName": "SELECT",
            "SpanKind": "Client",
            "SpanAttributes": {},
            "Duration": "2500000",
            "StatusCode": "Unset",
            **scope,
        },
    ]


def send_metrics():
    exporter = OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics", **options)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=600_000)
    provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    meter = provider.get_meter("client", "4.5")
    meter.create_counter("orders", "{order}", "Placed").add(3, attributes)
    meter.create_up_down_counter("open").add(-2.5)
    meter.create_gauge("temperature", "Cel").set(21.5)
    durations = meter.create_histogram("durations", "s", explicit_bucket_boundaries_advisory=[0.1, 1])
    for value in (0.05, 0.5, 0.75, 20.0):
        durations.record(value)
    provider.shutdown()
    both = {"ScopeName": "client", "ScopeVersion": "4.5", "ResourceAttributes": resource_attributes}
    return {
        "otel_metrics_sum": [
            {
                "MetricName": "orders",
                "MetricUnit": "{order}",
                "MetricDescription": "Placed",
                "Attributes": texts,
                "Value": 3,
                "IsMonotonic": True,
                "AggregationTemporality": 2,
                **both,
            },
            {"MetricName": "open", "Attributes": {}, "Value": -2.5, "IsMonotonic": False, **both},
        ],
        "otel_metrics_gauge": [
            {"MetricName": "temperature", "MetricUnit": "Cel", "Value": 21.5, **both}
        ],
        "otel_metrics_histogram": [
            {
                "MetricName": "durations",
                "MetricUnit": "s",
                "Count": "4",
                "Sum": 21.3,
                "BucketCounts": ["1", "2", "1"],
                "ExplicitBounds": [0.1, 1],
                "Min": 0.05,
                "Max": 20,
                "AggregationTemporality": 2,
                **both,
            }
        ],
    }


def send_logs():
    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPLogExporter(endpoint=f"{endpoint}/v1/logs", **options)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    provider.get_logger("client", "4.5").emit(
        LogRecord(
            timestamp=start_ns,
            observed_timestamp=start_ns + 1,
            severity_number=SeverityNumber.WARN,
            severity_text="WARN",
            body="disk is 91 % full – räume auf 🎉",
            attributes=attributes,
            event_name="disk.full",
        )
    )
    provider.shutdown()
    return [
        {
            "SeverityText": "WARN",
            "SeverityNumber": 13,
            "Body": "disk is 91 % full – räume auf 🎉",
            "EventName": "disk.full",
            "LogAttributes": texts,
            "ScopeName": "client",
            "ScopeVersion": "4.5",
            "ResourceAttributes": resource_attributes,
        }
    ]


logging.basicConfig(level=logging.WARNING)
rows = {"otel_traces": send_traces(), **send_metrics(), "otel_logs": send_logs()}
print(json.dumps(rows))
