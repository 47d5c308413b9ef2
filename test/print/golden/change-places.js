// 128 bytes of state, 64 of temporaries, 2 kernels
"use strict";
function dh_k0(p0, p1, p2) {
  for (let i0 = 0; i0 < 4; i0++) {
    for (let i1 = 0; i1 < 4; i1++) {
      const v0 = p0[((Math.imul(i1, 4) + i0) | 0)];
      const v1 = ((Math.imul(i0, 4) + i1) | 0);
      const v2 = p1[v1];
      const v3 = p0[v1];
      const v4 = (v2 + v3);
      p1[v1] = v0;
      p2[v1] = v4;
    }
  }
}
function dh_k1(p0, p1) {
  for (let i0 = 0; i0 < 16; i0++) {
    const v0 = p0[i0];
    p1[i0] = v0;
  }
}
return (memory, steps) => {
  const m0 = new Float32Array(memory.state, 64, 16);
  const m1 = new Float32Array(memory.state, 0, 16);
  const m2 = new Float32Array(memory.arena, 0, 16);
  for (let s = 0; s < steps; s++) {
    dh_k0(m0, m1, m2);
    dh_k1(m2, m0);
  }
  return steps;
};
