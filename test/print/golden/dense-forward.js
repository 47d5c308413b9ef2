// 2176 bytes of state, 1024 of temporaries, 2 kernels
// 8×16 · 16×32: temporary 0 = feed 0 · state 0
"use strict";
function dh_k0(p0, p1, p2) {
  const a0 = 0, b0 = 0, c0 = 0;
  for (let i = 0; i < 8; i++) {
  let j = 0;
  for (; j + 4 <= 32; j += 4) {
  let x0 = 0, x1 = 0, x2 = 0, x3 = 0;
  const s0 = a0 + i * 16, t0 = b0 + j * 1;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 16; l0++, s1 += 1, t1 += 32) {
  const v = p1[s1];
  x0 += v * p2[t1 + 0];
  x1 += v * p2[t1 + 1];
  x2 += v * p2[t1 + 2];
  x3 += v * p2[t1 + 3];
  }
  p0[c0 + i * 32 + (j + 0) * 1] = x0;
  p0[c0 + i * 32 + (j + 1) * 1] = x1;
  p0[c0 + i * 32 + (j + 2) * 1] = x2;
  p0[c0 + i * 32 + (j + 3) * 1] = x3;
  }
  for (; j + 1 <= 32; j += 1) {
  let x0 = 0;
  const s0 = a0 + i * 16, t0 = b0 + j * 1;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 16; l0++, s1 += 1, t1 += 32) {
  const v = p1[s1];
  x0 += v * p2[t1 + 0];
  }
  p0[c0 + i * 32 + (j + 0) * 1] = x0;
  }
  }
}
function dh_k1(p0, p1, p2) {
  for (let i0 = 0; i0 < 8; i0++) {
    for (let i1 = 0; i1 < 32; i1++) {
      const v0 = ((Math.imul(i0, 32) + i1) | 0);
      const v1 = p0[v0];
      const v2 = p1[i1];
      const v3 = (v1 + v2);
      const v4 = ((v3 <= 0) ? 0 : v3);
      p2[v0] = v4;
    }
  }
}
return (memory, steps) => {
  const m0 = new Float32Array(memory.arena, 0, 256);
  const m1 = new Float32Array(memory.state, 0, 512);
  const m2 = new Float32Array(memory.state, 2048, 32);
  for (let s = 0; s < steps; s++) {
    const s0 = new Float32Array(memory.feeds[0], s * 512, 128);
    const s1 = new Float32Array(memory.outputs[0], s * 1024, 256);
    dh_k0(m0, s0, m1);
    dh_k1(m0, m2, s1);
  }
  return steps;
};
