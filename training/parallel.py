"""Data-parallel training on a CPU: one single-threaded process a core, averaged gradients.

Small networks leave a second thread idle most of the time; a second process does not.
"""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import nn

Work = Callable[[int, argparse.Namespace], None]


_run = 0  # the process that started this worker


def _worker(
    rank: int, work: Work, count: int, port: int, run: int, args: argparse.Namespace
) -> None:
    global _run
    _run = run
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=count
    )
    try:
        work(rank, args)
    except OSError as error:
        raise SystemExit(f"worker {rank}: {error}") from error
    finally:
        dist.destroy_process_group()


def run_workers(work: Work, count: int, args: argparse.Namespace) -> None:
    """Run `work(rank, args)` in `count` processes; in this one where count is 1.

    A worker that cannot read or write a file says so, and ends this process too.
    """
    if count == 1:
        work(0, args)
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        torch.multiprocessing.spawn(_worker, (work, count, port, os.getpid(), args), nprocs=count)
    except torch.multiprocessing.ProcessExitedException as error:
        signal = error.signal_name
        raise SystemExit(f"a worker was ended by {signal}" if signal else 1) from error


def share_weights(model: nn.Module) -> None:
    """Give every worker the weights of worker 0: averaged gradients keep equal only what is."""
    if dist.is_initialized():
        for tensor in model.state_dict().values():
            dist.broadcast(tensor, 0)


def average_gradients(model: nn.Module) -> None:
    """Replace every gradient by its mean over the workers."""
    if not dist.is_initialized():
        return
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in grads])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for grad, part in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
        grad.copy_(part.view_as(grad))


def agreed(value: float, rank: int) -> float:
    """Worker 0's value, for decisions that all must take alike."""
    if not dist.is_initialized():
        return value
    if os.getppid() != _run:
        raise SystemExit("the run that started this worker is gone")
    shared = torch.tensor([value if rank == 0 else 0.0])
    dist.broadcast(shared, 0)
    return float(shared)
