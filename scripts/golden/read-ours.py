"""The other way round: NumPy, PyTorch and TensorBoard read what Downhill writes.

The files test/golden/interop/ours-* are written by the tests (in base64, one line), which fail where Downhill would
write other bytes today. This script reads each of them with the library it is meant for, and compares. Nothing is
written; an assertion fails or the last line says what was read.
"""

import base64
import io
import json
import shutil
import tempfile
from pathlib import Path

import models
import numpy as np
import tensorboard
import torch
from safetensors.torch import load
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

GOLDEN = Path(__file__).resolve().parents[2] / "test" / "golden" / "interop"


def ours(name):
    return base64.b64decode((GOLDEN / name).read_text())


def archives():
    """The cases of arrays.py, read by Downhill and written again."""
    cases = json.loads((GOLDEN / "arrays.json").read_text())["cases"]
    dtypes = {"f32": "f4", "f64": "f8", "i32": "i4", "u32": "u4", "bool": "?"}
    for kind in ["stored", "deflated"]:
        archive = np.load(io.BytesIO(ours(f"ours-{kind}.npz.base64")))
        assert sorted(archive.files) == sorted(case["name"] for case in cases)
        for case in cases:
            array = archive[case["name"]]
            assert array.dtype == np.dtype(dtypes[case["dtype"]]) and list(array.shape) == case["shape"], case["name"]
            expected = np.array([float(x) for x in case["data"]]).astype(array.dtype)
            np.testing.assert_array_equal(array.ravel(), expected, case["name"])
    print(f"NumPy {np.__version__} reads the archives: {len(cases)} arrays, stored and deflated")


def state_dicts():
    """The models of state-dicts.py, read by Downhill and written again: PyTorch must give the logits it gave before."""
    golden = json.loads((GOLDEN / "state-dicts.json").read_text())
    for name in ["cnn", "gpt2", "nanogpt"]:
        written = load(ours(f"ours-{name}.safetensors.base64"))
        model = getattr(models, name)().eval()
        missing, unexpected = model.load_state_dict(written, strict=True)
        assert not missing and not unexpected
        x = torch.tensor(golden[name]["input"])
        with torch.no_grad():
            y = model(x)
        y = getattr(y, "logits", y)
        off = (y - torch.tensor(golden[name]["logits"])).abs().max().item()
        assert off < 1e-6, (name, off)
        print(f"PyTorch {torch.__version__} loads {name}: {len(written)} tensors, logits within {off:.0e}")


def events():
    """The summaries of tensorboard.test.ts, by the readers that TensorBoard itself uses."""
    folder = Path(tempfile.mkdtemp())
    (folder / "events.out.tfevents.1700000000.host").write_bytes(ours("ours-events.base64"))
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0}).Reload()
    shutil.rmtree(folder)
    scalars = {tag: [(e.wall_time, e.step, e.value) for e in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}
    inf, nan = float("inf"), float("nan")
    t = 1700000000.0
    expected = {
        "loss/train": [(t, 0, 0), (t + 1, 10, 0.5), (t + 2, 20, inf)],
        "loss/validation": [(t + 1, 10, 0.75), (t + 2, 20, -inf)],
        "metrics/accuracy": [(t + 1, 10, 0.5)],
        "gradient_norm": [(t, 0, 0), (t + 1, 10, 2), (t + 2, 20, nan)],
        "lr": [(t, 0, 0), (t + 1, 10, float(np.float32(0.1))), (t + 2, 20, inf)],
        "epoch": [(t, 0, 0), (t + 1, 10, 1), (t + 2, 20, 2)],
    }
    assert repr(sorted(scalars.items())) == repr(
        sorted((tag, [(a, b, float(c)) for a, b, c in list_]) for tag, list_ in expected.items())
    ), scalars
    assert reader.file_version == 2.0 and reader.FirstEventTimestamp() == t
    histograms = {tag: reader.Histograms(tag) for tag in reader.Tags()["histograms"]}
    assert sorted(histograms) == ["huge", "none", "w", "zeros"]
    for tag, numbers in {"w": [0, -1, 3], "zeros": [0, 0], "none": [], "huge": [-1.7e308, 0, 1.7e308]}.items():
        (event,) = histograms[tag]
        h = event.histogram_value
        edges = [-inf, *h.bucket_limit]
        assert event.step == 30 and sum(h.bucket) == h.num == len(numbers)
        assert sorted(edges) == edges and np.isfinite(h.bucket_limit).all()
        for low, high, count in zip(edges, h.bucket_limit, h.bucket):
            last = high == h.bucket_limit[-1]
            assert count == sum(low <= x < high or (last and x == high) for x in numbers), (tag, low, high)
    print(f"TensorBoard {tensorboard.__version__} reads {len(scalars)} charts and {len(histograms)} histograms")


events()
archives()
state_dicts()
