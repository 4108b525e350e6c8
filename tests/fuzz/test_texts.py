"""What people write: TOML files, stored JSON, and ``name:key=value``."""

import json

import pytest
from fuzzing import Target
from fuzzing_bytes import damage, damage_text, hostile_json

from stsyn_mpi.config import TrainConfig, field_types
from stsyn_mpi.config_values import coerce_all, read_toml
from stsyn_mpi.datasets import parse_partition
from stsyn_mpi.datasets.synthetic import parse_shape
from stsyn_mpi.errors import InputError
from stsyn_mpi.faults import parse_faults
from stsyn_mpi.models.mlp import parse_widths
from stsyn_mpi.preflight import check_run_file
from stsyn_mpi.schemes import check_scheme, parse_scheme
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.simulation.delays import parse_delay
from stsyn_mpi.simulation.network import parse_network
from stsyn_mpi.spec import parse_duration, parse_number
from stsyn_mpi.study.config import StudyConfig
from stsyn_mpi.training.schedules import parse_schedule
from stsyn_mpi.training.server_steps import parse_server_step

TOML = """\
workers = 8
strategy = "stsyn:K=4,U=10"
delay = "exponential:mean=20ms,factors=1*7/4"
lr = 0.05
lr-schedule = "step:every=50,factor=0.5"
time-limit = "02:00:00"
target-accuracy = 0.9
fault = ["sleep:worker=3,at=10,for=2s"]
model = 'mlp:hidden=128'
partition = "dirichlet:alpha=0.5"
record-events = true
out = "runs/x.h5"
"""
STUDY = """\
workers = 8
strategies = ["stsyn:K=4,U=10", "local-sgd"]
seeds = 2
target = 0.9
real = false
network = "link:latency=1ms,bandwidth=1e9"
"""
SPECS = (
    "exponential:mean=20ms,scope=per-round,factors=1/1/2/4",
    "lognormal:mean=1.5,sigma=0.5,factors=10*4",
    "bimodal:mean=1s,slow-share=0.1,slowdown=5",
    "markov:mean=1s,slowdown=4,slow-share=0.2,spell=10",
    "trace:file=run.h5,part=work",
    "stsyn:K=5,U=10",
    "k-fastest:K=3",
    "fedbuff:K=3,U=5",
    "flanp:U=10",
    "adacomm:U=10",
    "staleness:power=0.5",
    "adam:lr=0.01,beta1=0.9",
    "nesterov:momentum=0.9",
    "step:every=50,factor=0.5",
    "sleep:worker=3,at=10,for=2s",
    "shards:per_worker=1",
    "dirichlet:alpha=0.5",
    "mlp:hidden=128-64",
    "link:latency=1ms,bandwidth=1Gbit",
    "02:00:00",
    "20ms",
    "28x28x3",
)
TABLES = ("[a.b]", "[[fault]]", "a.b = 1", "x = {y = {z = 1}}", "d = 1979-05-27", "= ")
READERS = (
    lambda text: parse_delay(text, 0, None),
    lambda text: parse_delay(text, 0, 4),
    lambda text: parse_faults([text], 4),
    lambda text: parse_schedule(text, 0.1, 100),
    lambda text: check_scheme(text, "auto", None, 4),
    lambda text: check_scheme("stsyn", text, 2, 4),
    lambda text: TrainConfig(strategy=text, workers=4).resolved(4),
    lambda text: TrainConfig(model=text).validate(),
    parse_scheme,
    parse_network,
    parse_server_step,
    parse_partition,
    parse_widths,
    parse_shape,
    parse_duration,
    parse_number,
)


def toml_seeds(folder):
    (folder / "train.toml").write_text(TOML)
    (folder / "study.toml").write_text(STUDY)


def toml_input(random, folder, where):
    path = where / random.choice(("train.toml", "study.toml"))
    text = (folder / path.name).read_text()
    kind = random.randrange(4)
    if kind == 0:
        path.write_bytes(damage(random, text.encode()))
        return path
    if kind == 1:
        text = text + "x = " + hostile_json(random) + "\n" * random.choice((0, 1))
    elif kind == 2:
        key = random.choice(sorted(field_types(TrainConfig)))
        lines = [line for line in text.splitlines() if not line.startswith(f"{key} ")]
        text = "\n".join([*lines, f"{key} = {hostile_json(random)}"])
    else:
        text = damage_text(random, text, (*TABLES, "." * 3000, '"' * 3, "a." * 20_000))
    path.write_text(text, errors="replace")
    return path


def read_toml_file(path):
    kind = StudyConfig if path.name == "study.toml" else TrainConfig
    config = kind.from_sources(path, {}).validate()
    if kind is TrainConfig:
        config.resolved(config.workers or 4)
        check_run_file(path.parent / f"{config.seed}.h5", force=False, delay="none")


def simulate_file(path):
    SimulateConfig.from_sources(path, {}).validate()
    coerce_all(read_toml(path), field_types(SimulateConfig), "x", "simulate")


def json_seeds(folder):
    (folder / "config.json").write_text(TrainConfig(workers=8).to_json())


def json_input(random, folder, where):
    text = (folder / "config.json").read_text()
    values = json.loads(text)
    kind = random.randrange(3)
    if kind == 0:
        text = hostile_json(random)
    elif kind == 1:
        values[random.choice(list(values))] = "@@"
        text = json.dumps(values).replace('"@@"', hostile_json(random))
    else:
        text = damage_text(random, text)
    path = where / "config.json"
    path.write_text(text, errors="surrogatepass")
    return path


def read_json(path):
    text = path.read_text(errors="surrogatepass")
    TrainConfig.from_json(text).validate().resolved(8)


def spec_seeds(folder):
    (folder / "specs").write_text("\n".join(SPECS))


def spec_input(random, _, where):
    path = where / "spec"
    words = (",", ":", "=", "/", "*", "1e9*4", "mean", "factors", "h", "ms", "file")
    text = damage_text(random, random.choice(SPECS), words)
    path.write_text(text, errors="surrogatepass")
    return path


def read_specs(path):
    """Read a text by every reader, and raise the worst of the refusals."""
    text, refusals = path.read_text(errors="surrogatepass"), []
    for reader in READERS:
        try:
            reader(text)
        except InputError as error:
            refusals.append(error)
    if refusals:
        raise max(refusals, key=lambda e: (len(str(e).splitlines()), len(str(e))))


TARGETS = {
    "toml": Target(toml_seeds, toml_input, read_toml_file),
    "toml-simulate": Target(toml_seeds, toml_input, simulate_file),
    "json": Target(json_seeds, json_input, read_json),
    "spec": Target(spec_seeds, spec_input, read_specs),
}


@pytest.mark.parametrize(
    ("name", "n_inputs"),
    [("toml", 1500), ("toml-simulate", 1500), ("json", 4000), ("spec", 150)],
)
def test_texts(feed, name, n_inputs):
    feed(__file__, name, n_inputs)
