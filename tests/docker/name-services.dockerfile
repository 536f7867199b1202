# SPDX-License-Identifier: Apache-2.0
# Name services as desktops have them, and none that asks a DNS server.
FROM debian:bullseye-slim
RUN for try in 1 2 3 4 5; do \
      apt-get -q -o Acquire::Retries=5 update && DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Acquire::Retries=5 \
        install --no-install-recommends libnss-myhostname libnss-mdns libnss-resolve libnss-mymachines && break; \
      [ $try -lt 5 ] || exit 1; sleep 3; \
    done; rm -rf /var/lib/apt/lists/*; \
    printf '%s\n' 'passwd: files systemd' 'group: files systemd' 'services: files' \
      'hosts: mymachines mdns4_minimal [NOTFOUND=return] resolve [!UNAVAIL=return] myhostname' >/etc/nsswitch.conf
