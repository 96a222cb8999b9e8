#!/bin/sh
# Evidently in an environment of its own beside this file (git-ignored), for benchmarks/drift.py: about 1 GB.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
"$python" -m venv "$here/.drift-peers"
"$here/.drift-peers/bin/python" -m pip install --quiet 'evidently==0.7.23' 'pandas==2.3.3' pyarrow
"$here/.drift-peers/bin/python" -c 'from evidently.presets import DataDriftPreset; print("evidently is ready")'
