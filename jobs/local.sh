#!/bin/bash
# A run on this machine, without a scheduler: 4 workers and the root.
#
#   bash jobs/local.sh
#
# in the folder from which jobs/cluster.toml is found. Started again, it goes on in the
# run file. Ctrl-C, SIGTERM and SIGUSR1 end it in good order; `nohup bash jobs/local.sh &`
# outlives the terminal.

config=jobs/cluster.toml
run_file=runs/local.h5
n_workers=4
options=(--time-limit 8h)

prepare() {
    export PATH=.venv/bin:$PATH
}

# --- Nothing below needs a change ---------------------------------------------------

prepare
if [[ -e $run_file ]]; then
    file=(--resume "$run_file")
else
    file=(--out "$run_file")
fi
# `train -M` starts mpirun, passes signals on, and leaves with the code of the run.
exec stsyn-mpi train "$config" -M "$n_workers" "${options[@]}" "${file[@]}"
