#!/usr/bin/env bash
# Makes the base images of soldout and of Redis out of packages that this Debian machine has installed,
# where no image can be pulled: base_images.sh BASE_IMAGE REDIS_IMAGE WHEELS
# In the first: Python with pip, Redis and its user, whose folder is /data, and the files of WHEELS, from
# which pip installs there and from nowhere else. The second is the same, but starts as Redis's user.
set -euo pipefail
export LC_ALL=C
base_image=$1 redis_image=$2 wheels=$3
packages=(base-files bash coreutils dash grep passwd python3 python3-pip redis-server)

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch"/{data,tmp,wheels}
chmod 1777 "$scratch/tmp"
chown redis:redis "$scratch/data"
cp "$wheels"/* "$scratch/wheels"

with_what_they_need() {
    comm -12 <(apt-cache depends --recurse --important "$@" | grep '^[a-z0-9]' | sort -u) \
        <(dpkg-query --show --showformat '${binary:Package}\n' | sed 's/:.*//' | sort -u)
}

files_of() {  # as they lie on a disk where /bin and /lib are links into /usr
    dpkg -L "$@" | sed -nE 's#^/(bin|sbin|lib|lib64)/#usr/\1/#p; t; s#^/##p' |
        grep -vE '^(\.|data|tmp|usr/share/(doc|info|locale|man)/.*|)$'
    printf '%s\n' bin sbin lib lib64 etc/passwd etc/group etc/nsswitch.conf
}

mapfile -t installed < <(with_what_they_need "${packages[@]}")
files_of "${installed[@]}" | sort -u >"$scratch/files"
tar -c --ignore-failed-read -C / --no-recursion -T "$scratch/files" \
    --recursion -C "$scratch" data tmp wheels |
    docker import -c 'ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels' - "$base_image"
printf 'FROM %s\nUSER redis\n' "$base_image" | docker build --quiet --tag "$redis_image" -
