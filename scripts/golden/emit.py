"""Write one golden file: compact JSON, one list entry per line, so that a diff shows which number moved.

Python prints a double with the fewest digits (at most 17) that read back as the same double, and JSON.parse reads
them back exactly; so the files hold the oracles' bits. Infinities and NaN, which JSON lacks, are the strings
"Infinity", "-Infinity" and "NaN" (`Number(x)` in JavaScript).
"""

import json
import math
from pathlib import Path

OUT = Path(__file__).resolve().parents[2] / "test" / "golden"


def plain(x):
    """Tensors, arrays and NumPy scalars of any library → lists and numbers that json understands."""
    if hasattr(x, "detach"):
        x = x.detach()
    if hasattr(x, "tolist"):
        x = x.tolist()
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [plain(v) for v in x]
    if isinstance(x, float) and not math.isfinite(x):
        return "NaN" if math.isnan(x) else "Infinity" if x > 0 else "-Infinity"
    return x


def compact(x):
    return json.dumps(x, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def write(name, content):
    """content: a dict. Each top-level entry gets a line, and so does each item of a top-level list of objects."""
    lines = []
    for key, value in plain(content).items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            items = ",\n".join("    " + compact(v) for v in value)
            lines.append(f'  "{key}": [\n{items}\n  ]')
        elif isinstance(value, dict) and any(isinstance(v, (dict, list)) for v in value.values()):
            items = ",\n".join(f'    "{k}": {compact(v)}' for k, v in value.items())
            lines.append(f'  "{key}": {{\n{items}\n  }}')
        else:
            lines.append(f'  "{key}": {compact(value)}')
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    json.loads(text)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / name).write_text(text, encoding="utf-8")
    print(f"{name}: {len(text) / 1024:.1f} KiB")
