#!/bin/sh
# Puts the servers that benchmarks/serving.py compares with into environments of their own, beside this file; ~1.5 GB.
#
# benchmarks/install_serving_peers.sh [mlflow] [bentoml] [mlserver] [fastapi]
set -eu
here="$(cd "$(dirname "$0")" && pwd)/.serving-peers"
python="${PYTHON:-python3}"
uv() { "$python" -m uv "$@"; }

make_one() {
    name="$1"; shift
    [ -e "$here/$name/done" ] && return 0
    "$python" -m venv --without-pip "$here/$name"
    uv pip install --quiet --python "$here/$name/bin/python" "scikit-learn" "pandas" "$@" || return 1
    touch "$here/$name/done"
}

mkdir -p "$here"
for name in ${*:-fastapi mlserver bentoml mlflow}; do
    case "$name" in
        fastapi) make_one fastapi fastapi "uvicorn[standard]" msgspec ;;
        # with a newer uvloop its workers die: "There is no current event loop in thread 'MainThread'"
        mlserver) make_one mlserver mlserver mlserver-sklearn "uvloop==0.21.0" ;;
        bentoml) make_one bentoml bentoml ;;
        mlflow) make_one mlflow mlflow ;;
        *) echo "no peer is called $name" >&2; exit 2 ;;
    esac && echo "$name: installed" || echo "$name: could not be installed" >&2
done
