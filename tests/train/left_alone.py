"""Not a test: two processes exchange until the second goes; the first says which threads it has left."""

import os
import signal
from pathlib import Path

import torch

from inkbridge.errors import TrainingError
from inkbridge.train.processes import joined

try:
    with joined("cpu") as (processes, _):
        for update in range(1_000_000):
            share = torch.ones(2, 3, requires_grad=True)
            processes.gather(share, 4).sum().backward()
            if update == 10 and processes.rank == 1:
                os.kill(os.getpid(), signal.SIGKILL)
except TrainingError as error:
    print(error)
    print(sorted(thread.joinpath("comm").read_text().strip() for thread in Path("/proc/self/task").iterdir()))
