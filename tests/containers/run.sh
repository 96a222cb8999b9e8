#!/bin/sh
# Build and run the image of `treadle export docker` for real, and ask it in all four dialects.
#
#   sudo tests/containers/run.sh EXPORTED_DIR MODEL [BASE_IMAGE]
#
# Needs root, buildah, podman, runc and curl; debootstrap too where no BASE_IMAGE is given, since then a Debian base is
# made without any image registry. TREADLE_BUILD_OPTIONS goes to `buildah bud`, for example to mount pip's settings;
# TREADLE_ROOTFS names a folder that debootstrap has filled already.
set -eu
dir=$1 model=$2 base=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
store="--root $work/store --runroot $work/run --storage-driver vfs"
name=treadle-test-$$
podman="podman $store --runtime runc --cgroup-manager=cgroupfs"
cleanup() {
    $podman rm -f -t 0 "$name" >/dev/null 2>&1 || true
    umount "$work"/store/vfs 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT INT TERM

if [ -z "$base" ]; then
    rootfs=${TREADLE_ROOTFS:-$work/rootfs}
    [ -d "$rootfs/usr" ] || debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$rootfs"
    container=$(buildah $store from scratch)
    buildah $store add -q "$container" "$rootfs" / >/dev/null
    buildah $store commit -q --rm "$container" localhost/base >/dev/null
    base=localhost/base
    echo "base: made by debootstrap"
fi
# shellcheck disable=SC2086
buildah $store bud -q --isolation chroot --pull=never --format docker --build-arg "BASE=$base" \
    ${TREADLE_BUILD_OPTIONS:-} -t localhost/image "$dir"
echo "built: $($podman image inspect --format '{{.Size}}' localhost/image) bytes"
$podman image inspect --format 'user {{.Config.User}}, health {{json .HealthCheck.Test}}' localhost/image 2>/dev/null || true
# `serve` is the word that SageMaker passes
$podman run -d --name "$name" --network=host --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
    -e SAGEMAKER_BIND_TO_PORT=18080 localhost/image serve >/dev/null
at=http://127.0.0.1:18080
for try in $(seq 100); do
    curl -sf $at/ping >/dev/null && break
    [ "$try" -lt 100 ] || { $podman logs "$name"; exit 1; }
    sleep 0.3
done
python3 "$here/ask.py" $at "$model"
$podman exec "$name" entrypoint healthy && echo "health check: ok"
$podman exec "$name" id -u | sed 's/^/runs as user /'
$podman exec "$name" sh -c 'ls /srv/treadle /srv/treadle/.treadle/predictions/*'
before=$(date +%s)
$podman stop -t 30 "$name" >/dev/null
echo "stopped after $(($(date +%s) - before)) s, exit code $($podman inspect --format '{{.State.ExitCode}}' "$name")"
