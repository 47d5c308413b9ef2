"""NumPy's own .npy and .npz files, of every dtype and order that tensors have, and of some that they have not.

Each case holds the file in base64 and the array in plain numbers. `same` says that writing the array again gives the
same bytes.
"""

import base64
import io
import warnings

import numpy as np
from emit import write

warnings.filterwarnings("ignore", message="Stored array in format")


def base64_of(save):
    file = io.BytesIO()
    save(file)
    return base64.b64encode(file.getvalue()).decode()


ours = {"b": "bool", "i": "i32", "u": "u32", "f": "f32"}


def case(name, array, version=None):
    file = base64_of(lambda f: np.lib.format.write_array(f, array, version))
    dtype = "f64" if array.dtype.itemsize == 8 and array.dtype.kind == "f" else ours[array.dtype.kind]
    numbers = array.astype("f8").ravel() if array.dtype.kind != "b" else array.astype("i4").ravel()
    same = array.dtype.str in ("<f4", "<f8", "<i4", "<u4", "|b1") and array.flags.c_contiguous and version is None
    return {"name": name, "file": file, "dtype": dtype, "shape": list(array.shape), "data": numbers, "same": same}


def numbers(dtype):
    kind = np.dtype(dtype).kind
    if kind == "b":
        return np.array([[True, False, True], [False, False, True]])
    if kind == "f":
        top = float(np.finfo(dtype).max)
        return np.array([[0.1, -0.0, np.nan], [np.inf, -np.inf, top]], dtype)
    if np.dtype(dtype).itemsize == 8:
        dtype, wide = ("i4", dtype) if kind == "i" else ("u4", dtype)
    else:
        wide = dtype
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return np.array([[low, 1, high], [high - 1, 0, low + 2]]).astype(wide)


dtypes = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]
cases = []
for dtype in dtypes:
    for order in "<>" if np.dtype(dtype).itemsize > 1 else "<":
        array = numbers(dtype).astype(np.dtype(dtype).newbyteorder(order))
        cases.append(case(f"{array.dtype.str}", array))
        cases.append(case(f"{array.dtype.str}, column-major", np.asfortranarray(array)))

whole = np.arange(24, dtype="f4").reshape(2, 3, 4)
cases += [
    case("version 2", whole[0], (2, 0)),
    case("version 3", whole[0], (3, 0)),
    case("a scalar", np.array(2.5, "f8")),
    case("a vector", np.arange(5, dtype="i4")),
    case("no rows", np.zeros((0, 3), "f4")),
    case("no columns, column-major", np.asfortranarray(np.zeros((3, 0), "f4"))),
    case("three axes, column-major", np.asfortranarray(whole)),
    case("four axes, column-major, big-endian", np.asfortranarray(whole.reshape(2, 3, 2, 2)).astype(">f8", order="F")),
    case("a transposed view", whole[0].T),
    case("a long first axis", np.zeros((1000, 1), "bool")),
    *(case(f"{k} axes of 1", np.ones((1,) * k, "f4")) for k in (10, 20, 21, 22, 32, 64)),
]

refused = {
    "structured array": np.zeros(2, [("x", "f4"), ("y", "i4")]),
    "[('ξ', '<f4')]": np.zeros(2, [("ξ", "f4")]),
    "Python objects": np.array([None, {}], object),
    "bytes of text": np.array([b"ab"]),
    '"<U2": text': np.array(["ab"]),
    "complex numbers": np.zeros(1, "c8"),
    "dates": np.zeros(1, "M8[s]"),
    "durations": np.zeros(1, "m8[s]"),
    "raw bytes": np.zeros(1, "V2"),
    "extended precision": np.zeros(1, np.longdouble),
    "it is i64 and holds 4294967296 at element 1, which does not fit into i32": np.array([0, 2**32]),
    "it is i64 and holds -2147483649 at element 0": np.array([-(2**31) - 1]),
    "it is u64 and holds 4294967296 at element 0": np.array([2**32], "u8"),
}

arrays = {"w": whole, "b": np.array([1.5, -2], "f8"), "layers/0/mask": np.array([True, False]), "größe": np.array(3, "i4")}
members = {name: base64_of(lambda f: np.save(f, array)) for name, array in arrays.items()}

write(
    "interop/arrays.json",
    {
        "about": f"scripts/golden/arrays.py, NumPy {np.__version__}: files in base64 with what they hold",
        "cases": cases,
        "refused": [
            {"reason": reason, "file": base64_of(lambda f: np.save(f, array, allow_pickle=True))}
            for reason, array in refused.items()
        ],
        "npz": {
            "members": members,
            "stored": base64_of(lambda f: np.savez(f, **arrays)),
            "deflated": base64_of(lambda f: np.savez_compressed(f, **arrays)),
            "unnamed": base64_of(lambda f: np.savez(f, whole)),
        },
    },
)
