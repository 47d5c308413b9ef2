"""What a peer is given, and how it is asked: the other side of bench/protocol.ts, in Python.

A workload's numbers lie in a folder: given.json names the tensors of numbers.bin, by the paths that ours have
(params.layers.0.weight, data.x, feeds.rows). A peer has two functions: reset() goes back to the first numbers, and
call(n) takes n steps, waits for them, and gives their losses, or nothing where a workload has none.
"""

import json
import os
import resource
import sys
import time


def place(threads):
    """Before any library is imported: what one thread means is one processor, for libraries that count processors."""
    if threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


class Given:
    """`most`: calls of no more steps than that, where each is dispatched for itself and a longer loop gains nothing."""

    def __init__(self, folder, most=None):
        import numpy as np

        with open(os.path.join(folder, "given.json"), encoding="utf-8") as file:
            about = json.load(file)
        self.workload, self.steps, self.checked = about["workload"], about["steps"], about["checked"]
        self.steps = min(self.steps, most or self.steps)
        self.restart = about["restart"]
        kinds = {"f32": np.float32, "i32": np.int32}
        self.trees = {"params": {}, "data": {}, "feeds": {}}
        path = os.path.join(folder, "numbers.bin")
        for t in about["tensors"]:
            tree, _, name = t["name"].partition(".")
            count = int(np.prod(t["shape"], dtype=np.int64))
            part = np.fromfile(path, kinds[t["dtype"]], count, offset=t["at"])
            self.trees[tree][name] = part.reshape(t["shape"])

    def take(self, tree):
        """The tensors of a tree, for good: a library that copies them is not charged with ours as well."""
        taken, self.trees[tree] = self.trees[tree], {}
        while taken:
            name = next(iter(taken))
            yield name, taken.pop(name)

    params = property(lambda self: self.trees["params"])
    data = property(lambda self: self.trees["data"])
    feeds = property(lambda self: self.trees["feeds"])


SAMPLES = [0, 0.13, 0.37, 0.61, 0.89]


def samples(tensors):
    """Some elements of each tensor, those that ours are looked at."""
    return [float(t[int(part * len(t))]) for t in (t.reshape(-1) for t in tensors) for part in SAMPLES]


def say(**what):
    print(json.dumps(what, separators=(",", ":")), flush=True)


def serve(given, about, reset, call, check):
    """check(): the losses of the first steps, or samples of what they have made of the parameters."""
    found = [float(x) for x in check()]
    reset()
    call(given.steps)  # warm
    say(bench="ready", about=about, check=found)
    for line in sys.stdin:
        ask = json.loads(line)
        if "end" in ask:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
            say(bench="end", peakRssMb=peak)
            return
        us = []
        end = time.perf_counter() + ask["ms"] / 1000
        while len(us) < ask["least"] or time.perf_counter() < end:
            if given.restart:
                reset()
            begin = time.perf_counter()
            call(given.steps)
            us.append((time.perf_counter() - begin) * 1e6 / given.steps)
        say(bench="times", us=us)
