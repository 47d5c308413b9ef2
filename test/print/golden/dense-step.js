// 2176 bytes of state, 3072 of temporaries, 7 kernels
// 8×16 · 16×32: temporary 0 = feed 0 · state 0
// 32×8 · 8×16: temporary 0 = temporary 2048 · feed 0
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
function dh_k1(p0, p1, p2, p3, p4) {
  for (let i0 = 0; i0 < 8; i0++) {
    for (let i1 = 0; i1 < 32; i1++) {
      const v0 = ((Math.imul(i0, 32) + i1) | 0);
      const v1 = p0[v0];
      const v2 = p1[i1];
      const v3 = (v1 + v2);
      const v4 = ((v3 <= 0) ? 0 : v3);
      const v5 = p2[v0];
      const v6 = (v4 + (v5 * (-1)));
      const v7 = (0.00390625 * v6);
      const v8 = ((v4 === 0) ? 0 : (v7 + v7));
      p3[v0] = v6;
      p4[v0] = v8;
    }
  }
}
function dh_k2(p0, p1) {
  let acc0 = 0;
  for (let r1 = 0; r1 < 256; r1++) {
    const v0 = p0[r1];
    const v1 = (v0 * v0);
    acc0 = (acc0 + v1);
  }
  const v2 = (acc0 * 0.00390625);
  p1[0] = v2;
}
function dh_k3(p0, p1, p2) {
  const a0 = 0, b0 = 0, c0 = 0;
  for (let i = 0; i < 32; i++) {
  let j = 0;
  for (; j + 4 <= 16; j += 4) {
  let x0 = 0, x1 = 0, x2 = 0, x3 = 0;
  const s0 = a0 + i * 1, t0 = b0 + j * 1;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 8; l0++, s1 += 32, t1 += 16) {
  const v = p1[s1];
  x0 += v * p2[t1 + 0];
  x1 += v * p2[t1 + 1];
  x2 += v * p2[t1 + 2];
  x3 += v * p2[t1 + 3];
  }
  p0[c0 + i * 1 + (j + 0) * 32] = x0;
  p0[c0 + i * 1 + (j + 1) * 32] = x1;
  p0[c0 + i * 1 + (j + 2) * 32] = x2;
  p0[c0 + i * 1 + (j + 3) * 32] = x3;
  }
  for (; j + 1 <= 16; j += 1) {
  let x0 = 0;
  const s0 = a0 + i * 1, t0 = b0 + j * 1;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 8; l0++, s1 += 32, t1 += 16) {
  const v = p1[s1];
  x0 += v * p2[t1 + 0];
  }
  p0[c0 + i * 1 + (j + 0) * 32] = x0;
  }
  }
}
function dh_k4(p0, p1) {
  for (let i1 = 0; i1 < 512; i1++) {
    const v0 = p0[i1];
    const v1 = p1[i1];
    const v2 = (v0 + ((v1 * 0.10000000149011612) * (-1)));
    p0[i1] = v2;
  }
}
function dh_k5(p0, p1) {
  for (let i1 = 0; i1 < 32; i1++) {
    const v0 = p0[i1];
    const v1 = p0[((32 + i1) | 0)];
    const v2 = p0[((64 + i1) | 0)];
    const v3 = p0[((96 + i1) | 0)];
    const v4 = p0[((128 + i1) | 0)];
    const v5 = p0[((160 + i1) | 0)];
    const v6 = p0[((192 + i1) | 0)];
    const v7 = p0[((224 + i1) | 0)];
    const v8 = (((((((v0 + v1) + v2) + v3) + v4) + v5) + v6) + v7);
    p1[i1] = v8;
  }
}
function dh_k6(p0, p1) {
  for (let i0 = 0; i0 < 32; i0++) {
    const v0 = p0[i0];
    const v1 = p1[i0];
    const v2 = (v0 + ((v1 * 0.10000000149011612) * (-1)));
    p0[i0] = v2;
  }
}
return (memory, steps) => {
  const m0 = new Float32Array(memory.arena, 0, 256);
  const m1 = new Float32Array(memory.state, 0, 512);
  const m2 = new Float32Array(memory.state, 2048, 32);
  const m3 = new Float32Array(memory.arena, 1024, 256);
  const m4 = new Float32Array(memory.arena, 2048, 256);
  const m5 = new Float32Array(memory.arena, 0, 512);
  const m6 = new Float32Array(memory.arena, 0, 32);
  for (let s = 0; s < steps; s++) {
    const s0 = new Float32Array(memory.feeds[0], s * 512, 128);
    const s1 = new Float32Array(memory.feeds[1], s * 1024, 256);
    const s2 = new Float32Array(memory.outputs[0], s * 4, 1);
    dh_k0(m0, s0, m1);
    dh_k1(m0, m2, s1, m3, m4);
    dh_k2(m3, s2);
    dh_k3(m5, m4, s0);
    dh_k4(m1, m5);
    dh_k5(m4, m6);
    dh_k6(m2, m6);
  }
  return steps;
};
