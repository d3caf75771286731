#!/bin/sh
# soldout's commands as the service's user, with the service's settings. To /usr/local/bin/soldout.
# They are read as systemd reads them, letter by letter: to source them would run what stands in a value.
while IFS= read -r line || [ -n "$line" ]; do
    case $line in
        [A-Z]*=*) export "$line" ;;
    esac
done < /etc/soldout.env
exec runuser -u soldout -- /opt/soldout/current/.venv/bin/soldout "$@"
