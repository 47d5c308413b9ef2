// 512 bytes of state, 64 of temporaries, 2 kernels
"use strict";
function dh_k0(p0, p1, p2, p3, p4, p5, p6) {
  const v0 = Math.min(Math.max(p1[0], 0), 9999);
  let acc_b6 = 0;
  for (let r1 = 0; r1 < 100; r1++) {
    acc_b6 = (acc_b6 + (p0[((Math.imul(v0, 100) + r1) | 0)] * p2[r1]));
  }
  const v1 = p3[0];
  const v2 = (acc_b6 + v1);
  const v3 = (v2 < 0);
  const v4 = Math.exp((v3 ? v2 : (v2 * (-1))));
  const v5 = p4[v0];
  const v6 = (((v3 ? 0 : v2) + Math.log1p(v4)) + ((v2 * v5) * (-1)));
  const v7 = ((1 / (v4 + 1)) * v4);
  const v8 = (((((-1) * v5) + (v3 ? v7 : 0)) + ((v3 ? 0 : v7) * (-1))) + (v3 ? 0 : 1));
  const v9 = (v1 + ((v8 * 0.10000000149011612) * (-1)));
  p5[0] = v6;
  p6[0] = v8;
  p3[0] = v9;
}
function dh_k1(p0, p1, p2, p3) {
  for (let i0 = 0; i0 < 100; i0++) {
    const v0 = (p0[i0] + (((p1[0] * p2[((Math.imul(Math.min(Math.max(p3[0], 0), 9999), 100) + i0) | 0)]) * 0.10000000149011612) * (-1)));
    p0[i0] = v0;
  }
}
return (memory, steps) => {
  const m0 = new Float32Array(memory.resident[0], 0, 1000000);
  const m1 = new Float32Array(memory.state, 0, 100);
  const m2 = new Float32Array(memory.state, 448, 1);
  const m3 = new Float32Array(memory.resident[1], 0, 10000);
  const m4 = new Float32Array(memory.arena, 0, 1);
  for (let s = 0; s < steps; s++) {
    const s0 = new Int32Array(memory.feeds[0], s * 4, 1);
    const s1 = new Float32Array(memory.outputs[0], s * 4, 1);
    dh_k0(m0, s0, m1, m2, m3, s1, m4);
    dh_k1(m1, m4, m0, s0);
  }
  return steps;
};
