# A fresh host of writers with systemd: writer and technician's tool installed as the guide says.
ARG BASE
FROM ${BASE}

RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates systemd \
 && rm -rf /var/lib/apt/lists/*

COPY dist /usr/src
RUN apt-get update \
 && apt-get install --yes --no-install-recommends /usr/src/cardshop-writer-helper_*.deb \
 && rm -rf /var/lib/apt/lists/*

# What would change the machine below: a container shares its kernel.
RUN systemctl mask systemd-sysctl.service systemd-modules-load.service systemd-udevd.service \
    systemd-remount-fs.service systemd-logind.service getty.target
ENV container=docker

STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/lib/systemd/systemd"]
