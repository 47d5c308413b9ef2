// 896 bytes of state, 16192 of temporaries, 8 kernels
// 7×3·3·3 · 3·3·3×8: temporary 0 = temporary 14464 · state 0
// 42×8 · 8×27: temporary 0 = temporary 11776 · state 0
// 8×2·6·7 · 2·6·7×3: temporary 0 = temporary 11776 · temporary 14464
"use strict";
function dh_k0(p0, p1) {
  for (let i1 = 0; i1 < 6; i1++) {
    for (let i2 = 0; i2 < 8; i2++) {
      for (let i3 = 0; i3 < 9; i3++) {
        const v0 = ((i2 + (-1)) | 0);
        const v1 = ((i3 + (-1)) | 0);
        const v2 = (((((-1) < v0) && (v0 < 6)) && (((-1) < v1) && (v1 < 7))) ? p0[((((((Math.imul(i1, 42) + Math.imul(i2, 7)) | 0) + i3) | 0) + (-8)) | 0)] : 0);
        p1[((((Math.imul(i1, 72) + Math.imul(i2, 9)) | 0) + i3) | 0)] = v2;
      }
    }
  }
}
function dh_k1(p0, p1, p2) {
  for (let i0 = 0; i0 < 2; i0++) {
  for (let i5 = 0; i5 < 6; i5++) {
  const a0 = ((i0 * 216) + (i5 * 9)), b0 = 0, c0 = ((i0 * 336) + (i5 * 7));
  for (let i = 0; i < 7; i++) {
  let j = 0;
  for (; j + 4 <= 8; j += 4) {
  let x0 = 0, x1 = 0, x2 = 0, x3 = 0;
  const s0 = a0 + i * 1, t0 = b0 + j * 27;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 3; l0++, s1 += 72, t1 += 9) {
  for (let l1 = 0, s2 = s1, t2 = t1; l1 < 3; l1++, s2 += 9, t2 += 3) {
  for (let l2 = 0, s3 = s2, t3 = t2; l2 < 3; l2++, s3 += 1, t3 += 1) {
  const v = p1[s3];
  x0 += v * p2[t3 + 0];
  x1 += v * p2[t3 + 27];
  x2 += v * p2[t3 + 54];
  x3 += v * p2[t3 + 81];
  }
  }
  }
  p0[c0 + i * 1 + (j + 0) * 42] = x0;
  p0[c0 + i * 1 + (j + 1) * 42] = x1;
  p0[c0 + i * 1 + (j + 2) * 42] = x2;
  p0[c0 + i * 1 + (j + 3) * 42] = x3;
  }
  for (; j + 1 <= 8; j += 1) {
  let x0 = 0;
  const s0 = a0 + i * 1, t0 = b0 + j * 27;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 3; l0++, s1 += 72, t1 += 9) {
  for (let l1 = 0, s2 = s1, t2 = t1; l1 < 3; l1++, s2 += 9, t2 += 3) {
  for (let l2 = 0, s3 = s2, t3 = t2; l2 < 3; l2++, s3 += 1, t3 += 1) {
  const v = p1[s3];
  x0 += v * p2[t3 + 0];
  }
  }
  }
  p0[c0 + i * 1 + (j + 0) * 42] = x0;
  }
  }
  }
  }
}
function dh_k2(p0, p1, p2, p3) {
  for (let i3 = 0; i3 < 672; i3++) {
    const v0 = p0[i3];
    const v1 = p1[i3];
    const v2 = (v0 + (v1 * (-1)));
    const v3 = (0.0014880952658131719 * v2);
    const v4 = (v3 + v3);
    p2[i3] = v2;
    p3[i3] = v4;
  }
}
function dh_k3(p0, p1, p2) {
  for (let i0 = 0; i0 < 2; i0++) {
  const a0 = (i0 * 336), b0 = 0, c0 = (i0 * 1134);
  for (let i = 0; i < 42; i++) {
  let j = 0;
  for (; j + 4 <= 27; j += 4) {
  let x0 = 0, x1 = 0, x2 = 0, x3 = 0;
  const s0 = a0 + i * 1, t0 = b0 + j * 1;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 8; l0++, s1 += 42, t1 += 27) {
  const v = p1[s1];
  x0 += v * p2[t1 + 0];
  x1 += v * p2[t1 + 1];
  x2 += v * p2[t1 + 2];
  x3 += v * p2[t1 + 3];
  }
  p0[c0 + i * 1 + (j + 0) * 42] = x0;
  p0[c0 + i * 1 + (j + 1) * 42] = x1;
  p0[c0 + i * 1 + (j + 2) * 42] = x2;
  p0[c0 + i * 1 + (j + 3) * 42] = x3;
  }
  for (; j + 1 <= 27; j += 1) {
  let x0 = 0;
  const s0 = a0 + i * 1, t0 = b0 + j * 1;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 8; l0++, s1 += 42, t1 += 27) {
  const v = p1[s1];
  x0 += v * p2[t1 + 0];
  }
  p0[c0 + i * 1 + (j + 0) * 42] = x0;
  }
  }
  }
}
function dh_k4(p0, p1) {
  for (let i1 = 0; i1 < 6; i1++) {
    for (let i2 = 0; i2 < 6; i2++) {
      for (let i3 = 0; i3 < 7; i3++) {
        const v0 = (((i2 + 1) | 0) < 6);
        const v1 = Math.imul(i1, 378);
        const v2 = Math.imul(i2, 7);
        const v3 = ((v1 + v2) | 0);
        const v4 = ((v3 + i3) | 0);
        const v5 = (((i3 + 1) | 0) < 7);
        const v6 = ((v0 && v5) ? p0[((v4 + 8) | 0)] : 0);
        const v7 = (v0 ? p0[((((v3 + 49) | 0) + i3) | 0)] : 0);
        const v8 = ((-1) < ((i3 + (-1)) | 0));
        const v9 = ((v0 && v8) ? p0[((v4 + 90) | 0)] : 0);
        const v10 = (v5 ? p0[((v4 + 127) | 0)] : 0);
        const v11 = p0[((((((v1 + 168) | 0) + v2) | 0) + i3) | 0)];
        const v12 = (v8 ? p0[((v4 + 209) | 0)] : 0);
        const v13 = ((-1) < ((i2 + (-1)) | 0));
        const v14 = ((v13 && v5) ? p0[((v4 + 246) | 0)] : 0);
        const v15 = (v13 ? p0[((((v3 + 287) | 0) + i3) | 0)] : 0);
        const v16 = ((v13 && v8) ? p0[((v4 + 328) | 0)] : 0);
        const v17 = (((v0 ? ((v6 + v7) + v9) : 0) + ((v10 + v11) + v12)) + (v13 ? ((v14 + v15) + v16) : 0));
        p1[((((Math.imul(i1, 42) + v2) | 0) + i3) | 0)] = v17;
      }
    }
  }
}
function dh_k5(p0, p1) {
  let acc_b8 = 0;
  for (let r3 = 0; r3 < 672; r3++) {
    const v0 = p0[r3];
    acc_b8 = (acc_b8 + (v0 * v0));
  }
  const v1 = (acc_b8 * 0.0014880952658131719);
  p1[0] = v1;
}
function dh_k6(p0, p1, p2) {
  for (let i2 = 0; i2 < 3; i2++) {
  for (let i3 = 0; i3 < 3; i3++) {
  const a0 = 0, b0 = ((i2 * 72) + (i3 * 9)), c0 = ((i2 * 9) + (i3 * 3));
  for (let i = 0; i < 8; i++) {
  let j = 0;
  for (; j + 1 <= 3; j += 1) {
  let x0 = 0;
  const s0 = a0 + i * 42, t0 = b0 + j * 1;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 2; l0++, s1 += 336, t1 += 216) {
  for (let l1 = 0, s2 = s1, t2 = t1; l1 < 6; l1++, s2 += 7, t2 += 9) {
  for (let l2 = 0, s3 = s2, t3 = t2; l2 < 7; l2++, s3 += 1, t3 += 1) {
  const v = p1[s3];
  x0 += v * p2[t3 + 0];
  }
  }
  }
  p0[c0 + i * 27 + (j + 0) * 1] = x0;
  }
  }
  }
  }
}
function dh_k7(p0, p1) {
  for (let i3 = 0; i3 < 216; i3++) {
    const v0 = p0[i3];
    const v1 = p1[i3];
    const v2 = (v0 + ((v1 * 0.10000000149011612) * (-1)));
    p0[i3] = v2;
  }
}
return (memory, steps) => {
  const m0 = new Float32Array(memory.arena, 14464, 432);
  const m1 = new Float32Array(memory.arena, 0, 672);
  const m2 = new Float32Array(memory.state, 0, 216);
  const m3 = new Float32Array(memory.arena, 9088, 672);
  const m4 = new Float32Array(memory.arena, 11776, 672);
  const m5 = new Float32Array(memory.arena, 0, 2268);
  const m6 = new Float32Array(memory.arena, 0, 216);
  for (let s = 0; s < steps; s++) {
    const s0 = new Float32Array(memory.feeds[0], s * 1008, 252);
    const s1 = new Float32Array(memory.feeds[1], s * 2688, 672);
    const s2 = new Float32Array(memory.outputs[1], s * 1008, 252);
    const s3 = new Float32Array(memory.outputs[0], s * 4, 1);
    dh_k0(s0, m0);
    dh_k1(m1, m0, m2);
    dh_k2(m1, s1, m3, m4);
    dh_k3(m5, m4, m2);
    dh_k4(m5, s2);
    dh_k5(m3, s3);
    dh_k6(m6, m4, m0);
    dh_k7(m2, m6);
  }
  return steps;
};
