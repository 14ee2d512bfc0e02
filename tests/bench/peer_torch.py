"""PyTorch's training steps on MNIST and Adam's steps alone, as fast as its Python front is in Debian's version.

    peer_torch.py --threads N [--way eager|onednn|traced] --data FOLDER
    peer_torch.py --threads N --accuracy SEED --data FOLDER

Reads lines "WHAT<tab>SECONDS" and answers each with "STEPS SECONDS": the steps made in that time, and the time. WHAT is a
training or a layout of parameters. The images lie in memory as float32, are shuffled anew each epoch and gathered into one buffer; the loss is read once a call. `eager`
is the usual module with the optimizers' multi-tensor (foreach) form, `traced` the same with the forward pass traced and
optimized by torch.jit, `onednn` has the hidden layers run by oneDNN rather than BLAS.

--accuracy trains once, as bench_command does, until 97 % of the test images are right, and prints
"STEPS SECONDS ACCURACY"; SECONDS is the training alone, without start, reading and conversion.
"""
import argparse
import gzip
import math
import os
import sys
import time

import numpy
import torch
from torch import nn
from torch.nn import functional

SHAPES = {  # batch, sizes, optimizer
    "A32": (32, (784, 128, 10), "sgd"),
    "A128": (128, (784, 128, 10), "sgd"),
    "B64": (64, (784, 512, 256, 10), "adam"),
    "B256": (256, (784, 512, 256, 10), "adam"),
    "B1024": (1024, (784, 512, 256, 10), "adam"),
    "C256": (256, (784, 2048, 2048, 10), "adamw"),
}
LAYOUTS = {  # elements of each tensor
    "784-512-256-10": [401408, 512, 131072, 256, 2560, 10],
    "10000 of 256": [256] * 10000,
    "1000 of 64 Ki": [65536] * 1000,
    "64 Mi flat": [1 << 26],
}


def read_idx(folder, name):
    path = os.path.join(folder, name)
    with (open(path, "rb") if os.path.exists(path) else gzip.open(path + ".gz")) as file:
        data = file.read()
    rank = data[3]
    shape = [int.from_bytes(data[4 + 4 * i:8 + 4 * i], "big") for i in range(rank)]
    return numpy.frombuffer(data, numpy.uint8, offset=4 + 4 * rank).reshape(shape)


def make_optimizer(name, parameters):
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=0.05, momentum=0.9, foreach=True)
    kind = torch.optim.AdamW if name == "adamw" else torch.optim.Adam
    return kind(parameters, lr=0.001, foreach=True)


class OneDnnNet(nn.Module):
    """The layers before the last in oneDNN's own tensors, since dense ones go to BLAS."""

    def __init__(self, layers):
        super().__init__()
        self.layers = layers

    def forward(self, x):
        x = x.to_mkldnn()
        for layer in list(self.layers)[:-1]:
            x = layer(x)
        return self.layers[-1](x.to_dense())


class Work:
    at_once = 8  # steps between two looks at the clock

    def run(self, seconds):
        steps, start = 0, time.perf_counter()
        while True:
            for _ in range(self.at_once):
                self.step()
            steps += self.at_once
            spent = time.perf_counter() - start
            if spent >= seconds:
                return steps, spent


class Steps(Work):
    """Adam over tensors whose gradients stand."""

    def __init__(self, counts):
        self.at_once = 1 if sum(counts) > 1 << 20 else 8
        parameters = [nn.Parameter(torch.rand(n)) for n in counts]
        for p in parameters:
            p.grad = torch.rand_like(p) - 0.5
        self.optimizer = make_optimizer("adam", parameters)

    def step(self):
        self.optimizer.step()


class Training(Work):
    def __init__(self, images, labels, shape, way):
        self.batch, sizes, optimizer = SHAPES[shape]
        self.images, self.labels = images, labels
        layers = []
        for i in range(len(sizes) - 1):
            layers += [nn.Linear(sizes[i], sizes[i + 1]), nn.ReLU()]
        net = nn.Sequential(*layers[:-1])
        self.optimizer = make_optimizer(optimizer, list(net.parameters()))
        self.x = torch.empty(self.batch, sizes[0])
        self.y = torch.empty(self.batch, dtype=torch.int64)
        if way == "onednn":
            net = OneDnnNet(net)
        elif way == "traced":
            net = torch.jit.trace(net, self.x.zero_())
        self.net = net
        self.order, self.at = None, 0

    def step(self):
        if self.order is None or self.at + self.batch > len(self.order):
            self.order, self.at = torch.randperm(len(self.labels)), 0
        rows = self.order[self.at:self.at + self.batch]
        self.at += self.batch
        torch.index_select(self.images, 0, rows, out=self.x)
        torch.index_select(self.labels, 0, rows, out=self.y)
        self.optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(self.net(self.x), self.y)
        loss.backward()
        self.optimizer.step()
        self.loss = loss

    def run(self, seconds):
        figures = super().run(seconds)
        if not self.loss.item() < 100:
            sys.exit("peer_torch: the loss is %r" % self.loss.item())
        return figures


def to_accuracy(images, labels, test_images, test_labels, batch=192, lr=4e-3, every=20, target=0.97):
    net = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))
    for layer in net[::2]:  # as Tread's models begin; from PyTorch's own weights the same settings stay below 97 %
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
    optimizer = torch.optim.Adam(net.parameters(), lr=lr, foreach=True)
    order, total = torch.randperm(len(labels)), math.ceil(len(labels) / batch)
    start = time.perf_counter()
    for k in range(total):
        rows = order[k * batch:(k + 1) * batch]
        optimizer.param_groups[0]["lr"] = lr * 0.5 * (1 + math.cos(math.pi * k / total))
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(net(images.index_select(0, rows)), labels.index_select(0, rows)).backward()
        optimizer.step()
        if (k + 1) % every == 0 or k + 1 == total:
            with torch.no_grad():
                accuracy = (net(test_images).argmax(1) == test_labels).sum().item() / len(test_labels)
            if accuracy >= target:
                break
    return k + 1, time.perf_counter() - start, accuracy


def read_set(folder, name):
    images = torch.from_numpy(read_idx(folder, name + "-images-idx3-ubyte").astype(numpy.float32) / 255)
    labels = torch.from_numpy(read_idx(folder, name + "-labels-idx1-ubyte").astype(numpy.int64))
    return images.reshape(len(images), -1), labels


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--way", choices=["eager", "onednn", "traced"], default="eager")
    parser.add_argument("--data", required=True)
    parser.add_argument("--accuracy", type=int, metavar="SEED")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(options.accuracy or 0)
    images, labels = read_set(options.data, "train")
    if options.accuracy is not None:
        print(*to_accuracy(images, labels, *read_set(options.data, "t10k")))
        return
    last, work = None, None
    for line in sys.stdin:
        what, seconds = line.rstrip("\n").split("\t")
        if what != last:
            work = None  # its memory goes first
            work = Steps(LAYOUTS[what]) if what in LAYOUTS else Training(images, labels, what, options.way)
            work.run(0.2)
            last = what
        print(*work.run(float(seconds)), flush=True)


if __name__ == "__main__":
    main()
