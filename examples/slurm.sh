#!/bin/bash
# Training on four machines with four GPUs each: sbatch examples/slurm.sh
# Each task of a step is a worker, and Slurm's own variables tell them of each other. The home folder is shared.
#SBATCH --job-name=photos
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --time=12:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
run=$HOME/runs/photos
if ls "$run"/checkpoints/epoch_* >/dev/null 2>&1; then
    srun keras-vae train --resume --run-dir "$run"
else
    srun keras-vae train --preset photos128 --dataset "folder:$HOME/photos" --batch-size 256 --run-dir "$run"
fi
status=$?
# Two minutes before the time is up Slurm has sent SIGTERM, which is a checkpoint and exit code 143: go on later.
if [ $status -eq 143 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $status
