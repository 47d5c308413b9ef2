// 0 bytes of state, 384 of temporaries, 4 kernels
"use strict";
function dh_k0(p0, p1) {
  for (let i0 = 0; i0 < 8; i0++) {
    let acc0 = (-Infinity);
    for (let r1 = 0; r1 < 10; r1++) {
      const v0 = p0[((Math.imul(i0, 10) + r1) | 0)];
      acc0 = Math.max(acc0, v0);
    }
    p1[i0] = acc0;
  }
}
function dh_k1(p0, p1, p2) {
  for (let i0 = 0; i0 < 8; i0++) {
    for (let i1 = 0; i1 < 10; i1++) {
      const v0 = ((Math.imul(i0, 10) + i1) | 0);
      const v1 = p0[v0];
      const v2 = p1[i0];
      const v3 = Math.exp((v1 + (((Math.max(v2, (v2 * (-1))) === Infinity) ? 0 : v2) * (-1))));
      p2[v0] = v3;
    }
  }
}
function dh_k2(p0, p1) {
  for (let i0 = 0; i0 < 8; i0++) {
    let acc0 = 0;
    for (let r1 = 0; r1 < 10; r1++) {
      const v0 = p0[((Math.imul(i0, 10) + r1) | 0)];
      acc0 = (acc0 + v0);
    }
    p1[i0] = acc0;
  }
}
function dh_k3(p0, p1, p2) {
  for (let i0 = 0; i0 < 8; i0++) {
    for (let i1 = 0; i1 < 10; i1++) {
      const v0 = ((Math.imul(i0, 10) + i1) | 0);
      const v1 = p0[v0];
      const v2 = p1[i0];
      const v3 = (v1 * (1 / v2));
      p2[v0] = v3;
    }
  }
}
return (memory, steps) => {
  const m0 = new Float32Array(memory.arena, 320, 8);
  const m1 = new Float32Array(memory.arena, 0, 80);
  for (let s = 0; s < steps; s++) {
    const s0 = new Float32Array(memory.feeds[0], s * 320, 80);
    const s1 = new Float32Array(memory.outputs[0], s * 320, 80);
    dh_k0(s0, m0);
    dh_k1(s0, m0, m1);
    dh_k2(m1, m0);
    dh_k3(m1, m0, s1);
  }
  return steps;
};
