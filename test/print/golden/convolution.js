// 896 bytes of state, 12608 of temporaries, 10 kernels
// 7×3·3·3 · 3·3·3×8: temporary 0 = temporary 9984 · temporary 11712
// 7×3·3·8 · 3·3·8×3: temporary 4608 = temporary 0 · temporary 11712
// 8×2·6·7 · 2·6·7×3: temporary 0 = temporary 7296 · temporary 9984
"use strict";
function dh_k0(p0, p1) {
  for (let i4 = 0; i4 < 27; i4++) {
    for (let i1 = 0; i1 < 8; i1++) {
      const v0 = p0[((Math.imul(i1, 27) + i4) | 0)];
      p1[((i1 + Math.imul(i4, 8)) | 0)] = v0;
    }
  }
}
function dh_k1(p0, p1) {
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
function dh_k2(p0, p1, p2) {
  for (let i0 = 0; i0 < 2; i0++) {
  for (let i5 = 0; i5 < 6; i5++) {
  const a0 = ((i0 * 216) + (i5 * 9)), b0 = 0, c0 = ((i0 * 336) + (i5 * 56));
  for (let i = 0; i < 7; i++) {
  let j = 0;
  for (; j + 4 <= 8; j += 4) {
  let x0 = 0, x1 = 0, x2 = 0, x3 = 0;
  const s0 = a0 + i * 1, t0 = b0 + j * 1;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 3; l0++, s1 += 72, t1 += 72) {
  for (let l1 = 0, s2 = s1, t2 = t1; l1 < 3; l1++, s2 += 9, t2 += 24) {
  for (let l2 = 0, s3 = s2, t3 = t2; l2 < 3; l2++, s3 += 1, t3 += 8) {
  const v = p1[s3];
  x0 += v * p2[t3 + 0];
  x1 += v * p2[t3 + 1];
  x2 += v * p2[t3 + 2];
  x3 += v * p2[t3 + 3];
  }
  }
  }
  p0[c0 + i * 8 + (j + 0) * 1] = x0;
  p0[c0 + i * 8 + (j + 1) * 1] = x1;
  p0[c0 + i * 8 + (j + 2) * 1] = x2;
  p0[c0 + i * 8 + (j + 3) * 1] = x3;
  }
  for (; j + 1 <= 8; j += 1) {
  let x0 = 0;
  const s0 = a0 + i * 1, t0 = b0 + j * 1;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 3; l0++, s1 += 72, t1 += 72) {
  for (let l1 = 0, s2 = s1, t2 = t1; l1 < 3; l1++, s2 += 9, t2 += 24) {
  for (let l2 = 0, s3 = s2, t3 = t2; l2 < 3; l2++, s3 += 1, t3 += 8) {
  const v = p1[s3];
  x0 += v * p2[t3 + 0];
  }
  }
  }
  p0[c0 + i * 8 + (j + 0) * 1] = x0;
  }
  }
  }
  }
}
function dh_k3(p0, p1, p2, p3) {
  for (let i0 = 0; i0 < 2; i0++) {
    for (let i3 = 0; i3 < 42; i3++) {
      for (let i1 = 0; i1 < 8; i1++) {
        const v0 = Math.imul(i0, 336);
        const v1 = ((((v0 + i1) | 0) + Math.imul(i3, 8)) | 0);
        const v2 = p0[v1];
        const v3 = p1[((((v0 + Math.imul(i1, 42)) | 0) + i3) | 0)];
        const v4 = (v2 + (v3 * (-1)));
        const v5 = (0.0014880952658131719 * v4);
        const v6 = (v5 + v5);
        p2[v1] = v4;
        p3[v1] = v6;
      }
    }
  }
}
function dh_k4(p0, p1) {
  for (let i0 = 0; i0 < 2; i0++) {
    for (let i5 = 0; i5 < 8; i5++) {
      for (let i6 = 0; i6 < 9; i6++) {
        for (let i1 = 0; i1 < 8; i1++) {
          const v0 = Math.imul(i6, 8);
          const v1 = ((i5 + (-1)) | 0);
          const v2 = ((i6 + (-1)) | 0);
          const v3 = (((((-1) < v1) && (v1 < 6)) && (((-1) < v2) && (v2 < 7))) ? p0[((((((((Math.imul(i0, 336) + i1) | 0) + Math.imul(i5, 56)) | 0) + v0) | 0) + (-64)) | 0)] : 0);
          p1[((((((Math.imul(i0, 576) + i1) | 0) + Math.imul(i5, 72)) | 0) + v0) | 0)] = v3;
        }
      }
    }
  }
}
function dh_k5(p0, p1) {
  let acc0 = 0;
  for (let r1 = 0; r1 < 672; r1++) {
    const v0 = p0[r1];
    const v1 = (v0 * v0);
    acc0 = (acc0 + v1);
  }
  const v2 = (acc0 * 0.0014880952658131719);
  p1[0] = v2;
}
function dh_k6(p0, p1, p2) {
  for (let i0 = 0; i0 < 2; i0++) {
  for (let i5 = 0; i5 < 6; i5++) {
  const a0 = ((i0 * 576) + (i5 * 72)), b0 = 64, c0 = ((i0 * 42) + (i5 * 7));
  for (let i = 0; i < 7; i++) {
  let j = 0;
  for (; j + 1 <= 3; j += 1) {
  let x0 = 0;
  const s0 = a0 + i * 8, t0 = b0 + j * 72;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 3; l0++, s1 += 72, t1 += -24) {
  for (let l1 = 0, s2 = s1, t2 = t1; l1 < 3; l1++, s2 += 8, t2 += -8) {
  for (let l2 = 0, s3 = s2, t3 = t2; l2 < 8; l2++, s3 += 1, t3 += 1) {
  const v = p1[s3];
  x0 += v * p2[t3 + 0];
  }
  }
  }
  p0[c0 + i * 1 + (j + 0) * 84] = x0;
  }
  }
  }
  }
}
function dh_k7(p0, p1) {
  for (let i0 = 0; i0 < 2; i0++) {
    for (let i1 = 0; i1 < 3; i1++) {
      for (let i3 = 0; i3 < 42; i3++) {
        const v0 = p0[((((Math.imul(i0, 42) + Math.imul(i1, 84)) | 0) + i3) | 0)];
        p1[((((Math.imul(i0, 126) + Math.imul(i1, 42)) | 0) + i3) | 0)] = v0;
      }
    }
  }
}
function dh_k8(p0, p1, p2) {
  for (let i2 = 0; i2 < 3; i2++) {
  for (let i3 = 0; i3 < 3; i3++) {
  const a0 = 0, b0 = ((i2 * 72) + (i3 * 9)), c0 = ((i2 * 72) + (i3 * 24));
  for (let i = 0; i < 8; i++) {
  let j = 0;
  for (; j + 1 <= 3; j += 1) {
  let x0 = 0;
  const s0 = a0 + i * 1, t0 = b0 + j * 1;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 2; l0++, s1 += 336, t1 += 216) {
  for (let l1 = 0, s2 = s1, t2 = t1; l1 < 6; l1++, s2 += 56, t2 += 9) {
  for (let l2 = 0, s3 = s2, t3 = t2; l2 < 7; l2++, s3 += 8, t3 += 1) {
  const v = p1[s3];
  x0 += v * p2[t3 + 0];
  }
  }
  }
  p0[c0 + i * 1 + (j + 0) * 8] = x0;
  }
  }
  }
  }
}
function dh_k9(p0, p1) {
  for (let i0 = 0; i0 < 8; i0++) {
    for (let i3 = 0; i3 < 27; i3++) {
      const v0 = ((Math.imul(i0, 27) + i3) | 0);
      const v1 = p0[v0];
      const v2 = p1[((i0 + Math.imul(i3, 8)) | 0)];
      const v3 = (v1 + ((v2 * 0.10000000149011612) * (-1)));
      p0[v0] = v3;
    }
  }
}
return (memory, steps) => {
  const m0 = new Float32Array(memory.state, 0, 216);
  const m1 = new Float32Array(memory.arena, 11712, 216);
  const m2 = new Float32Array(memory.arena, 9984, 432);
  const m3 = new Float32Array(memory.arena, 0, 672);
  const m4 = new Float32Array(memory.arena, 4608, 672);
  const m5 = new Float32Array(memory.arena, 7296, 672);
  const m6 = new Float32Array(memory.arena, 0, 1152);
  const m7 = new Float32Array(memory.arena, 4608, 252);
  const m8 = new Float32Array(memory.arena, 0, 216);
  for (let s = 0; s < steps; s++) {
    const s0 = new Float32Array(memory.feeds[0], s * 1008, 252);
    const s1 = new Float32Array(memory.feeds[1], s * 2688, 672);
    const s2 = new Float32Array(memory.outputs[0], s * 4, 1);
    const s3 = new Float32Array(memory.outputs[1], s * 1008, 252);
    dh_k0(m0, m1);
    dh_k1(s0, m2);
    dh_k2(m3, m2, m1);
    dh_k3(m3, s1, m4, m5);
    dh_k4(m5, m6);
    dh_k5(m4, s2);
    dh_k6(m7, m6, m1);
    dh_k7(m7, s3);
    dh_k8(m8, m5, m2);
    dh_k9(m0, m8);
  }
  return steps;
};
