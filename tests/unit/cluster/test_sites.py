"""The table of sites, and what people add to it."""

import dataclasses
import re
from pathlib import Path

import pytest

from stsyn_mpi.cluster.sites import Site, find_site, load_sites
from stsyn_mpi.errors import InputError


def test_every_site_of_the_package_has_what_it_needs():
    sites = load_sites()
    assert {"generic-pbs", "generic-slurm", "polaris", "gadi", "mpt"} <= set(sites)
    assert all(site.about for site in sites.values())
    assert all('"$n_ranks"' in site.launch for site in sites.values())
    assert all('"$places"' in site.launch for site in sites.values())


def test_the_default_is_the_generic_one():
    sites = load_sites()
    assert find_site(sites, None, "pbs").name == "generic-pbs"
    assert find_site(sites, "generic_slurm", "slurm").name == "generic-slurm"


def test_an_own_site_takes_over_what_it_does_not_say(folder):
    own = folder / "own.toml"
    own.write_text(
        '[ours]\nlike = "polaris"\nqueue = "long"\ngpus-per-node = 2\n'
        '[generic-pbs]\nlike = "ours"\nabout = "another"\n'
    )
    sites = load_sites(own)
    assert (sites["ours"].queue, sites["ours"].gpus_per_node) == ("long", 2)
    assert sites["ours"].launch == sites["polaris"].launch
    assert sites["generic-pbs"].about == "another"
    assert sites["generic-pbs"].queue == "long"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "x in 'own.toml' is no site"),
        ('[x]\nlaunch = "mpirun"', "site 'x' of 'own.toml' has no 'scheduler'"),
        ('[x]\nscheduler = "pbs"', "has no 'launch'"),
        ('[x]\nscheduler = "lsf"\nlaunch = "m"', "unknown scheduler in site 'x'"),
        ('[x]\nlike = "polarsi"', "did you mean 'polaris'?"),
        ('[x]\nlike = "y"\n[y]\nlike = "x"', "'like' leads back to 'x'"),
        ('[x]\nlike = "gadi"\nmodule = "m"', "unknown key 'module' in site 'x'"),
        ('[x]\nlike = "gadi"\ncores-per-node = "m"', "must be a whole number"),
        ('[x]\nlike = "gadi"\ngpu-order = "any"', "unknown gpu-order in site 'x'"),
        ('[x]\nlike = "gadi"\nqueue = "a\\nrm b"', "is not one line of plain text"),
        ('[x]\nlike = "gadi"\nsoftware = ["a\\nb"]', "is not one line of plain text"),
        ('["x\\n#PBS"]\nlike = "gadi"', "a name is letters, digits"),
        ("[x", "is not TOML"),
    ],
)
def test_what_is_no_table_of_sites_is_refused(folder, text, said):
    (folder / "own.toml").write_text(text)
    with pytest.raises(InputError) as refused:
        load_sites((folder / "own.toml").relative_to(folder))
    assert said in str(refused.value)


PAGE = (Path(__file__).parents[3] / "docs" / "cluster.md").read_text()


def test_the_page_names_every_site_and_key(folder):
    sites = load_sites()
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (PBS|Slurm) \|", PAGE, re.MULTILINE)
    assert {name: kind.lower() for name, kind in rows} == {
        name: site.scheduler for name, site in sites.items()
    }
    keys = {field.name.replace("_", "-") for field in dataclasses.fields(Site)}
    assert all(f"`{key}`" in PAGE for key in keys - {"name"})


def test_the_example_of_the_page_is_a_site(folder):
    (example,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (folder / "own.toml").write_text(example)
    assert load_sites(folder / "own.toml")["ours"].gpus_per_node == 4
