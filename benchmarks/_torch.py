"""PyTorch's side of `bench_polysilicon.py`: run by the interpreter that has it.

The network of `jaxmat.surrogates.ResNet`, layer by layer, and one step of AdamW on the
mean square error, with the gradient clipped. Each way of laying out the images that
PyTorch has is a variant.
"""

import time

import numpy as np
import torch
from _serve import serve
from torch import nn
from torch.nn.functional import avg_pool2d, silu

LAYOUTS = {
    "contiguous": torch.contiguous_format,
    "channels last": torch.channels_last,
}
held = {}


class Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.first, self.second = convolution(width, width), convolution(width, width)
        nn.init.zeros_(self.second.weight)

    def forward(self, x):
        return x + self.second(silu(self.first(silu(x))))


class ResNet(nn.Module):
    def __init__(self, width: int, depths: list[int], reduction: int):
        super().__init__()
        self.reduction = reduction
        self.stem, self.stages = convolution(2, width), nn.ModuleList()
        channels = width
        for k, depth in enumerate(depths):
            wide = width * 2**k
            widen = [] if wide == channels else [nn.Conv2d(channels, wide, 1)]
            blocks = [Residual(wide) for _ in range(depth)]
            self.stages.append(nn.Sequential(*widen, *blocks))
            channels = wide
        self.hidden, self.last = nn.Linear(channels, channels), nn.Linear(channels, 6)

    def forward(self, x):
        x = avg_pool2d(x, self.reduction) if self.reduction > 1 else x
        x = silu(self.stem(x))
        for stage in self.stages:
            x = stage(avg_pool2d(x, 2))
        return self.last(silu(self.hidden(x.mean((2, 3)))))


def convolution(channels: int, width: int) -> nn.Conv2d:
    return nn.Conv2d(channels, width, 3, padding=1, padding_mode="circular")


def prepare_step(
    *, images: str, width: int, depths: list[int], reduction: int, layout: str
) -> dict:
    """A network and a batch from a file, in a layout of memory."""
    stored = np.load(images)
    image = torch.from_numpy(stored["image"]).permute(0, 3, 1, 2)
    model = ResNet(width, depths, reduction).to(memory_format=LAYOUTS[layout])
    held.update(
        image=image.contiguous(memory_format=LAYOUTS[layout]),
        target=torch.from_numpy(stored["target"]),
        model=model,
        optimiser=torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=1e-4),
    )
    return {"parameters": sum(p.numel() for p in model.parameters())}


def step() -> dict:
    """Seconds of one training step."""
    model, optimiser = held["model"], held["optimiser"]
    start = time.perf_counter()
    optimiser.zero_grad()
    loss = torch.mean((model(held["image"]) - held["target"]) ** 2)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    value = loss.item()
    return {"seconds": time.perf_counter() - start, "loss": value}


def version() -> dict:
    return {"torch": torch.__version__}


if __name__ == "__main__":
    tasks = (prepare_step, step, version)
    serve({task.__name__: task for task in tasks})
