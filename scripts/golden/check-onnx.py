"""Check .onnx files by the two programs that define and run the format: `onnx.checker`, with shape inference, and
onnxruntime, which loads each file and runs it on zeros.

    python scripts/golden/check-onnx.py FILE...

Writes nothing: the numbers themselves are compared in test/interop/onnx, by onnxruntime-web.
"""

import sys
from collections import Counter

import numpy as np
import onnx
import onnxruntime

DTYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int32)": np.int32,
    "tensor(uint32)": np.uint32,
    "tensor(bool)": np.bool_,
}


def check(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    ops = Counter(node.op_type for node in model.graph.node)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feeds = {
        x.name: np.zeros([n if isinstance(n, int) else 3 for n in x.shape], DTYPES[x.type])
        for x in session.get_inputs()
    }
    answers = zip(session.get_outputs(), session.run(None, feeds))
    shapes = ", ".join(f"{y.name} {list(v.shape)}" for y, v in answers)
    for y, v in zip(session.get_outputs(), session.run(None, feeds)):
        declared = [n if isinstance(n, int) else None for n in y.shape]
        assert len(declared) == v.ndim and all(d in (None, n) for d, n in zip(declared, v.shape)), (path, y.shape, v.shape)
    print(f"{path}: {' '.join(f'{op}×{n}' for op, n in sorted(ops.items()))} → {shapes}")


failed = 0
for path in sys.argv[1:]:
    try:
        check(path)
    except Exception as error:  # all files are looked at, whatever one of them is
        failed += 1
        print(f"{path}: {error}")
sys.exit(failed > 0)
