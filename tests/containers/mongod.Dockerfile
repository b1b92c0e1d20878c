# A real mongod where MongoDB's own image can't be pulled. Its user has the number that MongoDB's image gives it.
ARG BASE
FROM ${BASE}
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libcurl4 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && useradd --system --uid 999 --user-group --no-create-home mongodb \
 && install --directory --owner mongodb --group mongodb /data/db
COPY mongod /usr/local/bin/mongod
