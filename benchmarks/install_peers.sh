#!/bin/sh
# Installs the peers that are no dependency of ours into an environment of their own, benchmarks/.peers.
set -eu
cd "$(dirname "$0")"
"${PYTHON:-python3}" -m venv .peers
.peers/bin/pip install --quiet 'snakemake>=9,<10' 'dvc>=3.60,<4' 'doit>=0.36,<1'
.peers/bin/snakemake --version
.peers/bin/dvc --version
