#!/bin/bash
# A Slurm of two nodes on this machine, until the end of standard input.
#
#   tests/support/slurm/slurm.sh FOLDER
#
# Says "ready", and then: export SLURM_CONF=FOLDER/slurm.conf. Nodes n1 and n2 have 64
# processors and four GPUs each, which nobody computes on. qsub works too, of the package
# slurm-wlm-torque: jobs find the variables of PBS. Everything is in FOLDER, and nothing
# is left running. Needs root, and Debian's slurm-wlm, munge, slurm-wlm-torque, and for
# srun --mpi=pmix libpmix-dev.
set -u
folder=$(realpath "$1")
mkdir -p "$folder"/{state,spool.n1,spool.n2,tmp.n1,tmp.n2,log,nodefiles}
chmod 700 "$folder"
host=$(hostname -s)

free_port() {
    local port=$((20000 + RANDOM % 20000))
    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        port=$((port + 1))
    done
    echo "$port"
}

# Open MPI names shared memory after host and job: no two machines of ours count alike.
cat >"$folder/slurm.conf" <<END
ClusterName=test
FirstJobId=$((1000 + RANDOM * 100 + $$ % 100))
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog=$folder/prolog.sh
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
KillWait=2
MinJobAge=600
ReturnToService=2
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool.%n
TmpFS=$folder/tmp.%n
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.%n.log
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
GresTypes=gpu
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$(free_port) CPUs=64 RealMemory=1000 Gres=gpu:4
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$(free_port) CPUs=64 RealMemory=1000 Gres=gpu:4
PartitionName=debug Nodes=ALL Default=YES State=UP OverSubscribe=FORCE:8
END

# What passes for GPUs is only named, not opened.
for i in {0..7}; do
    mknod "$folder/nvidia$i" c 1 3
done
cat >"$folder/gres.conf" <<END
NodeName=n1 Name=gpu File=$folder/nvidia[0-3]
NodeName=n2 Name=gpu File=$folder/nvidia[4-7]
END

cat >"$folder/prolog.sh" <<END
#!/bin/bash
if [[ -z \${PBS_JOBID:-} ]]; then
    echo "export PBS_JOBID=\$SLURM_JOB_ID"
    echo "export PBS_O_WORKDIR=\$SLURM_SUBMIT_DIR"
    echo "export PBS_NODEFILE=\$(TMPDIR=$folder/nodefiles generate_pbs_nodefile)"
    echo "export PBS_ARRAY_INDEX=\${SLURM_ARRAY_TASK_ID:-}"
fi
# mpirun of Open MPI wants to be told that root means it.
echo "export OMPI_ALLOW_RUN_AS_ROOT=1"
echo "export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"
END
chmod 755 "$folder/prolog.sh"

daemons=()
finish() {
    trap - EXIT
    timeout 10 scancel --user=root --quiet 2>/dev/null
    # The last ones started come first: they report to the others.
    for ((i = ${#daemons[@]} - 1; i >= 0; i--)); do
        kill "${daemons[i]}" 2>/dev/null
        wait "${daemons[i]}"
    done
    exit "$1"
}
trap 'finish 1' INT TERM HUP
trap 'finish $?' EXIT

start() {
    "$@" </dev/null >>"$folder/log/started.log" 2>&1 &
    daemons+=($!)
}

export SLURM_CONF=$folder/slurm.conf
dd if=/dev/urandom of="$folder/munge.key" bs=128 count=1 status=none
chmod 600 "$folder/munge.key"
start munged --foreground --force --key-file="$folder/munge.key" \
    --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
    --log-file="$folder/log/munged.log" --seed-file="$folder/munge.seed"
for ((i = 0; i < 100; i++)); do
    [[ ! -S $folder/munge.socket ]] || break
    sleep 0.05
done
start slurmctld -D -c
# Each node has its own host name, where the kernel lets us: two nodes are two hosts.
for node in n1 n2; do
    if unshare --uts true 2>/dev/null; then
        start unshare --uts bash -c "hostname $node; exec slurmd -D -N $node"
    else
        start slurmd -D -N "$node"
    fi
done
for ((i = 0; i < 200; i++)); do
    [[ $(sinfo --noheader --format=%t%D 2>/dev/null) != idle2 ]] || break
    sleep 0.1
done
if ((i == 200)); then
    tail -n 5 "$folder"/log/* >&2
    exit 1
fi
echo ready
cat >/dev/null
