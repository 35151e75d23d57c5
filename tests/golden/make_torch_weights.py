"""Write torch_mlp.safetensors: a small network that PyTorch trained and saved.

The library does not depend on PyTorch, so the file is committed; with it the command
``python -m deepopt_lib.compress`` is tested on weights as they come from elsewhere. To
write it again, in a virtual environment of its own into which this project is installed
as well (another processor may change last bits):

    python -m pip install torch==2.13.0 numpy==2.4.6 .
    python tests/golden/make_torch_weights.py
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from deepopt_lib.data import mnist5k

STEPS = 300
BATCH = 100


def main():
    """Train on 14 x 14 digits; the names are PyTorch's, matrices (n_out, n_in)."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    split = mnist5k(2)
    x, _, x_test = (torch.tensor(a, dtype=torch.float32) for a in split[::2])
    y, _, y_test = (torch.tensor(a) for a in split[1::2])
    net = nn.Sequential(nn.Linear(196, 20), nn.ReLU(), nn.Linear(20, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(STEPS):
        batch = torch.randint(len(x), (BATCH,))
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
        optimizer.step()
    path = Path(__file__).with_name("torch_mlp.safetensors")
    save_file(net.state_dict(), path)
    with torch.no_grad():
        found = (net(x_test).argmax(1) == y_test).float().mean()
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB, accuracy {found:.3f}")


if __name__ == "__main__":
    main()
