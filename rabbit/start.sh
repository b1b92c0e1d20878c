#!/bin/sh
# Fills in the settings and becomes RabbitMQ. Comes in: CARDSHOP_* as below, and the files that they name.
set -eu
umask 077

missing=
for name in CARDSHOP_LISTEN CARDSHOP_TLS_CERT CARDSHOP_TLS_KEY CARDSHOP_CA_FILE CARDSHOP_SCHEDULER_URL; do
    eval "[ -n \"\${$name:-}\" ]" || missing="$missing $name"
done
[ -z "$missing" ] || { echo "These settings are missing:$missing" >&2; exit 78; }

templates=$(dirname "$0")
settings=/tmp/rabbit
mkdir -p "$settings"
export CARDSHOP_DEFINITIONS="$settings/definitions.json"
cat "$templates/rabbitmq.conf" "$templates/logins.conf" | envsubst > "$settings/rabbitmq.conf"
for name in advanced.config definitions.json enabled_plugins; do
    envsubst < "$templates/$name" > "$settings/$name"
done

# Erlang reserves memory for every file that it may open, and Docker may allow a thousand million.
most=$(ulimit -n)
if [ "$most" = unlimited ] || [ "$most" -gt 65536 ]; then ulimit -n 65536; fi

# One node, always of the same name: its data outlives the container. Erlang's own ports stay inside.
export HOME=/var/lib/rabbitmq
export ERL_EPMD_ADDRESS=127.0.0.1
export RABBITMQ_NODENAME=cardshop@localhost
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}"
export RABBITMQ_CONF_ENV_FILE="$settings/none.conf"
export RABBITMQ_CONFIG_FILE="$settings/rabbitmq.conf"
export RABBITMQ_ADVANCED_CONFIG_FILE="$settings/advanced.config"
export RABBITMQ_ENABLED_PLUGINS_FILE="$settings/enabled_plugins"
export RABBITMQ_GENERATED_CONFIG_DIR="$settings/generated"
export RABBITMQ_MNESIA_BASE=/var/lib/rabbitmq/mnesia
export RABBITMQ_LOG_BASE=/var/lib/rabbitmq/log
export RABBITMQ_LOGS=-
exec /usr/lib/rabbitmq/bin/rabbitmq-server
