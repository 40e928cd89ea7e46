"""Not a test: updates in double precision, where rounding does not hide what is unequal.

python updates_in_double.py CONTENT STYLE OUT.pt NUM SETTING... [-- SETTING... [-- ...]]

A run of NUM updates for each group of settings; started by torchrun, in several processes.
"""

import sys
from itertools import groupby
from pathlib import Path

import torch

from inkbridge.train.config import load_config
from inkbridge.train.cost import build
from inkbridge.train.processes import joined
from inkbridge.train.settle import load_sides
from inkbridge.train.updates import Updates


def main() -> None:
    content, style, out, num, *settings = sys.argv[1:]
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    states = []
    with joined("cpu") as (processes, device):
        cache = Path(out).with_suffix(f".cache{processes.rank}")
        for is_group, group in groupby(settings, lambda setting: setting != "--"):
            if not is_group:
                continue
            config = load_config(None, list(group))
            recipe = build(config, 1, device)
            recipe.passes.processes = processes
            contents, styles = load_sides(Path(content), {"": Path(style)}, config, cache)
            updates = Updates(config, recipe, contents, list(styles.values()), device, processes)
            for i in range(int(num)):
                updates.run(i * config.model.batch, 0.1)
            states.append({name: module.state_dict() for name, module in recipe.modules().items()})
    if processes.leads:
        torch.save(states, out)


main()
