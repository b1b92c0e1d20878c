# A fresh host of writers with systemd: writer and technician's tool installed as the guide says.
ARG BASE
FROM ${BASE}

RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates python3-venv systemd \
 && rm -rf /var/lib/apt/lists/* \
 && python3 -m venv /opt/cardshop

WORKDIR /usr/src
# The versions that the tests run with.
COPY requirements.lock ./
RUN grep --only-matching '^[A-Za-z0-9._-]*==[^ ;]*' requirements.lock > versions
COPY dist ./dist
RUN /opt/cardshop/bin/pip install --no-cache-dir --constraint versions --find-links dist \
    "$(echo dist/cardshop-*.whl)[writer]" dist/cardshop_writer_helper-*.whl

# What would change the machine below: a container shares its kernel.
RUN systemctl mask systemd-sysctl.service systemd-modules-load.service systemd-udevd.service \
    systemd-remount-fs.service systemd-logind.service getty.target
ENV container=docker

STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/lib/systemd/systemd"]
