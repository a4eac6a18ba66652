# The programs of the bus: worker, exporter, canary, bookkeeper, console, connector, and the command line of operators.
# Kafka, registry and database are images of their own (docker-compose.yml), so nothing of the local bus is in here.
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /source
RUN python -m venv /opt/lintas
COPY deploy/requirements.lock deploy/build.lock deploy/
# versions and hashes are pinned: a package that was changed since is refused
RUN python -m venv /opt/build \
 && /opt/build/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r deploy/build.lock \
 && /opt/lintas/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r deploy/requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY connectors connectors
COPY lintas lintas
COPY monitoring monitoring
COPY schemas schemas
COPY streams streams
RUN /opt/build/bin/python -m pip wheel --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation \
      --wheel-dir /wheels ./connectors/client . \
 && /opt/lintas/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --no-index /wheels/*.whl \
 && /opt/lintas/bin/python -m pip check \
 && /opt/lintas/bin/python -m compileall -q /opt/lintas/lib \
 && /opt/lintas/bin/python -m pip uninstall --yes pip setuptools

FROM python:3.11.14-slim-bookworm
# a number, so that whoever runs it can see that it is not root; docker-compose.yml gives the owner of the secrets
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin lintas
COPY --from=build /opt/lintas /opt/lintas
COPY deploy/healthy /usr/local/bin/healthy
ENV PATH=/opt/lintas/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LINTAS_HOME=/tmp/lintas \
    HEALTH_URL=http://127.0.0.1:9464/ready
USER 10001:10001
ENTRYPOINT ["lintas"]
CMD ["--help"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["healthy"]
