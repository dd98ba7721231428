#!/bin/bash
# Training on four machines with four GPUs each: sbatch examples/slurm.sh
# Each task is a worker; Slurm's own variables tell the workers about each other. The home folder must be shared.
#SBATCH --job-name=photos
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --time=12:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
run=$HOME/runs/photos
if [ -e "$run/config.json" ]; then
    srun keras-vae train --resume --run-dir "$run"
else
    srun keras-vae train --preset photos128 --dataset "folder:$HOME/photos" --batch-size 256 --run-dir "$run"
fi
status=$?
# Slurm sends SIGTERM two minutes before the time limit. Training then writes a checkpoint and exits with code 143.
if [ $status -eq 143 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $status
