#!/bin/bash
# @title@
#
#   @submit@ @script@
#
@head@
# First look whether all is well: @submit@ @doctor@ @script@

# --- The site and the job: look at every line ---------------------------------------
@directives@

script=@script@
config=@config@
run_file=@run_file@
options=(@options@)
n_nodes=@n_nodes@
root_on=@root_on@    # first: the root shares the first node; own: it has that for itself
workers_per_node=@workers_per_node@
@if cores@
cores_per_worker=@cores_per_worker@
@end@
@if pbs@
limit_s=@limit_s@    # the walltime less a margin: checkpoint, close and leave before it
@end@
@if bind@
gpus_per_node=@gpus_per_node@
@end@
@if chain@
most_links=@most_links@
@end@

prepare() {
@software@
}

launch() {
    exec @launch@ "$@"
}

# --- Nothing below needs a change ---------------------------------------------------

say() {
    echo "${script##*/}: $*"
}

@if pbs@
cd "$PBS_O_WORKDIR" || exit 2
@end@
@if slurm@
cd "$SLURM_SUBMIT_DIR" || exit 2
@end@
# Slurm warns the batch shell before the walltime, PBS and people send SIGTERM: the run
# gets SIGUSR1, at which it checkpoints, closes its file and leaves.
job='' asked=0
trap 'asked=1; [[ -z $job ]] || kill -USR1 "$job" 2>/dev/null' USR1 TERM

prepare
set -u
if ! program=$(command -v stsyn-mpi); then
    say "no stsyn-mpi on PATH: see prepare() in the script" >&2
    exit 2
fi
[[ $program == /* ]] || program=$PWD/$program

# A node file has lines for cores, ranks or nodes, as the site likes: only names count.
@if pbs@
mapfile -t hosts < <(awk '!seen[$0]++' "$PBS_NODEFILE")
@end@
@if slurm@
mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
@end@
if ((${#hosts[@]} != n_nodes)); then
    say "the job has ${#hosts[@]} nodes, and n_nodes is $n_nodes: both are set above" >&2
    exit 2
fi

# The host of each rank: the root's, then those of the workers, node by node.
places=$(mktemp) || exit 1
trap 'rm -f "$places"' EXIT
echo "${hosts[0]}" >"$places"
[[ $root_on == first ]] || hosts=("${hosts[@]:1}")
for host in "${hosts[@]}"; do
    for ((i = 0; i < workers_per_node; i++)); do
        echo "$host" >>"$places"
    done
done
n_ranks=$((${#hosts[@]} * workers_per_node + 1))
@if bind@

# Before Python starts, a worker gets its GPU and the cores beside it, and the root none.
binding=$(
    cat <<'END'
# Slurm's come last: below mpirun they are those of the batch script.
rank=${PALS_RANKID:-${PMI_RANK:-${OMPI_COMM_WORLD_RANK:-${SLURM_PROCID:?no rank}}}}
index=${PALS_LOCAL_RANKID:-${PMI_LOCAL_RANK:-${OMPI_COMM_WORLD_LOCAL_RANK:-}}}
index=${index:-${MPI_LOCALRANKID:-${SLURM_LOCALID:?no local rank}}}
if ((rank == 0)); then
    export CUDA_VISIBLE_DEVICES=
    exec "$@"
fi
# On the root's node the workers come after it.
[[ ${root_host%%.*} != "$(hostname -s)" ]] || index=$((index - 1))
gpu=$((index % gpus_per_node))
[[ $gpu_order == same ]] || gpu=$((gpus_per_node - 1 - gpu))
export CUDA_VISIBLE_DEVICES=$gpu
first=$((index * cores_per_worker))
cores=$first-$((first + cores_per_worker - 1))
if taskset -c "$cores" true 2>/dev/null; then
    exec taskset -c "$cores" "$@"
fi
echo "rank $rank: not bound, it cannot have the cores $cores" >&2
exec "$@"
END
)
root_host=$(head -n 1 "$places")
gpu_order=@gpu_order@
export root_host gpus_per_node cores_per_worker gpu_order
start=(bash -c "$binding" binding "$program")
@end@
@if unbound@
start=("$program")
@end@

if [[ ${STSYN_MPI_JOB:-} == doctor ]]; then
    # Looks at MPI, GPUs and files where the ranks will be, and trains nothing.
    folder=$(dirname -- "$run_file")
    (launch "${start[@]}" doctor "${options[@]}" --out "$folder") </dev/null
    exit
fi

command=("${start[@]}" train "$config" "${options[@]}")

look_up() {
    [[ ! -e $run_file ]] || "$program" watch "$run_file" --json 2>/dev/null |
        sed -n 's/^  "'"$1"'": "\{0,1\}\([^",]*\)"\{0,1\},$/\1/p'
}

@if chain@
link=${STSYN_MPI_LINK:-1}
n_rounds=$(look_up n_rounds)
@end@
state=$(look_up state)
case $state in
done)
    say "$run_file is done"
    exit 0
    ;;
"") command+=(--out "$run_file") ;;
@if chain@
*)
    command+=(--resume "$run_file")
    # Whoever wrote it is gone: this job was to wait for its end.
    ((link == 1)) || command+=(--force)
    ;;
@end@
@if single@
*) command+=(--resume "$run_file") ;;
@end@
esac
@if chain@

# The next job is there before this one works, so that it also follows a job that is
# killed. It waits for the end of this one.
next=
if ((link < most_links)); then
@if pbs@
    next=$(qsub -W "depend=afterany:$PBS_JOBID" -v "STSYN_MPI_LINK=$((link + 1))" "$script")
@end@
@if slurm@
    next=$(sbatch --parsable --dependency="afterany:$SLURM_JOB_ID" \
        --export="ALL,STSYN_MPI_LINK=$((link + 1))" "$script")
    # Where there are several clusters, the name of this one comes after it.
    next=${next%%;*}
@end@
fi
say "link $link of at most $most_links; next: ${next:-none}"
@end@

if ((asked)); then
    exit 0
fi
@if pbs@
command+=(--time-limit "$((limit_s - SECONDS))s")
@end@
launch "${command[@]}" &
job=$!
wait "$job"
code=$?
# A signal ends only the waiting.
while kill -0 "$job" 2>/dev/null; do
    wait "$job"
    code=$?
done

state=$(look_up state)
say "$run_file: ${state:-not begun}"
case $state in
done) code=0 ;;
@if chain@
stopped | running | interrupted)
    if ((code == 0)) || [[ $(look_up n_rounds) != "$n_rounds" ]]; then
        say "goes on in ${next:-no job: submit $script again}"
        exit 0
    fi
    say "no round was made, the chain ends" >&2
    ;;
@end@
@if single@
stopped)
    say "submit $script again to go on"
    code=0
    ;;
@end@
*) ((code)) || code=1 ;;
esac
@if chain@
# Nothing is left to do, or somebody has to look first.
@if pbs@
[[ -z $next ]] || qdel "$next"
@end@
@if slurm@
[[ -z $next ]] || scancel "$next"
@end@
@end@
exit "$code"
