// 704 bytes of state, 1088 of temporaries, 11 kernels
// 8×16 · 16×10: temporary 0 = feed 0 · state 0
// 10×8 · 8×16: temporary 0 = temporary 640 · feed 0
"use strict";
function dh_k0(p0, p1, p2) {
  const a0 = 0, b0 = 0, c0 = 0;
  for (let i = 0; i < 8; i++) {
  let j = 0;
  for (; j + 4 <= 10; j += 4) {
  let x0 = 0, x1 = 0, x2 = 0, x3 = 0;
  const s0 = a0 + i * 16, t0 = b0 + j * 1;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 16; l0++, s1 += 1, t1 += 10) {
  const v = p1[s1];
  x0 += v * p2[t1 + 0];
  x1 += v * p2[t1 + 1];
  x2 += v * p2[t1 + 2];
  x3 += v * p2[t1 + 3];
  }
  p0[c0 + i * 10 + (j + 0) * 1] = x0;
  p0[c0 + i * 10 + (j + 1) * 1] = x1;
  p0[c0 + i * 10 + (j + 2) * 1] = x2;
  p0[c0 + i * 10 + (j + 3) * 1] = x3;
  }
  for (; j + 1 <= 10; j += 1) {
  let x0 = 0;
  const s0 = a0 + i * 16, t0 = b0 + j * 1;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 16; l0++, s1 += 1, t1 += 10) {
  const v = p1[s1];
  x0 += v * p2[t1 + 0];
  }
  p0[c0 + i * 10 + (j + 0) * 1] = x0;
  }
  }
}
function dh_k1(p0, p1, p2) {
  for (let i0 = 0; i0 < 8; i0++) {
    let acc0 = (-Infinity);
    for (let r1 = 0; r1 < 10; r1++) {
      const v0 = p0[((Math.imul(i0, 10) + r1) | 0)];
      const v1 = p1[r1];
      const v2 = (v0 + v1);
      acc0 = Math.max(acc0, v2);
    }
    const v3 = (((Math.max(acc0, (acc0 * (-1))) === Infinity) ? 0 : acc0) * (-1));
    p2[i0] = v3;
  }
}
function dh_k2(p0, p1, p2, p3) {
  for (let i0 = 0; i0 < 8; i0++) {
    for (let i1 = 0; i1 < 10; i1++) {
      const v0 = ((Math.imul(i0, 10) + i1) | 0);
      const v1 = p0[v0];
      const v2 = p1[i1];
      const v3 = p2[i0];
      const v4 = Math.exp(((v1 + v2) + v3));
      p3[v0] = v4;
    }
  }
}
function dh_k3(p0, p1) {
  for (let z = 0; z < 8; z++) {
    p0[z] = 0;
  }
  for (let r1 = 0; r1 < 2; r1++) {
    for (let i0 = 0; i0 < 8; i0++) {
      const v0 = p1[i0];
      const v1 = Math.imul(r1, 5);
      p0[i0] = (p0[i0] + ((((((v0 === v1) ? (-0.125) : 0) + ((v0 === ((v1 + 1) | 0)) ? (-0.125) : 0)) + ((v0 === ((v1 + 2) | 0)) ? (-0.125) : 0)) + ((v0 === ((v1 + 3) | 0)) ? (-0.125) : 0)) + ((v0 === ((v1 + 4) | 0)) ? (-0.125) : 0)));
    }
  }
}
function dh_k4(p0, p1, p2, p3, p4, p5, p6, p7) {
  for (let i0 = 0; i0 < 8; i0++) {
    let acc0 = 0;
    for (let r1 = 0; r1 < 10; r1++) {
      const v0 = ((Math.imul(i0, 10) + r1) | 0);
      const v1 = p0[v0];
      acc0 = (acc0 + v1);
    }
    const v2 = p1[i0];
    const v6 = p4[i0];
    let acc1 = 0;
    for (let r1 = 0; r1 < 10; r1++) {
      const v3 = ((Math.imul(i0, 10) + r1) | 0);
      const v4 = p2[v3];
      const v5 = p3[r1];
      const v7 = ((v2 === r1) ? (((v4 + v5) + v6) + (Math.log(acc0) * (-1))) : 0);
      acc1 = (acc1 + v7);
    }
    const v8 = p5[i0];
    const v9 = ((v8 * (-1)) / acc0);
    p6[i0] = acc1;
    p7[i0] = v9;
  }
}
function dh_k5(p0, p1, p2, p3) {
  for (let i0 = 0; i0 < 8; i0++) {
    for (let i1 = 0; i1 < 10; i1++) {
      const v0 = p0[i0];
      const v1 = p1[i0];
      const v2 = ((Math.imul(i0, 10) + i1) | 0);
      const v3 = p2[v2];
      const v4 = (((v0 === i1) ? (-0.125) : 0) + (v1 * v3));
      p3[v2] = v4;
    }
  }
}
function dh_k6(p0, p1) {
  let acc0 = 0;
  for (let r0 = 0; r0 < 8; r0++) {
    const v0 = p0[r0];
    acc0 = (acc0 + v0);
  }
  const v1 = ((acc0 * 0.125) * (-1));
  p1[0] = v1;
}
function dh_k7(p0, p1, p2) {
  const a0 = 0, b0 = 0, c0 = 0;
  for (let i = 0; i < 10; i++) {
  let j = 0;
  for (; j + 4 <= 16; j += 4) {
  let x0 = 0, x1 = 0, x2 = 0, x3 = 0;
  const s0 = a0 + i * 1, t0 = b0 + j * 1;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 8; l0++, s1 += 10, t1 += 16) {
  const v = p1[s1];
  x0 += v * p2[t1 + 0];
  x1 += v * p2[t1 + 1];
  x2 += v * p2[t1 + 2];
  x3 += v * p2[t1 + 3];
  }
  p0[c0 + i * 1 + (j + 0) * 10] = x0;
  p0[c0 + i * 1 + (j + 1) * 10] = x1;
  p0[c0 + i * 1 + (j + 2) * 10] = x2;
  p0[c0 + i * 1 + (j + 3) * 10] = x3;
  }
  for (; j + 1 <= 16; j += 1) {
  let x0 = 0;
  const s0 = a0 + i * 1, t0 = b0 + j * 1;
  for (let l0 = 0, s1 = s0, t1 = t0; l0 < 8; l0++, s1 += 10, t1 += 16) {
  const v = p1[s1];
  x0 += v * p2[t1 + 0];
  }
  p0[c0 + i * 1 + (j + 0) * 10] = x0;
  }
  }
}
function dh_k8(p0, p1) {
  for (let i1 = 0; i1 < 160; i1++) {
    const v0 = p0[i1];
    const v1 = p1[i1];
    const v2 = (v0 + ((v1 * 0.10000000149011612) * (-1)));
    p0[i1] = v2;
  }
}
function dh_k9(p0, p1) {
  for (let i1 = 0; i1 < 10; i1++) {
    const v0 = p0[i1];
    const v1 = p0[((10 + i1) | 0)];
    const v2 = p0[((20 + i1) | 0)];
    const v3 = p0[((30 + i1) | 0)];
    const v4 = p0[((40 + i1) | 0)];
    const v5 = p0[((50 + i1) | 0)];
    const v6 = p0[((60 + i1) | 0)];
    const v7 = p0[((70 + i1) | 0)];
    const v8 = (((((((v0 + v1) + v2) + v3) + v4) + v5) + v6) + v7);
    p1[i1] = v8;
  }
}
function dh_k10(p0, p1) {
  for (let i0 = 0; i0 < 10; i0++) {
    const v0 = p0[i0];
    const v1 = p1[i0];
    const v2 = (v0 + ((v1 * 0.10000000149011612) * (-1)));
    p0[i0] = v2;
  }
}
return (memory, steps) => {
  const m0 = new Float32Array(memory.arena, 0, 80);
  const m1 = new Float32Array(memory.state, 0, 160);
  const m2 = new Float32Array(memory.state, 640, 10);
  const m3 = new Float32Array(memory.arena, 640, 8);
  const m4 = new Float32Array(memory.arena, 320, 80);
  const m5 = new Float32Array(memory.arena, 704, 8);
  const m6 = new Float32Array(memory.arena, 960, 8);
  const m7 = new Float32Array(memory.arena, 1024, 8);
  const m8 = new Float32Array(memory.arena, 640, 80);
  const m9 = new Float32Array(memory.arena, 0, 160);
  const m10 = new Float32Array(memory.arena, 0, 10);
  for (let s = 0; s < steps; s++) {
    const s0 = new Float32Array(memory.feeds[0], s * 512, 128);
    const s1 = new Int32Array(memory.feeds[1], s * 32, 8);
    const s2 = new Float32Array(memory.outputs[0], s * 4, 1);
    dh_k0(m0, s0, m1);
    dh_k1(m0, m2, m3);
    dh_k2(m0, m2, m3, m4);
    dh_k3(m5, s1);
    dh_k4(m4, s1, m0, m2, m3, m5, m6, m7);
    dh_k5(s1, m7, m4, m8);
    dh_k6(m6, s2);
    dh_k7(m9, m8, s0);
    dh_k8(m1, m9);
    dh_k9(m8, m10);
    dh_k10(m2, m10);
  }
  return steps;
};
