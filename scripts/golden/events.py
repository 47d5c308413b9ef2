"""Event files by TensorBoard's own messages and its own record writer, with a fixed clock; no field is 0, because
protobuf leaves those out and Downhill writes them."""

import base64
import io

import numpy as np
import tensorboard
from emit import write
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.summary.writer.record_writer import RecordWriter

summaries = [
    {"step": 1, "wallTime": 1700000000.25, "scalars": {"loss/train": 0.75, "lr": 1e-3, "größe": -2.5}},
    {"step": 300, "wallTime": 1700000001.5, "scalars": {"loss/train": 1e-30}},
    {"step": 2**40, "wallTime": 1700000002, "histograms": {"w": [-1.0, -0.5, 0.25, 0.25, 2.0], "one": [3.0, 3.0]}},
    {"step": 2**40 + 1, "wallTime": 1700000003, "scalars": {"a": 2.0}, "histograms": {"wide": [-1e300, 2e300]}},
]


def histogram(numbers):
    n = 30 if min(numbers) < max(numbers) else 1
    counts, edges = np.histogram(numbers, bins=n, range=(min(numbers) - (n == 1), max(numbers)))
    return HistogramProto(
        min=min(numbers),
        max=max(numbers),
        num=len(numbers),
        sum=sum(numbers),
        sum_squares=sum(x * x for x in numbers),
        bucket_limit=edges[1:],
        bucket=counts,
    )


file = io.BytesIO()
writer = RecordWriter(file)
writer.write(Event(wall_time=summaries[0]["wallTime"], file_version="brain.Event:2").SerializeToString())
for entry in summaries:
    values = [Summary.Value(tag=tag, simple_value=x) for tag, x in entry.get("scalars", {}).items()]
    values += [Summary.Value(tag=tag, histo=histogram(x)) for tag, x in entry.get("histograms", {}).items()]
    event = Event(wall_time=entry["wallTime"], step=entry["step"], summary=Summary(value=values))
    writer.write(event.SerializeToString())

write(
    "interop/events.json",
    {
        "about": f"scripts/golden/events.py, tensorboard {tensorboard.__version__}: summaries and their file in base64",
        "summaries": summaries,
        "file": base64.b64encode(file.getvalue()).decode(),
    },
)
