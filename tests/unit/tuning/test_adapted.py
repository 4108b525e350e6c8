"""``stsyn-mpi tune`` of a run that chose its K and U anew."""

import json
import shutil
import tomllib

import h5py
import pytest

from stsyn_mpi.cli.main import run as run_command
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.tuning import output
from stsyn_mpi.tuning.present import present_of
from stsyn_mpi.tuning.proxy import config_of

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def adapted(simulated):
    """A run that begins with U = 1, which it leaves at once."""
    path = simulated(
        "adapted",
        strategy="stsyn:adapt=u,K=4,U=1,every=3",
        network="constant:cost=100ms",
        timing_only=False,
        rounds=40,
    )
    with open_run(path) as run:
        u = run["target_updates"]
        assert u[0] == 1
        assert (u > 1).sum() > 30
    return path


def most_common_label(path):
    with open_run(path) as run:
        pairs = list(zip(run["wait_for"], run["target_updates"], strict=True))
    k, u = max(set(pairs), key=pairs.count)
    return f"stsyn:K={k},U={u}"


def tune(path, *options):
    words = [str(path), "--noise", "2", "--seeds", "2", *map(str, options)]
    return run_command(["tune", *words, "--json"])


def test_it_is_compared_with_the_k_and_u_of_most_rounds(adapted, capsys):
    assert tune(adapted, "--strategies", "local-sgd:U=5") == 0
    advice = json.loads(capsys.readouterr().out)
    assert advice["present"] == most_common_label(adapted)
    named = f"This run (adapted, most often {advice['present']})"
    assert any(line.startswith(named) for line in advice["verdict"])
    labels = {candidate["strategy"] for candidate in advice["candidates"]}
    assert labels == {advice["present"], "local-sgd:U=5"}


def test_an_adapted_run_that_is_too_short_is_said_to_be(adapted, tmp_path):
    """Its configuration has nothing to do with that."""
    path = tmp_path / "short.h5"
    shutil.copy(adapted, path)
    with h5py.File(path, "r+") as file:
        file["n_hung"][1:] = 1
    with open_run(path) as run, pytest.raises(InputError) as refused:
        present_of(run, config_of(run), SimulateConfig(workers=8))
    assert str(refused.value) == f"{path}: it has fewer than two rounds to compare"


@pytest.mark.parametrize("best", ["local-sgd:U=500", "stsyn:K=8,U=500"])
def test_what_is_recommended_is_kept_for_as_long(adapted, capsys, tmp_path, best):
    """By whatever scheme wins, and by the time that the run really took."""
    out = tmp_path / "next.toml"
    assert tune(adapted, "--strategies", best, "--apply", out) == 0
    advice = json.loads(capsys.readouterr().out)
    assert advice["recommended"]["strategy"] == best
    config = TrainConfig.from_sources(out, {}).resolved(8)
    assert config.adapt == "off"
    written = tomllib.loads(out.read_text())
    round_s = {c["strategy"]: c["round_s"] for c in advice["candidates"]}[best]
    with open_run(adapted) as run:
        took_s = run["wall_s"][-1]
    assert 0 <= written["rounds"] * round_s - took_s < round_s


@pytest.mark.parametrize("more", [("--json",), ()])
def test_advice_that_cannot_be_written_is_printed(
    adapted, capsys, tmp_path, monkeypatch, more
):
    """The trials took their time."""

    def check_nothing(path, *, force):
        pass

    monkeypatch.setattr(output, "check_path", check_nothing)
    out = tmp_path / "no-folder" / "next.toml"
    words = ["tune", str(adapted), "--noise", "2", "--seeds", "2", *more]
    words += ["--strategies", "k-sync:K=4", "--apply", str(out)]
    assert run_command(words) == 2
    captured = capsys.readouterr()
    assert "Use " in captured.out
    assert "wrote" not in captured.out
    assert captured.err.splitlines()[-1].startswith("stsyn-mpi: error:")
    if more:
        assert json.loads(captured.out)["applied"] is None


def test_a_target_is_looked_for_though_the_run_never_looked(simulated, tmp_path):
    path = simulated("unseen", eval_every=0, timing_only=False, rounds=20)
    out = tmp_path / "next.toml"
    options = ("--target", 0.5, "--strategies", "k-sync:K=4", "--apply", out)
    assert tune(path, *options) == 0
    assert tomllib.loads(out.read_text())["eval-every"] == 1
