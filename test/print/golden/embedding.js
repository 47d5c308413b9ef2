// 1728 bytes of state, 2112 of temporaries, 9 kernels
// 6×8 · 8×3: temporary 0 = temporary 1600 · state 1600
// 6×3 · 3×8: temporary 1792 = temporary 1984 · state 1600
// 3×6 · 6×8: temporary 0 = temporary 1984 · temporary 1600
"use strict";
function dh_k0(p0, p1, p2) {
  for (let i0 = 0; i0 < 6; i0++) {
    for (let i1 = 0; i1 < 8; i1++) {
      const v0 = p1[i0];
      const v1 = p0[((Math.imul(Math.min(Math.max(v0, 0), 49), 8) + i1) | 0)];
      p2[((Math.imul(i0, 8) + i1) | 0)] = v1;
    }
  }
}
function dh_k1(p0, p1, p2) {
  const a0 = 0, b0 = 0, c0 = 0;
  for (let i = 0; i < 6; i++) {
  let j = 0;
  for (; j + 1 <= 3; j += 1) {
  let x0 = 0;
  const s0 = a0 + i * 8, t0 = b0 + j * 1;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 8; l0++, s1 += 1, t1 += 3) {
  const v = p1[s1];
  x0 += v * p2[t1 + 0];
  }
  p0[c0 + i * 3 + (j + 0) * 1] = x0;
  }
  }
}
function dh_k2(p0, p1, p2) {
  for (let i1 = 0; i1 < 18; i1++) {
    const v0 = p0[i1];
    const v1 = (v0 < 0);
    const v2 = Math.exp((v1 ? v0 : (v0 * (-1))));
    const v3 = (v2 + 1);
    const v4 = ((v1 ? v2 : 1) / v3);
    const v5 = (0.0555555559694767 * v4);
    const v6 = (v5 + v5);
    const v7 = (((((v6 * v4) / v3) * (-1)) + (v1 ? (v6 / v3) : 0)) * v2);
    const v8 = ((v1 ? v7 : 0) + ((v1 ? 0 : v7) * (-1)));
    p1[i1] = v4;
    p2[i1] = v8;
  }
}
function dh_k3(p0, p1, p2) {
  const a0 = 0, b0 = 0, c0 = 0;
  for (let i = 0; i < 6; i++) {
  let j = 0;
  for (; j + 4 <= 8; j += 4) {
  let x0 = 0, x1 = 0, x2 = 0, x3 = 0;
  const s0 = a0 + i * 3, t0 = b0 + j * 3;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 3; l0++, s1 += 1, t1 += 1) {
  const v = p1[s1];
  x0 += v * p2[t1 + 0];
  x1 += v * p2[t1 + 3];
  x2 += v * p2[t1 + 6];
  x3 += v * p2[t1 + 9];
  }
  p0[c0 + i * 8 + (j + 0) * 1] = x0;
  p0[c0 + i * 8 + (j + 1) * 1] = x1;
  p0[c0 + i * 8 + (j + 2) * 1] = x2;
  p0[c0 + i * 8 + (j + 3) * 1] = x3;
  }
  for (; j + 1 <= 8; j += 1) {
  let x0 = 0;
  const s0 = a0 + i * 3, t0 = b0 + j * 3;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 3; l0++, s1 += 1, t1 += 1) {
  const v = p1[s1];
  x0 += v * p2[t1 + 0];
  }
  p0[c0 + i * 8 + (j + 0) * 1] = x0;
  }
  }
}
function dh_k4(p0, p1) {
  let acc0 = 0;
  for (let r1 = 0; r1 < 18; r1++) {
    const v0 = p0[r1];
    const v1 = (v0 * v0);
    acc0 = (acc0 + v1);
  }
  const v2 = (acc0 * 0.0555555559694767);
  p1[0] = v2;
}
function dh_k5(p0, p1, p2) {
  for (let z = 0; z < 400; z++) {
    p0[z] = 0;
  }
  for (let i0 = 0; i0 < 6; i0++) {
    for (let i1 = 0; i1 < 8; i1++) {
      const v0 = p1[i0];
      const v1 = p2[((Math.imul(i0, 8) + i1) | 0)];
      p0[((Math.imul(Math.min(Math.max(v0, 0), 49), 8) + i1) | 0)] = (p0[((Math.imul(Math.min(Math.max(v0, 0), 49), 8) + i1) | 0)] + v1);
    }
  }
}
function dh_k6(p0, p1) {
  for (let i1 = 0; i1 < 400; i1++) {
    const v0 = p0[i1];
    const v1 = p1[i1];
    const v2 = (v0 + ((v1 * 0.10000000149011612) * (-1)));
    p0[i1] = v2;
  }
}
function dh_k7(p0, p1, p2) {
  const a0 = 0, b0 = 0, c0 = 0;
  for (let i = 0; i < 3; i++) {
  let j = 0;
  for (; j + 4 <= 8; j += 4) {
  let x0 = 0, x1 = 0, x2 = 0, x3 = 0;
  const s0 = a0 + i * 1, t0 = b0 + j * 1;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 6; l0++, s1 += 3, t1 += 8) {
  const v = p1[s1];
  x0 += v * p2[t1 + 0];
  x1 += v * p2[t1 + 1];
  x2 += v * p2[t1 + 2];
  x3 += v * p2[t1 + 3];
  }
  p0[c0 + i * 1 + (j + 0) * 3] = x0;
  p0[c0 + i * 1 + (j + 1) * 3] = x1;
  p0[c0 + i * 1 + (j + 2) * 3] = x2;
  p0[c0 + i * 1 + (j + 3) * 3] = x3;
  }
  for (; j + 1 <= 8; j += 1) {
  let x0 = 0;
  const s0 = a0 + i * 1, t0 = b0 + j * 1;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 6; l0++, s1 += 3, t1 += 8) {
  const v = p1[s1];
  x0 += v * p2[t1 + 0];
  }
  p0[c0 + i * 1 + (j + 0) * 3] = x0;
  }
  }
}
function dh_k8(p0, p1) {
  for (let i1 = 0; i1 < 24; i1++) {
    const v0 = p0[i1];
    const v1 = p1[i1];
    const v2 = (v0 + ((v1 * 0.10000000149011612) * (-1)));
    p0[i1] = v2;
  }
}
return (memory, steps) => {
  const m0 = new Float32Array(memory.state, 0, 400);
  const m1 = new Float32Array(memory.arena, 1600, 48);
  const m2 = new Float32Array(memory.arena, 0, 18);
  const m3 = new Float32Array(memory.state, 1600, 24);
  const m4 = new Float32Array(memory.arena, 128, 18);
  const m5 = new Float32Array(memory.arena, 1984, 18);
  const m6 = new Float32Array(memory.arena, 1792, 48);
  const m7 = new Float32Array(memory.arena, 0, 400);
  const m8 = new Float32Array(memory.arena, 0, 24);
  for (let s = 0; s < steps; s++) {
    const s0 = new Int32Array(memory.feeds[0], s * 24, 6);
    const s1 = new Float32Array(memory.outputs[0], s * 4, 1);
    dh_k0(m0, s0, m1);
    dh_k1(m2, m1, m3);
    dh_k2(m2, m4, m5);
    dh_k3(m6, m5, m3);
    dh_k4(m4, s1);
    dh_k5(m7, s0, m6);
    dh_k6(m0, m7);
    dh_k7(m8, m5, m1);
    dh_k8(m3, m8);
  }
  return steps;
};
