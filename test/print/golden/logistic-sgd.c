// 512 bytes of state, 64 of temporaries, 2 kernels
static void dh_k0(const float *restrict p0, const int *restrict p1, const float *restrict p2, float *restrict p3, const float *restrict p4, float *restrict p5, float *restrict p6) {
  const int v0 = p1[0];
  const int v1 = dh_clamp(v0, 9999);
  float acc_b6 = 0e+0f;
  #pragma omp simd reduction(+ : acc_b6)
  for (int r1 = 0; r1 < 100; r1++) {
    const float v2 = p0[((v1 * 100) + r1)];
    const float v3 = p2[r1];
    acc_b6 = (acc_b6 + (v2 * v3));
  }
  const float v4 = p3[0];
  const float v5 = (acc_b6 + v4);
  const unsigned char v6 = (v5 < 0e+0f);
  const float v7 = dh_exp_f32((v6 ? v5 : (v5 * -1e+0f)));
  const float v8 = p4[v1];
  const float v9 = (((v6 ? 0e+0f : v5) + dh_log1p_f32(v7)) + ((v5 * v8) * -1e+0f));
  const float v10 = ((1e+0f / (v7 + 1e+0f)) * v7);
  const float v11 = ((((-1e+0f * v8) + (v6 ? v10 : 0e+0f)) + ((v6 ? 0e+0f : v10) * -1e+0f)) + (v6 ? 0e+0f : 1e+0f));
  const float v12 = (v4 + ((v11 * 1.0000000149011612e-1f) * -1e+0f));
  p5[0] = v9;
  p6[0] = v11;
  p3[0] = v12;
}
static void dh_k1(float *restrict p0, const float *restrict p1, const float *restrict p2, const int *restrict p3) {
  for (int i0 = 0; i0 < 100; i0++) {
    const float v0 = p0[i0];
    const float v1 = p1[0];
    const int v2 = p3[0];
    const float v3 = p2[((dh_clamp(v2, 9999) * 100) + i0)];
    const float v4 = (v0 + (((v1 * v3) * 1.0000000149011612e-1f) * -1e+0f));
    p0[i0] = v4;
  }
}
void dh_run(char **memory, double *steps, volatile int *stop) {
  const long n = (long)steps[0];
  long s = 0;
  const dh_mode before = dh_flush();
  for (; s < n && !*stop; s++) {
    dh_k0((float *)(memory[4]), (int *)(memory[6] + s * 4L), (float *)(memory[0] + 0), (float *)(memory[0] + 448), (float *)(memory[5]), (float *)(memory[7] + s * 4L), (float *)(memory[1] + 0));
    dh_k1((float *)(memory[0] + 0), (float *)(memory[1] + 0), (float *)(memory[4]), (int *)(memory[6] + s * 4L));
  }
  dh_restore(before);
  steps[1] = (double)s;
}
