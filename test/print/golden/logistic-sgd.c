// 512 bytes of state, 64 of temporaries, 2 kernels
static void dh_k0(const float *restrict p0, const int *restrict p1, const float *restrict p2, float *restrict p3, const float *restrict p4, float *restrict p5, float *restrict p6) {
  const int v0 = p1[0];
  const int v1 = dh_clamp(v0, 9999);
  float acc0 = 0e+0f;
  #pragma omp simd reduction(+ : acc0)
  for (int r1 = 0; r1 < 100; r1++) {
    const float v2 = p0[((v1 * 100) + r1)];
    const float v3 = p2[r1];
    const float v4 = (v2 * v3);
    acc0 += v4;
  }
  const float v5 = p3[0];
  const float v6 = (acc0 + v5);
  const float v7 = p4[v1];
  const unsigned char v8 = (v6 < 0e+0f);
  const float v9 = dh_exp_f32((v8 ? v6 : (v6 * -1e+0f)));
  const float v10 = dh_fma_f32((v6 * -1e+0f), v7, ((v8 ? 0e+0f : v6) + dh_log1p_f32(v9)));
  const float v11 = ((1e+0f / (v9 + 1e+0f)) * v9);
  const float v12 = ((((-1e+0f * v7) + (v8 ? v11 : 0e+0f)) + ((v8 ? 0e+0f : v11) * -1e+0f)) + (v8 ? 0e+0f : 1e+0f));
  const float v13 = dh_fma_f32((v12 * -1e+0f), 1.0000000149011612e-1f, v5);
  p5[0] = v10;
  p6[0] = v12;
  p3[0] = v13;
}
static void dh_k1(const float *restrict p0, const float *restrict p1, const int *restrict p2, float *restrict p3) {
  for (int i0 = 0; i0 < 100; i0++) {
    const float v0 = p0[0];
    const int v1 = p2[0];
    const float v2 = p1[((dh_clamp(v1, 9999) * 100) + i0)];
    const float v3 = p3[i0];
    const float v4 = dh_fma_f32(((v0 * v2) * -1e+0f), 1.0000000149011612e-1f, v3);
    p3[i0] = v4;
  }
}
void dh_run(char **memory, double *steps, volatile int *stop) {
  const long n = (long)steps[0];
  long s = 0;
  const dh_mode before = dh_flush();
  for (; s < n && !*stop; s++) {
    dh_k0((float *)(memory[4]), (int *)(memory[6] + s * 4L), (float *)(memory[0] + 0), (float *)(memory[0] + 448), (float *)(memory[5]), (float *)(memory[7] + s * 4L), (float *)(memory[1] + 0));
    dh_k1((float *)(memory[1] + 0), (float *)(memory[4]), (int *)(memory[6] + s * 4L), (float *)(memory[0] + 0));
  }
  dh_restore(before);
  steps[1] = (double)s;
}
