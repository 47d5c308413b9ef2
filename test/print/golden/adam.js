// 12096 bytes of state, 128 of temporaries, 2 kernels
"use strict";
function dh_k0(p0, p1, p2) {
  const v0 = p0[0];
  const v1 = (Math.expm1((v0 * (-0.10536051541566849))) * (-1));
  const v2 = (Math.expm1((v0 * (-0.0010005002841353416))) * (-1));
  p1[0] = v1;
  p2[0] = v2;
}
function dh_k1(p0, p1, p2, p3, p4, p5) {
  for (let i0 = 0; i0 < 1000; i0++) {
    const v0 = p0[i0];
    const v1 = p1[i0];
    const v2 = ((v0 * 0.8999999761581421) + (v1 * 0.10000000149011612));
    const v3 = p2[i0];
    const v4 = ((v3 * 0.9990000128746033) + ((v1 * v1) * 0.0010000000474974513));
    const v5 = p3[i0];
    const v6 = p4[0];
    const v7 = p5[0];
    const v8 = (v5 + ((((v2 * (1 / v6)) / (Math.sqrt((v4 * (1 / v7))) + 9.99999993922529e-9)) * 0.0010000000474974513) * (-1)));
    p0[i0] = v2;
    p2[i0] = v4;
    p3[i0] = v8;
  }
}
return (memory, steps) => {
  const m0 = new Float32Array(memory.arena, 0, 1);
  const m1 = new Float32Array(memory.arena, 64, 1);
  const m2 = new Float32Array(memory.state, 4032, 1000);
  const m3 = new Float32Array(memory.state, 8064, 1000);
  const m4 = new Float32Array(memory.state, 0, 1000);
  for (let s = 0; s < steps; s++) {
    const s0 = new Float32Array(memory.feeds[1], s * 4, 1);
    const s1 = new Float32Array(memory.feeds[0], s * 4000, 1000);
    dh_k0(s0, m0, m1);
    dh_k1(m2, s1, m3, m4, m0, m1);
  }
  return steps;
};
