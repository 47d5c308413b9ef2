// 0 bytes of state, 448 of temporaries, 3 kernels
"use strict";
function dh_k0(p0, p1) {
  for (let i0 = 0; i0 < 64; i0++) {
    let acc0 = 0;
    for (let r1 = 0; r1 < 100; r1++) {
      const v0 = p0[((Math.imul(i0, 100) + r1) | 0)];
      const v1 = (v0 * v0);
      acc0 = (acc0 + v1);
    }
    p1[i0] = acc0;
  }
}
function dh_k1(p0, p1) {
  for (let z = 0; z < 100; z++) {
    p0[z] = 0;
  }
  for (let r0 = 0; r0 < 16; r0++) {
    for (let i1 = 0; i1 < 100; i1++) {
      const v0 = Math.imul(r0, 400);
      const v1 = p1[((v0 + i1) | 0)];
      const v2 = p1[((((v0 + 100) | 0) + i1) | 0)];
      const v3 = p1[((((v0 + 200) | 0) + i1) | 0)];
      const v4 = p1[((((v0 + 300) | 0) + i1) | 0)];
      p0[i1] = (p0[i1] + (((v1 + v2) + v3) + v4));
    }
  }
}
function dh_k2(p0, p1) {
  for (let i0 = 0; i0 < 100; i0++) {
    const v0 = p0[i0];
    p1[i0] = v0;
  }
}
return (memory, steps) => {
  const m0 = new Float32Array(memory.arena, 0, 100);
  for (let s = 0; s < steps; s++) {
    const s0 = new Float32Array(memory.feeds[0], s * 25600, 6400);
    const s1 = new Float32Array(memory.outputs[0], s * 256, 64);
    const s2 = new Float32Array(memory.outputs[1], s * 400, 100);
    dh_k0(s0, s1);
    dh_k1(m0, s0);
    dh_k2(m0, s2);
  }
  return steps;
};
