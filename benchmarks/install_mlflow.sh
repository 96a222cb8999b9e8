#!/bin/sh
# Installs MLflow into an environment of its own, benchmarks/.mlflow, for benchmarks/tracking.py and the tests of the mirror:
#   sh benchmarks/install_mlflow.sh
#   export TREADLE_MLFLOW_PYTHON=$PWD/benchmarks/.mlflow/bin/python
set -eu
cd "$(dirname "$0")"
"${PYTHON:-python3}" -m venv .mlflow
# The environment's own pip: it can install nowhere else.
.mlflow/bin/python -m pip install --quiet 'mlflow>=3,<4' 'skops>=0.11' 'cloudpickle>=3'
.mlflow/bin/python -m mlflow --version
