#!/bin/bash
# A run on this machine, without a scheduler: 4 workers and the root.
#
#   bash jobs/local.sh
#
# in the folder from which jobs/cluster.toml is found. Started again, it goes on in the
# run file, until the run is done. Ctrl-C, SIGTERM and SIGUSR1 end it in good order;
# `nohup bash jobs/local.sh &` outlives the terminal.

config=jobs/cluster.toml
run_file=runs/local.h5
n_workers=4
options=(--time-limit 8h)

prepare() {
    export PATH=.venv/bin:$PATH
}

# --- Nothing below needs a change ---------------------------------------------------

prepare
state_of_run() {
    [[ ! -e $run_file ]] ||
        stsyn-mpi watch "$run_file" --json 2>/dev/null | sed -n 's/^  "state": "\(.*\)",$/\1/p'
}

state=$(state_of_run)
case $state in
done)
    echo "local: $run_file is done"
    exit 0
    ;;
"") file=(--out "$run_file") ;;
*) file=(--resume "$run_file") ;;
esac
# `train -M` starts mpirun, passes signals on, and leaves with the code of the run.
exec stsyn-mpi train "$config" -M "$n_workers" "${options[@]}" "${file[@]}"
