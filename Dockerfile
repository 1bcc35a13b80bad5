# The runner's own image: a small Linux with Python, and the runner in front.
#
#   make image                                      builds it for this machine
#   make image BASE=node:22-slim                    on another base
#   make build-all && docker build --platform linux/arm64 \
#       --build-arg BINARY=bin/linux-arm64/fastmcp-runner .
#
# The binary is built before, outside: it is static, so it needs nothing of the
# base, and the image holds no compiler. Only instructions that the classic
# builder knows are used, so that every engine can build it.

# A hardened base, pinned, so that the same commit gives the same image. What
# the server needs to run (Python here, Node in the example above) comes from
# the base; another base needs no more than a shell and grep.
ARG BASE=cgr.dev/chainguard/wolfi-base@sha256:42012fa027adc864efbb7cf68d9fc575ea45fe1b9fb0d16602e00438ce3901b1
FROM ${BASE}

# Some bases choose a user of theirs; the steps below need root.
USER 0

# A base without apk is taken as it is, without network.
ARG PYTHON_VERSION=3.12
RUN if command -v apk >/dev/null; then apk add --no-cache "python-${PYTHON_VERSION}"; fi

# The server runs as UID 1000. Accounts are written by hand, because adduser
# and useradd differ from base to base; "!" is a password that nothing matches.
# Where a base has an account of that number already, it serves as well.
#
# Everything that the default allowlist takes from an image belongs to UID
# 1000: a platform that starts the container as that user leaves the runner no
# way to write elsewhere. So does /.fastmcp-runner, where it notes what it has
# laid, so that a restart need not pull again. Nothing here is run by root but
# the runner itself, which is static and lies elsewhere.
RUN set -eu; \
    grep -q '^[^:]*:[^:]*:1000:' /etc/group || echo 'user:!:1000:' >>/etc/group; \
    grep -q '^[^:]*:[^:]*:1000:' /etc/passwd || echo 'user:!:1000:1000::/home/user:/bin/false' >>/etc/passwd; \
    mkdir -p /app /data /home/user /opt /srv /var/data /var/lib /usr/local/lib/node_modules /.fastmcp-runner; \
    for lib in /usr/lib/python3.*; do if [ -d "$lib" ]; then mkdir -p "$lib/site-packages"; fi; done; \
    for dir in /app /data /home /opt /srv /var/data /var/lib /usr/local/lib /usr/lib/python*/site-packages /.fastmcp-runner; do \
        if [ -d "$dir" ]; then chown -R 1000:1000 "$dir"; fi; \
    done

ARG BINARY=bin/fastmcp-runner
COPY ${BINARY} /usr/bin/fastmcp-runner

# What container images of Python set: log lines appear at once, a crash in C
# code leaves a traceback, and no bytecode is written that the next container
# does not have. A server that is not Python does not notice.
ENV PYTHONUNBUFFERED=1 \
    PYTHONFAULTHANDLER=1 \
    PYTHONDONTWRITEBYTECODE=1

LABEL org.opencontainers.image.title="FastMCP Runner" \
      org.opencontainers.image.description="Runs an MCP server from its OCI image, on platforms where the base image is all one may choose" \
      org.opencontainers.image.source="https://github.com/drengskapur/fastmcp-runner" \
      org.opencontainers.image.documentation="https://github.com/drengskapur/fastmcp-runner#readme" \
      org.opencontainers.image.licenses="Apache-2.0"

# The directory of a server whose image names none.
WORKDIR /app

# A large image may take minutes to arrive: until the start period is over a
# failure does not count, while the first success does at once. Exec form,
# because a base need not keep its shell.
HEALTHCHECK --interval=15s --timeout=5s --start-period=300s --retries=3 \
    CMD ["/usr/bin/fastmcp-runner", "healthcheck"]

# No USER: as root the runner can give files their owners and then drops to UID
# 1000 itself, for good. Started as UID 1000 it has nothing to drop.
ENTRYPOINT ["/usr/bin/fastmcp-runner"]
