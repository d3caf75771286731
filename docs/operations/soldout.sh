#!/bin/sh
# soldout's commands as the service's user, with the service's settings. To /usr/local/bin/soldout.
set -a
. /etc/soldout.env
exec runuser -u soldout -- /opt/soldout/current/.venv/bin/soldout "$@"
