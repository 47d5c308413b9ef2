// 0 bytes of state, 0 of temporaries, 1 kernels
"use strict";
function dh_k0(p0, p1) {
  for (let i0 = 0; i0 < 3; i0++) {
    for (let i1 = 0; i1 < 3; i1++) {
      for (let i2 = 0; i2 < 12; i2++) {
        const v0 = Math.imul(i2, (-1));
        const v1 = ((((-1) < ((((Math.imul(i1, 2) + i0) | 0) + (-1)) | 0)) && (((v0 + 11) | 0) < 10)) ? p0[((((((Math.imul(i1, 20) + Math.imul(i0, 10)) | 0) + v0) | 0) + 1) | 0)] : 0);
        p1[((((Math.imul(i0, 36) + Math.imul(i1, 12)) | 0) + i2) | 0)] = v1;
      }
    }
  }
}
return (memory, steps) => {
  for (let s = 0; s < steps; s++) {
    const s0 = new Float32Array(memory.feeds[0], s * 240, 60);
    const s1 = new Float32Array(memory.outputs[0], s * 432, 108);
    dh_k0(s0, s1);
  }
  return steps;
};
