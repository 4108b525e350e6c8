"""Updates of the paper's CNN in torch, to stand beside ours on the same device."""


def torch_updates(device, batch, *, allows_tf32):
    """Return what takes so many updates, each waited for as a worker does."""
    import torch

    from stsyn_mpi.bench.step_side import BATCH
    from stsyn_mpi.bench.torch_step import torch_step

    assert batch == BATCH
    torch.backends.cuda.matmul.allow_tf32 = allows_tf32
    torch.backends.cudnn.allow_tf32 = allows_tf32
    step = torch_step("channels_last", device)

    def run(n_updates):
        for _ in range(n_updates):
            step()

    return run
