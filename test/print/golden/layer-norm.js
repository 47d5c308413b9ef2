// 256 bytes of state, 128 of temporaries, 2 kernels
"use strict";
function dh_k0(p0, p1, p2) {
  for (let i0 = 0; i0 < 8; i0++) {
    let acc0 = 0;
    for (let r1 = 0; r1 < 32; r1++) {
      const v0 = p0[((Math.imul(i0, 32) + r1) | 0)];
      acc0 = (acc0 + v0);
    }
    let acc1 = 0;
    for (let r1 = 0; r1 < 32; r1++) {
      const v1 = p0[((Math.imul(i0, 32) + r1) | 0)];
      const v2 = (v1 + ((acc0 * 0.03125) * (-1)));
      const v3 = (v2 * v2);
      acc1 = (acc1 + v3);
    }
    const v4 = Math.sqrt(((acc1 * 0.03125) + 0.000009999999747378752));
    p1[i0] = acc0;
    p2[i0] = v4;
  }
}
function dh_k1(p0, p1, p2, p3, p4, p5) {
  for (let i0 = 0; i0 < 8; i0++) {
    for (let i1 = 0; i1 < 32; i1++) {
      const v0 = ((Math.imul(i0, 32) + i1) | 0);
      const v1 = p0[v0];
      const v2 = p1[i0];
      const v3 = p2[i0];
      const v4 = p3[i1];
      const v5 = p4[i1];
      const v6 = ((((v1 + ((v2 * 0.03125) * (-1))) * (1 / v3)) * v4) + v5);
      p5[v0] = v6;
    }
  }
}
return (memory, steps) => {
  const m0 = new Float32Array(memory.arena, 0, 8);
  const m1 = new Float32Array(memory.arena, 64, 8);
  const m2 = new Float32Array(memory.state, 0, 32);
  const m3 = new Float32Array(memory.state, 128, 32);
  for (let s = 0; s < steps; s++) {
    const s0 = new Float32Array(memory.feeds[0], s * 1024, 256);
    const s1 = new Float32Array(memory.outputs[0], s * 1024, 256);
    dh_k0(s0, m0, m1);
    dh_k1(s0, m0, m1, m2, m3, s1);
  }
  return steps;
};
