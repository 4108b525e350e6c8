"""The schemes of the package, by name: what tests may know of each.

A scheme that somebody adds is not among them, and needs no change here.
"""

SHIPPED = (
    "stsyn",
    "adacomm",
    "async",
    "fedbuff",
    "fednova",
    "flanp",
    "k-async",
    "k-batch-async",
    "k-batch-sync",
    "k-fastest",
    "k-sync",
    "local-sgd",
    "rennala",
    "sync-sgd",
)
