# SPDX-License-Identifier: Apache-2.0
# Buildx, a program that Debian 12 can run, by which an engine builds with BuildKit; a test takes it out of the image.
FROM debian:trixie-slim
RUN for try in 1 2 3 4 5; do \
      apt-get -q -o Acquire::Retries=5 update && DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Acquire::Retries=5 \
        install --no-install-recommends docker-buildx && break; \
      [ $try -lt 5 ] || exit 1; sleep 3; \
    done; rm -rf /var/lib/apt/lists/*
