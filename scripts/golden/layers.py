"""Record a PyTorch module as a case of test/golden/layers: outputs, gradients and buffers of some steps, in float64.

    case("linear", "no bias", [3, 4, {"bias": False}], torch.nn.Linear(3, 4, bias=False), [[draw(5, 3)]])

What the fields mean stands at the head of test/nn/golden-layers.test.ts. Run as a program, this file writes the layers
that need no script of their own (basic.json).
"""

import json

import torch

from emit import OUT, compact

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)

DTYPES = {torch.int32: "i32", torch.int64: "i32", torch.bool: "bool"}


def draw(*shape):
    """Standard normal."""
    return torch.randn(*shape)


def data(t):
    """Flat, with 12 significant digits."""
    return [float(f"{x:.12g}") if isinstance(x, float) else int(x) for x in t.detach().flatten().tolist()]


def numbers(t):
    n = {"shape": list(t.shape), "data": data(t)}
    return n if t.is_floating_point() else n | {"dtype": DTYPES[t.dtype]}


def rounded(t):
    """The number that the file holds, so that PyTorch starts from the same one."""
    return torch.tensor(data(t)).reshape(t.shape) if t.is_floating_point() else t


def case(
    layer, name, args, net, steps, *, training=False, modes=None, forward=None, rename=lambda path: path,
    skip=("num_batches_tracked",), spread=True,
):
    """One case.

    args      of our layer; None where the export is the layer itself
    net       a torch.nn.Module
    steps     the inputs of each step, a list of lists of tensors
    training  net.train() or net.eval(); `modes` says it for each step
    forward   net and inputs → a tensor or a tuple of them, where it is not net(*inputs)
    rename    PyTorch's parameter or buffer path → ours
    skip      buffers that we do not keep
    spread    draw all parameters anew, because 0 and 1 hide mistakes
    """
    forward = forward or (lambda net, *inputs: net(*inputs))
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(rounded(p + 0.3 * draw(*p.shape) if spread else p))
        for b in net.buffers():
            b.copy_(rounded(b))
    params = {rename(path): p for path, p in net.named_parameters()}

    def state():
        """Our state is of the parameters' dtype throughout; PyTorch counts batches in integers."""
        kept = {path: b for path, b in net.named_buffers() if path.split(".")[-1] not in skip}
        return {rename(path): b.double() for path, b in kept.items()}

    first = {path: numbers(b) for path, b in state().items()}
    written = []
    for s, inputs in enumerate(steps):
        mode = modes[s] if modes else training
        net.train(mode)
        inputs = [rounded(x).requires_grad_(x.is_floating_point()) for x in inputs]
        outputs = forward(net, *inputs)
        outputs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
        cotangents = [rounded(draw(*y.shape)) for y in outputs]
        score = sum((y * c).sum() for y, c in zip(outputs, cotangents))
        floats = [x for x in inputs if x.requires_grad]
        sources = floats + list(params.values())
        slopes = iter(torch.autograd.grad(score, sources, allow_unused=True, materialize_grads=True))
        step = {
            "inputs": [numbers(x) for x in inputs],
            "cotangents": [numbers(c) for c in cotangents],
            "outputs": [numbers(y) for y in outputs],
            "gradients": {
                "inputs": [data(next(slopes)) if x.requires_grad else None for x in inputs],
                "params": {path: data(next(slopes)) for path in params},
            },
            "state": {path: data(b) for path, b in state().items()},
        }
        written.append(({"training": mode} if modes else {}) | step)
    return {
        "layer": layer,
        **({} if args is None else {"args": args}),
        "name": name,
        "training": training,
        "params": {path: numbers(p) for path, p in params.items()},
        "state": first,
        "steps": written,
    }


def write_layers(family, cases):
    """test/golden/layers/<family>.json, a case per line."""
    text = "[\n" + ",\n".join(compact(c) for c in cases) + "\n]\n"
    json.loads(text)
    folder = OUT / "layers"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{family}.json").write_text(text, encoding="utf-8")
    print(f"layers/{family}.json: {len(text) / 1024:.1f} KiB")


if __name__ == "__main__":
    nn = torch.nn
    one_of = torch.tensor([[5, 0, 3], [5, 5, 1]], dtype=torch.int32)
    mlp = [
        {"layer": "flatten"},
        {"layer": "linear", "args": [4, 3]},
        {"layer": "tanh"},
        {"layer": "linear", "args": [3, 2, {"bias": False}]},
    ]
    class Residual(nn.Module):
        def __init__(self, body, shortcut=None):
            super().__init__()
            self.body = body
            self.shortcut = shortcut or nn.Identity()

        def forward(self, x):
            return self.shortcut(x) + self.body(x)

    write_layers(
        "basic",
        [
            case("linear", "on [n, inputs]", [3, 4], nn.Linear(3, 4), [[draw(5, 3)], [draw(2, 3)]]),
            case("linear", "on [inputs]", [3, 4], nn.Linear(3, 4), [[draw(3)]]),
            case("linear", "on [n, t, inputs]", [3, 4], nn.Linear(3, 4), [[draw(2, 5, 3)]]),
            case("linear", "no bias", [3, 4, {"bias": False}], nn.Linear(3, 4, bias=False), [[draw(5, 3)]]),
            case("embedding", "with a row used three times", [6, 2], nn.Embedding(6, 2), [[one_of]]),
            case(
                "sequential",
                "a network of two layers",
                mlp,
                nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2, bias=False)),
                [[draw(5, 2, 2)]],
                rename=lambda path: f"layers.{path}",
            ),
            case(
                "residual",
                "around a layer",
                [{"layer": "linear", "args": [3, 3]}],
                Residual(nn.Linear(3, 3)),
                [[draw(2, 3)]],
            ),
            case(
                "residual",
                "with a projection",
                [{"layer": "linear", "args": [3, 2]}, {"shortcut": {"layer": "linear", "args": [3, 2, {"bias": False}]}}],
                Residual(nn.Linear(3, 2), nn.Linear(3, 2, bias=False)),
                [[draw(2, 3)]],
            ),
        ],
    )
