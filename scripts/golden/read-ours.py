"""The other way round: NumPy, PyTorch and TensorBoard read what Downhill writes.

The files test/golden/interop/ours-* are written by the tests (in base64, one line), which fail where Downhill would
write other bytes today. This script reads each of them with the library it is meant for, and compares. Nothing is
written; an assertion fails or the last line says what was read.
"""

import base64
import io
import json
from pathlib import Path

import models
import numpy as np
import torch
from safetensors.torch import load

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


archives()
state_dicts()
