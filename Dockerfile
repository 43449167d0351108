# One image for each service: docker build --target users-api|notifier|auditor .
# Nothing is compiled, and nothing is installed whose hash is not in requirements.lock.

FROM python:3.13-slim AS base
ARG PIP_DISABLE_PIP_VERSION_CHECK=1
ARG PIP_ROOT_USER_ACTION=ignore
ARG PIP_NO_CACHE_DIR=1
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# The base image has no bytecode of the standard library, and our user can't write any: without this, each start
# and each health check would compile it again.
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin herald \
    && install -d -o herald /var/lib/herald/reports \
    && python -m compileall -q -x 'ensurepip|idlelib|site-packages|test|tkinter|turtledemo' /usr/local/lib/python3.13

# Every wheel of the lock, its hash checked, and the workspace's own. Only here: services take what they name.
FROM base AS wheels
RUN --mount=type=bind,source=requirements.lock,target=/requirements.lock \
    pip download --quiet --no-deps --require-hashes --only-binary :all: --dest /wheels -r /requirements.lock \
    && pip install --quiet --no-index --find-links /wheels hatchling
COPY libs /workspace/libs
COPY services /workspace/services
RUN pip wheel --quiet --no-deps --no-index --no-build-isolation --wheel-dir /wheels \
    /workspace/libs/* /workspace/services/*

# What the services share: one layer, on disk once.
FROM base AS messaging
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    pip install --quiet --no-index --find-links /wheels herald-messaging

FROM messaging AS users-api
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    pip install --quiet --no-index --find-links /wheels herald-users-api
USER herald
ENV HOST=0.0.0.0 PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=8s --start-period=60s --start-interval=1s \
    CMD ["python", "-c", "import http.client, os, sys; web = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=5); web.request('GET', '/readyz'); sys.exit(web.getresponse().status != 200)"]
CMD ["users-api", "serve"]

# --skip-logging: Dramatiq's main process has a format of its own; the worker logs as LOG_FORMAT says either way.
FROM messaging AS notifier
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    pip install --quiet --no-index --find-links /wheels herald-notifier
USER herald
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --start-interval=3s \
    CMD ["python", "-m", "messaging.health", "worker"]
CMD ["dramatiq", "notifier.worker", "--processes", "1", "--threads", "8", "--skip-logging"]

FROM messaging AS auditor
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    pip install --quiet --no-index --find-links /wheels herald-auditor \
    && install -d -o herald /checkpoints
USER herald
# Where matplotlib keeps its list of fonts: the rest of the file system is read-only.
ENV MPLCONFIGDIR=/tmp/matplotlib
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --start-interval=3s \
    CMD ["python", "-m", "messaging.health", "worker"]
CMD ["dramatiq", "auditor.worker", "--processes", "1", "--threads", "8", "--skip-logging"]
