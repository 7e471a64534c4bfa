#!/bin/bash
# sbatch docker/slurm-job.sh MODEL [OPTION]... : all five stages on a cluster, in the gpu image through Apptainer.
# snnb-gpu.sif (see docker/README.md), runs/ and data/ lie where the job is submitted.
#SBATCH --job-name=snnb
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --gres=gpu:1
#SBATCH --time=08:00:00
# Interrupt two minutes before the end. Submitted again, the job goes on from the last complete epoch.
#SBATCH --signal=INT@120
set -euo pipefail

model=${1:?usage: sbatch slurm-job.sh MODEL [OPTION]...}
shift
mkdir -p runs data
srun apptainer run --nv --containall --pwd /runs --bind "$PWD/runs:/runs,$PWD/data:/data" snnb-gpu.sif \
    run --model "$model" "$@"
