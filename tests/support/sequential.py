"""The rule computed plainly, one worker after another, from recorded counts."""

import numpy as np

from stsyn_mpi.arrays import select_backend
from stsyn_mpi.datasets import open_dataset, partition
from stsyn_mpi.models import build_model
from stsyn_mpi.training.sampling import BatchSampler


def sequential_params(config, counts):
    """Return x_J for ``counts`` (rounds, workers): completed updates of each worker.

    Every round: each worker with at least one update runs plain SGD from x_j; the
    next model is the mean over those workers.
    """
    backend, data = select_backend("cpu"), open_dataset(config["data"])
    model = build_model(config["model"], backend, data.image_shape, data.n_classes)
    params = model.initial_params(config["seed"])
    n_workers = counts.shape[1]
    parts = partition(
        config["partition"], data.train_labels(), n_workers, config["seed"]
    )
    samplers = [
        BatchSampler(
            backend, *data.read_train(part), config["batch_size"], config["seed"], w
        )
        for w, part in enumerate(parts)
    ]
    gradient = np.empty_like(params)
    for round_index, row in enumerate(counts):
        uploads = []
        for worker in np.flatnonzero(row):
            local = params.copy()
            for update in range(row[worker]):
                images, labels = samplers[worker].draw(round_index, update)
                model.loss_and_gradient(local, images, labels, gradient)
                local = local - np.float32(config["lr"]) * gradient
            uploads.append(local)
        params = np.mean(uploads, axis=0, dtype=np.float64).astype(np.float32)
    return params
