"""The built wheel holds what an installed package needs."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if tracked.returncode:
        pytest.skip("needs a git checkout, to build from its files alone")
    for name in tracked.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    (path,) = folder.glob("*.whl")
    code = {str(p.relative_to(copy)) for p in (copy / "stsyn_mpi").rglob("*.py")}
    return zipfile.ZipFile(path), code


def test_code_types_and_data_are_in_it(wheel):
    archive, code = wheel
    names = set(archive.namelist())
    assert len(code) > 20
    assert code <= names
    assert {"stsyn_mpi/py.typed", "stsyn_mpi/datasets/bundled/digits.h5"} <= names
    assert {f"stsyn_mpi/analysis/page/page.{kind}" for kind in ("html", "css")} <= names
    assert "stsyn_mpi/cluster/sites.toml" in names
    assert "stsyn_mpi/cluster/templates/job.sh" in names
    stored = archive.read("stsyn_mpi/datasets/bundled/digits.h5")
    assert stored.startswith(b"\x89HDF")


def test_nothing_else_is_in_it(wheel):
    tops = {name.split("/")[0] for name in wheel[0].namelist()}
    assert len(tops) == 2
    assert "stsyn_mpi" in tops


def test_it_installs_the_command_and_names_the_extras(wheel):
    archive, _ = wheel
    (info,) = {n.split("/")[0] for n in archive.namelist() if "dist-info" in n}
    entry_points = archive.read(f"{info}/entry_points.txt").decode()
    assert "stsyn-mpi = stsyn_mpi.cli.main:main" in entry_points
    metadata = archive.read(f"{info}/METADATA").decode()
    for extra in ("mpi", "plot", "xarray", "cuda12", "cuda13", "dev"):
        assert f"Provides-Extra: {extra}\n" in metadata
    assert "License-Expression: MIT" in metadata
