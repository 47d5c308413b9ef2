"""Models as PyTorch users have them: safetensors files, with inputs and the logits they give.

cnn        nn.Sequential with batch norm whose running statistics have seen two batches
gpt2       transformers' GPT2LMHeadModel, as save_pretrained writes it: Conv1D weights, lm_head left out
gpt2-old   the same as the hub's first checkpoints have it: GPT2Model, no `transformer.`, causal masks among the tensors
nanogpt    nanoGPT's model.py in short, with the names of a checkpoint of torch.compile: `_orig_mod.`, lm_head kept
dtypes     a tensor of each dtype
"""

import base64

import models
import safetensors
import torch
import torch.nn as nn
import transformers
from emit import OUT, write
from safetensors.torch import save, save_file

torch.manual_seed(5)
(OUT / "interop").mkdir(parents=True, exist_ok=True)

# ---- a CNN ----

cnn = models.cnn()
with torch.no_grad():
    for m in cnn:
        if isinstance(m, nn.BatchNorm2d):
            m.weight.uniform_(0.5, 2)
            m.bias.normal_()
    for _ in range(2):
        cnn(torch.randn(8, 2, 16, 16) * 2 + 0.5)
    cnn.eval()
    images = torch.randn(3, 2, 16, 16)
    cnn_case = {"input": images, "logits": cnn(images)}
save_file(cnn.state_dict(), OUT / "interop" / "cnn.safetensors")

# ---- GPT-2 of transformers ----

gpt2 = models.gpt2().eval()
with torch.no_grad():
    for name, p in gpt2.named_parameters():
        if name.endswith("bias") or ".ln_" in name:
            p.add_(torch.randn_like(p) * 0.3)
    tokens = torch.tensor([[1, 12, 0, 5, 5, 7, 3, 2], [4, 4, 9, 11, 10, 8, 6, 1]])
    gpt2_case = {"input": tokens, "logits": gpt2(tokens).logits}
gpt2.save_pretrained(OUT / "interop" / "gpt2", safe_serialization=True)
(OUT / "interop" / "gpt2" / "model.safetensors").rename(OUT / "interop" / "gpt2.safetensors")
for file in (OUT / "interop" / "gpt2").iterdir():
    file.unlink()
(OUT / "interop" / "gpt2").rmdir()

old = {name: p.detach().clone() for name, p in gpt2.transformer.state_dict().items()}
for k in range(2):
    old[f"h.{k}.attn.bias"] = torch.tril(torch.ones(8, 8)).view(1, 1, 8, 8)
    old[f"h.{k}.attn.masked_bias"] = torch.tensor(-1e4)
save_file(old, OUT / "interop" / "gpt2-old.safetensors")

# ---- nanoGPT ----

nano = models.nanogpt().eval()
with torch.no_grad():
    for p in nano.parameters():
        p.add_(torch.randn_like(p) * 0.2)
    nano_case = {"input": tokens, "logits": nano(tokens)}
compiled = {f"_orig_mod.{name}": p.detach().clone() for name, p in nano.state_dict().items()}
save_file(compiled, OUT / "interop" / "nanogpt.safetensors")

# ---- dtypes ----

numbers = {
    "F64": torch.tensor([0.1, -1e300], dtype=torch.float64),
    "F32": torch.tensor([0.1, -1e30], dtype=torch.float32),
    "F16": torch.tensor([0.1, -65504.0, 6e-8], dtype=torch.float16),
    "BF16": torch.tensor([0.1, -1e30, 1e-40], dtype=torch.bfloat16),
    "I64": torch.tensor([0, -1, 2**31 - 1, -(2**31)]),
    "I32": torch.tensor([0, -1, 2**31 - 1, -(2**31)], dtype=torch.int32),
    "I16": torch.tensor([0, -1, 2**15 - 1, -(2**15)], dtype=torch.int16),
    "I8": torch.tensor([0, -1, 127, -128], dtype=torch.int8),
    "U8": torch.tensor([0, 1, 255], dtype=torch.uint8),
    "U16": torch.tensor([0, 1, 65535], dtype=torch.uint16),
    "U32": torch.tensor([0, 1, 2**32 - 1], dtype=torch.uint32),
    "U64": torch.tensor([0, 1, 2**32 - 1], dtype=torch.uint64),
    "BOOL": torch.tensor([[True], [False]]),
    "scalar": torch.tensor(7),
    "none": torch.zeros(0, 3, dtype=torch.int64),
}
beyond = {"I64": torch.tensor([1, -(2**31) - 1]), "U64": torch.tensor([2**32], dtype=torch.uint64)}
wide = {torch.bfloat16: torch.float32, torch.bool: torch.int32, torch.uint64: torch.int64}

def plain(x):
    x = x.to(wide.get(x.dtype, x.dtype))
    return {"shape": list(x.shape), "data": x.reshape(-1).tolist()}

def bytes_of(tensors):
    return base64.b64encode(save(tensors)).decode()

write(
    "interop/state-dicts.json",
    {
        "about": f"scripts/golden/state-dicts.py: torch {torch.__version__.split('+')[0]}, transformers "
        f"{transformers.__version__}, safetensors {safetensors.__version__}; the models are in the .safetensors "
        "files beside it",
        "cnn": cnn_case,
        "gpt2": gpt2_case,
        "nanogpt": nano_case,
        "dtypes": {"file": bytes_of(numbers), "numbers": {k: plain(x) for k, x in numbers.items()}},
        "beyond": {k: bytes_of({k: x}) for k, x in beyond.items()},
    },
)
