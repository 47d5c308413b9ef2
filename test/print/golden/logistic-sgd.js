// 512 bytes of state, 64 of temporaries, 2 kernels
"use strict";
function dh_k0(p0, p1, p2, p3, p4, p5, p6) {
  const v0 = p1[0];
  const v1 = Math.min(Math.max(v0, 0), 9999);
  let acc0 = 0;
  for (let r1 = 0; r1 < 100; r1++) {
    const v2 = p0[((Math.imul(v1, 100) + r1) | 0)];
    const v3 = p2[r1];
    const v4 = (v2 * v3);
    acc0 = (acc0 + v4);
  }
  const v5 = p3[0];
  const v6 = (acc0 + v5);
  const v7 = (v6 < 0);
  const v8 = Math.exp((v7 ? v6 : (v6 * (-1))));
  const v9 = p4[v1];
  const v10 = (((v7 ? 0 : v6) + Math.log1p(v8)) + ((v6 * v9) * (-1)));
  const v11 = ((1 / (v8 + 1)) * v8);
  const v12 = (((((-1) * v9) + (v7 ? v11 : 0)) + ((v7 ? 0 : v11) * (-1))) + (v7 ? 0 : 1));
  const v13 = (v5 + ((v12 * 0.10000000149011612) * (-1)));
  p5[0] = v10;
  p6[0] = v12;
  p3[0] = v13;
}
function dh_k1(p0, p1, p2, p3) {
  for (let i0 = 0; i0 < 100; i0++) {
    const v0 = p0[i0];
    const v1 = p1[0];
    const v2 = p3[0];
    const v3 = p2[((Math.imul(Math.min(Math.max(v2, 0), 9999), 100) + i0) | 0)];
    const v4 = (v0 + (((v1 * v3) * 0.10000000149011612) * (-1)));
    p0[i0] = v4;
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
