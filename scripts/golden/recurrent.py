"""Recurrent networks of PyTorch and their cells, batch_first; with lengths, through packed sequences."""

import torch

from layers import case, draw, write_layers

nn = torch.nn


def network(layer, args, options, inputs, name="", forward=None):
    """`args`: inputs, hidden and our options; `options`: PyTorch's."""
    kind = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[layer]
    net = kind(args[0], args[1], batch_first=True, **options)
    return case(layer, name, args, net, [inputs], forward=forward or run)


def flat(y, states):
    return (y, *states) if isinstance(states, tuple) else (y, states)


def run(net, x, *states):
    """nn.LSTM takes and gives its states as a pair."""
    return flat(*net(x, *([states] if len(states) == 2 else states)))


def packed(net, x, *rest):
    *states, lengths = rest
    sequences = nn.utils.rnn.pack_padded_sequence(x, lengths.long(), batch_first=True, enforce_sorted=False)
    y, last = net(sequences, *([tuple(states)] if len(states) == 2 else states))
    return flat(nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])[0], last)


def cell(layer, args, net, inputs, name):
    lstm = layer == "lstmCell"
    forward = (lambda net, x, *s: net(x, s if s else None)) if lstm else (lambda net, x, *s: net(x, *s))
    return case(layer, name, args, net, [inputs], forward=forward)


lengths = torch.tensor([2, 3, 1], dtype=torch.int32)
two = [2, 2, {"layers": 2, "bidirectional": True}], {"num_layers": 2, "bidirectional": True}
both = [2, 2, {"bidirectional": True}], {"bidirectional": True}
cases = []
for layer, states in (("rnn", 1), ("lstm", 2), ("gru", 1)):

    def first(*shape):
        return [draw(*shape) for _ in range(states)]

    cases += [
        network(layer, *two, [draw(2, 2, 2), *first(4, 2, 2)], "two layers in both directions, first states given"),
        network(layer, [2, 3], {}, [draw(2, 3, 2)], "plain"),
        network(layer, *both, [draw(3, 3, 2), *first(2, 3, 2), lengths], "lengths, in both directions", packed),
    ]
cases += [
    network("rnn", [2, 3, {"nonlinearity": "relu"}], {"nonlinearity": "relu"}, [draw(2, 2, 2)], "relu"),
    network("lstm", [2, 2, {"layers": 2, "bias": False}], {"num_layers": 2, "bias": False}, [draw(2, 2, 2)], "no bias"),
    network("gru", [2, 3], {}, [draw(3, 3, 2), lengths], "lengths alone", packed),
    cell("rnnCell", [2, 3], nn.RNNCell(2, 3), [draw(2, 2)], "first step"),
    cell(
        "rnnCell",
        [2, 3, {"nonlinearity": "relu", "bias": False}],
        nn.RNNCell(2, 3, bias=False, nonlinearity="relu"),
        [draw(2, 2), draw(2, 3)],
        "relu, no bias",
    ),
    cell("lstmCell", [2, 3], nn.LSTMCell(2, 3), [draw(2, 2)], "first step"),
    cell("lstmCell", [2, 3, {"bias": False}], nn.LSTMCell(2, 3, bias=False), [draw(2, 2), draw(2, 3), draw(2, 3)], "no bias"),
    cell("gruCell", [2, 3], nn.GRUCell(2, 3), [draw(2, 2)], "first step"),
    cell("gruCell", [2, 3, {"bias": False}], nn.GRUCell(2, 3, bias=False), [draw(2, 2), draw(2, 3)], "no bias"),
]
write_layers("recurrent", cases)
