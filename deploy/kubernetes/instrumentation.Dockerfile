# The image of an `Instrumentation` of the OpenTelemetry Operator: it copies /autoinstrumentation (for musl: /autoinstrumentation-musl) into a
# volume of the pod, which is on the program's PYTHONPATH then. Build it in the root of the repository:
#
#   docker build -f deploy/kubernetes/instrumentation.Dockerfile -t fleet-telemetry-instrumentation:local .
#
# No extras: what is copied comes before the program's own packages, and they would be replaced by ours. Compiled parts that fit
# another Python only (wrapt has one) have Python to fall back on.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim-bookworm AS glibc
RUN pip install --no-cache-dir --root-user-action=ignore uv==0.13.9
WORKDIR /build
COPY . .
RUN uv build --quiet --wheel --out-dir dist .
RUN uv pip install --quiet --python python3 --target /autoinstrumentation --constraints requirements.lock dist/*.whl

FROM python:${PYTHON}-alpine AS musl
RUN pip install --no-cache-dir --root-user-action=ignore uv==0.13.9
WORKDIR /build
COPY --from=glibc /build/dist dist
COPY requirements.lock .
RUN uv pip install --quiet --python python3 --target /autoinstrumentation --constraints requirements.lock dist/*.whl

# The operator runs `cp` in it.
FROM busybox:1.37-musl
COPY --from=glibc /autoinstrumentation /autoinstrumentation
COPY --from=musl /autoinstrumentation /autoinstrumentation-musl
RUN chmod -R go+rX /autoinstrumentation /autoinstrumentation-musl
USER 10001:10001
