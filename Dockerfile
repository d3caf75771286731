# The service, and a second image with the load test on top. The base may be any Linux with Python 3.11
# or newer, pip and useradd.
ARG BASE_IMAGE=python:3.11-slim

FROM ${BASE_IMAGE} AS packages
ARG PIP_INDEX_URL
WORKDIR /src
# Without a pip of its own, what is installed for the service has nothing that installs more.
RUN python3 -m venv --without-pip /opt/soldout
COPY requirements/run.txt .
RUN python3 -m pip --python /opt/soldout/bin/python install --no-cache-dir --require-hashes -r run.txt
COPY LICENSE README.md pyproject.toml ./
COPY workers workers
COPY service service
RUN python3 -m pip --python /opt/soldout/bin/python install --no-cache-dir --no-deps --no-build-isolation .

FROM ${BASE_IMAGE} AS service
# Numbers, so that a cluster can see that it is not root. A volume at /data inherits owner and mode.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin soldout \
    && install --directory --owner soldout --group soldout --mode 0700 /data
COPY --from=packages /opt/soldout /opt/soldout
ENV PATH=/opt/soldout/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    SOLDOUT_BIND=0.0.0.0:8000 SOLDOUT_DATA_DIR=/data
WORKDIR /
USER 10001:10001
EXPOSE 8000
ENTRYPOINT ["soldout"]
CMD ["serve"]

FROM packages AS loadtest-packages
COPY requirements/loadtest.txt .
RUN python3 -m pip --python /opt/soldout/bin/python install --no-cache-dir --require-hashes -r loadtest.txt

FROM service AS loadtest
COPY --from=loadtest-packages /opt/soldout /opt/soldout
COPY loadtest /opt/loadtest/loadtest
WORKDIR /opt/loadtest
ENTRYPOINT ["locust", "-f", "loadtest/locustfile.py", "--headless", "--only-summary"]
CMD ["--host", "http://127.0.0.1:8000"]

# Last, because it is what `docker build .` makes.
FROM service
