#!/usr/bin/env bash
# What is worth knowing about one GPU, in one run of under nine minutes:
# benchmarks/gpu.sh [--small] [--out FILE] [--budget SECONDS] [--backbones NAME ...]
set -u
cd "$(dirname "$0")/.." || exit 1
exec "${PYTHON:-python3}" -m benchmarks.gpu "$@"
