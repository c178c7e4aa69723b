# One image for worker, poller, set-up, certificates and the bundled board.
FROM python:3.11.13-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md ./
COPY schemas schemas
COPY sql sql
COPY mappings mappings
COPY connectors connectors
COPY streams streams
RUN python -m venv /opt/ordersync \
    && /opt/ordersync/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt '.[sqlserver]'

FROM python:3.11.13-slim-bookworm
# What pyodbc and the driver of the wheel need (connectors/database/odbc_driver.py); openssl is there with ca-certificates.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libodbc2 libltdl7 libkrb5-3 libgssapi-krb5-2 libssl3 \
    && rm -rf /var/lib/apt/lists/*
# SQL Server's image has this uid too, and so may read the key that `certificates` makes for it.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin ordersync \
    && mkdir /data /board /keys /trust && chown ordersync /data /board /keys /trust
COPY --from=build /opt/ordersync /opt/ordersync
ENV PATH=/opt/ordersync/bin:$PATH PYTHONUNBUFFERED=1 ORDERSYNC_HOME=/data
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 6066
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:6066/live', timeout=5)"]
ENTRYPOINT ["ordersync"]
CMD ["--help"]
