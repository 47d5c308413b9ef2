/**
 * Vectors of the machine in C, by the vector extensions of gcc and clang: no headers, `immintrin.h` alone costs 0.1 s.
 */

/** How a dtype is spelled in vectors of this machine. */
export type Vector = {
  readonly dtype: "f32" | "f64";
  /** Unlike that of any other dtype or width. */
  readonly tag: string;
  readonly type: string;
  readonly bytes: number;
  /** Lanes of one vector. */
  readonly width: number;
  readonly name: string;
  readonly ints: string;
};

export function vector(dtype: "f32" | "f64", lanes: number): Vector {
  return dtype === "f32"
    ? { dtype, tag: `f32x${lanes}`, type: "float", bytes: 4, width: lanes, name: "dh_vf", ints: "dh_vi" }
    : { dtype, tag: `f64x${lanes / 2}`, type: "double", bytes: 8, width: lanes / 2, name: "dh_vd", ints: "dh_vl" };
}

/** What a unit needs once, before any vector. */
export function vectorPrelude(lanes: number): string {
  return `typedef __PTRDIFF_TYPE__ dh_long;
#ifdef __clang__
#define DH_KERNEL static __attribute__((noinline))
#define DH_SHUFFLE(a, b, ints, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define DH_KERNEL static __attribute__((noinline, noclone))
#define DH_SHUFFLE(a, b, ints, ...) __builtin_shuffle(a, b, (ints){__VA_ARGS__})
#endif
${(["f32", "f64"] as const).map((dtype) => types(vector(dtype, lanes))).join("\n")}
`;
}

function types({ type, bytes, width, name, ints }: Vector): string {
  const size = `vector_size(${bytes * width})`;
  return `typedef ${type} ${name} __attribute__((${size}));
typedef ${type} ${name}u __attribute__((${size}, aligned(${bytes}), may_alias));
typedef ${type === "float" ? "int" : "long long"} ${ints} __attribute__((${size}));`;
}

/** Vectors of 64 bytes are AVX-512, of 32 bytes AVX2; both can leave lanes out, which smaller ones do one by one. */
const instructions = (v: Vector) => ({ 64: "avx512", 32: "avx2" })[v.bytes * v.width] ?? "none";
const letter = (v: Vector) => (v.dtype === "f32" ? "s" : "d");

/** Load `count` lanes at `p`; the others are zero and their memory is not touched. */
export function load(v: Vector, p: string, count = v.width): string {
  if (count === v.width) return `*(const ${v.name}u *)(${p})`;
  if (instructions(v) === "avx512") return loadMasked(v, p, `0x${((1 << count) - 1).toString(16)}`);
  return `(${v.name}){${range(count)
    .map((i) => `(${p})[${i}]`)
    .join(", ")}}`;
}

/** Store the first `count` lanes of `x` at `p`. */
export function store(v: Vector, p: string, x: string, count = v.width): string {
  if (count === v.width) return `*(${v.name}u *)(${p}) = ${x};`;
  if (instructions(v) === "avx512") return storeMasked(v, p, x, `0x${((1 << count) - 1).toString(16)}`);
  return range(count)
    .map((i) => `(${p})[${i}] = ${x}[${i}];`)
    .join(" ");
}

/**
 * For a count of lanes known at run time, 1 … width: `declare` once, then `loadMasked` and `storeMasked` with "mask".
 * Lanes beyond the count are never written; what they are read as is not defined, and neither is memory read for it.
 */
export function declareMask(v: Vector, count: string): string {
  switch (instructions(v)) {
    case "avx512":
      return `const unsigned mask = (1u << ${count}) - 1;`;
    case "avx2":
      return `const ${v.ints} mask = (${v.ints}){${range(v.width)}} < (${v.type === "float" ? "int" : "long long"})${count};`;
    default:
      return `const dh_long mask = ${count};`;
  }
}

export function loadMasked(v: Vector, p: string, mask = "mask"): string {
  switch (instructions(v)) {
    case "avx512":
      return `(${v.name})__builtin_ia32_loadup${letter(v)}512_mask(${p}, (${v.name}){}, ${mask})`;
    case "avx2":
      return `__builtin_ia32_maskloadp${letter(v)}256((const void *)(${p}), ${mask})`;
    default:
      // A lane that is not wanted reads the last one that is: no branch.
      return `(${v.name}){${range(v.width).map((i) => (i ? `(${p})[${mask} > ${i} ? ${i} : ${mask} - 1]` : `(${p})[0]`))}}`;
  }
}

export function storeMasked(v: Vector, p: string, x: string, mask = "mask"): string {
  switch (instructions(v)) {
    case "avx512":
      return `__builtin_ia32_storeup${letter(v)}512_mask(${p}, ${x}, ${mask});`;
    case "avx2":
      return `__builtin_ia32_maskstorep${letter(v)}256((void *)(${p}), ${mask}, ${x});`;
    default:
      return range(v.width)
        .map((i) => `${i ? `if (${mask} > ${i}) ` : ""}(${p})[${i}] = (${x})[${i}];`)
        .join(" ");
  }
}

export const shuffle = (v: Vector, x: string, y: string, lanes: readonly number[]) =>
  `DH_SHUFFLE(${x}, ${y}, ${v.ints}, ${lanes.join(", ")})`;

/** Registers that hold vectors. */
export const registers = (lanes: number) => (lanes === 16 ? 32 : 16);

export const range = (n: number) => Array.from({ length: n }, (_, i) => i);
