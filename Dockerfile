# The image of app, worker, beat, migrations, Flower and the simulated vendor: one set of packages, several commands.
# docs/deploy.md says how it is used and how its steps are tried where there is no container engine.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim-bookworm AS packages
# As in deploy/install.sh.
RUN pip install --no-cache-dir --root-user-action=ignore uv==0.13.9
# Packages change less often than code: this layer is made anew only with the lock.
COPY requirements.fleet.lock /build/
# Compiled files name what they were made from by its content, so that two builds are the same.
ENV UV_LINK_MODE=copy PYC_INVALIDATION_MODE=UNCHECKED_HASH SOURCE_DATE_EPOCH=0
RUN --mount=type=cache,target=/root/.cache/uv \
    uv venv --quiet --python python3 /opt/venv && \
    uv pip sync --quiet --python /opt/venv/bin/python --require-hashes --compile-bytecode /build/requirements.fleet.lock

FROM python:${PYTHON}-slim-bookworm
# Boxes, uploads and beat's schedule: volumes take owner and mode from here.
RUN install -d -m 0700 -o 10001 -g 10001 /run/telemetry /var/lib/fleet /var/lib/fleet/storage /var/lib/fleet/beat
COPY --from=packages /opt/venv /opt/venv
WORKDIR /srv/fleet
# Has the version that `python -m telemetry` says.
COPY pyproject.toml ./
COPY telemetry/ telemetry/
COPY app/ app/
COPY worker/ worker/
COPY deploy/__init__.py deploy/
COPY deploy/simulated_llm/ deploy/simulated_llm/
COPY deploy/image/ deploy/image/
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/srv/fleet \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TELEMETRY_STATE_DIR=/run/telemetry
RUN python -m compileall -q --invalidation-mode unchecked-hash .
USER 10001:10001
# Delivers what was counted when the command has ended, also when it was killed.
ENTRYPOINT ["/srv/fleet/deploy/image/last-words.sh"]
CMD ["python", "-m", "uvicorn", "app.main:app", "--host", "0.0.0.0", "--port", "8001"]
